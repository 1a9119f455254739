//! Faults over the link: the ladder as the host sees it.

use super::*;
use engram_link::{CommandSource, Fault};

fn changed(rig: &mut Rig, change: impl FnOnce(&mut engram_link::Sensors)) -> Action {
    rig.now_us += PERIOD_US;
    let mut sensors = good_sensors(rig.now_us);
    change(&mut sensors);
    rig.action(&ToBoard::Sensors(sensors))
}

#[test]
fn a_fault_latches_until_it_is_reset() {
    let mut rig = Rig::flying();
    let action = changed(&mut rig, |s| s.observation[0] = f32::NAN);
    assert_eq!(action.state, State::Hold);
    assert_eq!(action.faults, Fault::NonFinite.into());
    assert_eq!(action.source, CommandSource::Held);
    assert_eq!(rig.good_step().state, State::SafeStop);
    assert_eq!(
        rig.refused(&ToBoard::Arm),
        Reason::NotDisarmed(State::SafeStop)
    );
    rig.done(&ToBoard::Disarm);
    assert_eq!(
        rig.refused(&ToBoard::Arm),
        Reason::FaultsLatched(Fault::NonFinite.into())
    );
    rig.done(&ToBoard::ResetFaults);
    rig.done(&ToBoard::Arm);
    assert_eq!(rig.good_step().source, CommandSource::Policy);
}

#[test]
fn eng_safe_04_a_frozen_sensor_is_noticed() {
    let mut rig = Rig::flying();
    let frozen = rig.now_us;
    let action = changed(&mut rig, |s| s.sample_us = frozen);
    assert_eq!(action.faults, Fault::SampleRepeated.into());
}

#[test]
fn eng_safe_05_lost_samples_end_in_a_stop() {
    let mut rig = Rig::flying();
    let mut states = Vec::new();
    for _ in 0..10 {
        rig.now_us += PERIOD_US;
        states.push(rig.action(&ToBoard::Tick { now_us: rig.now_us }).state);
    }
    assert_eq!(states[..2], [State::Armed; 2]);
    assert_eq!(states[2], State::Hold);
    assert_eq!(states[3..], [State::SafeStop; 7]);
    assert_eq!(rig.node.faults(), Fault::SampleAge.into());
}

#[test]
fn eng_safe_10_a_cut_link_is_noticed_when_it_is_back() {
    let mut rig = Rig::flying();
    rig.now_us += 10 * PERIOD_US;
    let action = rig.good_step();
    assert_eq!(action.state, State::Hold);
    assert!(action.faults.contains(Fault::LinkLoss));
    assert_eq!(action.source, CommandSource::Held);
}

#[test]
fn eng_safe_13_an_image_that_changed_in_place_is_dropped() {
    let mut rig = Rig::flying();
    rig.done(&ToBoard::Disarm);
    rig.node.slots.damage_active();
    let telemetry = rig.telemetry();
    assert_eq!(telemetry.weights_sha256, None);
    assert!(!telemetry.weights_checked);
    assert_eq!(telemetry.faults, Fault::ImageCorrupt.into());
    rig.done(&ToBoard::ResetFaults);
    assert_eq!(rig.refused(&ToBoard::Arm), Reason::NoImage);
    rig.node.install(&image(1)).expect("a good image");
    rig.done(&ToBoard::Arm);
}
