//! Every safety requirement has its line in `docs/src/safety.md` and a test that injects its fault.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};

use engram_link::Fault;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The text of every Rust file under `folder`.
fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            if !path.ends_with("target") {
                sources(&path, text);
            }
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            text.push_str(&fs::read_to_string(&path).expect("text"));
        }
    }
}

#[test]
fn every_requirement_is_documented_and_tested() {
    let safety = fs::read_to_string(root().join("docs/src/safety.md")).expect("the safety page");
    let mut tests = String::new();
    for folder in ["firmware/src", "hil-tests/src"] {
        sources(&root().join(folder), &mut tests);
    }
    for fault in Fault::ALL {
        let requirement = fault.requirement();
        assert!(
            safety.contains(requirement),
            "docs/src/safety.md has no line for {requirement}"
        );
        let name = requirement.to_lowercase().replace('-', "_");
        let is_test =
            tests.contains(&format!("fn {name}_")) || tests.contains(&format!("\"{name}_"));
        assert!(is_test, "{requirement}: no test is called {name}_...");
    }
}

/// What holds for the loop around the control step is shown on every board.
#[test]
fn requirements_of_the_loop_are_documented_and_run_on_every_board() {
    let safety = fs::read_to_string(root().join("docs/src/safety.md")).expect("the safety page");
    let cases = engram_hil_tests::cases::all();
    for number in 14..=18 {
        let line = format!("| ENG-SAFE-{number} |");
        assert!(
            safety.contains(&line),
            "docs/src/safety.md has no line {line}"
        );
        let name = format!("eng_safe_{number}_");
        let mut own = cases
            .iter()
            .filter(|case| case.name.starts_with(&name))
            .peekable();
        assert!(own.peek().is_some(), "no case is called {name}...");
        assert!(
            own.all(|case| case.boards == engram_hil_tests::Boards::All),
            "{name}"
        );
    }
}
