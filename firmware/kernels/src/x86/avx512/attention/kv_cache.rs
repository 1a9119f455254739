//! A token's query, key and value as the KV cache hold them.
//!
//! Whole lines are read and written: a masked store could not be read again before it is done.

use core::arch::x86_64::*;

use super::super::requant::{load, load_half, load_i32, load_whole, store};
use super::{HEADS, PLACES};
use crate::{CacheLine, CachePosition};

/// The first quad of the head of every lane, for heads of so many quads.
const fn first_quads(quads: usize) -> [i32; 16] {
    let mut lanes = [0; 16];
    let mut i = 0;
    while i < 16 {
        lanes[i] = (i / 4 * quads) as i32;
        i += 1;
    }
    lanes
}

/// All bits of one position of every head.
static LANES: [[i32; 16]; PLACES] = {
    let mut lanes = [[0; 16]; PLACES];
    let mut i = 0;
    while i < 16 {
        lanes[i % PLACES][i] = -1;
        i += 1;
    }
    lanes
};

/// Queries, keys or values of four heads, with `Q` quads each, at most eight, if `EXACT`.
#[derive(Clone, Copy)]
pub(super) struct Quads<'a, const Q: usize, const EXACT: bool> {
    /// All of them, if `EXACT`: up to four quads of a head fit the first.
    registers: [__m512i; 2],
    memory: &'a [[i8; 4]],
    quads: usize,
}

impl<'a, const Q: usize, const EXACT: bool> Quads<'a, Q, EXACT> {
    const FIRST: [i32; 16] = first_quads(Q);

    /// Of heads with `quads` quads each.
    #[inline]
    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    pub(super) fn new(part: &'a [i8], quads: usize) -> Self {
        let bytes: &[u8] = bytemuck::must_cast_slice(part);
        let mut registers = [_mm512_setzero_si512(); 2];
        if EXACT && Q == 2 {
            registers[0] = match bytes.first_chunk() {
                Some(half) => load_half(half),
                None => rest(bytes),
            };
        } else if EXACT {
            for (register, bytes) in registers
                .iter_mut()
                .zip(bytes.chunks(64))
                .take(Q.div_ceil(4))
            {
                *register = match bytes.first_chunk() {
                    Some(whole) => load_whole(whole),
                    None => rest(bytes),
                };
            }
        }
        Self {
            registers,
            memory: bytemuck::must_cast_slice(part.as_chunks::<4>().0),
            quads,
        }
    }

    /// Quad `quad` of head `h` in the four lanes of that head.
    #[inline]
    #[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
    pub(super) fn spread(self, quad: usize) -> __m512i {
        if EXACT {
            let [low, high] = self.registers;
            let index = load_i32(&Self::FIRST);
            let index = _mm512_add_epi32(index, _mm512_set1_epi32(quad as i32));
            return if Q <= 4 {
                _mm512_permutexvar_epi32(index, low)
            } else {
                _mm512_permutex2var_epi32(low, index, high)
            };
        }
        let mut all = _mm512_setzero_si512();
        for head in 0..HEADS {
            let quad = self.memory.get(head * self.quads + quad);
            let quad = quad.copied().unwrap_or_default();
            let quad = i32::from_le_bytes(bytemuck::must_cast(quad));
            all = _mm512_mask_set1_epi32(all, 0xf << (4 * head), quad);
        }
        all
    }
}

/// Fewer bytes than a register holds: behind the last heads there may be no more.
#[cold]
#[inline(never)]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn rest(bytes: &[u8]) -> __m512i {
    let mut whole = [0; 64];
    for (position, &byte) in whole.iter_mut().zip(bytes) {
        *position = byte;
    }
    load_whole(&whole)
}

/// `new` where `mask` has bits, else `old`. Not by a mask register: that would become a masked store.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
fn blend(mask: __m512i, new: __m512i, old: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0b11_00_10_10>(mask, new, old)
}

/// The lines of the four positions of which `position` is one.
#[inline(always)]
fn lines<const Q: usize, const EXACT: bool>(
    ring: &mut [CacheLine],
    position: CachePosition,
    quads: usize,
) -> Option<&mut [CacheLine]> {
    let index = position.index / PLACES;
    if EXACT {
        return Some(ring.as_chunks_mut::<Q>().0.get_mut(index)?);
    }
    let first = index.wrapping_mul(quads);
    ring.get_mut(first..first.wrapping_add(quads))
}

/// Puts the keys of four heads into their position.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn insert_keys<const Q: usize, const EXACT: bool>(
    keys: &mut [CacheLine],
    position: CachePosition,
    quads: usize,
    key: Quads<'_, Q, EXACT>,
) {
    let mask = load_i32(&LANES[position.index % PLACES]);
    let Some(lines) = lines::<Q, EXACT>(keys, position, quads) else {
        return;
    };
    for (quad, line) in lines.iter_mut().enumerate() {
        let new = _mm512_xor_si512(key.spread(quad), _mm512_set1_epi8(-128));
        store(line, blend(mask, new, load(line)));
    }
}

/// Puts the values of four heads into their position.
#[inline]
#[target_feature(enable = "avx512f,avx512cd,avx512dq,avx512bw,avx512vl,avx512vnni")]
pub(super) fn insert_values<const Q: usize, const EXACT: bool>(
    values: &mut [CacheLine],
    position: CachePosition,
    quads: usize,
    value: Quads<'_, Q, EXACT>,
) {
    let mask = _mm512_set1_epi32(0xff << (8 * (position.index % PLACES)));
    // Every channel's byte in all four positions.
    let bytes = _mm512_set_epi32(
        0x0303_0303,
        0x0202_0202,
        0x0101_0101,
        0,
        0x0303_0303,
        0x0202_0202,
        0x0101_0101,
        0,
        0x0303_0303,
        0x0202_0202,
        0x0101_0101,
        0,
        0x0303_0303,
        0x0202_0202,
        0x0101_0101,
        0,
    );
    // A head's quad lies in all its lanes: the byte of a channel is the same in each of them.
    let Some(lines) = lines::<Q, EXACT>(values, position, quads) else {
        return;
    };
    for (quad, line) in lines.iter_mut().enumerate() {
        let new = _mm512_shuffle_epi8(value.spread(quad), bytes);
        store(line, blend(mask, new, load(line)));
    }
}
