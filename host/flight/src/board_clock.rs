//! The board's clock and its count of steps, as the host sees them in real time.

use std::collections::VecDeque;
use std::time::Instant;

use engram_link::Action;

use super::plan::FlightError;
use super::real_time::PATIENCE;
use crate::board::Client;

/// The newest actions that the board's clock is read off.
const CLOCK_ACTIONS: usize = 8;

/// How many steps the board made between its `newest` one taken and `step`; `None` where `step` is not newer: a frame that
/// came twice, or too late.
pub(super) fn steps_between(newest: Option<u32>, step: u32) -> Option<u32> {
    let Some(newest) = newest else { return Some(0) };
    // The count wraps: what is less than half way round ahead is newer.
    let ahead = step.wrapping_sub(newest);
    (1..=u32::MAX / 2).contains(&ahead).then(|| ahead - 1)
}

/// The board's clock as the host sees it.
///
/// An action tells the time at which its step began; it arrives later by the step and the wire. The
/// largest difference of the newest few is closest to the truth. Older ones are forgotten: the
/// clock of an emulated board on a busy machine falls behind. A margin keeps samples out of the
/// board's future.
pub(super) struct BoardClock {
    origin: Instant,
    margin_us: i128,
    /// Board time at `origin` by each of the newest actions, microseconds.
    at_origin_us: VecDeque<i128>,
}

impl BoardClock {
    /// Waits for the board's first steps; returns the newest of them, too. Samples are dated back by `margin_us`.
    pub(super) fn listen(
        client: &mut Client,
        margin_us: u32,
    ) -> Result<(Self, Option<Action>), FlightError> {
        let origin = Instant::now();
        let margin_us = i128::from(margin_us);
        let mut clock = Self {
            origin,
            margin_us,
            at_origin_us: VecDeque::new(),
        };
        let deadline = origin + PATIENCE;
        let mut newest: Option<Action> = None;
        for _ in 0..CLOCK_ACTIONS {
            match client.next_action(deadline)? {
                Some(action) => {
                    clock.hear(&action, Instant::now());
                    let before = newest.as_ref().map(|newest| newest.step);
                    if steps_between(before, action.step).is_some() {
                        newest = Some(action);
                    }
                }
                None => {
                    return Err(FlightError::NoSteps {
                        waited_s: origin.elapsed().as_secs_f64(),
                    });
                }
            }
        }
        Ok((clock, newest))
    }

    pub(super) fn hear(&mut self, action: &Action, at: Instant) {
        if self.at_origin_us.len() == CLOCK_ACTIONS {
            self.at_origin_us.pop_front();
        }
        let elapsed = (at - self.origin).as_micros() as i128;
        self.at_origin_us
            .push_back(i128::from(action.now_us) - elapsed);
    }

    pub(super) fn now_us(&self, at: Instant) -> u64 {
        let elapsed = (at - self.origin).as_micros() as i128;
        let at_origin_us = self.at_origin_us.iter().max().copied().unwrap_or(0);
        u64::try_from(at_origin_us + elapsed - self.margin_us).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use engram_link::{CommandSource, Faults, State};

    use super::*;

    fn action(now_us: u64) -> Action {
        Action {
            request: 0,
            now_us,
            step: 0,
            words: Default::default(),
            issued: Default::default(),
            source: CommandSource::Safe,
            reward: 0.0,
            state: State::Disarmed,
            faults: Faults::NONE,
        }
    }

    #[test]
    fn the_count_of_steps_tells_new_ones_from_repeated_and_late_ones() {
        assert_eq!(steps_between(None, 7), Some(0));
        assert_eq!(steps_between(Some(7), 8), Some(0));
        assert_eq!(steps_between(Some(7), 11), Some(3));
        assert_eq!(steps_between(Some(7), 7), None);
        assert_eq!(steps_between(Some(7), 6), None);
        assert_eq!(steps_between(Some(u32::MAX), 0), Some(0));
        assert_eq!(steps_between(Some(u32::MAX - 1), 1), Some(2));
        assert_eq!(steps_between(Some(1), u32::MAX), None);
    }

    #[test]
    fn the_boards_clock_is_never_overtaken_and_its_lag_is_followed() {
        let origin = Instant::now();
        let mut clock = BoardClock {
            origin,
            margin_us: 5_000,
            at_origin_us: VecDeque::new(),
        };
        let at = |us: u64| origin + Duration::from_micros(us);
        // The board's clock is 1 s ahead; its actions arrive 1 to 3 ms late.
        for (step, delay) in [(1, 3_000), (2, 1_000), (3, 2_000)] {
            clock.hear(
                &action(1_000_000 + step * 20_000),
                at(step * 20_000 + delay),
            );
        }
        assert_eq!(
            clock.now_us(at(100_000)),
            1_000_000 + 100_000 - 1_000 - 5_000
        );
        // Then it loses 50 ms; soon only newer actions count.
        for step in 4..4 + CLOCK_ACTIONS as u64 {
            clock.hear(&action(950_000 + step * 20_000), at(step * 20_000 + 2_000));
        }
        assert_eq!(clock.now_us(at(400_000)), 950_000 + 400_000 - 2_000 - 5_000);
    }
}
