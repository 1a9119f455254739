//! The contracts of the built-in robots, shared by boards and host.
//!
//! A contract is what plant and policy agree on: change one number here and every image that was
//! exported before is refused by every board that runs this firmware, which is the purpose.
//! A board is one robot for good: which one is decided when it is built or started, never over its link.

mod locomotion;
mod pendulum;

use engram_image::Contract;

pub use locomotion::{ANT, HALF_CHEETAH, HOPPER, WALKER};
pub use pendulum::PENDULUM;

/// A robot that boards and host know by name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Robot {
    /// The name that a board is built or started with.
    pub name: &'static str,
    /// What it is.
    pub contract: Contract<'static>,
}

/// The robot that a board is where nothing else is said.
pub const DEFAULT: Robot = ALL[0];

/// All of them.
pub const ALL: [Robot; 5] = [
    robot("pendulum", PENDULUM),
    robot("half-cheetah", HALF_CHEETAH),
    robot("ant", ANT),
    robot("walker", WALKER),
    robot("hopper", HOPPER),
];

const fn robot(name: &'static str, contract: Contract<'static>) -> Robot {
    Robot { name, contract }
}

/// The robot of that name. To be called in constants: it walks the whole table.
#[must_use]
pub const fn named(name: &str) -> Option<Robot> {
    let mut index = 0;
    while index < ALL.len() {
        if equal(ALL[index].name.as_bytes(), name.as_bytes()) {
            return Some(ALL[index]);
        }
        index += 1;
    }
    None
}

/// The robot with this contract, if it is a built-in one.
#[must_use]
pub fn with_contract(contract: &Contract<'_>) -> Option<Robot> {
    ALL.into_iter()
        .find(|robot| robot.contract.difference(contract).is_none())
}

/// Comparing text is not for constants yet.
const fn equal(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let mut index = 0;
    while index < left.len() {
        if left[index] != right[index] {
            return false;
        }
        index += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_valid_contracts_and_contracts_back_to_names() {
        for robot in ALL {
            assert_eq!(robot.contract.validate(), Ok(()), "{}", robot.name);
            assert_eq!(named(robot.name), Some(robot));
            assert_eq!(with_contract(&robot.contract), Some(robot));
        }
        assert_eq!(named("half-cheetah-vel"), None);
        let other = Contract {
            period_us: 1,
            ..PENDULUM
        };
        assert_eq!(with_contract(&other), None);
    }
}
