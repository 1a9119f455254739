//! What the firmware occupies: worst stack depth so far, and static RAM.
//!
//! cortex-m-rt paints the stack before `main` (feature `paint-stack`); the lowest address that
//! has lost its paint is the deepest the stack has been.

#![expect(
    unsafe_code,
    reason = "reads the linker's symbols and the painted stack"
)]

use cortex_m_rt::STACK_PAINT_VALUE;

unsafe extern "C" {
    static _stack_end: u32;
    static _stack_start: u32;
    static __sdata: u32;
    static __euninit: u32;
}

/// Bytes reserved for the stack.
pub(crate) fn stack_bytes() -> u32 {
    ((&raw const _stack_start).addr() - (&raw const _stack_end).addr()) as u32
}

/// Bytes of stack that have ever been in use. Walks the untouched part: not for every step.
pub(crate) fn worst_stack_bytes() -> u32 {
    let top = (&raw const _stack_start).addr();
    let mut lowest = &raw const _stack_end;
    while lowest.addr() < top {
        // SAFETY: `lowest` lies between the two ends of the stack, which is mapped RAM and aligned;
        // volatile, because the part below the stack pointer belongs to no Rust object.
        if unsafe { lowest.read_volatile() } != STACK_PAINT_VALUE {
            break;
        }
        lowest = lowest.wrapping_add(1);
    }
    (top - lowest.addr()) as u32
}

/// Bytes of static data: `.data`, `.bss` and `.uninit`, without the stack.
pub(crate) fn static_bytes() -> u32 {
    ((&raw const __euninit).addr() - (&raw const __sdata).addr()) as u32
}
