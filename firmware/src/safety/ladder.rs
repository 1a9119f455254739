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
    fallback_available: bool,
}

impl Ladder {
    /// Disarmed, without faults.
    pub const fn new(fallback_available: bool) -> Self {
        Self {
            state: State::Disarmed,
            faults: Faults::NONE,
            since_us: 0,
            fallback_available,
        }
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
    pub fn advance(&mut self, now_us: u64, faults: Faults, settings: &Settings) {
        if self.is_flying() {
            self.latch(faults);
        }
        let since = now_us.saturating_sub(self.since_us);
        let next = match self.state {
            State::Armed if !faults.is_empty() => State::Hold,
            State::Hold if since >= settings.hold_us.into() => {
                if self.fallback_available {
                    State::Fallback
                } else {
                    State::SafeStop
                }
            }
            State::Fallback if since >= settings.fallback_us.into() => State::SafeStop,
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
        let mut ladder = Ladder::new(fallback);
        ladder.arm().expect("arms");
        ladder
    }

    /// Makes steps at these times with these faults, after each of which the state is this one.
    fn walk(ladder: &mut Ladder, steps: &[(u64, Faults, State)]) {
        for &(now_us, faults, state) in steps {
            ladder.advance(now_us, faults, &SETTINGS);
            assert_eq!(ladder.state(), state, "{now_us} us");
        }
    }

    const NONE: Faults = Faults::NONE;
    const LINK_LOSS: Faults = NONE.with(Fault::LinkLoss);
    const NON_FINITE: Faults = NONE.with(Fault::NonFinite);

    #[test]
    fn a_fault_leads_through_hold_to_safe_stop_and_latches() {
        let mut ladder = armed(false);
        walk(
            &mut ladder,
            &[
                (1_000_000, NONE, State::Armed),
                (1_020_000, NON_FINITE, State::Hold),
                (1_100_000, LINK_LOSS, State::Hold),
                (1_120_000, NONE, State::SafeStop),
                (9_000_000, NONE, State::SafeStop),
            ],
        );
        let both = NON_FINITE.union(LINK_LOSS);
        assert_eq!(ladder.faults(), both);
        assert_eq!(ladder.arm(), Err(ArmRefused::NotDisarmed(State::SafeStop)));
        ladder.disarm();
        assert_eq!(ladder.arm(), Err(ArmRefused::FaultsLatched(both)));
        assert_eq!(ladder.reset_faults(), Ok(()));
        assert_eq!(ladder.arm(), Ok(()));
    }

    #[test]
    fn the_fallback_flies_between_hold_and_safe_stop() {
        walk(
            &mut armed(true),
            &[
                (0, LINK_LOSS, State::Hold),
                (100_000, NONE, State::Fallback),
                (2_099_999, NONE, State::Fallback),
                (2_100_000, NONE, State::SafeStop),
            ],
        );
    }

    #[test]
    fn a_fault_of_its_inputs_ends_the_fallback() {
        let flying = [
            (0, LINK_LOSS, State::Hold),
            (100_000, NONE, State::Fallback),
            (110_000, LINK_LOSS, State::Fallback),
        ];
        let mut ladder = armed(true);
        walk(&mut ladder, &flying);
        walk(&mut ladder, &[(120_000, NON_FINITE, State::SafeStop)]);
        assert!(ladder.faults().contains(Fault::NonFinite));
        let mut ladder = armed(true);
        walk(&mut ladder, &flying);
        ladder.fallback_failed(110_000);
        assert_eq!(ladder.state(), State::SafeStop);
    }

    #[test]
    fn faults_do_not_latch_while_disarmed() {
        let mut ladder = Ladder::new(false);
        walk(&mut ladder, &[(0, NON_FINITE, State::Disarmed)]);
        assert_eq!(ladder.faults(), NONE);
    }

    #[test]
    fn faults_are_not_reset_in_flight() {
        let mut ladder = armed(false);
        assert_eq!(ladder.reset_faults(), Err(State::Armed));
        walk(&mut ladder, &[(0, NON_FINITE, State::Hold)]);
        assert_eq!(ladder.reset_faults(), Err(State::Hold));
        ladder.disarm();
        assert_eq!(ladder.state(), State::Disarmed);
        assert_eq!(ladder.reset_faults(), Ok(()));
        assert!(ladder.faults().is_empty());
    }
}
