//! Sixteen numbers at a time: fixed-point factors, limits, sums.

use core::arch::x86_64::*;

pub(super) use super::memory::{
    Room, alone, fill, load, load_bytes, load_f32, load_half, load_i16, load_i32, load_some,
    load_some_words, load_whole, load_words, room, store, store_bytes, store_half, store_i16,
    store_i32, store_whole, store_words,
};
use crate::Requant;
use crate::x86::prescale::{HIGH_SHIFT, Prescale};

/// The upper halves of sixteen products, of which `even` holds those of even numbers.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn upper_halves(even: __m512i, odd: __m512i) -> __m512i {
    let mut high = odd;
    // As an intrinsic it becomes a permutation of two registers, which takes four times as long.
    // SAFETY: AVX-512 F on registers alone.
    unsafe {
        core::arch::asm!(
            "vmovshdup {high} {{{lanes}}}, {even}",
            high = inout(zmm_reg) high,
            even = in(zmm_reg) even,
            lanes = in(kreg) 0x5555_u16,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    high
}

/// A shift of every lane by its own count, as one instruction: the intrinsic is a shift whose counts are
/// checked once more.
macro_rules! variable_shift {
    ($doc:literal $name:ident: $instruction:literal) => {
        #[doc = $doc]
        #[inline]
        #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
        pub(super) fn $name(x: __m512i, count: __m512i) -> __m512i {
            let shifted;
            // SAFETY: AVX-512 F on registers alone.
            unsafe {
                core::arch::asm!(
                    concat!($instruction, " {shifted}, {x}, {count}"),
                    shifted = out(zmm_reg) shifted,
                    x = in(zmm_reg) x,
                    count = in(zmm_reg) count,
                    options(pure, nomem, nostack, preserves_flags),
                );
            }
            shifted
        }
    };
}
variable_shift! { "Sixteen i32 to the left; 0 from 32 on." shift_left: "vpsllvd" }
variable_shift! { "Sixteen u32 to the right; 0 from 32 on." shift_right: "vpsrlvd" }
variable_shift! { "Sixteen i32 to the right; the sign from 32 on." shift_signed: "vpsravd" }

/// Odd numbers at the places of even ones: a move takes more ports than a shift, which the intrinsics become.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn odd(x: __m512i) -> __m512i {
    let odd;
    // SAFETY: AVX-512 F on registers alone.
    unsafe {
        core::arch::asm!(
            "vmovshdup {odd}, {x}",
            odd = out(zmm_reg) odd,
            x = in(zmm_reg) x,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    odd
}

/// From this shift of an upper half on, the result is 0.
pub(super) const SHIFT_MAX: u8 = 30;

/// Multipliers and shifts of sixteen rows, as i32. Where the upper half of a product is enough, shifts are less [`HIGH_SHIFT`],
/// and at most [`SHIFT_MAX`].
#[derive(Clone, Copy)]
pub(super) struct Factors {
    pub(super) multiplier: __m512i,
    pub(super) shift: __m512i,
}

impl Factors {
    /// The same factor sixteen times.
    #[inline]
    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    pub(super) fn splat(factor: Requant) -> Self {
        Self {
            multiplier: _mm512_set1_epi32(factor.multiplier),
            shift: _mm512_set1_epi32(i32::from(factor.shift)),
        }
    }

    /// The upper halves of the products: at most `2^30` in magnitude. 2^(shift-1) is a multiple of 2^32: the lower halves
    /// decide nothing.
    #[inline]
    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    fn high(self, x: __m512i) -> __m512i {
        let even = _mm512_mul_epi32(x, self.multiplier);
        let odd = _mm512_mul_epi32(odd(x), odd(self.multiplier));
        upper_halves(even, odd)
    }

    /// [`Requant::to_i32`] of sixteen accumulators, by the upper halves of the products.
    #[inline]
    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    pub(super) fn apply_high(self, x: __m512i) -> __m512i {
        let one = _mm512_set1_epi32(1);
        // Added before the shift: where a chain waits, that is one less to wait for.
        let half = shift_left(one, self.shift);
        shift_signed(
            _mm512_add_epi32(self.high(x), half),
            _mm512_add_epi32(self.shift, one),
        )
    }

    /// Twice [`Factors::apply_high`], rounded down: less than `2^30` in magnitude. The result is half of it, halves up.
    #[inline]
    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    pub(super) fn double_high(self, x: __m512i) -> __m512i {
        shift_signed(self.high(x), self.shift)
    }

    /// [`Requant::to_i32`] of sixteen accumulators.
    ///
    /// Not inlined: what it computes of the factors alone would be computed where it is not called.
    #[cold]
    #[inline(never)]
    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    pub(super) fn apply(self, x: __m512i) -> __m512i {
        let even = _mm512_mul_epi32(x, self.multiplier);
        let odd = _mm512_mul_epi32(
            _mm512_srli_epi64::<32>(x),
            _mm512_srli_epi64::<32>(self.multiplier),
        );
        let low = _mm512_and_si512(self.shift, _mm512_set1_epi64(0xffff_ffff));
        let even = rounded(even, low);
        let odd = rounded(odd, _mm512_srli_epi64::<32>(self.shift));
        _mm512_mask_shuffle_epi32::<0b10_10_00_00>(even, 0xaaaa, odd)
    }
}

/// Scales accumulators up.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn scale_up(prescale: Prescale, x: __m512i) -> __m512i {
    _mm512_sll_epi32(x, _mm_cvtsi32_si128(i32::from(prescale.0)))
}

/// One factor for sixteen accumulators, by the upper half of the product.
#[derive(Clone, Copy)]
pub(super) struct High {
    multiplier: __m512i,
    /// Half of what is shifted out of the upper half.
    half: __m512i,
    shift: __m512i,
    /// By how much accumulators are scaled up.
    up: __m512i,
}

impl High {
    /// For accumulators of at most `magnitude`; `None`: the upper half is not enough.
    #[inline]
    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    pub(super) fn new(factor: Requant, magnitude: u64) -> Option<Self> {
        let prescale = Prescale::of(factor.shift, magnitude)?;
        let shift = factor
            .shift
            .wrapping_add(prescale.0)
            .wrapping_sub(HIGH_SHIFT);
        Some(Self {
            multiplier: _mm512_set1_epi32(factor.multiplier),
            half: _mm512_set1_epi32(1_i32.wrapping_shl(u32::from(shift))),
            shift: _mm512_set1_epi32(i32::from(shift.wrapping_add(1))),
            up: _mm512_set1_epi32(i32::from(prescale.0)),
        })
    }

    /// [`Requant::to_i32`].
    #[inline]
    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    pub(super) fn apply(self, x: __m512i) -> __m512i {
        let x = shift_left(x, self.up);
        let even = _mm512_mul_epi32(x, self.multiplier);
        // All multipliers are the same: those of odd numbers need not be moved.
        let odd = _mm512_mul_epi32(odd(x), self.multiplier);
        // 2^(shift-1) is a multiple of 2^32: the lower half of the product decides nothing. The upper one is
        // at most 2^30 in magnitude, and so is the half.
        let high = _mm512_add_epi32(upper_halves(even, odd), self.half);
        shift_signed(high, self.shift)
    }
}

/// One factor for sixteen accumulators of a known magnitude.
#[derive(Clone, Copy)]
pub(super) enum Single {
    High(High),
    Any(Factors),
}

impl Single {
    #[inline]
    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    pub(super) fn new(factor: Requant, magnitude: u64) -> Self {
        match High::new(factor, magnitude) {
            Some(high) => Self::High(high),
            None => Self::Any(Factors::splat(factor)),
        }
    }

    /// [`Requant::to_i32`].
    #[inline]
    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    pub(super) fn apply(self, x: __m512i) -> __m512i {
        match self {
            Self::High(high) => high.apply(x),
            Self::Any(factors) => factors.apply(x),
        }
    }
}

/// `(product + 2^(shift-1)) >> shift` of eight i64, saturated to i32.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn rounded(product: __m512i, shift: __m512i) -> __m512i {
    let one = _mm512_set1_epi64(1);
    let half = _mm512_sllv_epi64(one, _mm512_sub_epi64(shift, one));
    let shifted = _mm512_srav_epi64(_mm512_add_epi64(product, half), shift);
    let shifted = _mm512_max_epi64(shifted, _mm512_set1_epi64(i64::from(i32::MIN)));
    _mm512_min_epi64(shifted, _mm512_set1_epi64(i64::from(i32::MAX)))
}

/// Limits sixteen i32 to `-32767..=32767`.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn to_i16(x: __m512i) -> __m256i {
    _mm256_max_epi16(_mm512_cvtsepi32_epi16(x), _mm256_set1_epi16(-32_767))
}

/// [`to_i16`] of two blocks that share 32 rows, in order.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn words(a: __m512i, b: __m512i) -> __m512i {
    _mm512_max_epi16(_mm512_packs_epi32(a, b), _mm512_set1_epi16(-32_767))
}

/// The saturating sum of sixteen i32.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn add_i32(a: __m512i, b: __m512i) -> __m512i {
    let sum = _mm512_add_epi32(a, b);
    // Overflow: the sum's sign differs from both.
    let over = _mm512_and_si512(_mm512_xor_si512(sum, a), _mm512_xor_si512(sum, b));
    let limit = _mm512_xor_si512(_mm512_srai_epi32::<31>(a), _mm512_set1_epi32(i32::MAX));
    _mm512_mask_mov_epi32(sum, _mm512_movepi32_mask(over), limit)
}
