//! Nowhere for log frames to go, and what to do when the program cannot go on.

#![allow(unsafe_code, reason = "the logger's interface is unsafe")]

use crate::console::{exit, say};

/// Drops every log frame: the console is all that this program has.
#[defmt::global_logger]
struct Silent;

// SAFETY: nothing is shared, so nothing can be acquired twice.
unsafe impl defmt::Logger for Silent {
    fn acquire() {}

    unsafe fn flush() {}

    unsafe fn release() {}

    unsafe fn write(_: &[u8]) {}
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    say(format_args!("error {info}"));
    exit()
}
