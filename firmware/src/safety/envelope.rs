//! The envelope: range and slew limits on command words, against the last *issued* command.
//!
//! The slew limit follows the time that passed since the last issued command, and is never more than one period's
//! worth (ENG-SAFE-18): a step that comes early moves less, one that comes late no further. It works on integers,
//! so that host and every board issue the same words.

use engram_image::Contract;
use engram_image::limits::MAX_ACTIONS;
use engram_kernels::{command_from_word, word_from_command};
use heapless::Vec;

/// Largest command word; the smallest is its negative.
const WORD_MAX: i32 = engram_kernels::WORD_MAX as i32;

/// Limits of one action channel.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Limits {
    min: f32,
    max: f32,
    /// Largest change in one period, words; at least 1.
    slew: i32,
    safe: i16,
}

/// The time that this step may slew through, as a piece of a clock that wraps at the period. Pieces that lie end to
/// end share out exactly one period's slew per period: rounding neither adds up nor starves a slow channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct SlewTime {
    period_us: u64,
    /// Less than a period.
    begin_us: u64,
    /// At most a period after `begin_us`.
    end_us: u64,
}

impl SlewTime {
    /// What is left of a channel's `slew` words per period.
    fn allowance(self, slew: i32) -> i32 {
        if self.end_us.saturating_sub(self.begin_us) >= self.period_us {
            return slew;
        }
        // At most 65 534 times two periods of 32 bits: no overflow.
        let until = |us: u64| {
            let words = u64::from(slew.unsigned_abs()).saturating_mul(us);
            words.checked_div(self.period_us).unwrap_or(0)
        };
        let words = until(self.end_us).saturating_sub(until(self.begin_us));
        i32::try_from(words).unwrap_or(slew).min(slew)
    }
}

/// Range and slew limits of a contract.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Envelope {
    channels: Vec<Limits, MAX_ACTIONS>,
    time: SlewTime,
}

impl Envelope {
    /// No channels.
    pub const NONE: Self = Self {
        channels: Vec::new(),
        time: SlewTime {
            period_us: 0,
            begin_us: 0,
            end_us: 0,
        },
    };

    /// The limits that follow from a contract.
    ///
    /// The slew limit of a channel is `slew_per_s * period / (max - min) * 65534` words per step, rounded
    /// down, but at least 1, so that every channel can reach its safe command.
    pub fn new(contract: &Contract<'_>) -> Self {
        let period_s = contract.period_us as f32 / 1e6;
        let channels = contract.actions.iter().map(|channel| {
            let share = channel.slew_per_s * period_s / (channel.max - channel.min);
            Limits {
                min: channel.min,
                max: channel.max,
                // A float-to-integer cast saturates and takes NaN to 0.
                slew: ((share * (2 * WORD_MAX) as f32) as i32).clamp(1, 2 * WORD_MAX),
                safe: word_from_command(channel.safe, channel.min, channel.max),
            }
        });
        let period_us = u64::from(contract.period_us);
        Self {
            channels: gather(channels),
            time: SlewTime {
                period_us,
                begin_us: 0,
                end_us: period_us,
            },
        }
    }

    /// The next commands are issued `elapsed_us` after the last ones. More than a period counts as one; an envelope
    /// that is never told takes each step for a period.
    pub fn elapse(&mut self, elapsed_us: u64) {
        let SlewTime {
            period_us, end_us, ..
        } = self.time;
        // `end_us` is less than two periods.
        let begin_us = match end_us.checked_sub(period_us) {
            Some(wrapped) => wrapped,
            None => end_us,
        };
        self.time.begin_us = begin_us;
        self.time.end_us = begin_us.saturating_add(elapsed_us.min(period_us));
    }

    /// A trial begins: what is left of a period is forgotten, so that the same times give the same words on a replay.
    pub fn restart(&mut self) {
        self.time.begin_us = 0;
        self.time.end_us = 0;
    }

    /// Number of action channels.
    pub fn actions(&self) -> usize {
        self.channels.len()
    }

    /// Moves `issued` (the last issued words) towards `wanted` as far as the limits allow; returns
    /// whether they held anything back. Channels beyond the shorter slice stay as they are.
    pub fn limit(&self, issued: &mut [i16], wanted: &[i16]) -> bool {
        let mut limited = false;
        for ((channel, issued), wanted) in self.channels.iter().zip(issued).zip(wanted) {
            let slew = self.time.allowance(channel.slew);
            let last = i32::from(*issued);
            let wanted = i32::from(*wanted);
            // Not `clamp` for the slew: it panics on swapped bounds, and the compiler cannot see
            // that these never are.
            let new = wanted
                .max(last.saturating_sub(slew))
                .min(last.saturating_add(slew))
                .clamp(-WORD_MAX, WORD_MAX);
            limited |= new != wanted;
            // Inside the range of i16 by the line above; the fallback value is never taken.
            *issued = i16::try_from(new).unwrap_or(*issued);
        }
        limited
    }

    /// Moves `issued` one step towards the contract's safe command.
    pub fn approach_safe(&self, issued: &mut [i16]) {
        for (channel, issued) in self.channels.iter().zip(issued) {
            let slew = self.time.allowance(channel.slew);
            let last = i32::from(*issued);
            let new = i32::from(channel.safe)
                .max(last.saturating_sub(slew))
                .min(last.saturating_add(slew));
            *issued = i16::try_from(new).unwrap_or(*issued);
        }
    }

    /// The safe command as words.
    pub fn safe_words(&self) -> Vec<i16, MAX_ACTIONS> {
        gather(self.channels.iter().map(|channel| channel.safe))
    }

    /// Whether `words` are the safe command.
    pub fn is_safe(&self, words: &[i16]) -> bool {
        let channels = self.channels.iter().zip(words);
        words.len() == self.channels.len() && channels.into_iter().all(|(c, word)| c.safe == *word)
    }

    /// Issued words in the contract's units.
    pub fn commands(&self, words: &[i16]) -> Vec<f32, MAX_ACTIONS> {
        let channels = self.channels.iter().zip(words);
        gather(channels.map(|(channel, word)| command_from_word(*word, channel.min, channel.max)))
    }

    /// Commands in the contract's units as words; `None` if one is not finite or missing.
    pub fn words(&self, commands: &[f32]) -> Option<Vec<i16, MAX_ACTIONS>> {
        if commands.len() != self.channels.len() || commands.iter().any(|c| !c.is_finite()) {
            return None;
        }
        let channels = self.channels.iter().zip(commands);
        Some(gather(channels.map(|(channel, command)| {
            word_from_command(*command, channel.min, channel.max)
        })))
    }
}

/// The items, one per channel. They always fit; `collect` would panic if not, and the compiler cannot
/// see that they do.
fn gather<T>(items: impl Iterator<Item = T>) -> Vec<T, MAX_ACTIONS> {
    let mut gathered = Vec::new();
    for item in items.take(MAX_ACTIONS) {
        let _ = gathered.push(item);
    }
    gathered
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::CONTRACT;
    use proptest::prelude::*;

    #[test]
    fn the_slew_limit_follows_from_the_contract() {
        // +-12 Nm, 240 Nm/s, 20 ms: 4.8 Nm of 24 Nm per step.
        let envelope = Envelope::new(&CONTRACT);
        let mut issued = [0];
        assert!(envelope.limit(&mut issued, &[32_767]));
        assert_eq!(issued, [13_106]);
        assert!(!envelope.limit(&mut issued, &[20_000]));
        assert_eq!(issued, [20_000]);
    }

    #[test]
    fn eng_safe_18_an_early_step_moves_less_and_a_late_one_no_further() {
        let mut envelope = Envelope::new(&CONTRACT);
        let mut moved = |elapsed_us| {
            let mut issued = [0];
            envelope.elapse(elapsed_us);
            envelope.limit(&mut issued, &[32_767]);
            issued[0]
        };
        assert_eq!(moved(20_000), 13_106);
        assert_eq!(moved(10_000), 6_553);
        assert_eq!(moved(0), 0);
        assert_eq!(moved(45_000), 13_106);
        assert_eq!(moved(u64::MAX), 13_106);
    }

    #[test]
    fn eng_safe_18_a_slow_channel_gets_there_in_steps_of_any_length() {
        let mut slow = CONTRACT;
        let mut actions = slow.actions.to_vec();
        // Less than a word per period: counted as one.
        actions[0].slew_per_s = 1e-6;
        slow.actions = engram_image::List::from_slice(&actions);
        let mut envelope = Envelope::new(&slow);
        let mut issued = [0];
        for _ in 0..200 {
            envelope.elapse(19_900);
            envelope.limit(&mut issued, &[1_000]);
        }
        assert_eq!(issued, [199]);
    }

    #[test]
    fn the_safe_command_is_reached_and_kept() {
        let envelope = Envelope::new(&CONTRACT);
        let mut issued = [-32_767];
        for _ in 0..3 {
            envelope.approach_safe(&mut issued);
        }
        assert_eq!(issued, envelope.safe_words().as_slice());
        envelope.approach_safe(&mut issued);
        assert_eq!(issued, [0]);
    }

    #[test]
    fn a_command_that_is_not_finite_is_no_command() {
        let envelope = Envelope::new(&CONTRACT);
        assert_eq!(envelope.words(&[f32::NAN]), None);
        assert_eq!(envelope.words(&[f32::INFINITY]), None);
        assert_eq!(envelope.words(&[]), None);
        assert_eq!(envelope.words(&[12.0]).as_deref(), Some(&[32_767][..]));
    }

    proptest! {
        #[test]
        fn eng_safe_18_no_span_of_time_moves_faster_than_the_contract(
            steps in proptest::collection::vec((0..60_000_u64, any::<i16>()), 1..100),
        ) {
            let mut envelope = Envelope::new(&CONTRACT);
            let (mut issued, mut words, mut elapsed) = ([0], 0.0, 0.0);
            for (elapsed_us, wanted) in steps {
                let last = issued[0];
                envelope.elapse(elapsed_us);
                envelope.limit(&mut issued, &[wanted]);
                words += f64::from((i32::from(issued[0]) - i32::from(last)).abs());
                elapsed += elapsed_us.min(20_000) as f64;
                // One word for the phase in which the time began.
                prop_assert!(words <= 13_106.0 * elapsed / 20_000.0 + 1.0);
            }
        }

        #[test]
        fn no_command_leaves_range_or_slew(start in -32_767..=32_767_i16, wanted in proptest::collection::vec(any::<i16>(), 1..50)) {
            let envelope = Envelope::new(&CONTRACT);
            let mut issued = [start];
            for word in wanted {
                let last = i32::from(issued[0]);
                let limited = envelope.limit(&mut issued, &[word]);
                let new = i32::from(issued[0]);
                prop_assert!((new - last).abs() <= 13_106 && new.abs() <= WORD_MAX);
                prop_assert_eq!(limited, new != i32::from(word));
            }
        }
    }
}
