//! Counts what a control step costs on this processor: run by `engram bench --board` in qemu-aarch64.
//!
//! `engram-bench-linux IMAGE [PATH]`, on the fastest path where none is named, does one thing after another between two marks, which a QEMU plugin recognises
//! by their addresses, and names each of these regions on the standard output. Every run executes the same
//! instructions between marks.
#![forbid(unsafe_code)]

use std::fmt::Arguments;
use std::hint::black_box;
use std::process::ExitCode;

use engram_firmware::policy::{
    Backend, BenchProgram, CacheLine, LargestMemory, Memory, WorkingMemory, count_control_steps,
    count_steps,
};
use engram_image::Image;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (file, name) = (arguments.next(), arguments.next());
    let path = match &name {
        Some(name) => Backend::ALL.into_iter().find(|path| path.name() == name),
        None => Some(Backend::best()),
    };
    let (Some(file), Some(path)) = (file, path) else {
        eprintln!("engram-bench-linux IMAGE [PATH]");
        return ExitCode::FAILURE;
    };
    ThisMachine.region("nothing", 0, || {});
    match std::fs::read(&file) {
        Ok(bytes) => match Image::read(&bytes) {
            Ok(image) => count(&image, &bytes, path),
            Err(error) => println!("error {error}"),
        },
        Err(error) => println!("error {file}: {error}"),
    }
    ExitCode::SUCCESS
}

/// Counts steps on `path`.
fn count(image: &Image<'_>, bytes: &[u8], path: Backend) {
    let mut lines = vec![CacheLine::ZERO; path.lines(image)];
    let packed = path.pack(image, &mut lines);
    let policy = packed.policy(image, &lines);
    let mut memory: Box<Memory> = Box::<LargestMemory>::default();
    println!("path {}", policy.backend());
    println!("fact packed_bytes {}", size_of_val(&*lines));
    let step = |memory: &mut Memory, input: &WorkingMemory<'_>, words: &mut [i16]| {
        black_box(&policy)
            .step(memory, input, words, &mut ())
            .is_ok()
    };
    count_steps(&ThisMachine, image, &policy, &mut memory, step);
    count_control_steps(&ThisMachine, (image, bytes), (packed, &lines), &mut memory);
    println!("end");
}

/// What counts the steps here.
struct ThisMachine;

impl BenchProgram for ThisMachine {
    fn say(&self, line: Arguments<'_>) {
        println!("{line}");
    }
}
