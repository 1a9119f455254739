//! How late a board's words come in real time: deadlines as the host sees them.
//!
//! An action tells by the board's clock when its step was due. What the clocks differ by is taken from the promptest of the newest
//! steps, so that clocks may drift apart; an answer's lateness is what it came later than that one.

use std::collections::VecDeque;
use std::time::Instant;

use engram_link::Action;
use serde::{Deserialize, Serialize};

/// Newest steps among which the promptest is looked for.
const STEPS: usize = 512;
/// Width of a bin of the histogram, microseconds.
const BIN_US: u32 = 10;
/// Bins; the last one holds all that is later.
const BINS: usize = 10_000;

/// Lateness of a real-time flight's steps, against the promptest; quantiles are rounded up to 10 us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lateness {
    /// Steps that arrived in flight.
    pub steps: u32,
    /// Time between two steps, microseconds.
    pub period_us: u32,
    /// Half of the steps were no later, microseconds.
    pub median_us: u32,
    /// 99 % of the steps were no later, microseconds.
    pub p99_us: u32,
    /// The latest step, microseconds.
    pub worst_us: u32,
    /// Steps whose words came when the next step was due already: deadlines missed.
    pub missed: u32,
}

/// Gathers it; takes the same memory however long the flight is.
pub(super) struct LatenessMeter {
    origin: Instant,
    period_us: u32,
    /// Board time at `origin` by each of the newest actions, microseconds.
    at_origin_us: VecDeque<i128>,
    bins: Vec<u32>,
    steps: u32,
    worst_us: u32,
    missed: u32,
}

impl LatenessMeter {
    pub(super) fn new(period_us: u32) -> Self {
        Self {
            origin: Instant::now(),
            period_us,
            at_origin_us: VecDeque::with_capacity(STEPS),
            bins: vec![0; BINS],
            steps: 0,
            worst_us: 0,
            missed: 0,
        }
    }

    /// Takes an action that arrived at `at`.
    pub(super) fn hear(&mut self, action: &Action, at: Instant) {
        if self.at_origin_us.len() == STEPS {
            self.at_origin_us.pop_front();
        }
        let elapsed_us = (at - self.origin).as_micros() as i128;
        let newest = i128::from(action.now_us) - elapsed_us;
        self.at_origin_us.push_back(newest);
        let promptest = self.at_origin_us.iter().max().copied().unwrap_or(newest);
        let late_us = u32::try_from(promptest - newest).unwrap_or(u32::MAX);
        self.steps += 1;
        self.worst_us = self.worst_us.max(late_us);
        self.missed += u32::from(late_us >= self.period_us);
        let bin = (late_us.div_ceil(BIN_US) as usize).min(BINS - 1);
        self.bins[bin] += 1;
    }

    /// What came of it; `None` without a step.
    pub(super) fn lateness(&self) -> Option<Lateness> {
        let quantile_us = |per_mille: u64| {
            let wanted = (u64::from(self.steps) * per_mille).div_ceil(1000);
            let mut sum = 0;
            let bin = self.bins.iter().position(|count| {
                sum += u64::from(*count);
                sum >= wanted
            });
            let upper_us = bin.unwrap_or(BINS - 1) as u32 * BIN_US;
            upper_us.min(self.worst_us)
        };
        (self.steps > 0).then(|| Lateness {
            steps: self.steps,
            period_us: self.period_us,
            median_us: quantile_us(500),
            p99_us: quantile_us(990),
            worst_us: self.worst_us,
            missed: self.missed,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use engram_link::{CommandSource, Faults, State};

    use super::*;

    #[test]
    fn quantiles_are_those_of_what_came_late() {
        let mut meter = LatenessMeter::new(2_000);
        assert_eq!(meter.lateness(), None);
        for step in 0..1_000_u32 {
            let due_us = 2_000 * u64::from(step);
            // Every 100th comes 700 us late, one of them 5 ms.
            let late_us = match step {
                500 => 5_000,
                step if step % 100 == 99 => 700,
                _ => u64::from(step % 2) * 20,
            };
            let action = Action {
                request: 0,
                now_us: 1_000_000 + due_us,
                step,
                words: Default::default(),
                issued: Default::default(),
                source: CommandSource::Policy,
                reward: 0.0,
                state: State::Armed,
                faults: Faults::NONE,
            };
            let wire_us = 300;
            let at = meter.origin + Duration::from_micros(due_us + wire_us + late_us);
            meter.hear(&action, at);
        }
        let expected = Lateness {
            steps: 1_000,
            period_us: 2_000,
            median_us: 20,
            p99_us: 700,
            worst_us: 5_000,
            missed: 1,
        };
        assert_eq!(meter.lateness(), Some(expected));
    }
}
