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
    /// Largest change in one step, in the channel's unit, with one word of rounding allowed.
    step: f64,
    last: f64,
}

/// Watches the issued words of one flight.
pub struct EnvelopeCheck {
    channels: Vec<Channel>,
    violations: u32,
}

impl EnvelopeCheck {
    /// A check that starts from the contract's safe command, as a board does that was disarmed.
    #[must_use]
    pub fn new(contract: &Contract<'_>) -> Self {
        let period_s = f64::from(contract.period_us) / 1e6;
        let channels = contract
            .actions
            .iter()
            .map(|action| {
                let (min, max) = (f64::from(action.min), f64::from(action.max));
                let word = (max - min) / WORDS;
                Channel {
                    min,
                    max,
                    step: f64::from(action.slew_per_s) * period_s + word,
                    last: f64::from(action.safe),
                }
            })
            .collect();
        Self {
            channels,
            violations: 0,
        }
    }

    /// Takes the issued words of one step; returns whether they break the envelope.
    pub fn step(&mut self, issued: &[i16]) -> bool {
        let mut broken = issued.len() != self.channels.len();
        for (channel, word) in self.channels.iter_mut().zip(issued) {
            let middle = (channel.min + channel.max) / 2.0;
            let command = middle + f64::from(*word) * (channel.max - channel.min) / WORDS;
            let tiny = (channel.max - channel.min) * 1e-9;
            broken |= command < channel.min - tiny || command > channel.max + tiny;
            // The first step may start up to a word from the safe command: that word is allowed.
            broken |= (command - channel.last).abs() > channel.step + tiny;
            channel.last = command;
        }
        self.violations += u32::from(broken);
        broken
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
            observations: List::from_slice(&[Channel {
                name: "x",
                unit: "m",
                min: -1.0,
                max: 1.0,
            }]),
            actions: List::from_slice(&[ActionChannel {
                name: "f",
                unit: "N",
                min: -12.0,
                max: 12.0,
                slew_per_s: 240.0,
                safe: 0.0,
            }]),
            reward: Reward::External,
        }
    }

    #[test]
    fn slew_and_range_are_counted() {
        let mut check = EnvelopeCheck::new(&contract());
        // 4.8 N a step are 13106.8 words.
        assert!(!check.step(&[13_106]));
        assert!(!check.step(&[26_212]));
        assert!(check.step(&[26_212 - 13_109]));
        assert!(!check.step(&[0]));
        assert!(!check.step(&[-13_107]));
        assert!(!check.step(&[-26_213]));
        assert!(!check.step(&[-32_767]));
        assert!(check.step(&[i16::MIN]), "below the range");
        assert_eq!(check.violations(), 2);
    }

    #[test]
    fn a_missing_word_is_a_violation() {
        assert!(EnvelopeCheck::new(&contract()).step(&[]));
    }
}
