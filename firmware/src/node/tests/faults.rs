//! Faults over the link: the ladder as the host sees it.

use super::*;
use engram_link::{CommandSource, Fault};

#[test]
fn a_fault_latches_until_it_is_reset() {
    let mut rig = Rig::flying();
    let action = rig.changed_step(|s| s.observation[0] = f32::NAN);
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
