//! The build script of boards with a Cortex-M: hands their linker scripts to the linker; nothing to do for any target but bare metal.

use std::{env, fs, path::PathBuf};

fn main() {
    let board = match env::var_os("CARGO_FEATURE_M55") {
        Some(_) => "memory-m55.x",
        None => "memory.x",
    };
    println!("cargo::rerun-if-changed={board}");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::copy(board, out.join("memory.x")).expect("the board's memory.x can be copied");
    println!("cargo::rustc-link-search={}", out.display());
    for argument in ["-Tlink.x", "-Tdefmt.x", "--gc-sections"] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}
