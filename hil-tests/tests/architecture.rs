//! The invariants of `docs/src/architecture.md` that can be read off the source tree.
//!
//! Nothing here runs the program: these tests fail when somebody adds an arrow between crates,
//! a room that is too large, or `unsafe` without an address.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use engram_hil_tests::cases;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A `.rs` file of the project.
struct Source {
    /// From the root on.
    path: String,
    text: String,
}

/// All of them, build outputs left out.
fn sources() -> Vec<Source> {
    fn walk(folder: &Path, found: &mut Vec<Source>) {
        for entry in fs::read_dir(folder).expect("a readable folder") {
            let file = entry.expect("a readable entry").path();
            if file.is_dir() {
                if !file.ends_with("target") {
                    walk(&file, found);
                }
            } else if file.extension().is_some_and(|ending| ending == "rs") {
                let path = file.strip_prefix(root()).unwrap_or(&file);
                found.push(Source {
                    path: path.display().to_string(),
                    text: fs::read_to_string(&file).expect("text"),
                });
            }
        }
    }
    let mut found = Vec::new();
    for folder in [
        "firmware",
        "host",
        "model-export",
        "hil-tests",
        "benches",
        "examples",
    ] {
        walk(&root().join(folder), &mut found);
    }
    assert!(found.len() > 50, "only {} source files found", found.len());
    found
}

/// Which crates of ours each crate may use (tests and examples included).
const ARROWS: &[(&str, &[&str])] = &[
    ("firmware/kernels", &[]),
    ("firmware/image", &["kernels"]),
    ("firmware/link", &[]),
    ("firmware", &["kernels", "image", "link"]),
    ("firmware/drivers", &["firmware", "image"]),
    ("firmware/cortex-m", &["firmware", "link"]),
    (
        "firmware/board-mps2",
        &[
            "cortex-m", "drivers", "firmware", "kernels", "image", "link",
        ],
    ),
    (
        "firmware/board-stm32f405",
        &["cortex-m", "firmware", "link"],
    ),
    (
        "firmware/board-stm32h743",
        &["cortex-m", "firmware", "image", "link"],
    ),
    (
        "firmware/board-linux",
        &["firmware", "kernels", "image", "link"],
    ),
    (
        "firmware/robot-template",
        &[
            "board-stm32f405",
            "drivers",
            "firmware",
            "kernels",
            "image",
            "link",
        ],
    ),
    ("model-export", &["firmware", "kernels", "image"]),
    ("host/plants", &["firmware", "kernels", "image"]),
    (
        "host/train",
        &["plants", "export", "firmware", "kernels", "image"],
    ),
    (
        "host/flight",
        &["plants", "export", "firmware", "kernels", "image", "link"],
    ),
    (
        "host",
        &[
            "plants", "train", "flight", "export", "firmware", "kernels", "image", "link",
        ],
    ),
    (
        "hil-tests",
        &[
            "flight",
            "plants",
            "export",
            "robot-template",
            "firmware",
            "kernels",
            "image",
            "link",
        ],
    ),
    ("benches/peers", &["export", "firmware", "kernels", "image"]),
    // Somebody else's crate, as the book shows it.
    ("examples/servo", &["host", "plants", "image"]),
];

fn manifest(folder: &str) -> toml::Table {
    let file = root().join(folder).join("Cargo.toml");
    let text = fs::read_to_string(file).expect("a manifest");
    text.parse().expect("a valid manifest")
}

#[test]
fn no_arrow_between_crates_but_the_documented_ones() {
    fn table<'t>(
        of: &'t toml::Table,
        name: &str,
    ) -> impl Iterator<Item = (&'t String, &'t toml::Value)> {
        of.get(name)
            .and_then(toml::Value::as_table)
            .into_iter()
            .flatten()
    }
    for (folder, allowed) in ARROWS {
        let manifest = manifest(folder);
        // A microcontroller's crate has all of its dependencies under `[target.…]`.
        let targets = table(&manifest, "target").filter_map(|(_, target)| target.as_table());
        for section in targets.chain([&manifest]) {
            let names = ["dependencies", "dev-dependencies", "build-dependencies"]
                .into_iter()
                .flat_map(|kind| table(section, kind));
            for (name, _) in names {
                let ours = match name.strip_prefix("engram-") {
                    Some(short) => short,
                    None if name == "engram" => "host",
                    None => {
                        // Boards and benchmarks are programs of their own.
                        let owner = match name.as_str() {
                            "clap" if !folder.starts_with("firmware/") => "host",
                            "candle-core" => "host/train",
                            _ => continue,
                        };
                        if *folder == "benches/peers" {
                            continue;
                        }
                        assert_eq!(folder, &owner, "{folder}: only {owner} knows {name}");
                        continue;
                    }
                };
                // A crate that turns on its own features for its tests is no arrow.
                assert!(
                    allowed.contains(&ours) || folder.ends_with(ours),
                    "{folder}: {name} is an arrow that docs/src/architecture.md does not have"
                );
            }
        }
    }
    // Those that are apart have a lock file of their own; fuzz targets belong to the crate that they lie in.
    let workspace = manifest("");
    let listed = ["members", "exclude"].map(|key| workspace["workspace"][key].as_array());
    let listed: BTreeSet<&str> = listed
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(toml::Value::as_str)
        .filter(|folder| !folder.ends_with("/fuzz"))
        .collect();
    assert_eq!(
        listed,
        ARROWS.iter().map(|(folder, _)| *folder).collect(),
        "a member without a row in ARROWS, or the other way round"
    );
}

#[test]
fn rooms_are_small() {
    let mut lengths = Vec::new();
    for Source { path, text } in sources() {
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or("");
        let lines = code.lines().count();
        let is_test = path.split('/').any(|part| part == "tests");
        assert!(
            is_test || lines <= 600,
            "{path}: {lines} lines without its tests"
        );
        lengths.push(lines);
    }
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    assert!(median < 200, "the median file has {median} lines");
}

/// What a robot's author writes stays little: the template is the measure. Blank lines, comments and tests do not count.
#[test]
fn a_robot_takes_few_lines_of_its_own() {
    let mut count = 0;
    for Source { path, text } in sources() {
        let is_code =
            path.starts_with("firmware/robot-template/src") && !path.ends_with("tests.rs");
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or("");
        let lines = code.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("//"));
        count += if is_code { lines.count() } else { 0 };
    }
    assert!((50..=150).contains(&count), "{count} lines");
}

#[test]
fn unsafe_has_an_address() {
    for Source { path, text } in sources() {
        let lives_here = ["firmware/kernels/", "firmware/cortex-m/", "firmware/board-"]
            .iter()
            .any(|folder| path.starts_with(folder));
        // MuJoCo takes its log handler, and a model that its owner changes, through unsafe calls alone.
        let is_named = ["log", "task_model"]
            .map(|name| format!("host/plants/src/mujoco/{name}.rs"))
            .contains(&path);
        let has_block = text
            .lines()
            .map(|line| line.split("//").next().unwrap_or(""))
            .flat_map(|code| code.split(|c: char| !c.is_alphanumeric() && c != '_'))
            .any(|word| word == "unsafe");
        // This file and the lints only name the word.
        let names_only = path.ends_with("architecture.rs");
        assert!(
            !has_block || lives_here || is_named || names_only,
            "{path}: unsafe outside its address"
        );
        let is_crate = path.ends_with("src/lib.rs") || path.ends_with("src/main.rs");
        // libFuzzer's entry point is an exported symbol, which its macro cannot make without.
        let is_fuzz_target = path.contains("/fuzz/");
        if is_crate && !lives_here && !is_fuzz_target {
            assert!(
                text.contains("#![forbid(unsafe_code)]")
                    || text
                        .contains("#![cfg_attr(not(feature = \"mujoco\"), forbid(unsafe_code))]"),
                "{path}: does not forbid unsafe"
            );
        }
    }
}

#[test]
fn no_crate_is_a_drawer() {
    for Source { path, .. } in sources() {
        let drawer = path.trim_end_matches(".rs").split('/').find(|part| {
            let drawers = ["utils", "util", "common", "helpers", "misc"];
            drawers.contains(part)
        });
        assert_eq!(drawer, None, "{path}: name it after what it holds");
    }
}

/// What `docs/src/safety.md` promises of the loop around the control step is shown on every board. That every requirement
/// has its row and its tests is checked in `firmware/tests/safety_page.rs`.
#[test]
fn requirements_of_the_loop_run_on_every_board() {
    let cases = cases::all();
    for number in 14..=19 {
        let name = format!("eng_safe_{number}_");
        assert!(
            cases.iter().any(|case| case.name.starts_with(&name)),
            "no case is called {name}..."
        );
    }
}
