//! What `docs/src/safety.md` promises of the loop around the control step is shown on every board. That every requirement
//! has its row and its tests is checked in `firmware/tests/safety_page.rs`.
#![forbid(unsafe_code)]

use engram_hil_tests::cases;

#[test]
fn requirements_of_the_loop_run_on_every_board() {
    let cases = cases::all();
    for number in 14..=18 {
        let name = format!("eng_safe_{number}_");
        assert!(
            cases.iter().any(|case| case.name.starts_with(&name)),
            "no case is called {name}..."
        );
    }
}
