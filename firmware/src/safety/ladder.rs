//! The state machine: disarmed, armed, hold, fallback, safe stop.

use super::Settings;
use engram_link::{Fault, Faults, State};
use thiserror::Error;

/// Why the runtime did not arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ArmRefused {
    /// Arming starts from disarmed only.
    #[error("the state is {0}, not disarmed")]
    NotDisarmed(State),
    /// These faults are latched.
    #[error("faults are latched: {0}")]
    FaultsLatched(Faults),
}

/// Faults that do not touch what a fallback controller needs: it flies on in spite of them.
const FALLBACK_TOLERATES: Faults = Faults::NONE
    .with(Fault::RewardMissing)
    .with(Fault::PolicyOutput)
    .with(Fault::LinkLoss)
    .with(Fault::DeadlineMisses)
    .with(Fault::ImageCorrupt);

/// State and latched faults.
///
/// Arming, disarming and resetting are commands; everything else is one call of [`Ladder::advance`]
/// per control step. A state other than armed and disarmed is only ever entered through a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Ladder {
    state: State,
    faults: Faults,
    since_us: u64,
    hold_us: u64,
    fallback_us: u64,
    fallback_available: bool,
}

impl Ladder {
    /// Disarmed, without faults.
    pub const fn new(settings: &Settings, fallback_available: bool) -> Self {
        Self {
            state: State::Disarmed,
            faults: Faults::NONE,
            since_us: 0,
            hold_us: settings.hold_us as u64,
            fallback_us: settings.fallback_us as u64,
            fallback_available,
        }
    }

    /// Other times for hold and fallback; state and faults stay.
    pub fn adopt(&mut self, settings: &Settings) {
        self.hold_us = u64::from(settings.hold_us);
        self.fallback_us = u64::from(settings.fallback_us);
    }

    /// Where the runtime stands.
    pub const fn state(&self) -> State {
        self.state
    }

    /// Faults since the last reset.
    pub const fn faults(&self) -> Faults {
        self.faults
    }

    /// Whether a fault found now would matter: armed, hold or fallback.
    pub const fn is_flying(&self) -> bool {
        matches!(self.state, State::Armed | State::Hold | State::Fallback)
    }

    /// Disarmed -> armed.
    ///
    /// # Errors
    /// [`ArmRefused`] in any other state, or while faults are latched.
    pub fn arm(&mut self) -> Result<(), ArmRefused> {
        if self.state != State::Disarmed {
            return Err(ArmRefused::NotDisarmed(self.state));
        }
        if !self.faults.is_empty() {
            return Err(ArmRefused::FaultsLatched(self.faults));
        }
        self.state = State::Armed;
        Ok(())
    }

    /// Any state -> disarmed. Latched faults stay.
    pub fn disarm(&mut self) {
        self.state = State::Disarmed;
    }

    /// Forgets the latched faults; safe stop -> disarmed.
    ///
    /// # Errors
    /// The state, if it is neither disarmed nor safe stop.
    pub fn reset_faults(&mut self) -> Result<(), State> {
        match self.state {
            State::Disarmed | State::SafeStop => {
                self.faults = Faults::NONE;
                self.state = State::Disarmed;
                Ok(())
            }
            flying => Err(flying),
        }
    }

    /// Latches faults without looking at the state: for what is found outside of control steps.
    pub fn latch(&mut self, faults: Faults) {
        self.faults = self.faults.union(faults);
    }

    /// One control step at `now_us` that found `faults`.
    ///
    /// Faults matter in armed, hold and fallback only: there they latch. Armed -> hold on a fault; hold ->
    /// fallback (or safe stop where there is none) when its time is over; fallback -> safe stop when
    /// its time is over, or on a fault of samples, actuators or clock. At most one edge per step.
    pub fn advance(&mut self, now_us: u64, faults: Faults) {
        if self.is_flying() {
            self.latch(faults);
        }
        let since = now_us.saturating_sub(self.since_us);
        let next = match self.state {
            State::Armed if !faults.is_empty() => State::Hold,
            State::Hold if since >= self.hold_us => {
                if self.fallback_available {
                    State::Fallback
                } else {
                    State::SafeStop
                }
            }
            State::Fallback if since >= self.fallback_us => State::SafeStop,
            State::Fallback if !FALLBACK_TOLERATES.contains_all(faults) => State::SafeStop,
            same => same,
        };
        if next != self.state {
            self.state = next;
            self.since_us = now_us;
        }
    }

    /// The fallback controller gave up: fallback -> safe stop.
    pub fn fallback_failed(&mut self, now_us: u64) {
        if self.state == State::Fallback {
            self.state = State::SafeStop;
            self.since_us = now_us;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings = Settings {
        hold_us: 100_000,
        ..Settings::for_period(20_000)
    };

    fn armed(fallback: bool) -> Ladder {
        let mut ladder = Ladder::new(&SETTINGS, fallback);
        ladder.arm().expect("arms");
        ladder
    }

    #[test]
    fn a_fault_leads_through_hold_to_safe_stop_and_latches() {
        let mut ladder = armed(false);
        ladder.advance(1_000_000, Faults::NONE);
        assert_eq!(ladder.state(), State::Armed);
        ladder.advance(1_020_000, Fault::NonFinite.into());
        assert_eq!(ladder.state(), State::Hold);
        ladder.advance(1_100_000, Faults::NONE);
        assert_eq!(ladder.state(), State::Hold);
        ladder.advance(1_120_000, Faults::NONE);
        assert_eq!(ladder.state(), State::SafeStop);
        ladder.advance(9_000_000, Faults::NONE);
        assert_eq!(ladder.state(), State::SafeStop);
        assert_eq!(ladder.faults(), Fault::NonFinite.into());
        assert_eq!(ladder.arm(), Err(ArmRefused::NotDisarmed(State::SafeStop)));
        ladder.disarm();
        assert_eq!(
            ladder.arm(),
            Err(ArmRefused::FaultsLatched(Fault::NonFinite.into()))
        );
        assert_eq!(ladder.reset_faults(), Ok(()));
        assert_eq!(ladder.arm(), Ok(()));
    }

    #[test]
    fn the_fallback_flies_between_hold_and_safe_stop() {
        let mut ladder = armed(true);
        ladder.advance(0, Fault::LinkLoss.into());
        ladder.advance(100_000, Faults::NONE);
        assert_eq!(ladder.state(), State::Fallback);
        ladder.advance(2_099_999, Faults::NONE);
        assert_eq!(ladder.state(), State::Fallback);
        ladder.advance(2_100_000, Faults::NONE);
        assert_eq!(ladder.state(), State::SafeStop);
    }

    #[test]
    fn a_fault_of_its_inputs_ends_the_fallback() {
        let mut ladder = armed(true);
        ladder.advance(0, Fault::LinkLoss.into());
        ladder.advance(100_000, Faults::NONE);
        ladder.advance(110_000, Fault::LinkLoss.into());
        assert_eq!(ladder.state(), State::Fallback);
        ladder.advance(120_000, Fault::NonFinite.into());
        assert_eq!(ladder.state(), State::SafeStop);
        assert!(ladder.faults().contains(Fault::NonFinite));
        let mut ladder = armed(true);
        ladder.advance(0, Fault::LinkLoss.into());
        ladder.advance(100_000, Faults::NONE);
        ladder.fallback_failed(100_000);
        assert_eq!(ladder.state(), State::SafeStop);
    }

    #[test]
    fn faults_do_not_latch_while_disarmed() {
        let mut ladder = Ladder::new(&SETTINGS, false);
        ladder.advance(0, Fault::NonFinite.into());
        assert_eq!(
            (ladder.state(), ladder.faults()),
            (State::Disarmed, Faults::NONE)
        );
    }

    #[test]
    fn faults_are_not_reset_in_flight() {
        let mut ladder = armed(false);
        assert_eq!(ladder.reset_faults(), Err(State::Armed));
        ladder.advance(0, Fault::NonFinite.into());
        assert_eq!(ladder.reset_faults(), Err(State::Hold));
        ladder.disarm();
        assert_eq!(ladder.state(), State::Disarmed);
        assert_eq!(ladder.reset_faults(), Ok(()));
        assert!(ladder.faults().is_empty());
    }
}
