//! Softmax weights, sixteen at a time.

use core::arch::x86_64::*;

use super::requant::{load_f32, shift_right};

/// `32767 * 2^(-k/32)`.
static COARSE: [[f32; 16]; 2] = table(32_767.0, 0.978_572_062_087_700_1);
/// `2^(-k/1024)`.
static FINE: [[f32; 16]; 2] = table(1.0, 0.999_323_327_505_021_1);

/// `first * ratio^k`, rounded.
const fn table(first: f64, ratio: f64) -> [[f32; 16]; 2] {
    let mut table = [[0.0; 16]; 2];
    let mut value = first;
    let mut i = 0;
    while i < 32 {
        table[i / 16][i % 16] = value as f32;
        value *= ratio;
        i += 1;
    }
    table
}

/// From here on neighbouring f32 lie 1 apart: a sum is rounded to an integer, which its lowest bits hold.
const MAGIC: f32 = 8_388_608.0;

/// The tables of [`Exponential::probabilities`] in registers.
#[derive(Clone, Copy)]
pub(super) struct Exponential {
    coarse: [__m512; 2],
    fine: [__m512; 2],
}

impl Exponential {
    #[inline]
    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    pub(super) fn new() -> Self {
        Self {
            coarse: [load_f32(&COARSE[0]), load_f32(&COARSE[1])],
            fine: [load_f32(&FINE[0]), load_f32(&FINE[1])],
        }
    }

    /// [`crate::exp2_neg_q10`] of sixteen u32, as i32.
    ///
    /// A table entry is the product of two of thirty-two, rounded once; a test compares every argument.
    #[inline]
    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    pub(super) fn probabilities(self, d: __m512i) -> __m512i {
        // The permutation reads the lowest five bits of an index.
        let coarse =
            _mm512_permutex2var_ps(self.coarse[0], _mm512_srli_epi32::<5>(d), self.coarse[1]);
        let fine = _mm512_permutex2var_ps(self.fine[0], d, self.fine[1]);
        let entry = _mm512_fmadd_ps(coarse, fine, _mm512_set1_ps(MAGIC));
        let entry = _mm512_castps_si512(entry);
        // Twice the entry, without the upper half, shifted, is halved with halves up: what is shifted in
        // between cannot change that. A shift of 32 and more gives 0.
        let double = _mm512_maskz_add_epi16(0x5555_5555, entry, entry);
        let shifted = shift_right(double, _mm512_srli_epi32::<10>(d));
        _mm512_avg_epu16(shifted, _mm512_setzero_si512())
    }
}
