//! What must be true of every board.

mod conversation;
mod endings;
mod flight;
mod safety;
mod upload;

use anyhow::Result;

use crate::Rig;

/// One thing that must be true.
#[derive(Clone, Copy)]
pub struct Case {
    /// Name; stamped with the board's for the test list.
    pub name: &'static str,
    /// Fails with the reason.
    pub run: fn(&Rig) -> Result<()>,
    /// Needs a controller that only the loopback board can be (another contract).
    pub loopback_only: bool,
}

const fn case(name: &'static str, run: fn(&Rig) -> Result<()>) -> Case {
    Case {
        name,
        run,
        loopback_only: false,
    }
}

const fn loopback_case(name: &'static str, run: fn(&Rig) -> Result<()>) -> Case {
    Case {
        name,
        run,
        loopback_only: true,
    }
}

/// All cases.
#[must_use]
pub fn all() -> Vec<Case> {
    [
        conversation::CASES,
        flight::CASES,
        upload::CASES,
        safety::CASES,
        endings::CASES,
    ]
    .concat()
}
