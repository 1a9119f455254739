//! The node: control loop, image slots and link in one piece; what a board's `main` drives.
//!
//! A board calls [`Node::turn`] for ever: it serves the line and, in real time, makes the control steps when the board's clock
//! says so. In lock-step each `Sensors` or `Tick` message makes one control step and one
//! answer. The host's messages can arm, disarm and upload; they can never reach around the
//! safety ladder or the envelope, and a line that takes nothing, or brings rubbish, delays no step.
//!
//! `firmware/robot-template` is a robot with drivers, which flies no image but those that were made for it.

mod commands;
mod reports;
mod trial;

#[cfg(test)]
mod tests;

use crate::actuators::Actuators;
use crate::control::{ControlLoop, StepReport};
use crate::fallback::Fallback;
use crate::platform::Platform;
use crate::policy::Memory;
use crate::safety::{Faults, Settings, State};
use crate::schedule::Schedule;
use crate::sensors::Sensors;
use crate::signature::PublicKey;
use crate::slots::{self, Slots};
use crate::store::{ImageStore, Mark};
use crate::terms::Terms;
use crate::text::cut;
use crate::transmit::{Kind, TransmitQueue};
use crate::watchdog::Progress;
use core::borrow::BorrowMut;
use embedded_io::{Read, ReadReady, Write, WriteReady};
use engram_image::Contract;
use engram_link::limits::LOG_BYTES;
use engram_link::{Action, Encoder, FromBoard, Level, Pace, Reason, ToBoardDecoder};
use heapless::Vec;
pub use trial::TRIAL_STEPS;
use trial::Trial;

// The link depends on no other crate of the project, so the two copies are compared here.
const _: () = {
    assert!(engram_link::limits::MAX_OBSERVATIONS == engram_image::limits::MAX_OBSERVATIONS);
    assert!(engram_link::limits::MAX_ACTIONS == engram_image::limits::MAX_ACTIONS);
};

/// Bytes taken from the line between two looks at the clock.
const RECEIVE_BYTES: usize = 64;

/// Where a node's contract comes from.
#[derive(Debug, Clone, Copy)]
pub enum ContractSource {
    /// The board's own: it refuses an image that has another.
    Board {
        /// What sensors, actuators and policy agree on; must be valid.
        contract: &'static Contract<'static>,
        /// Bounds of the safety ladder, e.g. [`Settings::for_period`].
        settings: Settings,
    },
    /// Each image brings its own, with the default bounds for its period. Only where sensors are injected and actuators only
    /// report: with real ones an image might mean another robot, and none is taken.
    Image,
}

/// Everything a node is made of.
#[derive(Debug)]
pub struct Parts<S, A, F, I, M, P> {
    /// What an image must have been made for.
    pub contract: ContractSource,
    /// Whose images the node takes: those that are signed by this key alone, or, without one, all.
    pub key: Option<PublicKey>,
    /// Who makes control steps until a host says otherwise; real time where sensors or actuators are real.
    pub pace: Pace,
    /// Drivers, or [`crate::injected::InjectedSensors`].
    pub sensors: S,
    /// Drivers, or [`crate::injected::ReportedActuators`].
    pub actuators: A,
    /// The author's controller, or [`crate::fallback::NoFallback`].
    pub fallback: F,
    /// Two image slots.
    pub store: I,
    /// The policy's memory: `&'static mut Memory` on a board, a `Box` on a host.
    pub memory: M,
    /// The board.
    pub platform: P,
}

/// Steps at rest before anything takes longer than a period: a board's watchdog waits for a flight's periods until it has heard of the landing.
const RESTING_STEPS: u8 = 3;

/// A whole controller. See the module's text.
#[derive(Debug)]
pub struct Node<S, A, F, I, M, P> {
    contract: ContractSource,
    control: ControlLoop<S, A, F>,
    slots: Slots<I>,
    memory: M,
    platform: P,
    schedule: Schedule,
    pace: Pace,
    decoder: ToBoardDecoder,
    encoder: Encoder,
    transmit: TransmitQueue,
    /// A hello with the right protocol version came.
    greeted: bool,
    /// An intact frame came since the last control step.
    heard: bool,
    /// Sequence number of the newest `Sensors` or `Tick` that was taken; 0 before the first.
    newest_request: u32,
    /// The last answer, for retries.
    answer: Option<FromBoard>,
    /// Number of an `UploadCommit` that waits until the command is the safe one.
    waiting_commit: Option<u32>,
    trial: Trial,
    /// Control steps in real time for which nothing has moved; what takes long waits for [`RESTING_STEPS`].
    resting_steps: u8,
    /// The weights were verified since the last control step.
    rechecked: bool,
    /// Upload bytes that may still be taken before the next step, while not disarmed.
    upload_share: u32,
    worst_step_us: u32,
    line_errors: u32,
}

impl<S, A, F, I, M, P> Node<S, A, F, I, M, P>
where
    S: Sensors,
    A: Actuators,
    F: Fallback,
    I: ImageStore,
    M: BorrowMut<Memory>,
    P: Platform,
{
    /// Whether a host may pace this board: nothing moves and nothing is measured while it does not.
    const LOCK_STEP: bool = S::INJECTED && A::REPORTED;

    /// A disarmed node without an image.
    // Its own frame: what it makes the node from does not lie in that of the loop, under the whole flight.
    #[inline(never)]
    pub fn new(parts: Parts<S, A, F, I, M, P>) -> Self {
        let terms = match parts.contract {
            ContractSource::Board { contract, settings } => Terms::of(contract, settings),
            ContractSource::Image => Terms::NONE,
        };
        Self {
            contract: parts.contract,
            schedule: Schedule::new(terms.period_us),
            upload_share: terms.settings.upload_bytes_per_period,
            control: ControlLoop::new(terms, parts.sensors, parts.actuators, parts.fallback),
            slots: Slots::new(parts.store, parts.key),
            memory: parts.memory,
            platform: parts.platform,
            pace: if Self::LOCK_STEP {
                parts.pace
            } else {
                Pace::RealTime
            },
            decoder: ToBoardDecoder::new(),
            encoder: Encoder::new(),
            transmit: TransmitQueue::new(),
            greeted: false,
            heard: false,
            newest_request: 0,
            answer: None,
            waiting_commit: None,
            trial: Trial::default(),
            resting_steps: RESTING_STEPS,
            rechecked: false,
            worst_step_us: 0,
            line_errors: 0,
        }
    }

    /// One turn of a board's main loop: serves the line, then makes the control step if it is due. Neither waits, and whatever
    /// happens to the line, in real time the actuators are written in every period. Returns whether anything came.
    pub fn turn<L: Read + ReadReady + Write + WriteReady>(&mut self, line: &mut L) -> bool {
        let came = self.serve(line);
        self.step_if_due();
        came
    }

    /// The second half of [`Node::turn`], for a board that does something between the halves.
    pub fn step_if_due(&mut self) {
        // An image may have brought another one.
        self.schedule.set_period_us(self.control.terms().period_us);
        let now_us = self.platform.now_us();
        if self.schedule.take(now_us) {
            self.tick(now_us);
        }
    }

    /// When [`Node::step_if_due`] makes the next step, microseconds of the board's clock: for a board that sleeps until then.
    pub fn due_us(&self) -> u64 {
        self.schedule.due_us()
    }

    /// Microseconds until [`Node::step_if_due`] makes a step; 0 if it would now.
    pub fn remaining_us(&mut self) -> u64 {
        self.schedule.remaining_us(self.platform.now_us())
    }

    /// Takes what the line has received and gives it what waits, without waiting for either; returns whether
    /// anything came. Call it as often as there is time between two steps.
    ///
    /// Errors of the line (overrun, framing, a device that is gone) are counted. If they last, they are a
    /// silent link: ENG-SAFE-10 stops the policy, and the loop goes on.
    pub fn serve<L: Read + ReadReady + Write + WriteReady>(&mut self, line: &mut L) -> bool {
        let mut received = [0; RECEIVE_BYTES];
        let count = match line.read_ready() {
            // A line that is ready and reads nothing has ended.
            Ok(true) => line.read(&mut received).ok().filter(|count| *count > 0),
            Ok(false) => Some(0),
            Err(_) => None,
        };
        let count = count.unwrap_or_else(|| {
            self.line_errors = self.line_errors.wrapping_add(1);
            0
        });
        self.receive(received.get(..count).unwrap_or_default());
        // Each turn takes a byte at least, and nothing is added meanwhile.
        while !self.transmit.front().is_empty() {
            let taken = match line.write_ready() {
                Ok(true) => line.write(self.transmit.front()),
                not_ready => not_ready.map(|_| 0),
            };
            match taken {
                Ok(0) => break,
                Ok(count) => self.transmit.taken(count),
                Err(_) => {
                    self.line_errors = self.line_errors.wrapping_add(1);
                    break;
                }
            }
        }
        count > 0
    }

    /// Takes bytes from the link, in pieces of any size. What is to be sent waits in [`Node::outgoing`].
    pub fn receive(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if let Some(Ok(frame)) = self.decoder.push(*byte) {
                self.heard = true;
                self.handle(frame);
            }
        }
    }

    /// What waits for the line.
    pub fn outgoing(&mut self) -> &mut TransmitQueue {
        &mut self.transmit
    }

    /// Real time: makes the control step of this period at `now_us` and reports it once a host
    /// said hello, once per period: [`Node::step_if_due`] calls it by the board's clock. Does nothing in lock-step.
    pub fn tick(&mut self, now_us: u64) {
        if self.pace != Pace::RealTime {
            return;
        }
        let (report, duration_us) = self.step(now_us);
        self.control.finished(now_us, duration_us);
        self.resting_steps = match self.is_settled() && self.control.state() == State::Disarmed {
            true => self.resting_steps.saturating_add(1),
            false => 0,
        };
        if self.greeted {
            let action = self.action(now_us, report);
            self.send(Kind::Telemetry, &FromBoard::Action(action));
        }
        self.watch_trial();
        self.take_up_commit();
    }

    /// Activates an image that the board has at hand, with all checks of an upload.
    ///
    /// # Errors
    /// [`Reason`], as for an upload; the active image stays.
    pub fn install(&mut self, image: &[u8]) -> Result<(), Reason> {
        self.require_disarmed()?;
        if u32::try_from(image.len()).is_ok_and(|length| length <= self.slots.capacity()) {
            self.make_way()?;
        }
        self.slots.upload(image)?;
        self.commit()
    }

    /// Activates an image that lies in the store from before the start, with all checks of an upload; where one on trial fails them, the
    /// confirmed one.
    ///
    /// # Errors
    /// [`Reason::NoImage`] where none lies there; others as for an upload.
    pub fn install_found(&mut self) -> Result<(), Reason> {
        self.require_disarmed()?;
        let first = self.slots.find().ok_or(Reason::NoImage)?;
        self.slots.take(first);
        let taken = self.commit();
        if taken.is_err()
            && let Some(second) = self.slots.find()
            && second.slot != first.slot
        {
            self.slots.take(second);
            return self.commit();
        }
        taken
    }

    /// Activates what has been uploaded; where the contract comes with the image, the loop flies by it from now on.
    fn commit(&mut self) -> Result<(), Reason> {
        self.require_disarmed()?;
        let contract = match self.contract {
            ContractSource::Board { contract, .. } => Some(contract),
            ContractSource::Image if Self::LOCK_STEP => None,
            ContractSource::Image => return Err(slots::no_contract()),
        };
        let control = &mut self.control;
        self.slots
            .commit(contract, self.memory.borrow_mut(), |contract| {
                control.adopt(contract);
            })
    }

    /// Control period, microseconds: what a board's timer has to keep.
    pub fn period_us(&self) -> u32 {
        self.control.terms().period_us
    }

    /// Arms: the policy flies from the next control step on, with empty memory.
    ///
    /// # Errors
    /// [`Reason::NotDisarmed`], [`Reason::FaultsLatched`], [`Reason::NoImage`].
    pub fn arm(&mut self) -> Result<(), Reason> {
        self.require_disarmed()?;
        if !self.control.faults().is_empty() {
            return Err(Reason::FaultsLatched(self.control.faults()));
        }
        if self.slots.weights_sha256().is_none() {
            return Err(Reason::NoImage);
        }
        // Before it flies: a reset in flight ends a trial.
        self.slots.mark(Mark::Flying)?;
        self.trial.flown = true;
        self.resting_steps = 0;
        self.memory.borrow_mut().clear();
        self.control
            .arm()
            .map_err(|_| Reason::NotDisarmed(self.control.state()))?;
        if let Some(request) = self.waiting_commit.take() {
            self.conclude_commit(request, Err(Reason::NotDisarmed(State::Armed)));
        }
        Ok(())
    }

    /// Disarms: the safe command is approached within the slew limit.
    pub fn disarm(&mut self) {
        self.control.disarm();
        // Virtual time may start anew; the board's own never does.
        if self.pace == Pace::LockStep {
            self.control.restart_clock();
        }
    }

    /// Whether nothing moves: disarmed or in safe stop, and the issued command is the safe one.
    pub fn is_settled(&self) -> bool {
        matches!(self.state(), State::Disarmed | State::SafeStop) && self.control.is_settled()
    }

    /// Where the node stands on the safety ladder.
    pub fn state(&self) -> State {
        self.control.state()
    }

    /// Latched faults.
    pub fn faults(&self) -> Faults {
        self.control.faults()
    }

    /// Who makes control steps.
    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// What the control loop has got to, for the board's watchdog.
    pub fn progress(&mut self) -> Progress {
        Progress {
            steps: self.control.counters().steps,
            pace: self.pace,
            state: self.state(),
            period_us: self.period_us(),
        }
    }

    /// The board under the node.
    pub fn platform(&mut self) -> &mut P {
        &mut self.platform
    }

    /// The control loop's parts, for a board that must reach its drivers.
    pub fn control(&mut self) -> &mut ControlLoop<S, A, F> {
        &mut self.control
    }

    /// Sends a line of log; what does not fit into a frame is cut off.
    pub fn log(&mut self, level: Level, text: &str) {
        let message = FromBoard::Log(engram_link::Log::Text {
            level,
            text: cut(&text),
        });
        self.send(Kind::Telemetry, &message);
    }

    /// Sends bytes of the board's defmt stream, in their order, as long as `take` gives any and they find room.
    pub fn log_defmt(&mut self, mut take: impl FnMut() -> Option<Vec<u8, LOG_BYTES>>) {
        while self.transmit.has_room(Kind::Telemetry) {
            let Some(bytes) = take() else { return };
            self.send(
                Kind::Telemetry,
                &FromBoard::Log(engram_link::Log::Defmt(bytes)),
            );
        }
    }

    /// One control step; returns its report and how long it took by the board's clock, microseconds.
    // Its own frame: kept out of the caller's, the stack holds the view of the weights only while a
    // step runs, and the frames of commands never lie under it.
    #[inline(never)]
    fn step(&mut self, now_us: u64) -> (StepReport, u64) {
        let started = self.platform.now_us();
        self.upload_share = self.control.terms().settings.upload_bytes_per_period;
        self.rechecked = false;
        let heard = core::mem::take(&mut self.heard);
        let weights = match self.control.state() {
            State::Armed => self.slots.weights(),
            _ => None,
        };
        let memory = self.memory.borrow_mut();
        let policy = weights
            .as_ref()
            .and_then(|weights| self.slots.policy(weights));
        let policy = policy.as_ref().map(|policy| (policy, memory));
        let report = self.control.step(now_us, heard, policy);
        let duration_us = self.platform.now_us().saturating_sub(started);
        let duration = u32::try_from(duration_us).unwrap_or(u32::MAX);
        self.worst_step_us = self.worst_step_us.max(duration);
        (report, duration_us)
    }

    fn action(&self, now_us: u64, report: StepReport) -> Action {
        Action {
            request: self.newest_request,
            now_us,
            step: self.control.counters().steps,
            words: report.words,
            issued: Vec::from_slice(self.control.issued()).unwrap_or_default(),
            source: report.source,
            reward: report.reward,
            state: self.control.state(),
            faults: self.control.faults(),
        }
    }

    fn require_disarmed(&self) -> Result<(), Reason> {
        match self.control.state() {
            State::Disarmed => Ok(()),
            state => Err(Reason::NotDisarmed(state)),
        }
    }

    /// Whether control steps may pause for the time of a verification: virtual time does not run meanwhile, and in real
    /// time the actuators stand still at the safe command.
    fn may_pause(&self) -> bool {
        self.pace == Pace::LockStep || (self.is_settled() && self.resting_steps >= RESTING_STEPS)
    }

    fn send(&mut self, kind: Kind, message: &FromBoard) {
        // No message of the link is too long for a frame; a test of it says so.
        if let Ok(frame) = self.encoder.frame(message) {
            self.transmit.push(kind, frame);
        }
    }
}
