//! The envelope: range and slew limits on command words, against the last *issued* command.
//!
//! It works on integers, so that host and every board issue the same words.

use engram_image::Contract;
use engram_image::limits::MAX_ACTIONS;
use engram_kernels::{command_from_word, word_from_command};
use heapless::Vec;

/// Largest command word; the smallest is its negative.
const WORD_MAX: i32 = 32_767;

/// Limits of one action channel.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Limits {
    min: f32,
    max: f32,
    /// Largest change in one step, words; at least 1.
    slew: i32,
    safe: i16,
}

/// Range and slew limits of a contract.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Envelope {
    channels: Vec<Limits, MAX_ACTIONS>,
}

impl Envelope {
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
        Self {
            channels: gather(channels),
        }
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
            let last = i32::from(*issued);
            let wanted = i32::from(*wanted);
            // Not `clamp` for the slew: it panics on swapped bounds, and the compiler cannot see
            // that these never are.
            let new = wanted
                .max(last.saturating_sub(channel.slew))
                .min(last.saturating_add(channel.slew))
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
            let last = i32::from(*issued);
            let new = i32::from(channel.safe)
                .max(last.saturating_sub(channel.slew))
                .min(last.saturating_add(channel.slew));
            *issued = i16::try_from(new).unwrap_or(*issued);
        }
    }

    /// The safe command as words.
    pub fn safe_words(&self) -> Vec<i16, MAX_ACTIONS> {
        gather(self.channels.iter().map(|channel| channel.safe))
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
    use crate::tests_support::contract;
    use proptest::prelude::*;

    #[test]
    fn the_slew_limit_follows_from_the_contract() {
        // +-12 Nm, 240 Nm/s, 20 ms: 4.8 Nm of 24 Nm per step.
        let envelope = Envelope::new(&contract());
        let mut issued = [0];
        assert!(envelope.limit(&mut issued, &[32_767]));
        assert_eq!(issued, [13_106]);
        assert!(!envelope.limit(&mut issued, &[20_000]));
        assert_eq!(issued, [20_000]);
    }

    #[test]
    fn the_safe_command_is_reached_and_kept() {
        let envelope = Envelope::new(&contract());
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
        let envelope = Envelope::new(&contract());
        assert_eq!(envelope.words(&[f32::NAN]), None);
        assert_eq!(envelope.words(&[f32::INFINITY]), None);
        assert_eq!(envelope.words(&[]), None);
        assert_eq!(envelope.words(&[12.0]).as_deref(), Some(&[32_767][..]));
    }

    proptest! {
        #[test]
        fn no_command_leaves_range_or_slew(start in -32_767..=32_767_i16, wanted in proptest::collection::vec(any::<i16>(), 1..50)) {
            let envelope = Envelope::new(&contract());
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
