//! Real time: the board's timer makes the steps, messages only bring samples.

use super::*;
use engram_link::{CommandSource, Fault};

/// Armed, in real time.
pub(super) fn rig() -> Rig {
    let mut rig = Rig::silent(Pace::RealTime);
    rig.hello(Pace::RealTime);
    rig.node.install(&image(1)).expect("a good image");
    rig.done(&ToBoard::Arm);
    rig
}

/// A sample that gets no answer of its own, and its number.
pub(super) fn sensors(rig: &mut Rig, sample_us: u64) -> u32 {
    let sequence = rig.to_board.next_sequence();
    let message = ToBoard::Sensors(engram_link::Sensors {
        now_us: 0,
        ..good_sensors(sample_us)
    });
    let frame = rig.to_board.frame(&message).expect("fits").to_vec();
    assert!(rig.raw(&frame).is_empty());
    assert!(rig.raw(&frame).is_empty(), "nor does a retry");
    sequence
}

/// The next period's step.
pub(super) fn tick(rig: &mut Rig) -> Action {
    rig.now_us += PERIOD_US;
    rig.node.tick(rig.now_us);
    match rig.sent().as_slice() {
        [FromBoard::Action(action)] => action.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_tick_is_one_step_on_the_newest_sample() {
    let mut rig = rig();
    let now_us = rig.now_us;
    sensors(&mut rig, now_us + 1000);
    let newest = sensors(&mut rig, now_us + 2000);
    let action = tick(&mut rig);
    assert_eq!((action.request, action.step), (newest, 1));
    assert_eq!(action.source, CommandSource::Policy);
    let action = tick(&mut rig);
    assert_eq!(action.source, CommandSource::Held);
    assert_eq!(action.state, State::Armed);
}

#[test]
fn lock_step_messages_are_refused() {
    let mut rig = rig();
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
fn eng_safe_10_silence_ends_in_a_stop() {
    let mut rig = rig();
    let now_us = rig.now_us;
    sensors(&mut rig, now_us + 1000);
    let mut faults = Faults::NONE;
    for _ in 0..20 {
        faults = tick(&mut rig).faults;
    }
    assert!(faults.contains(Fault::SampleAge));
    assert_eq!(rig.node.state(), State::SafeStop);
}

#[test]
fn eng_safe_11_a_slow_step_is_a_miss() {
    let mut rig = rig();
    rig.node.platform().look_us = 16_000;
    for step in 1..=4_u64 {
        let now_us = rig.now_us;
        sensors(&mut rig, now_us + 1000);
        let action = tick(&mut rig);
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
