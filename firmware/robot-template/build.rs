//! Hands the board's linker scripts to the linker; nothing to do for any target but bare metal.

fn main() {
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        for argument in ["-Tlink.x", "-Tdefmt.x", "--gc-sections"] {
            println!("cargo::rustc-link-arg-bins={argument}");
        }
    }
}
