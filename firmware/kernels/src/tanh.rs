//! The hyperbolic tangent of the policy head, exactly rounded.

/// Output of tanh that stands for 1.
const ONE: usize = 127;
/// log2 of the width of a bin, in Q12: 1/128. `127 tanh` rises by less than 1 over a bin, so that
/// at most one threshold lies in it.
pub(crate) const BIN_BITS: u32 = 5;
/// Enough bins that the last threshold (12747) lies below their end.
pub(crate) const BINS: usize = 400;
/// Where the last bin ends, in Q12.
pub(crate) const LIMIT: u32 = (BINS as u32) << BIN_BITS;

/// `THRESHOLD[k]`: smallest `x >= 0` in Q12 with `127 tanh(x / 4096) >= k - 1/2`. The last entry is
/// beyond every argument.
pub(crate) static THRESHOLD: [u16; ONE + 2] = {
    let mut table = [0; ONE + 2];
    let mut k = 1;
    while k <= ONE {
        // atanh((k - 1/2) / 127) = ln((253 + 2k) / (255 - 2k)) / 2
        let x = 2048.0 * natural_logarithm((253 + 2 * k) as f64 / (255 - 2 * k) as f64);
        let floor = x as u16;
        table[k] = floor + 1;
        k += 1;
    }
    table[ONE + 1] = u16::MAX;
    table
};

/// Output at the start of every bin: thresholds at or below it.
pub(crate) static BASE: [u8; BINS] = {
    let mut table = [0; BINS];
    let mut bin = 0;
    let mut k = 0;
    while bin < BINS {
        while THRESHOLD[k + 1] as usize <= bin << BIN_BITS {
            k += 1;
        }
        table[bin] = k as u8;
        bin += 1;
    }
    table
};

/// `round(127 * tanh(x / 4096))`: the nearest integer for every `x`, odd in `x`.
///
/// With `m = min(|x|, 12799)` and `k = BASE[m / 32]`, the magnitude is `k + (m >= THRESHOLD[k+1])`.
#[inline]
#[must_use]
pub fn tanh_q12(x: i32) -> i8 {
    let magnitude = x.unsigned_abs();
    let magnitude = if magnitude >= LIMIT {
        LIMIT - 1
    } else {
        magnitude
    };
    let base = BASE
        .get((magnitude >> BIN_BITS) as usize)
        .copied()
        .unwrap_or(0);
    let next = THRESHOLD
        .get(usize::from(base) + 1)
        .copied()
        .unwrap_or(u16::MAX);
    let rounded = base.wrapping_add(u8::from(magnitude >= u32::from(next))) as i8;
    if x < 0 {
        rounded.wrapping_neg()
    } else {
        rounded
    }
}

/// The tangent in f32, for kernels that have no tables: `127 - 254 / (2^u + 1)` with `u = |x| * SCALE`, not exact but near
/// enough: their tests compare every argument with [`tanh_q12`].
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
pub(crate) mod approximation {
    /// `2 log2(e) / 4096`.
    pub(crate) const SCALE: f32 = (2.0 * core::f64::consts::LOG2_E / 4096.0) as f32;
    /// From here on the result is 127.
    pub(crate) const LIMIT: u32 = super::LIMIT - 1;
    /// Taylor series of `2^f` on `[-1/2, 1/2]`, the highest power first: the next term is below 1e-8.
    pub(crate) const POWER_OF_TWO: [f32; 7] = [
        1.540_353e-4,
        1.333_355_8e-3,
        9.618_129e-3,
        5.550_411e-2,
        0.240_226_5,
        core::f32::consts::LN_2,
        1.0,
    ];
}

/// Natural logarithm of `x >= 1`, to some 1e-15: powers of two first, then the series of
/// `ln x = 2 atanh((x-1)/(x+1))`.
const fn natural_logarithm(x: f64) -> f64 {
    let mut x = x;
    let mut twos = 0.0;
    while x > 1.5 {
        x *= 0.5;
        twos += 1.0;
    }
    let z = (x - 1.0) / (x + 1.0);
    let mut power = z;
    let mut sum = 0.0;
    let mut odd = 1.0;
    while odd < 60.0 {
        sum += power / odd;
        power *= z * z;
        odd += 2.0;
    }
    twos * core::f64::consts::LN_2 + 2.0 * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tanh_is_exactly_rounded_everywhere() {
        for x in -20_000..=20_000_i32 {
            let exact = 127.0 * (f64::from(x) / 4096.0).tanh();
            assert_eq!(f64::from(tanh_q12(x)), exact.round(), "{x}");
        }
        assert_eq!((tanh_q12(i32::MAX), tanh_q12(i32::MIN)), (127, -127));
    }

    #[test]
    fn bins_hold_at_most_one_threshold_and_reach_past_the_last() {
        assert!(THRESHOLD[1..].windows(2).all(|pair| pair[1] > pair[0] + 31));
        assert!(u32::from(THRESHOLD[ONE]) < LIMIT);
    }
}
