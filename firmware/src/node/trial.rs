//! Images on trial: who confirms them, and what rolls them back.
//!
//! Only stores that outlast a reset ([`crate::flash`]) take images on trial; with others nothing here does anything.

use super::Node;
use crate::actuators::Actuators;
use crate::fallback::Fallback;
use crate::platform::Platform;
use crate::policy::Memory;
use crate::safety::{Fault, State};
use crate::sensors::Sensors;
use crate::store::{ImageStore, Mark};
use core::borrow::BorrowMut;
use engram_link::Reason;

/// Control steps that an image on trial flies one after the other, without a fault or a missed deadline, before it is confirmed.
pub const TRIAL_STEPS: u32 = 1_000;

/// How a trial goes.
#[derive(Debug, Default)]
pub(super) struct Trial {
    /// Good steps in flight, one after the other.
    steps: u32,
    /// Missed deadlines before the newest step, as the control loop counts them.
    misses: u32,
    /// It has been armed since it last landed.
    pub(super) flown: bool,
    /// More deadlines were missed than the ladder allows: to be rolled back.
    failed: bool,
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
    /// Takes the image that was confirmed before the one on trial, with all checks of an upload; does nothing where none is on trial.
    ///
    /// # Errors
    /// [`Reason::NotDisarmed`], [`Reason::NotSettled`]; others as for an upload, and then there is no active image.
    pub(super) fn roll_back(&mut self) -> Result<(), Reason> {
        self.require_rest()?;
        if !self.slots.on_trial() {
            return Ok(());
        }
        self.trial = Trial::default();
        self.slots.end_trial();
        let found = self.slots.find().ok_or(Reason::NoImage)?;
        self.slots.take(found);
        self.commit()
    }

    /// For what takes longer than a control period.
    pub(super) fn require_rest(&self) -> Result<(), Reason> {
        self.require_disarmed()?;
        match self.may_pause() {
            true => Ok(()),
            false => Err(Reason::NotSettled),
        }
    }

    /// What comes before an upload: a trial ends, and nothing moves where the store takes its time.
    pub(super) fn make_way(&mut self) -> Result<(), Reason> {
        if self.slots.begin_stalls() || self.slots.on_trial() {
            self.require_rest()?;
        }
        if self.slots.on_trial() {
            // Where that fails there is no active image, which an upload is the cure for.
            let _ = self.roll_back();
        }
        Ok(())
    }

    /// After each control step.
    pub(super) fn watch_trial(&mut self) {
        if !self.slots.on_trial() {
            return;
        }
        let misses = self.control.deadline_misses();
        let missed = core::mem::replace(&mut self.trial.misses, misses) != misses;
        let faults = self.control.faults();
        self.trial.steps = match self.control.state() {
            // Faults from before the trial may still be latched.
            State::Disarmed => self.trial.steps,
            State::Armed if faults.is_empty() && !missed => self.trial.steps.saturating_add(1),
            _ => {
                self.trial.failed |= faults.contains(Fault::DeadlineMisses);
                0
            }
        };
        if self.state() == State::Disarmed && self.may_pause() {
            if self.trial.failed {
                // What cannot be rolled back is no active image any more, and arming says so.
                let _ = self.roll_back();
            } else if core::mem::take(&mut self.trial.flown) && faults.is_empty() {
                // Where the store fails to note it, a reset from now on ends the trial.
                let _ = self.slots.mark(Mark::Landed);
            }
        } else if self.trial.steps >= TRIAL_STEPS && !self.trial.failed {
            // Where the store fails to note it, so many steps more are flown.
            self.trial.steps = 0;
            if self.slots.mark(Mark::Proven).is_ok() {
                self.trial = Trial::default();
            }
        }
    }
}
