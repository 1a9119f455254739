//! The host's own count of envelope violations.
//!
//! The board's envelope works on words; this check works on the contract's numbers in f64 and
//! shares no code with it, so that one mistake cannot hide in both.

use engram_image::Contract;

/// Command words of the whole range.
const WORDS: f64 = 2.0 * 32_767.0;

struct Channel {
    min: f64,
    max: f64,
    slew_per_s: f64,
    /// The size of a word, which rounding may add.
    word: f64,
    last: f64,
}

/// Watches the issued words of one flight.
pub struct EnvelopeCheck {
    channels: Vec<Channel>,
    period_us: u64,
    last_us: Option<u64>,
    violations: u32,
}

impl EnvelopeCheck {
    /// A check that starts from the contract's safe command, as a board does that was disarmed.
    #[must_use]
    pub fn new(contract: &Contract<'_>) -> Self {
        let channels = contract
            .actions
            .iter()
            .map(|action| {
                let (min, max) = (f64::from(action.min), f64::from(action.max));
                Channel {
                    min,
                    max,
                    slew_per_s: f64::from(action.slew_per_s),
                    word: (max - min) / WORDS,
                    last: f64::from(action.safe),
                }
            })
            .collect();
        Self {
            channels,
            period_us: u64::from(contract.period_us),
            last_us: None,
            violations: 0,
        }
    }

    /// Takes the issued words of the step at `now_us` (board time); returns whether they break the envelope. The first step,
    /// and one in time that was set back, may be a period after the one before.
    pub fn step(&mut self, now_us: u64, issued: &[i16]) -> bool {
        let last_us = self.last_us.replace(now_us);
        let elapsed_us = last_us.and_then(|last| now_us.checked_sub(last));
        let elapsed_us = elapsed_us.unwrap_or(self.period_us).min(self.period_us);
        let elapsed_s = elapsed_us as f64 / 1e6;
        let mut broken = issued.len() != self.channels.len();
        for (channel, word) in self.channels.iter_mut().zip(issued) {
            let middle = (channel.min + channel.max) / 2.0;
            let command = middle + f64::from(*word) * (channel.max - channel.min) / WORDS;
            let tiny = (channel.max - channel.min) * 1e-9;
            broken |= command < channel.min - tiny || command > channel.max + tiny;
            // The first step may start up to a word from the safe command: that word is allowed.
            let most = channel.slew_per_s * elapsed_s + channel.word;
            broken |= (command - channel.last).abs() > most + tiny;
            channel.last = command;
        }
        self.violations += u32::from(broken);
        broken
    }

    /// Steps are missing before the next one: how far it may be from the last is not known.
    pub fn skip(&mut self) {
        for channel in &mut self.channels {
            channel.last = f64::NAN;
        }
    }

    /// Steps whose issued words broke the envelope.
    #[must_use]
    pub fn violations(&self) -> u32 {
        self.violations
    }
}

#[cfg(test)]
mod tests {
    use engram_image::{ActionChannel, Channel, List, Reward};

    use super::*;

    fn contract() -> Contract<'static> {
        Contract {
            period_us: 20_000,
            observations: List::from_slice(&[Channel::new("x", "m", [-1.0, 1.0])]),
            actions: List::from_slice(&[ActionChannel::new("f", "N", [-12.0, 12.0])
                .with_slew_per_s(240.0)
                .with_safe(0.0)]),
            reward: Reward::External,
        }
    }

    #[test]
    fn slew_and_range_are_counted() {
        let mut check = EnvelopeCheck::new(&contract());
        let mut now_us = 0;
        let mut step = |word: i16| {
            now_us += 20_000;
            check.step(now_us, &[word])
        };
        // 4.8 N a step are 13106.8 words.
        assert!(!step(13_106));
        assert!(!step(26_212));
        assert!(step(26_212 - 13_109));
        assert!(!step(0));
        assert!(!step(-13_107));
        assert!(!step(-26_213));
        assert!(!step(-32_767));
        assert!(step(i16::MIN), "below the range");
        assert_eq!(check.violations(), 2);
    }

    #[test]
    fn slew_counts_the_time_that_passed_and_a_period_at_most() {
        let mut check = EnvelopeCheck::new(&contract());
        assert!(!check.step(20_000, &[0]));
        assert!(!check.step(29_000, &[5_898]));
        assert!(check.step(38_000, &[5_898 + 5_901]));
        assert!(check.step(138_000, &[-2_000]), "late by four periods");
        // Steps are missing in between: nothing can be said of this one.
        check.skip();
        assert!(!check.step(238_000, &[30_000]));
        assert!(check.step(258_000, &[0]));
    }

    #[test]
    fn a_missing_word_is_a_violation() {
        assert!(EnvelopeCheck::new(&contract()).step(0, &[]));
    }
}
