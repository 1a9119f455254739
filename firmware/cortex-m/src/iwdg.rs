//! The independent watchdog of STM32 parts: what its counts are in time, and its registers. What feeds it is `engram_firmware::watchdog`'s business.

/// Counts of the watchdog in a second: 32 kHz by 256. The oscillator of an STM32F4 is between 17 and 47 kHz, that of an STM32H7 a few per cent off.
const COUNTS_PER_S: u32 = 125;
/// The most counts that it can be set to.
const MOST_COUNTS: u16 = 0xFFF;
/// The longest that it can wait, milliseconds.
pub const LONGEST_MS: u32 = MOST_COUNTS as u32 * 1_000 / COUNTS_PER_S;

/// Counts for a time to wait.
#[must_use]
pub fn counts(wait_ms: u32) -> u16 {
    let counts = wait_ms / (1_000 / COUNTS_PER_S);
    u16::try_from(counts).map_or(MOST_COUNTS, |counts| counts.min(MOST_COUNTS))
}

/// The watchdog `Iwdg` over these registers of a part (the same in all of them, a type of its own in each crate).
#[macro_export]
macro_rules! independent_watchdog {
    ($registers:ty) => {
        /// The independent watchdog.
        pub struct Iwdg(pub(crate) $registers);

        impl Iwdg {
            fn key(&mut self, key: u16) {
                // SAFETY: the register takes any key; the four that exist are unlock, feed and start.
                self.0.kr().write(|w| unsafe { w.bits(key) });
            }

            fn reload(&mut self, wait_ms: u32) {
                let counts = $crate::iwdg::counts(wait_ms);
                // SAFETY: they are twelve bits, as the register takes.
                self.0.rlr().write(|w| unsafe { w.bits(counts) });
            }
        }

        impl engram_firmware::watchdog::Timer for Iwdg {
            fn longest_ms(&self) -> u32 {
                $crate::iwdg::LONGEST_MS
            }

            fn start(&mut self, wait_ms: u32) {
                self.key(0xCCCC);
                self.key(0x5555);
                self.0.pr().write(|w| w.pr().divide_by256());
                self.reload(wait_ms);
                self.key(0xAAAA);
            }

            fn set(&mut self, wait_ms: u32) {
                self.key(0x5555);
                self.reload(wait_ms);
            }

            fn is_setting(&self) -> bool {
                self.0.sr().read().rvu().bit_is_set()
            }

            fn feed(&mut self) {
                self.key(0xAAAA);
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counts_of_8_ms() {
        for (wait_ms, expected) in [
            (200, 25),
            (500, 62),
            (LONGEST_MS - 1, MOST_COUNTS - 1),
            (LONGEST_MS, MOST_COUNTS),
            (u32::MAX, MOST_COUNTS),
        ] {
            assert_eq!(counts(wait_ms), expected, "{wait_ms} ms");
        }
    }
}
