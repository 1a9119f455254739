//! What this processor and its operating system allow, asked of the processor itself: the crate has
//! no standard library to ask.

use core::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};

/// Bits of `cpuid` leaf 1, ecx.
const OSXSAVE: u32 = 1 << 27;
/// FMA, AVX.
const FMA: u32 = 1 << 12 | 1 << 28;
/// XMM and YMM state are saved by the operating system.
const YMM_STATE: u64 = 0b110;
/// XMM, YMM, opmask and ZMM state are saved by the operating system.
const ZMM_STATE: u64 = 0b1110_0110;

/// AVX2 (leaf 7, ebx).
const AVX2: u32 = 1 << 5;
/// AVX-512 F, CD, DQ, BW, VL (leaf 7, ebx).
const AVX512: u32 = 1 << 16 | 1 << 17 | 1 << 28 | 1 << 30 | 1 << 31;
/// AVX-512 VNNI (leaf 7, ecx).
const VNNI: u32 = 1 << 11;

/// AVX-VNNI (the second leaf 7, eax).
const AVX_VNNI: u32 = 1 << 4;

/// Whether AVX-512 F, CD, DQ, BW, VL and VNNI may be used.
pub(super) fn avx512_vnni() -> bool {
    let (ebx, ecx) = leaf_7();
    saved(ZMM_STATE) && ebx & AVX512 == AVX512 && ecx & VNNI == VNNI
}

/// Whether AVX2 and FMA may be used.
pub(super) fn avx2() -> bool {
    let (ebx, _) = leaf_7();
    saved(YMM_STATE) && ebx & AVX2 == AVX2 && __cpuid(1).ecx & FMA == FMA
}

/// Whether AVX-VNNI may be used where AVX2 may.
pub(super) fn avx_vnni() -> bool {
    // The first leaf 7 says how many there are.
    __cpuid(0).eax >= 7
        && __cpuid_count(7, 0).eax >= 1
        && __cpuid_count(7, 1).eax & AVX_VNNI == AVX_VNNI
}

/// ebx and ecx of leaf 7.
fn leaf_7() -> (u32, u32) {
    if __cpuid(0).eax < 7 {
        return (0, 0);
    }
    let leaf = __cpuid_count(7, 0);
    (leaf.ebx, leaf.ecx)
}

/// Whether the operating system saves all of `state`.
fn saved(state: u64) -> bool {
    if __cpuid(1).ecx & OSXSAVE == 0 {
        return false;
    }
    // SAFETY: OSXSAVE says that the instruction exists and is allowed.
    let enabled = unsafe { xgetbv() };
    enabled & state == state
}

/// Register 0 of the extended control registers.
#[target_feature(enable = "xsave")]
fn xgetbv() -> u64 {
    // SAFETY: register 0 exists wherever the instruction does.
    unsafe { _xgetbv(0) }
}
