//! QEMU's semihosting console, which is all that the program has for what it says, and the image that QEMU loaded.

#![expect(
    unsafe_code,
    reason = "semihosting calls, memory that the linker does not know, and defmt's Logger"
)]

use core::arch::asm;
use core::fmt::{Arguments, Write};

use engram_firmware::policy::BenchProgram;
use engram_image::header::{HEADER_BYTES, Header};
use engram_image::limits::IMAGE_BYTES;
use heapless::String;

use crate::machine::MACHINE;

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

/// The bytes where QEMU loads the image; the image's own header says how many of them belong to it.
pub(crate) fn image() -> &'static [u8] {
    let start = core::ptr::with_exposed_provenance::<u8>(MACHINE.image);
    // SAFETY: the script has QEMU load the image there, into readable memory that nothing writes.
    let header = unsafe { core::slice::from_raw_parts(start, HEADER_BYTES) };
    let length = Header::read(header).map_or(0, |header| header.total_length as usize);
    // SAFETY: as above; QEMU loaded the whole file.
    unsafe { core::slice::from_raw_parts(start, length.min(IMAGE_BYTES)) }
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

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    say(format_args!("error {info}"));
    exit()
}
