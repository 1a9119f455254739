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
    /// Where it can be tried.
    pub boards: Boards,
}

/// The boards that a case is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boards {
    /// All of them.
    All,
    /// Those that are started here, as any built-in robot: what waits on a port is the pendulum.
    Started,
    /// Loopback: it can be any robot.
    Loopback,
}

const fn case(name: &'static str, run: fn(&Rig) -> Result<()>) -> Case {
    Case {
        name,
        run,
        boards: Boards::All,
    }
}

const fn loopback_case(name: &'static str, run: fn(&Rig) -> Result<()>) -> Case {
    Case {
        name,
        run,
        boards: Boards::Loopback,
    }
}

const fn started_case(name: &'static str, run: fn(&Rig) -> Result<()>) -> Case {
    Case {
        name,
        run,
        boards: Boards::Started,
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
        control_loop::CASES,
        endings::CASES,
        cost::CASES,
        #[cfg(feature = "mujoco")]
        locomotion::CASES,
    ]
    .concat()
}
