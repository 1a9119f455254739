//! Tells programs built with the feature `mujoco` where the library and the models lie.

use std::env;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_MUJOCO").is_none() {
        return;
    }
    println!("cargo::rerun-if-env-changed=MUJOCO_DYNAMIC_LINK_DIR");
    if let Ok(library) = env::var("MUJOCO_DYNAMIC_LINK_DIR") {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{library}");
        let models = Path::new(&library).with_file_name("models");
        println!(
            "cargo::rustc-env=ENGRAM_MODELS_DEFAULT={}",
            models.display()
        );
    } else {
        println!("cargo::rustc-env=ENGRAM_MODELS_DEFAULT=target/mujoco/models");
    }
}
