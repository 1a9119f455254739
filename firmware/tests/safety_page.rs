//! `docs/src/safety.md` and the code agree: every requirement has its row, with the right bit and with
//! tests that exist.

use engram_link::Fault;
use std::path::Path;

/// Requirements of the loop around the control step: they follow those of the faults and have no bit.
const OF_THE_LOOP: std::ops::RangeInclusive<usize> = 14..=19;

/// The text of all sources below a folder.
fn sources(folder: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            text += &sources(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text += &std::fs::read_to_string(&path).expect("a source can be read");
        }
    }
    text
}

/// The texts between backticks in `row` that look like names of tests.
fn tests_named(row: &str) -> impl Iterator<Item = &str> {
    let last = row.trim_end_matches('|').rsplit('|').next();
    last.unwrap_or_default().split('`').skip(1).step_by(2)
}

#[test]
fn every_requirement_has_its_row_and_its_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let code = sources(&root.join("src")) + &sources(&root.join("../hil-tests/src/cases"));
    let page = std::fs::read_to_string(root.join("../docs/src/safety.md")).expect("the page");
    let of_a_step = Fault::ALL.iter().map(|fault| {
        let bit = fault.bit().trailing_zeros();
        (fault.requirement().to_owned(), format!("{bit} |"))
    });
    let of_the_loop = OF_THE_LOOP.map(|number| (format!("ENG-SAFE-{number}"), String::new()));
    for (id, bit) in of_a_step.chain(of_the_loop) {
        let start = format!("| {id} | {bit}");
        let row = page.lines().find(|line| line.starts_with(&start));
        let row = row.unwrap_or_else(|| panic!("safety.md has no row that begins `{start}`"));
        let own = id.to_lowercase().replace('-', "_");
        assert!(
            tests_named(row).any(|name| name.starts_with(&own)),
            "{id} names no test of its own"
        );
    }
    for name in page
        .lines()
        .filter(|line| line.starts_with("| "))
        .flat_map(tests_named)
    {
        assert!(
            code.contains(&format!("fn {name}(")),
            "safety.md names the test `{name}`, which does not exist"
        );
    }
    let rows = page.lines().filter(|line| line.starts_with("| ENG-SAFE-"));
    assert_eq!(rows.count(), Fault::ALL.len() + OF_THE_LOOP.count());
}
