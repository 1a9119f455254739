//! What must be true of every board.

mod control_loop;
mod conversation;
mod cost;
mod endings;
mod flight;
#[cfg(feature = "mujoco")]
mod locomotion;
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
}

const fn case(name: &'static str, run: fn(&Rig) -> Result<()>) -> Case {
    Case { name, run }
}

/// All cases.
#[must_use]
pub fn all() -> Vec<Case> {
    [
        conversation::CASES,
        flight::CASES,
        upload::CASES,
        safety::CASES,
        control_loop::CASES,
        endings::CASES,
        cost::CASES,
        #[cfg(feature = "mujoco")]
        locomotion::CASES,
    ]
    .concat()
}
