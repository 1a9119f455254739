//! What must be true of every board.

/// Cases that are called as their functions are.
macro_rules! cases {
    ($($name:ident),+ $(,)?) => {
        &[$($crate::Case { name: stringify!($name), run: $name }),+]
    };
}

mod control_loop;
mod conversation;
mod cost;
mod endings;
mod flight;
mod linux_machine;
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

/// Cases that only a build with the feature `mujoco` can run.
pub const WITH_MUJOCO: &[Case] = locomotion::CASES;

/// All cases that this build can run.
#[must_use]
pub fn all() -> Vec<Case> {
    [
        conversation::CASES,
        flight::CASES,
        upload::CASES,
        safety::CASES,
        control_loop::CASES,
        endings::CASES,
        linux_machine::CASES,
        cost::CASES,
        if cfg!(feature = "mujoco") {
            WITH_MUJOCO
        } else {
            &[]
        },
    ]
    .concat()
}
