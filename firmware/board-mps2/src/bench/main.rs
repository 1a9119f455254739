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

mod check;
mod console;
mod kernels;
#[path = "../machine.rs"]
mod machine;
// The rest of that crate brings the link's logger and panic handler, and this program has no link.
#[path = "../../../cortex-m/src/memory.rs"]
mod memory;
mod silent;

use core::fmt::Arguments;
use core::hint::black_box;

use cortex_m_rt::entry;
use engram_firmware::policy::{
    BUFFERS_BYTES, Backend, BenchProgram, Memory, Policy, count_control_steps, count_steps,
};
use engram_image::Image;
use engram_kernels::CacheLine;

use crate::console::{exit, say};
use crate::machine::MACHINE;

#[entry]
fn main() -> ! {
    static mut MEMORY: Memory<[i8; MACHINE.cache_bytes]> = Memory::new();
    static mut ROOM: [CacheLine; check::ROOM_LINES] = [CacheLine::ZERO; check::ROOM_LINES];

    region("nothing", 0, || {});
    let (mut is_own, mut spare) = (false, 0);
    let bytes = console::image();
    match Image::read(bytes) {
        Ok(image) => {
            is_own = image.packing == MACHINE.packing;
            say(format_args!("fact macs {}", image.bounds.macs_per_step));
            say(format_args!(
                "fact logical_state_bytes {}",
                image.bounds.state_bytes
            ));
            let state_bytes = Policy::from(&image).state_bytes();
            say(format_args!("fact state_bytes {state_bytes}"));
            say(format_args!("fact image_bytes {}", image.total_length));
            let cache_bytes = Policy::from(&image).cache_bytes();
            // What a board with no more cache than this policy needs would have.
            let memory_bytes = BUFFERS_BYTES + cache_bytes;
            say(format_args!("fact memory_bytes {memory_bytes}"));
            spare = size_of_val(MEMORY) - memory_bytes;
            count_steps(&ThisBoard, &image, MEMORY, |memory, input, words| {
                let policy = Policy::from(black_box(&image));
                policy.step(memory, input, words, &mut ()).is_ok()
            });
            let packed = Backend::best().pack(&image, &mut []);
            count_control_steps(&ThisBoard, (&image, bytes), (packed, &[]), MEMORY);
        }
        Err(error) => say(format_args!("error {error}")),
    }
    say(format_args!(
        "fact stack_bytes {}",
        memory::worst_stack_bytes()
    ));
    say(format_args!(
        "fact stack_limit_bytes {}",
        memory::stack_bytes()
    ));
    // Without what only the check below needs, and what other policies would need.
    let static_bytes = memory::static_bytes() - (size_of_val(ROOM) + spare) as u32;
    say(format_args!("fact static_bytes {static_bytes}"));
    kernels::count();
    // Once is enough of what takes seconds: another packing runs in plain Rust.
    if is_own {
        check::all(ROOM);
    }
    say(format_args!("end"));
    exit()
}

/// What counts the steps here.
struct ThisBoard;

impl BenchProgram for ThisBoard {
    fn say(&self, line: Arguments<'_>) {
        say(line);
    }

    fn region(&self, name: &str, macs: usize, work: impl FnOnce()) {
        region(name, macs, work);
    }
}

/// Runs `work` between the marks. `macs`: its multiply-accumulates; 0 for what has none.
pub(crate) fn region(name: &str, macs: usize, work: impl FnOnce()) {
    bench_begin();
    work();
    bench_end();
    say(format_args!("region {name} {macs}"));
}

/// The plugin's first mark.
#[inline(never)]
fn bench_begin() {
    black_box(1);
}

/// The plugin's second mark.
#[inline(never)]
fn bench_end() {
    black_box(2);
}
