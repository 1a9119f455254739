//! The hyperbolic tangent of the head, sixteen at a time: a cubic for every 512 arguments, in f32. That is not exact, but
//! near enough: a test compares every argument with [`crate::tanh_q12`].

use core::arch::x86_64::*;

use super::requant::load_f32;
use crate::tanh::approximation::LIMIT;

/// log2 of the arguments of a cubic.
const BITS: u32 = 9;

/// Of every cubic the number by power, in f32 of the argument less the cubic's first.
static CUBICS: [[[f32; 16]; 2]; 4] = {
    let mut cubics = [[[0.0; 16]; 2]; 4];
    let mut index = 0;
    while index < 32 {
        let numbers = cubic(index as f64);
        let (mut power, mut scale) = (0, 1.0);
        while power < 4 {
            cubics[power][index / 16][index % 16] = (numbers[power] / scale) as f32;
            scale *= (1 << BITS) as f64;
            power += 1;
        }
        index += 1;
    }
    cubics
};

/// The cubic in `t` that is `127 tanh((first + t) / 8)` at four places of `[0, 1]`: those of Chebyshev, a little nearer
/// to each other. So the argument that lies next to a tie is rounded to its side.
const fn cubic(first: f64) -> [f64; 4] {
    const OUTER: f64 = 0.94 * 0.923_879_532_511_286_7 / 2.0;
    const INNER: f64 = 0.94 * 0.382_683_432_365_089_8 / 2.0;
    let places = [0.5 - OUTER, 0.5 - INNER, 0.5 + INNER, 0.5 + OUTER];
    // Divided differences.
    let mut numbers = [0.0; 4];
    let mut i = 0;
    while i < 4 {
        let power = exp((first + places[i]) / 4.0);
        numbers[i] = 127.0 * (power - 1.0) / (power + 1.0);
        i += 1;
    }
    let mut order = 1;
    while order < 4 {
        let mut i = 3;
        while i >= order {
            numbers[i] = (numbers[i] - numbers[i - 1]) / (places[i] - places[i - order]);
            i -= 1;
        }
        order += 1;
    }
    // From products of the distances to powers.
    let mut place = 3;
    while place > 0 {
        place -= 1;
        let mut i = place;
        while i < 3 {
            numbers[i] -= places[place] * numbers[i + 1];
            i += 1;
        }
    }
    numbers
}

/// The exponential function of `x` up to 8, by its series.
const fn exp(x: f64) -> f64 {
    let (mut sum, mut term, mut n) = (1.0, 1.0, 1.0);
    while n < 60.0 {
        term *= x / n;
        sum += term;
        n += 1.0;
    }
    sum
}

/// [`crate::tanh_q12`] of sixteen preactivations, as i32.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn tanh(x: __m512i) -> __m512i {
    // As unsigned numbers: the magnitude of i32::MIN is above the limit, too.
    let magnitude = _mm512_min_epu32(_mm512_abs_epi32(x), _mm512_set1_epi32(LIMIT.cast_signed()));
    let index = _mm512_srli_epi32::<BITS>(magnitude);
    let within = _mm512_and_si512(magnitude, _mm512_set1_epi32((1 << BITS) - 1));
    let t = _mm512_cvtepi32_ps(within);
    let number = |power: usize| {
        let [low, high] = &CUBICS[power];
        _mm512_permutex2var_ps(load_f32(low), index, load_f32(high))
    };
    let low = _mm512_fmadd_ps(number(1), t, number(0));
    let high = _mm512_fmadd_ps(number(3), t, number(2));
    let rounded = _mm512_cvtps_epi32(_mm512_fmadd_ps(_mm512_mul_ps(t, t), high, low));
    let negative = _mm512_movepi32_mask(x);
    _mm512_mask_sub_epi32(rounded, negative, _mm512_setzero_si512(), rounded)
}
