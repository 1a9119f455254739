//! The independent watchdog: it restarts the part when control steps stop coming to their end.

use engram_link::{Pace, State};

/// Counts of the watchdog in a second: 32 kHz by 256. The part's oscillator is between 17 and 47 kHz.
const COUNTS_PER_S: u32 = 125;
/// The longest time that it can be set to, 33 s: an image may be verified meanwhile.
const LONGEST: u16 = 0xFFF;
/// Periods without a control step that a flight may have.
const PERIODS: u32 = 10;
/// The shortest time that is asked for, 0.2 s.
const SHORTEST: u32 = 25;

/// The registers of the watchdog.
pub trait Registers {
    /// Turns it on, for good.
    fn start(&mut self, counts: u16);
    /// Sets how many counts it waits from the next time on that it is fed, once [`Registers::is_setting`] is over.
    fn set(&mut self, counts: u16);
    /// Whether a setting is still under way.
    fn is_setting(&self) -> bool;
    /// Makes it count from the beginning.
    fn feed(&mut self);
}

/// What the control loop has got to.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Control steps that came to their end; wraps.
    pub steps: u32,
    /// Who makes them.
    pub pace: Pace,
    /// Where the node stands.
    pub state: State,
    /// Control period, microseconds.
    pub period_us: u32,
}

/// A running watchdog.
#[derive(Debug)]
pub struct Watchdog<R> {
    registers: R,
    steps: u32,
    counts: u16,
    /// A setting has not been fed yet.
    changed: bool,
}

impl<R: Registers> Watchdog<R> {
    /// Turns the watchdog on.
    pub fn start(mut registers: R) -> Self {
        registers.start(LONGEST);
        Self {
            registers,
            steps: 0,
            counts: LONGEST,
            changed: false,
        }
    }

    /// Once in each turn of the main loop: feeds the watchdog if a control step has come to its end since the last turn, and
    /// for nothing else, but that another time to wait begins at once, with the state that asks for it. In lock-step nothing moves and steps are
    /// the host's to make: there the turn itself counts.
    pub fn turn(&mut self, now: Progress) {
        if !self.registers.is_setting() {
            if core::mem::take(&mut self.changed) {
                self.registers.feed();
            }
            let counts = counts(now);
            if counts != self.counts {
                self.registers.set(counts);
                self.counts = counts;
                self.changed = true;
            }
        }
        if now.steps != self.steps || now.pace == Pace::LockStep {
            self.steps = now.steps;
            self.registers.feed();
        }
    }
}

/// How long it waits: some periods in flight, as long as it can while disarmed.
fn counts(now: Progress) -> u16 {
    if now.state == State::Disarmed {
        return LONGEST;
    }
    let periods_ms = (now.period_us / 1_000).saturating_mul(PERIODS);
    let counts = (periods_ms / (1_000 / COUNTS_PER_S)).max(SHORTEST);
    u16::try_from(counts).unwrap_or(LONGEST).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Registers that do as those of the part: a setting counts from the next time on that they are fed.
    #[derive(Debug, Default)]
    struct Told {
        started: u32,
        fed: u32,
        set: u16,
        counts: u16,
        /// A setting takes its time.
        slow: bool,
        busy: bool,
    }

    impl Registers for Told {
        fn start(&mut self, counts: u16) {
            self.started += 1;
            (self.set, self.counts) = (counts, counts);
        }
        fn set(&mut self, counts: u16) {
            assert!(!self.busy, "an earlier setting would be lost");
            self.set = counts;
            self.busy = self.slow;
        }
        fn is_setting(&self) -> bool {
            self.busy
        }
        fn feed(&mut self) {
            self.fed += 1;
            if !self.busy {
                self.counts = self.set;
            }
        }
    }

    const FLIGHT: Progress = Progress {
        steps: 7,
        pace: Pace::RealTime,
        state: State::Armed,
        period_us: 50_000,
    };

    #[test]
    fn a_finished_step_feeds_it_and_nothing_else_does() {
        let mut watchdog = Watchdog::start(Told::default());
        // The first turns set how long it waits in flight.
        watchdog.turn(FLIGHT);
        watchdog.turn(FLIGHT);
        for steps in [1, 2, 3, u32::MAX, 0] {
            let before = watchdog.registers.fed;
            for _ in 0..100 {
                watchdog.turn(Progress { steps, ..FLIGHT });
            }
            assert_eq!(watchdog.registers.fed, before + 1, "step {steps}");
        }
        let silent = watchdog.registers.fed;
        for state in [State::Hold, State::SafeStop] {
            watchdog.turn(Progress {
                steps: 0,
                state,
                ..FLIGHT
            });
        }
        assert_eq!(watchdog.registers.fed, silent);
        assert_eq!(watchdog.registers.started, 1);
    }

    #[test]
    fn where_the_host_makes_the_steps_the_loop_feeds_it() {
        let mut watchdog = Watchdog::start(Told::default());
        for _ in 0..5 {
            let before = watchdog.registers.fed;
            watchdog.turn(Progress {
                steps: 0,
                pace: Pace::LockStep,
                state: State::Disarmed,
                ..FLIGHT
            });
            assert_eq!(watchdog.registers.fed, before + 1);
        }
    }

    #[test]
    fn it_waits_ten_periods_in_flight_and_long_on_the_ground() {
        let mut watchdog = Watchdog::start(Told::default());
        for (state, period_us, counts) in [
            (State::Disarmed, 50_000, LONGEST),
            // Half a second is 62.5 counts.
            (State::Armed, 50_000, 62),
            (State::SafeStop, 50_000, 62),
            (State::Armed, 2_500, 25),
            (State::Armed, 0, 25),
            (State::Armed, u32::MAX, LONGEST),
            (State::Disarmed, 2_500, LONGEST),
        ] {
            let now = Progress {
                steps: 0,
                state,
                period_us,
                ..FLIGHT
            };
            // It counts anew two turns later, whether a step comes to its end or not.
            watchdog.turn(now);
            watchdog.turn(now);
            assert_eq!(watchdog.registers.counts, counts, "{state:?} {period_us}");
        }
        // While the registers still take a setting, no other is made, and a step that ends feeds with the old one.
        watchdog.registers.slow = true;
        for steps in 7..12 {
            watchdog.turn(Progress { steps, ..FLIGHT });
            assert_eq!(watchdog.registers.counts, LONGEST);
        }
        watchdog.registers.busy = false;
        watchdog.turn(Progress {
            steps: 11,
            ..FLIGHT
        });
        assert_eq!(watchdog.registers.counts, 62);
    }
}
