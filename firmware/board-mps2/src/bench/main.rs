//! Counts what a control step and each kernel cost: run by `engram bench --board` in QEMU.
//!
//! An image lies at a fixed address, where QEMU loads it. The program does one thing after another
//! between two marks, which a QEMU plugin recognises by their addresses, and names each of these
//! regions on the semihosting console. It has no link, no clock and no interrupts, so that every
//! run executes the same instructions.
#![no_std]
#![no_main]

#[cfg(not(target_os = "none"))]
compile_error!("this is a firmware: scripts/count-instructions builds it");

mod console;
mod kernels;
mod loaded;
#[path = "../machine.rs"]
mod machine;
// The rest of that crate brings the link's logger and panic handler, and this program has no link.
#[path = "../../../cortex-m/src/memory.rs"]
mod memory;

use core::hint::black_box;

use cortex_m_rt::entry;
use engram_firmware::policy::{
    BUFFERS_BYTES, Backend, BenchProgram as _, Memory, Policy, count_control_steps, count_steps,
};
use engram_image::Image;
use engram_kernels::CacheLine;

use crate::console::{Console, exit, say};
use crate::machine::MACHINE;

#[entry]
fn main() -> ! {
    static mut MEMORY: Memory<[i8; MACHINE.cache_bytes]> = Memory::new();
    static mut ROOM: [CacheLine; kernels::ROOM_LINES] = [CacheLine::ZERO; kernels::ROOM_LINES];

    Console.region("nothing", 0, || {});
    let (mut is_own, mut spare) = (false, 0);
    let bytes = loaded::image();
    match Image::read(bytes) {
        Ok(image) => {
            is_own = image.packing == MACHINE.packing;
            let policy = Policy::from(&image);
            spare = size_of_val(MEMORY) - BUFFERS_BYTES - policy.cache_bytes();
            count_steps(&Console, &image, &policy, MEMORY, |memory, input, words| {
                let policy = Policy::from(black_box(&image));
                policy.step(memory, input, words, &mut ()).is_ok()
            });
            let packed = Backend::best().pack(&image, &mut []);
            count_control_steps(&Console, (&image, bytes), (packed, &[]), MEMORY);
        }
        Err(error) => say(format_args!("error {error}")),
    }
    // Without what only the check below needs, and what other policies would need.
    let static_bytes = memory::static_bytes() - (size_of_val(ROOM) + spare) as u32;
    for (name, bytes) in [
        ("stack_bytes", memory::worst_stack_bytes()),
        ("stack_limit_bytes", memory::stack_bytes()),
        ("static_bytes", static_bytes),
    ] {
        say(format_args!("fact {name} {bytes}"));
    }
    kernels::count();
    // Once is enough of what takes seconds: another packing runs in plain Rust.
    if is_own {
        kernels::check(ROOM);
    }
    say(format_args!("end"));
    exit()
}
