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
    observations: List::from_slice(&[Channel {
        name: "height",
        unit: "m",
        min: 0.0,
        max: 2.0,
    }]),
    ..CONTRACT
};

fn any_robot() -> Rig {
    let mut rig = Rig::with(ContractSource::Image, Pace::LockStep, ReportedActuators);
    rig.hello(Pace::LockStep);
    rig
}

fn step_on(rig: &mut Rig, observation: &[f32]) -> Action {
    rig.changed_step(|sensors| {
        sensors.observation = heapless::Vec::from_slice(observation).expect("fits");
        sensors.reward = Some(0.25);
    })
}

#[test]
fn a_board_of_injected_sensors_flies_by_the_contract_of_each_image() {
    let mut rig = any_robot();
    for (contract, observation) in [
        (CONTRACT, &[0.5, -0.5, 3.0][..]),
        (OTHER, &[1.5]),
        (CONTRACT, &[0.5, -0.5, 3.0]),
    ] {
        rig.node.install(&image_for(contract, 1)).expect("taken");
        assert_eq!(rig.node.period_us(), contract.period_us);
        rig.done(&ToBoard::Arm);
        for step in 0..3 {
            let action = step_on(&mut rig, observation);
            assert_eq!(action.words.len(), 1, "step {step}");
            let formula = contract.reward != Reward::External;
            assert_eq!(action.reward == 0.25, !formula && step > 0);
        }
        rig.done(&ToBoard::Disarm);
        for _ in 0..200 {
            rig.empty_step();
        }
        assert!(rig.node.is_settled());
    }
}

#[test]
fn what_another_robot_would_send_is_a_fault() {
    let mut rig = any_robot();
    rig.node.install(&image_for(OTHER, 1)).expect("taken");
    rig.done(&ToBoard::Arm);
    step_on(&mut rig, &[0.5, -0.5, 3.0]);
    assert_eq!(rig.node.faults(), Fault::ObservationCount.into());
}

#[test]
fn it_says_so_and_flies_nothing_without_an_image() {
    let mut rig = any_robot();
    let hello = rig.hello(Pace::LockStep);
    assert_eq!((hello.contract_sha256, hello.period_us), (None, 20_000));
    assert_eq!(rig.refused(&ToBoard::Arm), Reason::NoImage);
    assert!(rig.empty_step().issued.is_empty());
    let mut own = Rig::greeted();
    let hello = own.hello(Pace::LockStep);
    assert_eq!(hello.contract_sha256, Some(CONTRACT.digest()));
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
