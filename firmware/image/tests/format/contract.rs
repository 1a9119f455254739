//! Contracts: what is refused, where two of them differ, and the reward.

use engram_image::{ActionChannel, Channel, Contract, List, QuadraticReward, Reward};

use crate::sample::{ANGLE, CONTRACT, RATE, REWARD, TORQUE};

fn contract(change: fn(&mut Contract<'static>)) -> Contract<'static> {
    let mut contract = CONTRACT;
    change(&mut contract);
    contract
}

fn observation(change: fn(&mut Channel<'static>)) -> Contract<'static> {
    let mut channel = RATE;
    change(&mut channel);
    Contract {
        observations: List::from_slice(&[ANGLE, channel]),
        ..CONTRACT
    }
}

fn action(change: fn(&mut ActionChannel<'static>)) -> Contract<'static> {
    let mut channel = TORQUE;
    change(&mut channel);
    Contract {
        actions: List::from_slice(&[channel]),
        ..CONTRACT
    }
}

fn reward(change: fn(&mut QuadraticReward)) -> Contract<'static> {
    let mut reward = REWARD;
    change(&mut reward);
    Contract {
        reward: Reward::Formula(reward),
        ..CONTRACT
    }
}

#[test]
fn what_no_board_may_run() {
    assert_eq!(CONTRACT.validate(), Ok(()));
    assert_eq!(reward(|_| ()).validate(), Ok(()));
    #[track_caller]
    fn refused(contract: Contract<'_>, says: &str) {
        assert_eq!(contract.validate().unwrap_err().to_string(), says);
    }
    const NAME: &str =
        "the name of observation 1 must be 1 to 24 bytes of printable ASCII without spaces";
    each! { refused:
        contract(|c| c.period_us = 0) => "the control period is 0 us";
        contract(|c| c.observations = List::EMPTY) => "there is no observation channel";
        contract(|c| c.actions = List::EMPTY) => "there is no action channel";
        observation(|c| c.name = "") => NAME;
        observation(|c| c.name = "a b") => NAME;
        observation(|c| c.name = "rate\n") => NAME;
        observation(|c| c.name = "a-name-longer-than-allowed") => NAME;
        observation(|c| c.unit = "m/s\u{b2}") =>
            "the unit of observation 1 must be 1 to 12 bytes of printable ASCII without spaces";
        observation(|c| c.name = "angle") => "observation 1 has the name of an earlier observation";
        observation(|c| c.min = f32::NAN) => "the min of observation 1 is NaN, but must be finite";
        observation(|c| c.max = f32::INFINITY) => "the max of observation 1 is inf, but must be finite";
        observation(|c| c.max = c.min) => "the max of observation 1 is -20, but must be above min by a finite span";
        observation(|c| (c.min, c.max) = (f32::MIN, f32::MAX)) =>
            "the max of observation 1 is 3.402823e38, but must be above min by a finite span";
        action(|c| c.slew_per_s = 0.0) => "the slew_per_s of action 0 is 0, but must be finite and positive";
        action(|c| c.slew_per_s = f32::INFINITY) => "the slew_per_s of action 0 is inf, but must be finite and positive";
        action(|c| c.safe = 2.1) => "the safe of action 0 is 2.1, but must be within the range";
        action(|c| c.safe = f32::NAN) => "the safe of action 0 is NaN, but must be within the range";
        reward(|r| r.linear = List::from_slice(&[1.0])) => "reward: linear has 1 factors for 2 channels";
        reward(|r| r.linear = List::from_slice(&[1.0, f32::NAN])) => "reward: linear[1] is NaN, but must be finite";
        reward(|r| r.constant = f32::NAN) => "reward: constant[0] is NaN, but must be finite";
        reward(|r| r.action_quadratic = List::from_slice(&[3.0, 4.0])) =>
            "reward: action_quadratic has 2 factors for 1 channels";
    }
}

/// The first difference is named, shortly and in words, and the digest differs exactly where there is one.
#[test]
fn differences() {
    let own = reward(|_| ());
    #[track_caller]
    fn differs(other: Contract<'_>, short: &str, words: &str) {
        let own = match other.reward {
            Reward::External => CONTRACT,
            Reward::Formula(_) => reward(|_| ()),
        };
        let found = own.difference_in_words(&other).unwrap();
        let found = (found.difference.to_string(), found.to_string());
        assert_eq!(found, (short.into(), words.into()));
        assert_ne!(own.digest(), other.digest());
    }
    each! { differs:
        contract(|c| c.period_us = 1), "control period: 20000 us against 1 us" => "control period: 20000 us against 1 us";
        contract(|c| c.observations = List::from_slice(&[ANGLE])), "observation channels: 2 against 1" =>
            "observation channels: 2 against 1, 'rate' only in the former";
        contract(|c| c.observations = List::from_slice(&[RATE, ANGLE])), "name of observation 0" =>
            "observation 0 'angle': name 'angle' against 'rate'";
        observation(|c| c.unit = "deg/s"), "unit of observation 1" => "observation 1 'rate': unit 'rad/s' against 'deg/s'";
        observation(|c| c.min = -21.0), "min of observation 1" => "observation 1 'rate': min -20 against -21";
        observation(|c| c.max = 3.0), "max of observation 1" => "observation 1 'rate': max 20 against 3";
        action(|c| c.max = 3.0), "max of action 0" => "action 0 'torque': max 2 against 3";
        action(|c| c.slew_per_s = 41.0), "slew_per_s of action 0" => "action 0 'torque': slew_per_s 40 against 41";
        action(|c| c.safe = -0.0), "safe of action 0" => "action 0 'torque': safe 0 against -0";
        reward(|r| r.constant = 0.0), "reward" => "reward";
        reward(|r| r.linear = List::from_slice(&[1.0, -0.0])), "reward" => "reward";
        reward(|r| r.linear = List::from_slice(&[1.0])), "reward" => "reward";
        reward(|r| r.quadratic = List::from_slice(&[1.0, -0.1])), "reward" => "reward";
        reward(|r| r.action_quadratic = List::EMPTY), "reward" => "reward";
    }
    assert_eq!(own.difference(&own), None);
    let difference = own.difference(&CONTRACT).unwrap();
    assert_eq!(difference.to_string(), "reward");
    assert_ne!(own.digest(), CONTRACT.digest());
}

#[test]
fn the_numbers_of_channels_alone() {
    let own = CONTRACT;
    let blind = Contract {
        period_us: 1,
        observations: List::from_slice(&[ANGLE]),
        ..CONTRACT
    };
    let words = blind.channels_in_words(&own).unwrap().to_string();
    let says = "observation channels: 1 against 2, 'rate' only in the latter";
    assert_eq!(words, says);
    assert!(own.channels_in_words(&blind).is_some());
    let faster = action(|c| c.slew_per_s = 41.0);
    assert!(own.channels_in_words(&faster).is_none());
}

#[test]
fn reward_formula() {
    let reward = QuadraticReward {
        constant: -1.0,
        linear: List::from_slice(&[1.0, 0.0, 0.5]),
        quadratic: List::from_slice(&[0.0, -2.0, 0.0]),
        action_quadratic: List::from_slice(&[-0.25]),
    };
    let value = reward.evaluate(&[3.0, 2.0, -4.0], &[2.0]);
    assert_eq!(value, -1.0 + 3.0 - 8.0 - 2.0 - 1.0);
    assert_eq!(reward.evaluate(&[], &[]), -1.0);
}
