//! Seed streams: one generator for every (seed, stream, index), so that training, held-out tasks and
//! calibration never share a random number, and no result depends on who draws first.

use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

/// The generator of all plants: the same numbers on every machine.
pub type Random = Xoshiro256PlusPlus;

/// What a generator is for. Streams with the same seed share no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Stream {
    /// Tasks, starts and exploration of training.
    Training = 1,
    /// Evaluation on held-out tasks.
    HeldOut = 2,
    /// Evaluation outside the training ranges.
    OutOfDistribution = 3,
    /// Trials that quantization is calibrated on.
    Calibration = 4,
    /// Initial weights.
    Weights = 5,
    /// Order of minibatches.
    Shuffle = 6,
}

/// The generator number `index` of a stream.
#[must_use]
pub fn random_stream(seed: u64, stream: Stream, index: u64) -> Random {
    let mixed = mix(mix(mix(seed) ^ stream as u64) ^ index);
    Random::seed_from_u64(mixed)
}

/// The finaliser of SplitMix64: a bijection that scatters neighbouring numbers.
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A bell-shaped number of mean 0 and standard deviation 1: the sum of the four 16-bit parts of `bits`.
/// It never exceeds 3.47, so noise alone cannot leave a contract's range, and it needs no logarithm,
/// whose last bit differs between machines.
#[inline]
#[must_use]
pub fn bell(bits: u64) -> f32 {
    // Four uniforms on [0, 65535] have the mean 4 * 32767.5 and the variance 4 * (65536^2 - 1) / 12.
    const MEAN: f32 = 131_070.0;
    const INVERSE_STD: f32 = 1.0 / 37_837.227;
    let sum = (bits & 0xFFFF) + ((bits >> 16) & 0xFFFF) + ((bits >> 32) & 0xFFFF) + (bits >> 48);
    // At most 2^18: exact in f32.
    (sum as f32 - MEAN) * INVERSE_STD
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;

    #[test]
    fn noise_is_bell_shaped() {
        let mut random = random_stream(1, Stream::Training, 0);
        let (mut sum, mut square, mut largest) = (0.0f64, 0.0f64, 0.0f32);
        let draws = 200_000;
        for _ in 0..draws {
            let value = bell(random.next_u64());
            sum += f64::from(value);
            square += f64::from(value) * f64::from(value);
            largest = largest.max(value.abs());
        }
        assert!((sum / f64::from(draws)).abs() < 0.01);
        assert!((square / f64::from(draws) - 1.0).abs() < 0.01);
        assert!(largest <= 3.47 && bell(u64::MAX) <= 3.47 && bell(0) >= -3.47);
    }

    #[test]
    fn streams_differ() {
        let mut seen = std::collections::HashSet::new();
        for seed in 0..8 {
            for stream in [Stream::Training, Stream::HeldOut, Stream::Calibration] {
                for index in 0..64 {
                    assert!(seen.insert(random_stream(seed, stream, index).next_u64()));
                }
            }
        }
    }

    #[test]
    fn the_numbers_never_change() {
        // Held-out tasks, and with them every published number, hang on these.
        assert_eq!(
            random_stream(0, Stream::HeldOut, 0).next_u64(),
            0x7ccf_918b_09aa_f823
        );
        assert_eq!(
            random_stream(7, Stream::Training, 3).next_u64(),
            0x39f3_e42b_18a9_7d46
        );
    }
}
