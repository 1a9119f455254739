//! The entries of a working memory, sixteen at a time: [`crate::quantize`].

use core::arch::x86_64::*;

use super::numbers::{load_f32, load_some, store_i16};
use crate::Entries;

/// Entries that fit the buffer; more are left to the reference.
const MOST: usize = 64;

/// [`crate::Kernels::quantize`]; whether they fit.
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn quantize(
    entries: Entries<'_>,
    (mean, inverse): (&[f32], &[f32]),
    out: &mut [i16],
) -> bool {
    let mut values = [0.0; MOST];
    let [reward, done] = entries.last;
    let observations = entries.observation.len();
    let Some((first, rest)) = values.split_at_mut_checked(observations) else {
        return false;
    };
    let Some((issued, last)) = rest.split_at_mut_checked(entries.issued.len()) else {
        return false;
    };
    let (Some(last), true) = (last.first_chunk_mut::<2>(), mean.len() == inverse.len()) else {
        return false;
    };
    first.copy_from_slice(entries.observation);
    for (value, &word) in issued.iter_mut().zip(entries.issued) {
        *value = crate::fraction_from_word(word);
    }
    *last = [reward, done];
    let count = mean.len().min(observations + entries.issued.len() + 2);
    let (out, _) = out.as_chunks_mut::<16>();
    for (index, (out, values)) in out.iter_mut().zip(values.as_chunks::<16>().0).enumerate() {
        let first = 16 * index;
        let mask = (1_u32 << count.saturating_sub(first).min(16)).wrapping_sub(1) as __mmask16;
        let part = |values: &[f32]| load_some(values.get(first..).unwrap_or_default());
        let x = _mm512_sub_ps(load_f32(values), part(mean));
        let x = _mm512_mul_ps(x, part(inverse));
        let known = _mm512_mask_cmp_ps_mask::<_CMP_ORD_Q>(mask, x, x);
        let limit = _mm512_set1_ps(f32::from(crate::WORD_MAX));
        let x = _mm512_maskz_min_ps(known, x, limit);
        let x = _mm512_max_ps(x, _mm512_sub_ps(_mm512_setzero_ps(), limit));
        let words =
            _mm512_cvt_roundps_epi32::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x);
        store_i16(out, _mm512_cvtepi32_epi16(words));
    }
    true
}
