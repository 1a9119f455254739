//! QEMU's semihosting console, which is all that the program has for what it says.

#![expect(
    unsafe_code,
    reason = "semihosting calls, a symbol that does not exist, and defmt's Logger"
)]

use core::arch::asm;
use core::fmt::{Arguments, Write};

use engram_firmware::policy::BenchProgram;
use heapless::String;

const WRITE0: u32 = 0x04;
const EXIT: u32 = 0x18;
const APPLICATION_EXIT: u32 = 0x2_0026;

/// Where the bench program says what it counts.
pub(crate) struct Console;

impl BenchProgram for Console {
    fn say(&self, line: Arguments<'_>) {
        say(line);
    }
}

/// Prints one line; what does not fit is cut off.
pub(crate) fn say(line: Arguments<'_>) {
    let mut text = String::<254>::new();
    let _ = text.write_fmt(line);
    let mut bytes = [0_u8; 256];
    for (to, from) in bytes.iter_mut().zip(text.bytes().chain([b'\n'])) {
        *to = from;
    }
    call(WRITE0, bytes.as_ptr().addr() as u32);
}

/// Ends QEMU.
pub(crate) fn exit() -> ! {
    loop {
        call(EXIT, APPLICATION_EXIT);
    }
}

fn call(operation: u32, argument: u32) {
    // SAFETY: both operations only read: a text that ends in 0, or a plain number.
    unsafe {
        asm!("bkpt 0xab", inout("r0") operation => _, in("r1") argument, options(nostack));
    }
}

/// Drops every log frame.
#[defmt::global_logger]
struct Silent;

// SAFETY: nothing is shared, so nothing can be acquired twice.
unsafe impl defmt::Logger for Silent {
    fn acquire() {}

    unsafe fn flush() {}

    unsafe fn release() {}

    unsafe fn write(_: &[u8]) {}
}

#[cfg(not(feature = "prove-no-panic"))]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    say(format_args!("error {info}"));
    exit()
}

#[cfg(feature = "prove-no-panic")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        fn a_panic_is_reachable() -> !;
    }
    // SAFETY: never executed: the symbol does not exist, so that a firmware which could come here does not link.
    unsafe { a_panic_is_reachable() }
}
