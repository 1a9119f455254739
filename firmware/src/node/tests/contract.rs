//! Boards whose contract comes with each image, and those that keep their own.

use super::pace::Motor;
use super::*;
use crate::tests_support::image_for;
use engram_image::{Channel, List, Reward};
use engram_link::Fault;

/// Another robot: two observations instead of three, another period, another reward.
const OTHER: Contract<'static> = Contract {
    period_us: 5_000,
    reward: Reward::External,
    observations: List::from_slice(&[Channel::new("height", "m", [0.0, 2.0])]),
    ..CONTRACT
};

fn any_robot() -> Rig {
    let mut rig = Rig::with(ContractSource::Image, Pace::LockStep, ReportedActuators);
    rig.hello(Pace::LockStep);
    rig
}

#[test]
fn it_says_so_and_flies_nothing_without_an_image() {
    let mut rig = any_robot();
    let hello = rig.hello(Pace::LockStep);
    assert_eq!((hello.contract_sha256, hello.period_us), (None, 20_000));
    assert_eq!(rig.refused(&ToBoard::Arm), Reason::NoImage);
    assert!(rig.empty_step().issued.is_empty());
}

#[test]
fn faults_stay_latched_when_the_contract_changes() {
    let mut rig = any_robot();
    rig.node.install(&image(1)).expect("taken");
    rig.node.control().latch(Fault::ImageCorrupt);
    rig.node.install(&image_for(OTHER, 1)).expect("taken");
    assert_eq!(rig.node.faults(), Fault::ImageCorrupt.into());
}

#[test]
fn with_a_real_motor_no_image_is_taken_without_a_contract() {
    let install = |contract| {
        let mut rig = Rig::with(contract, Pace::RealTime, Motor::default());
        rig.node.install(&image(1))
    };
    match install(ContractSource::Image) {
        Err(Reason::Image { stage, text }) => {
            assert_eq!(stage, engram_link::ImageStage::Contract);
            assert!(text.contains("without a contract"), "{text}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(install(OWN), Ok(()));
}
