//! Tells programs built with the feature `mujoco` where the library, its plugins and the models lie.

use std::env;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_MUJOCO").is_none() {
        return;
    }
    println!("cargo::rerun-if-env-changed=MUJOCO_DYNAMIC_LINK_DIR");
    let given = env::var("MUJOCO_DYNAMIC_LINK_DIR");
    if let Ok(library) = &given {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{library}");
    }
    let library = given.unwrap_or_else(|_| "target/mujoco/lib".to_owned());
    for (name, folder) in [("MODELS", "models"), ("PLUGINS", "plugin")] {
        let at = Path::new(&library).with_file_name(folder);
        println!("cargo::rustc-env=ENGRAM_{name}_DEFAULT={}", at.display());
    }
}
