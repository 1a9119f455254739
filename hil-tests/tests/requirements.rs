//! What `docs/src/safety.md` promises of the loop around the control step is shown on every board. That every requirement
//! has its row and its tests is checked in `firmware/tests/safety_page.rs`.
#![forbid(unsafe_code)]

use engram_hil_tests::{Boards, cases};

#[test]
fn requirements_of_the_loop_run_on_every_board() {
    let cases = cases::all();
    for number in 14..=18 {
        let name = format!("eng_safe_{number}_");
        let mut own = cases
            .iter()
            .filter(|case| case.name.starts_with(&name))
            .peekable();
        assert!(own.peek().is_some(), "no case is called {name}...");
        assert!(own.all(|case| case.boards == Boards::All), "{name}");
    }
}
