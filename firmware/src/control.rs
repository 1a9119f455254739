//! The control step: sensors -> working memory -> policy -> envelope -> actuators.
//!
//! Every step does these in the same order, whether the window is empty, full or just cleared.
//! Nothing here allocates, panics or waits. The loop knows traits, not devices: injected samples and
//! real drivers come in through the same door.

#[cfg(test)]
mod tests;

use crate::DriverError;
use crate::actuators::Actuators;
use crate::fallback::Fallback;
use crate::policy::{Memory, Policy, WorkingMemory};
use crate::safety::{ArmRefused, DeadlineMonitor, Ladder, LinkWatch, SampleMonitor, Settings};
use crate::sensors::{Sample, Sensors};
use crate::terms::Terms;
use engram_image::limits::MAX_ACTIONS;
use engram_image::{Contract, Reward};
use engram_link::{CommandSource, Fault, Faults, State};
use heapless::Vec;

/// Command words of all action channels.
pub type Words = Vec<i16, MAX_ACTIONS>;

/// What one control step did.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct StepReport {
    /// The policy's command words; empty where it did not run.
    pub words: Words,
    /// Who computed the issued command.
    pub source: CommandSource,
    /// Reward in the working memory of this step; 0 where the policy did not run.
    pub reward: f32,
}

/// Counters of the control loop since the start; they wrap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ControlCounters {
    /// Control steps.
    pub steps: u32,
    /// Steps in which the policy ran.
    pub policy_steps: u32,
    /// Steps in flight that found no new sample.
    pub missing_samples: u32,
    /// Commands of policy or fallback that the envelope changed.
    pub limited_commands: u32,
}

/// What this step's read of the sensors gave.
enum Reading {
    /// A new sample that passed all checks lies in `sample`.
    Good,
    /// No new sample, and the last one is young enough.
    Missing,
    /// Something is wrong.
    Faulty(Faults),
}

/// Sensors, actuators and everything between them but the policy's image and memory, which the
/// caller lends for each step.
#[derive(Debug)]
pub struct ControlLoop<S, A, F> {
    terms: Terms,
    sensors: S,
    actuators: A,
    fallback: F,
    samples: SampleMonitor,
    deadline: DeadlineMonitor,
    link: LinkWatch,
    ladder: Ladder,
    sample: Sample,
    /// The last issued command.
    issued: Words,
    /// The next policy step is the first of a trial: there is no last reward.
    first_of_trial: bool,
    last_us: Option<u64>,
    /// When a command was issued last, whatever the clock did since then.
    issued_us: Option<u64>,
    counters: ControlCounters,
}

impl<S: Sensors, A: Actuators, F: Fallback> ControlLoop<S, A, F> {
    /// A disarmed loop whose last issued command is the safe one.
    pub fn new(terms: Terms, sensors: S, actuators: A, fallback: F) -> Self {
        let issued = terms.envelope.safe_words();
        Self {
            terms,
            sensors,
            actuators,
            fallback,
            samples: SampleMonitor::default(),
            deadline: DeadlineMonitor::default(),
            link: LinkWatch::default(),
            ladder: Ladder::new(F::AVAILABLE),
            sample: Sample::new(),
            issued,
            first_of_trial: true,
            last_us: None,
            issued_us: None,
            counters: ControlCounters::default(),
        }
    }

    /// The numbers that the loop flies by.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Flies by another contract from now on, with the default bounds for its period; the last issued command becomes its safe one,
    /// so that only a loop whose actuators report may do so. Does nothing in flight, or where the contract is the same.
    pub fn adopt(&mut self, contract: &mut Contract<'_>) {
        let sha256 = contract.digest_in_place();
        let settings = Settings::for_period(contract.period_us);
        if self.ladder.is_flying() || !self.terms.take(contract, sha256, settings) {
            return;
        }
        self.issued = self.terms.envelope.safe_words();
        self.deadline.restart();
        self.link.restart();
        self.restart_clock();
    }

    /// Where the loop stands on the safety ladder.
    pub fn state(&self) -> State {
        self.ladder.state()
    }

    /// Whether a policy or its fallback flies, or their last command is held.
    pub fn is_flying(&self) -> bool {
        self.ladder.is_flying()
    }

    /// Latched faults.
    pub fn faults(&self) -> Faults {
        self.ladder.faults()
    }

    /// The last issued command, as command words.
    pub fn issued(&self) -> &[i16] {
        &self.issued
    }

    /// Whether the last issued command is the safe one.
    pub fn is_settled(&self) -> bool {
        self.terms.envelope.is_safe(&self.issued)
    }

    /// Counters since the start.
    pub fn counters(&self) -> ControlCounters {
        self.counters
    }

    /// Control steps in flight that began early or late or took too long, since the start; wraps.
    pub fn deadline_misses(&self) -> u32 {
        self.deadline.misses()
    }

    /// Time of the newest step; `None` before the first and after a restart of the clock.
    pub fn last_us(&self) -> Option<u64> {
        self.last_us
    }

    /// The sensors, to inject samples into.
    pub fn sensors(&mut self) -> &mut S {
        &mut self.sensors
    }

    /// The actuators.
    pub fn actuators(&mut self) -> &mut A {
        &mut self.actuators
    }

    /// Lets the policy fly from the next step on, as the first step of a trial. The caller clears the
    /// policy's memory and knows that there is an image.
    ///
    /// # Errors
    /// [`ArmRefused`] in any state but disarmed, or while faults are latched.
    pub fn arm(&mut self) -> Result<(), ArmRefused> {
        self.ladder.arm()?;
        self.first_of_trial = true;
        self.samples.restart();
        self.deadline.restart();
        self.link.restart();
        self.terms.envelope.restart();
        Ok(())
    }

    /// Stops the policy; the safe command is approached within the slew limit.
    pub fn disarm(&mut self) {
        self.ladder.disarm();
    }

    /// Forgets the latched faults; leaves safe stop for disarmed.
    ///
    /// # Errors
    /// The state, if it is neither disarmed nor safe stop.
    pub fn reset_faults(&mut self) -> Result<(), State> {
        self.ladder.reset_faults()
    }

    /// Latches a fault that was found outside of a control step.
    pub fn latch(&mut self, fault: Fault) {
        self.ladder.latch(fault.into());
    }

    /// The clock of control steps starts anew: any time may come next. Does nothing in flight.
    pub fn restart_clock(&mut self) {
        if !self.ladder.is_flying() {
            self.last_us = None;
            self.samples.restart();
        }
    }

    /// Makes one control step at `now_us`.
    ///
    /// `heard` says whether the host was heard from since the step before. `policy` is that of the active image
    /// with its memory; without it an armed loop faults with [`Fault::PolicyOutput`].
    pub fn step(
        &mut self,
        now_us: u64,
        heard: bool,
        policy: Option<(&Policy<'_>, &mut Memory)>,
    ) -> StepReport {
        self.counters.steps = self.counters.steps.wrapping_add(1);
        // The first step of all has nothing before it, and neither has one in virtual time that was set back: a period.
        let last_us = self.issued_us.replace(now_us);
        let elapsed_us = last_us.and_then(|last| now_us.checked_sub(last));
        let elapsed_us = elapsed_us.unwrap_or(u64::from(self.terms.period_us));
        self.terms.envelope.elapse(elapsed_us);
        let mut faults = self.watch(now_us, heard);
        let reading = self.read(now_us);
        if let Reading::Faulty(found) = reading {
            faults = faults.union(found);
        }
        let mut report = StepReport {
            words: Words::new(),
            source: CommandSource::Held,
            reward: 0.0,
        };
        if self.ladder.state() == State::Armed
            && faults.is_empty()
            && matches!(reading, Reading::Good)
            && let Err(fault) = self.run_policy(policy, &mut report)
        {
            faults = faults.with(fault);
        }
        self.advance(now_us, faults);
        self.issue(now_us, matches!(reading, Reading::Good), &mut report);
        if self.act().is_err() {
            self.advance(now_us, Fault::ActuatorFailure.into());
        }
        report
    }

    /// The step that began last took `duration_us` on the board's own clock (real time only).
    pub fn finished(&mut self, now_us: u64, duration_us: u64) {
        if self.ladder.is_flying() && self.deadline.end(duration_us, &self.terms.settings) {
            self.advance(now_us, Fault::DeadlineMisses.into());
        }
    }

    fn advance(&mut self, now_us: u64, faults: Faults) {
        self.ladder.advance(now_us, faults, &self.terms.settings);
    }

    /// Clock, deadline and link.
    fn watch(&mut self, now_us: u64, heard: bool) -> Faults {
        let mut faults = Faults::NONE;
        if self.last_us.is_some_and(|last| now_us <= last) {
            faults = faults.with(Fault::ClockBackwards);
        }
        self.last_us = Some(now_us);
        let Terms {
            period_us,
            settings,
            ..
        } = &self.terms;
        if self.ladder.is_flying() && self.deadline.begin(now_us, *period_us, settings) {
            faults = faults.with(Fault::DeadlineMisses);
        }
        if self.link.lost(now_us, heard, settings.link_silence_us) {
            faults = faults.with(Fault::LinkLoss);
        }
        faults
    }

    fn read(&mut self, now_us: u64) -> Reading {
        let faults = match self.sensors.read(&mut self.sample) {
            Ok(()) => {
                let faults = self.samples.check(&self.sample, &self.terms, now_us);
                if faults.is_empty() {
                    return Reading::Good;
                }
                faults
            }
            Err(DriverError::NotReady) => {
                if self.ladder.is_flying() {
                    self.counters.missing_samples = self.counters.missing_samples.wrapping_add(1);
                }
                let faults = self.samples.missing(&self.terms, now_us);
                if faults.is_empty() {
                    return Reading::Missing;
                }
                faults
            }
            Err(_) => Fault::SensorFailure.into(),
        };
        Reading::Faulty(faults)
    }

    /// Working memory -> policy; the words go into `report`.
    fn run_policy(
        &mut self,
        policy: Option<(&Policy<'_>, &mut Memory)>,
        report: &mut StepReport,
    ) -> Result<(), Fault> {
        let (policy, memory) = policy.ok_or(Fault::PolicyOutput)?;
        let reward = self.reward();
        if !reward.is_finite() {
            return Err(Fault::NonFinite);
        }
        let mut words = Words::new();
        words
            .resize(self.terms.envelope.actions(), 0)
            .map_err(|_| Fault::PolicyOutput)?;
        let input = WorkingMemory {
            observation: &self.sample.observation,
            issued: &self.issued,
            reward,
            done: self.sample.done && !self.first_of_trial,
        };
        policy
            .step(memory, &input, &mut words, &mut ())
            .map_err(|_| Fault::PolicyOutput)?;
        self.first_of_trial = false;
        self.counters.policy_steps = self.counters.policy_steps.wrapping_add(1);
        report.words = words;
        report.reward = reward;
        Ok(())
    }

    /// Reward of the last issued command, as the contract defines it; 0 in the first step of a trial.
    fn reward(&self) -> f32 {
        if self.first_of_trial {
            return 0.0;
        }
        match &self.terms.reward {
            // Its absence was found by the sample's checks before.
            Reward::External => self.sample.reward.unwrap_or(f32::NAN),
            Reward::Formula(formula) => formula.evaluate(
                &self.sample.observation,
                &self.terms.envelope.commands(&self.issued),
            ),
        }
    }

    /// Policy words, fallback, hold or safe command -> issued command.
    fn issue(&mut self, now_us: u64, good_sample: bool, report: &mut StepReport) {
        match self.ladder.state() {
            State::Armed if !report.words.is_empty() => {
                self.limit(&report.words);
                report.source = CommandSource::Policy;
            }
            State::Armed | State::Hold => report.source = CommandSource::Held,
            State::Fallback => self.issue_fallback(now_us, good_sample, report),
            State::SafeStop | State::Disarmed => self.issue_safe(report),
        }
    }

    fn issue_fallback(&mut self, now_us: u64, good_sample: bool, report: &mut StepReport) {
        if !good_sample {
            report.source = CommandSource::Held;
            return;
        }
        let last = self.terms.envelope.commands(&self.issued);
        let mut command = last.clone();
        let words = if self.fallback.command(&self.sample, &last, &mut command) {
            self.terms.envelope.words(&command)
        } else {
            None
        };
        match words {
            Some(words) => {
                self.limit(&words);
                report.source = CommandSource::Fallback;
            }
            None => {
                self.ladder.fallback_failed(now_us);
                self.issue_safe(report);
            }
        }
    }

    fn issue_safe(&mut self, report: &mut StepReport) {
        self.terms.envelope.approach_safe(&mut self.issued);
        report.source = CommandSource::Safe;
    }

    fn limit(&mut self, words: &[i16]) {
        if self.terms.envelope.limit(&mut self.issued, words) {
            self.counters.limited_commands = self.counters.limited_commands.wrapping_add(1);
        }
    }

    /// Issued command -> actuators.
    fn act(&mut self) -> Result<(), DriverError> {
        self.actuators
            .write(&self.terms.envelope.commands(&self.issued))
    }
}
