//! Real time: the board's timer makes the steps, messages only bring samples.

use super::*;
use engram_link::{CommandSource, Fault};

#[test]
fn each_tick_is_one_step_on_the_newest_sample() {
    let mut rig = Rig::in_real_time();
    rig.sample();
    rig.now_us += 1;
    let newest = rig.sample();
    let action = rig.tick();
    assert_eq!((action.request, action.step), (newest, 1));
    assert_eq!(action.source, CommandSource::Policy);
    let action = rig.tick();
    assert_eq!(action.source, CommandSource::Held);
    assert_eq!(action.state, State::Armed);
}

#[test]
fn lock_step_messages_are_refused() {
    let mut rig = Rig::in_real_time();
    assert_eq!(
        rig.refused(&ToBoard::Tick { now_us: 5 }),
        Reason::NotLockStep
    );
}

#[test]
fn the_timer_makes_no_steps_in_lock_step() {
    let mut rig = Rig::flying();
    rig.node.tick(1_000_000);
    assert!(rig.sent().is_empty());
    assert_eq!(rig.telemetry().steps, 3);
}

#[test]
fn eng_safe_11_a_slow_step_is_a_miss() {
    let mut rig = Rig::in_real_time();
    rig.node.platform().look_us = 16_000;
    for step in 1..=4_u64 {
        rig.sample();
        let action = rig.tick();
        let state = if step == 4 { State::Hold } else { State::Armed };
        assert_eq!(action.state, state, "step {step}");
    }
    assert_eq!(rig.node.faults(), Fault::DeadlineMisses.into());
    assert_eq!(rig.telemetry().worst_step_us, 16_000);
}

#[test]
fn without_a_host_the_board_flies_and_says_nothing() {
    let mut rig = Rig::silent(Pace::RealTime);
    rig.node.install(&image(1)).expect("a good image");
    assert_eq!(rig.node.arm(), Ok(()));
    rig.node.tick(PERIOD_US);
    assert!(rig.sent().is_empty());
    assert_eq!(rig.node.control().counters().steps, 1);
}
