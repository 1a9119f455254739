//! The independent watchdog of STM32 parts: what its counts are in time. What feeds it is `engram_firmware::watchdog`'s business.

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
