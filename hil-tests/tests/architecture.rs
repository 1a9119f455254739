//! The invariants of `docs/src/architecture.md` that can be read off the source tree.
//!
//! Nothing here runs the program: these tests fail when somebody adds an arrow between crates,
//! a room that is too large, or `unsafe` without an address.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every `.rs` file of the project, build outputs left out.
fn sources() -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a readable folder") {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() {
                if !path.ends_with("target") {
                    walk(&path, found);
                }
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    for folder in ["firmware", "host", "model-export", "hil-tests", "benches"] {
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
    ("firmware/cortex-m", &["firmware", "link"]),
    (
        "firmware/board-mps2",
        &["cortex-m", "firmware", "kernels", "image", "link"],
    ),
    (
        "firmware/board-stm32f405",
        &["cortex-m", "firmware", "link"],
    ),
    (
        "firmware/board-linux",
        &["firmware", "kernels", "image", "link"],
    ),
    (
        "firmware/robot-template",
        &["firmware", "kernels", "image", "link"],
    ),
    ("model-export", &["firmware", "kernels", "image"]),
    ("host", &["export", "firmware", "kernels", "image", "link"]),
    (
        "hil-tests",
        &["host", "export", "firmware", "kernels", "image", "link"],
    ),
    ("benches/peers", &["export", "firmware", "kernels", "image"]),
];

#[test]
fn no_arrow_between_crates_but_the_documented_ones() {
    let mut members = BTreeSet::new();
    for (folder, allowed) in ARROWS {
        members.insert((*folder).to_owned());
        let text = fs::read_to_string(root().join(folder).join("Cargo.toml")).expect("a manifest");
        let manifest: toml::Table = text.parse().expect("a valid manifest");
        // A microcontroller's crate has all of its dependencies under `[target.…]`.
        let targets = manifest.get("target").and_then(toml::Value::as_table);
        let targets = targets.into_iter().flat_map(toml::Table::values);
        let tables: Vec<&toml::Table> = targets
            .filter_map(toml::Value::as_table)
            .chain([&manifest])
            .collect();
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let listed = tables.iter().filter_map(|table| table.get(section));
            for name in listed
                .filter_map(toml::Value::as_table)
                .flat_map(toml::Table::keys)
            {
                let ours = match name.as_str() {
                    "engram" => "host",
                    other => match other.strip_prefix("engram-") {
                        Some(short) => short,
                        None => continue,
                    },
                };
                // A crate that turns on its own features for its tests is no arrow.
                assert!(
                    allowed.contains(&ours) || folder.ends_with(ours),
                    "{folder}: [{section}] {name} is an arrow that docs/src/architecture.md does not have"
                );
            }
        }
    }
    let workspace: toml::Table = fs::read_to_string(root().join("Cargo.toml"))
        .expect("the workspace manifest")
        .parse()
        .expect("a valid manifest");
    let folders = |key: &str| -> Vec<String> {
        let listed = workspace["workspace"][key].as_array().expect("folders");
        let folders = listed.iter().map(|folder| folder.as_str().expect("a path"));
        folders.map(str::to_owned).collect()
    };
    let mut listed = BTreeSet::from_iter(folders("members"));
    // Those with a lock file of their own; fuzz targets belong to the crate that they lie in.
    let apart = folders("exclude");
    listed.extend(
        apart
            .into_iter()
            .filter(|folder| !folder.ends_with("/fuzz")),
    );
    assert_eq!(
        listed, members,
        "a member without a row in ARROWS, or the other way round"
    );
}

#[test]
fn rooms_are_small() {
    let mut lengths = Vec::new();
    for path in sources() {
        let text = fs::read_to_string(&path).expect("text");
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or("");
        let lines = code.lines().count();
        let is_test = path.components().any(|part| part.as_os_str() == "tests");
        assert!(
            is_test || lines <= 600,
            "{}: {lines} lines without its tests",
            path.display()
        );
        lengths.push(lines);
    }
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    assert!(median < 200, "the median file has {median} lines");
}

#[test]
fn unsafe_has_an_address() {
    for path in sources() {
        let shown = path
            .strip_prefix(root())
            .unwrap_or(&path)
            .display()
            .to_string();
        let text = fs::read_to_string(&path).expect("text");
        let lives_here = ["firmware/kernels/", "firmware/cortex-m/", "firmware/board-"]
            .iter()
            .any(|folder| shown.contains(folder));
        // MuJoCo takes its log handler, and a model that its owner changes, through unsafe calls alone.
        let is_named = ["log", "task_model"]
            .map(|name| format!("host/src/plant/mujoco/{name}.rs"))
            .contains(&shown);
        let blocks = text
            .lines()
            .map(|line| line.split("//").next().unwrap_or(""))
            .filter(|code| {
                code.split(|c: char| !c.is_alphanumeric() && c != '_')
                    .any(|word| word == "unsafe")
            })
            .count();
        // This file and the lints only name the word.
        let names_only = shown.ends_with("architecture.rs");
        assert!(
            blocks == 0 || lives_here || is_named || names_only,
            "{shown}: unsafe outside its address"
        );
        let is_crate = shown.ends_with("src/lib.rs") || shown.ends_with("src/main.rs");
        // libFuzzer's entry point is an exported symbol, which its macro cannot make without.
        let is_fuzz_target = shown.contains("/fuzz/");
        if is_crate && !lives_here && !is_fuzz_target {
            assert!(
                text.contains("#![forbid(unsafe_code)]")
                    || text
                        .contains("#![cfg_attr(not(feature = \"mujoco\"), forbid(unsafe_code))]"),
                "{shown}: does not forbid unsafe"
            );
        }
    }
}

#[test]
fn no_crate_is_a_drawer() {
    for path in sources() {
        for part in path.components() {
            let name = part.as_os_str().to_string_lossy();
            let stem = name.trim_end_matches(".rs");
            assert!(
                !["utils", "util", "common", "helpers", "misc"].contains(&stem),
                "{}: name it after what it holds",
                path.display()
            );
        }
    }
}

/// `./test` runs the tests of the feature by the word in their names.
#[test]
fn tests_that_need_mujoco_are_found_by_its_name() {
    let mut seen = 0;
    for path in sources() {
        let text = fs::read_to_string(&path).expect("text");
        if !text.contains("#![cfg(feature = \"mujoco\")]") {
            continue;
        }
        let lines: Vec<&str> = text.lines().collect();
        for pair in lines.windows(2).filter(|pair| pair[0] == "#[test]") {
            assert!(
                pair[1].contains("mujoco"),
                "{}: {}",
                path.display(),
                pair[1]
            );
            seen += 1;
        }
    }
    assert!(seen >= 5, "only {seen} such tests found");
}
