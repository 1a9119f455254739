//! Softmax weights, sixteen at a time.

use core::arch::x86_64::*;

use super::numbers::{load_i32, shift_right, upper_halves};

/// `round(2^31 * 2^(-k/32))`, as the bits of an i32.
static COARSE: [[i32; 16]; 2] = table(2_147_483_648.0, 0.978_572_062_087_700_1);
/// `round(32767 * 2^16 * 2^(-k/1024))`.
static FINE: [[i32; 16]; 2] = table(32_767.0 * 65_536.0, 0.999_323_327_505_021_1);

/// `first * ratio^k`, rounded.
const fn table(first: f64, ratio: f64) -> [[i32; 16]; 2] {
    let mut table = [[0; 16]; 2];
    let mut value = first;
    let mut i = 0;
    while i < 32 {
        table[i / 16][i % 16] = (value + 0.5) as u32 as i32;
        value *= ratio;
        i += 1;
    }
    table
}

/// The tables of [`Exponential::weights`] in registers.
#[derive(Clone, Copy)]
pub(super) struct Exponential {
    coarse: [__m512i; 2],
    fine: [__m512i; 2],
}

impl Exponential {
    #[inline]
    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    pub(super) fn new() -> Self {
        Self {
            coarse: [load_i32(&COARSE[0]), load_i32(&COARSE[1])],
            fine: [load_i32(&FINE[0]), load_i32(&FINE[1])],
        }
    }

    /// [`crate::exp2_neg_q10`] of sixteen u32, as i32.
    ///
    /// A table entry is the product of two of thirty-two; a test compares every argument.
    #[inline]
    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    pub(super) fn weights(self, d: __m512i) -> __m512i {
        // The permutation reads the lowest five bits of an index.
        let coarse =
            _mm512_permutex2var_epi32(self.coarse[0], _mm512_srli_epi32::<5>(d), self.coarse[1]);
        let fine = _mm512_permutex2var_epi32(self.fine[0], d, self.fine[1]);
        let even = _mm512_mul_epu32(coarse, fine);
        let odd = _mm512_mul_epu32(
            _mm512_srli_epi64::<32>(coarse),
            _mm512_srli_epi64::<32>(fine),
        );
        let high = upper_halves(even, odd);
        let entry = _mm512_add_epi32(high, _mm512_set1_epi32(1 << 14));
        let entry = _mm512_srli_epi32::<15>(entry);
        // Twice the entry, shifted, is halved with halves up: what is shifted in between cannot change
        // that. A shift of 32 and more gives 0.
        let double = _mm512_add_epi32(entry, entry);
        let shifted = shift_right(double, _mm512_srli_epi32::<10>(d));
        _mm512_avg_epu16(shifted, _mm512_setzero_si512())
    }
}
