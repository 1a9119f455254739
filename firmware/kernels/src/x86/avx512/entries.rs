//! The entries of a working memory, sixteen at a time: [`crate::quantize`].

use core::arch::x86_64::*;

use super::requant::{load_some, load_some_words, store_i16};
use crate::Entries;

/// [`crate::Kernels::quantize`].
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn quantize(entries: Entries<'_>, (mean, inverse): (&[f32], &[f32]), out: &mut [i16]) {
    let issued = entries.observation.len();
    let last = issued.saturating_add(entries.issued.len());
    let count = last.saturating_add(2).min(mean.len()).min(inverse.len());
    let limit = _mm512_set1_ps(f32::from(crate::WORD_MAX));
    let (out, _) = out.as_chunks_mut::<16>();
    for (index, out) in out.iter_mut().enumerate() {
        let first = 16 * index;
        // No copy of all entries in one place: what is written in parts cannot be read at once before it is done.
        let observation = load_some(entries.observation, 0, first);
        let words = _mm512_cvtepi32_ps(load_some_words(entries.issued, issued, first));
        let issued = _mm512_div_ps(words, limit);
        let mut x = _mm512_or_ps(observation, issued);
        // Not loaded as one: they may have been stored just now, one by one.
        for (&number, place) in entries.last.iter().zip(last..) {
            let lane = 1_u32.wrapping_shl(place.wrapping_sub(first) as u32);
            let lane = if place.wrapping_sub(first) < 16 {
                lane
            } else {
                0
            };
            x = _mm512_mask_mov_ps(x, lane as __mmask16, _mm512_set1_ps(number));
        }
        let x = _mm512_sub_ps(x, load_some(mean, 0, first));
        let x = _mm512_mul_ps(x, load_some(inverse, 0, first));
        let mask = (1_u32 << count.saturating_sub(first).min(16)).wrapping_sub(1) as __mmask16;
        let known = _mm512_mask_cmp_ps_mask::<_CMP_ORD_Q>(mask, x, x);
        let x = _mm512_maskz_min_ps(known, x, limit);
        let x = _mm512_max_ps(x, _mm512_sub_ps(_mm512_setzero_ps(), limit));
        let words =
            _mm512_cvt_roundps_epi32::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x);
        store_i16(out, _mm512_cvtepi32_epi16(words));
    }
}
