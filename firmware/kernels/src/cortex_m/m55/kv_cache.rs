//! Where keys and values of a token lie in the KV cache of one layer, all heads.

use core::arch::naked_asm;

use super::LANES;

/// Bytes of a block: eight channels of eight positions.
pub(super) const BLOCK: usize = LANES * LANES;

/// Puts the keys of all heads at their position; a head has `of_head` bytes.
#[inline]
pub(super) fn store_keys(
    keys: &mut [i8],
    token: &[i8],
    width: usize,
    position: usize,
    of_head: usize,
) {
    let heads = token.len().checked_div(width).unwrap_or(0);
    let start = position.saturating_mul(width);
    let inside =
        start.saturating_add(width) <= of_head && of_head.saturating_mul(heads) <= keys.len();
    if heads == 0 || !inside {
        return;
    }
    let to = keys.as_mut_ptr().wrapping_add(start);
    // SAFETY: there are `heads` times `of_head` bytes, in each `width` from `start`; `token` holds `width` for each.
    unsafe { copy_rows(to, token.as_ptr(), width, heads, of_head) };
}

/// Puts the values of a token at `position` of all heads: `[channel / 8][position / 8][8][8]`, with
/// so many `positions` in a head, a multiple of eight.
pub(super) fn store_values(values: &mut [i8], token: &[i8], position: usize, positions: usize) {
    let stride = positions.wrapping_mul(LANES);
    let eights = token.len() / LANES;
    let first = (position / LANES)
        .wrapping_mul(BLOCK)
        .wrapping_add(position % LANES);
    if eights == 0 || position >= positions || stride.saturating_mul(eights) > values.len() {
        return;
    }
    let to = values.as_mut_ptr().wrapping_add(first);
    // SAFETY: every eight channels have `stride` bytes, and `first` plus 56 lies in such a stretch; `token` holds them
    // all.
    unsafe { scatter(to, token.as_ptr(), eights, stride) };
}

/// `rows` times `width` bytes, in `to` so many bytes apart, in `from` one behind the other.
///
/// # Safety
/// So many bytes may be read and written; both are at least 1.
#[unsafe(naked)]
unsafe extern "C" fn copy_rows(
    to: *mut i8,
    from: *const i8,
    width: usize,
    rows: usize,
    apart: usize,
) {
    naked_asm!(
        cpu!(),
        "push {{r4-r6, lr}}",
        "ldr r6, [sp, #16]",
        "2:",
        "mov r4, r0",
        "mov r5, r1",
        "dlstp.8 lr, r2",
        "3:",
        "vldrb.u8 q0, [r5], #16",
        "vstrb.8 q0, [r4], #16",
        "letp lr, 3b",
        "add r0, r6",
        "add r1, r2",
        "subs r3, #1",
        "bne 2b",
        "pop {{r4-r6, pc}}",
    )
}

/// q0 values of eight channels, q1 where they go: eight bytes apart.
///
/// # Safety
/// `token` holds `eights` times eight channels, at least eight; behind `to` there are so many stretches
/// of `stride` bytes, of which 57 may be written.
#[unsafe(naked)]
unsafe extern "C" fn scatter(to: *mut i8, token: *const i8, eights: usize, stride: usize) {
    naked_asm!(
        cpu!(),
        "push {{r7, lr}}",
        "mov.w r12, #0",
        "vidup.u16 q1, r12, #8",
        "dls lr, r2",
        "2:",
        "vldrb.u16 q0, [r1], #8",
        "vstrb.16 q0, [r0, q1]",
        "add r0, r3",
        "le lr, 2b",
        "pop {{r7, pc}}",
    )
}
