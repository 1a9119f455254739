//! The node: control loop, image slots and link in one piece; what a board's `main` drives.
//!
//! A board feeds it the bytes it receives ([`Node::receive`]) and, in real time, its timer
//! ([`Node::tick`]). In lock-step each `Sensors` or `Tick` message makes one control step and one
//! answer. The host's messages can arm, disarm and upload; they can never reach around the
//! safety ladder or the envelope.

mod commands;
mod reports;

#[cfg(test)]
mod tests;

use crate::actuators::Actuators;
use crate::control::{ControlLoop, StepReport};
use crate::fallback::Fallback;
use crate::platform::Platform;
use crate::policy::Memory;
use crate::safety::{Faults, Settings, State};
use crate::sensors::Sensors;
use crate::slots::Slots;
use crate::store::ImageStore;
use core::borrow::BorrowMut;
use embedded_io::Write;
use engram_image::Contract;
use engram_link::limits::LOG_BYTES;
use engram_link::{Action, Encoder, FromBoard, Level, Pace, Reason, ToBoardDecoder};
use heapless::Vec;

// The link depends on no other crate of the project, so the two copies are compared here.
const _: () = {
    assert!(engram_link::limits::MAX_OBSERVATIONS == engram_image::limits::MAX_OBSERVATIONS);
    assert!(engram_link::limits::MAX_ACTIONS == engram_image::limits::MAX_ACTIONS);
};

/// Everything a node is made of.
#[derive(Debug)]
pub struct Parts<'c, S, A, F, I, M, P> {
    /// What sensors, actuators and policy agree on; must be valid.
    pub contract: &'c Contract<'c>,
    /// Bounds of the safety ladder, e.g. [`Settings::for_period`].
    pub settings: Settings,
    /// Who makes control steps until a host says otherwise.
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

/// A whole controller. See the module's text.
#[derive(Debug)]
pub struct Node<'c, S, A, F, I, M, P> {
    control: ControlLoop<'c, S, A, F>,
    slots: Slots<I>,
    memory: M,
    platform: P,
    pace: Pace,
    decoder: ToBoardDecoder,
    encoder: Encoder,
    /// A hello with the right protocol version came.
    greeted: bool,
    /// An intact frame came since the last control step.
    heard: bool,
    /// Sequence number of the newest `Sensors` or `Tick` that was taken.
    newest_request: u16,
    /// The last answer, for retries.
    answer: Option<FromBoard>,
    upload_bytes_per_period: u32,
    /// Upload bytes that may still be taken before the next step, while not disarmed.
    upload_share: u32,
    worst_step_us: u32,
    transmit_errors: u32,
}

impl<'c, S, A, F, I, M, P> Node<'c, S, A, F, I, M, P>
where
    S: Sensors,
    A: Actuators,
    F: Fallback,
    I: ImageStore,
    M: BorrowMut<Memory>,
    P: Platform,
{
    /// A disarmed node without an image.
    pub fn new(parts: Parts<'c, S, A, F, I, M, P>) -> Self {
        Self {
            control: ControlLoop::new(
                parts.contract,
                &parts.settings,
                parts.sensors,
                parts.actuators,
                parts.fallback,
            ),
            slots: Slots::new(parts.store),
            memory: parts.memory,
            platform: parts.platform,
            pace: parts.pace,
            decoder: ToBoardDecoder::new(),
            encoder: Encoder::new(),
            greeted: false,
            heard: false,
            newest_request: 0,
            answer: None,
            upload_bytes_per_period: parts.settings.upload_bytes_per_period,
            upload_share: parts.settings.upload_bytes_per_period,
            worst_step_us: 0,
            transmit_errors: 0,
        }
    }

    /// Takes bytes from the link, in pieces of any size, and writes the answers to `out`.
    ///
    /// Answers that `out` refuses are lost and counted; they never stop the loop.
    pub fn receive(&mut self, bytes: &[u8], out: &mut impl Write) {
        for byte in bytes {
            if let Some(Ok(frame)) = self.decoder.push(*byte) {
                self.heard = true;
                self.handle(frame, out);
            }
        }
    }

    /// Real time: makes the control step of this period at `now_us` and reports it to `out` once a host
    /// said hello. Call it once per period from the board's timer. Does nothing in lock-step.
    pub fn tick(&mut self, now_us: u64, out: &mut impl Write) {
        if self.pace != Pace::RealTime {
            return;
        }
        let (report, duration_us) = self.step(now_us);
        self.control.finished(now_us, duration_us);
        if self.greeted {
            let action = self.action(now_us, report);
            self.send(&FromBoard::Action(action), out);
        }
    }

    /// Activates an image that the board has at hand, with all checks of an upload.
    ///
    /// # Errors
    /// [`Reason`], as for an upload; the active image stays.
    pub fn install(&mut self, image: &[u8]) -> Result<(), Reason> {
        self.require_disarmed()?;
        self.slots
            .install(image, self.control.contract(), self.memory.borrow_mut())
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
        self.memory.borrow_mut().clear();
        self.control
            .arm()
            .map_err(|_| Reason::NotDisarmed(self.control.state()))
    }

    /// Disarms: the safe command is approached within the slew limit.
    pub fn disarm(&mut self) {
        self.control.disarm();
        self.control.restart_clock();
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

    /// The board under the node.
    pub fn platform(&mut self) -> &mut P {
        &mut self.platform
    }

    /// The control loop's parts, for a board that must reach its drivers.
    pub fn control(&mut self) -> &mut ControlLoop<'c, S, A, F> {
        &mut self.control
    }

    /// Sends a line of log; what does not fit into a frame is cut off.
    pub fn log(&mut self, level: Level, text: &str, out: &mut impl Write) {
        let message = FromBoard::Log(engram_link::Log::Text {
            level,
            text: reports::cut(text),
        });
        self.send(&message, out);
    }

    /// Sends bytes of the board's defmt stream, in their order.
    pub fn log_defmt(&mut self, bytes: Vec<u8, LOG_BYTES>, out: &mut impl Write) {
        self.send(&FromBoard::Log(engram_link::Log::Defmt(bytes)), out);
    }

    /// One control step; returns its report and how long it took by the board's clock, microseconds.
    // Its own frame: kept out of the caller's, the stack holds the view of the image only while a
    // step runs, and the frames of commands never lie under it.
    #[inline(never)]
    fn step(&mut self, now_us: u64) -> (StepReport, u64) {
        let started = self.platform.now_us();
        self.upload_share = self.upload_bytes_per_period;
        let heard = core::mem::take(&mut self.heard);
        let image = match self.control.state() {
            State::Armed => self.slots.view(self.control.contract()),
            _ => None,
        };
        let memory = self.memory.borrow_mut();
        let policy = image.as_ref().map(|image| self.slots.policy(image));
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

    fn send(&mut self, message: &FromBoard, out: &mut impl Write) {
        let sent = self
            .encoder
            .frame(message)
            .is_ok_and(|frame| out.write_all(frame).is_ok());
        if !sent {
            self.transmit_errors = self.transmit_errors.wrapping_add(1);
        }
    }
}
