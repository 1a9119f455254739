//! What feeds a board's watchdog, which restarts the board when control steps stop coming to their end.

use engram_link::{Pace, State};

/// Periods without a control step that a flight may have.
const PERIODS: u32 = 10;
/// The shortest wait that is asked for, milliseconds.
const SHORTEST_MS: u32 = 200;

/// The board's timer that restarts it. The board turns milliseconds into what the timer counts.
pub trait Timer {
    /// The longest that it can wait, milliseconds: an image may be verified meanwhile.
    fn longest_ms(&self) -> u32;
    /// Turns it on, for good.
    fn start(&mut self, wait_ms: u32);
    /// Sets how long it waits from the next time on that it is fed, once [`Timer::is_setting`] is over.
    fn set(&mut self, wait_ms: u32);
    /// Whether a setting is still under way.
    fn is_setting(&self) -> bool;
    /// Makes it wait from the beginning.
    fn feed(&mut self);
}

/// What the control loop has got to: [`Node::progress`](crate::node::Node::progress).
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
pub struct Watchdog<T> {
    timer: T,
    steps: u32,
    wait_ms: u32,
    /// A setting has not been fed yet.
    changed: bool,
}

impl<T: Timer> Watchdog<T> {
    /// Turns the watchdog on.
    pub fn start(mut timer: T) -> Self {
        let wait_ms = timer.longest_ms();
        timer.start(wait_ms);
        Self {
            timer,
            steps: 0,
            wait_ms,
            changed: false,
        }
    }

    /// Its timer, for a board that can end in good order and turn it off.
    pub fn into_timer(self) -> T {
        self.timer
    }

    /// Once in each turn of the main loop: feeds the watchdog if a control step has come to its end since the last turn, and
    /// for nothing else, but that another time to wait begins at once, with the state that asks for it. In lock-step nothing moves and steps are
    /// the host's to make: there the turn itself counts.
    pub fn turn(&mut self, now: Progress) {
        if !self.timer.is_setting() {
            if core::mem::take(&mut self.changed) {
                self.timer.feed();
            }
            let wait_ms = wait_ms(now).min(self.timer.longest_ms());
            if wait_ms != self.wait_ms {
                self.timer.set(wait_ms);
                self.wait_ms = wait_ms;
                self.changed = true;
            }
        }
        if now.steps != self.steps || now.pace == Pace::LockStep {
            self.steps = now.steps;
            self.timer.feed();
        }
    }
}

/// How long it waits: some periods in flight, as long as it can while disarmed.
fn wait_ms(now: Progress) -> u32 {
    if now.state == State::Disarmed {
        return u32::MAX;
    }
    let periods_ms = (now.period_us / 1_000).saturating_mul(PERIODS);
    periods_ms.max(SHORTEST_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A timer that does as that of an STM32: a setting counts from the next time on that it is fed.
    #[derive(Debug, Default)]
    struct Told {
        started: u32,
        fed: u32,
        set_ms: u32,
        wait_ms: u32,
        /// A setting takes its time.
        slow: bool,
        busy: bool,
    }

    const LONGEST_MS: u32 = 32_760;

    impl Timer for Told {
        fn longest_ms(&self) -> u32 {
            LONGEST_MS
        }
        fn start(&mut self, wait_ms: u32) {
            self.started += 1;
            (self.set_ms, self.wait_ms) = (wait_ms, wait_ms);
        }
        fn set(&mut self, wait_ms: u32) {
            assert!(!self.busy, "an earlier setting would be lost");
            self.set_ms = wait_ms;
            self.busy = self.slow;
        }
        fn is_setting(&self) -> bool {
            self.busy
        }
        fn feed(&mut self) {
            self.fed += 1;
            if !self.busy {
                self.wait_ms = self.set_ms;
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
            let before = watchdog.timer.fed;
            for _ in 0..100 {
                watchdog.turn(Progress { steps, ..FLIGHT });
            }
            assert_eq!(watchdog.timer.fed, before + 1, "step {steps}");
        }
        let silent = watchdog.timer.fed;
        for state in [State::Hold, State::SafeStop] {
            watchdog.turn(Progress {
                steps: 0,
                state,
                ..FLIGHT
            });
        }
        assert_eq!(watchdog.timer.fed, silent);
        assert_eq!(watchdog.timer.started, 1);
    }

    #[test]
    fn where_the_host_makes_the_steps_the_loop_feeds_it() {
        let mut watchdog = Watchdog::start(Told::default());
        for _ in 0..5 {
            let before = watchdog.timer.fed;
            watchdog.turn(Progress {
                steps: 0,
                pace: Pace::LockStep,
                state: State::Disarmed,
                ..FLIGHT
            });
            assert_eq!(watchdog.timer.fed, before + 1);
        }
    }

    #[test]
    fn it_waits_ten_periods_in_flight_and_long_on_the_ground() {
        let mut watchdog = Watchdog::start(Told::default());
        for (state, period_us, wait_ms) in [
            (State::Disarmed, 50_000, LONGEST_MS),
            (State::Armed, 50_000, 500),
            (State::SafeStop, 50_000, 500),
            (State::Armed, 2_500, 200),
            (State::Armed, 0, 200),
            (State::Armed, u32::MAX, LONGEST_MS),
            (State::Disarmed, 2_500, LONGEST_MS),
        ] {
            let now = Progress {
                steps: 0,
                state,
                period_us,
                ..FLIGHT
            };
            // It waits anew two turns later, whether a step comes to its end or not.
            watchdog.turn(now);
            watchdog.turn(now);
            assert_eq!(watchdog.timer.wait_ms, wait_ms, "{state:?} {period_us}");
        }
        // While the timer still takes a setting, no other is made, and a step that ends feeds with the old one.
        watchdog.timer.slow = true;
        for steps in 7..12 {
            watchdog.turn(Progress { steps, ..FLIGHT });
            assert_eq!(watchdog.timer.wait_ms, LONGEST_MS);
        }
        watchdog.timer.busy = false;
        watchdog.turn(Progress {
            steps: 11,
            ..FLIGHT
        });
        assert_eq!(watchdog.timer.wait_ms, 500);
    }
}
