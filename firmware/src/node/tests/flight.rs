//! Lock-step flight: one step per message, the same words as the policy alone, retries and loss.

use super::*;
use crate::policy::{LargestMemory, Policy, WorkingMemory};
use engram_image::{Image, Reward};
use engram_link::CommandSource;

#[test]
fn every_word_is_the_policys_own() {
    let mut rig = Rig::loaded();
    rig.done(&ToBoard::Arm);
    let bytes = image(1);
    let image = Image::read(&bytes).expect("valid");
    let policy = Policy::from(&image);
    let Reward::Formula(formula) = CONTRACT.reward else {
        panic!("the test contract has a formula");
    };
    let envelope = crate::safety::Envelope::new(&CONTRACT);
    let mut memory: Box<Memory> = Box::<LargestMemory>::default();
    let mut issued = [0_i16];
    let mut words = [0_i16];
    for step in 1..=40_u32 {
        let action = rig.good_step();
        let sensors = good_sensors(rig.now_us);
        let reward = if step == 1 {
            0.0
        } else {
            formula.evaluate(&sensors.observation, &envelope.commands(&issued))
        };
        let input = WorkingMemory {
            observation: &sensors.observation,
            issued: &issued,
            reward,
            done: false,
        };
        policy
            .step(&mut memory, &input, &mut words, &mut ())
            .expect("fits");
        assert_eq!(action.words, words);
        assert_eq!(action.reward.to_bits(), reward.to_bits());
        envelope.limit(&mut issued, &words);
        assert_eq!(action.issued, issued);
        assert_eq!(action.source, CommandSource::Policy);
        assert_eq!((action.step, action.now_us), (step, rig.now_us));
        assert_eq!(action.state, State::Armed);
    }
    assert!(words != [0], "the test policy does something");
}

#[test]
fn a_retry_is_answered_again_and_makes_no_step() {
    let mut rig = Rig::flying();
    let action = rig.good_step();
    let again = rig.raw(&rig.last.clone());
    assert_eq!(again, [FromBoard::Action(action.clone())]);
    assert_eq!(rig.good_step().step, action.step + 1);
    let telemetry = rig.telemetry();
    assert_eq!(telemetry.link.repeated, 1);
    assert_eq!(telemetry.steps, action.step + 1);
}

#[test]
fn a_late_frame_is_not_carried_out() {
    let mut rig = Rig::flying();
    rig.next_period();
    let clear = rig.frame(&ToBoard::ClearMemory);
    rig.good_step();
    let newest = rig.to_board.next_sequence() - 1;
    match rig.raw(&clear).as_slice() {
        [FromBoard::Refused { reason, .. }] => {
            assert_eq!(*reason, Reason::LateFrame { newest });
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(rig.node.state(), State::Armed);
    let link = rig.telemetry().link;
    assert_eq!((link.lost, link.late), (1, 1));
}

#[test]
fn time_must_advance() {
    let mut rig = Rig::flying();
    let now_us = rig.now_us;
    for got_us in [now_us, now_us - 1, 0] {
        let expected = Reason::OutOfOrder {
            newest_us: now_us,
            got_us,
        };
        assert_eq!(rig.refused(&good(got_us)), expected);
        assert_eq!(rig.refused(&ToBoard::Tick { now_us: got_us }), expected);
    }
    assert_eq!(rig.telemetry().steps, 3);
    assert_eq!(rig.good_step().source, CommandSource::Policy);
}

#[test]
fn a_new_host_may_start_its_clock_anew() {
    let mut rig = Rig::flying();
    rig.done(&ToBoard::Disarm);
    rig.now_us = 0;
    rig.good_step();
    rig.now_us = 0;
    rig.hello(Pace::LockStep);
    rig.good_step();
    rig.done(&ToBoard::Arm);
    assert_eq!(rig.good_step().source, CommandSource::Policy);
    assert_eq!(rig.node.faults(), Faults::NONE);
}

#[test]
fn damaged_frames_are_counted_and_survived() {
    let mut rig = Rig::flying();
    let now_us = rig.next_period();
    let mut frame = rig.frame(&good(now_us));
    frame[10] ^= 0x40;
    assert!(rig.raw(&frame).is_empty());
    assert!(rig.raw(b"boot noise").is_empty());
    // The noise has no zero yet: it and the next frame are lost together.
    let now_us = rig.next_period();
    assert!(rig.send(&good(now_us)).1.is_empty());
    let action = rig.good_step();
    assert_eq!((action.step, action.state), (4, State::Armed));
    let telemetry = rig.telemetry();
    assert_eq!((telemetry.link.errors(), telemetry.link.lost), (2, 2));
    assert_eq!(telemetry.deadline_misses, 1);
}

#[test]
fn a_period_without_a_sample_holds_the_command() {
    let mut rig = Rig::flying();
    let before = rig.good_step();
    let tick = rig.empty_step();
    assert_eq!(tick.source, CommandSource::Held);
    assert_eq!((tick.words.len(), tick.issued), (0, before.issued));
    assert_eq!(rig.good_step().source, CommandSource::Policy);
}

#[test]
fn clearing_the_memory_keeps_the_trial_going() {
    let mut rig = Rig::flying();
    rig.done(&ToBoard::ClearMemory);
    let action = rig.good_step();
    assert_eq!(action.source, CommandSource::Policy);
    assert!(action.reward != 0.0);
}

#[test]
fn a_new_trial_is_like_the_first() {
    let trial = |rig: &mut Rig| {
        rig.now_us = 0;
        rig.done(&ToBoard::Arm);
        let words: Vec<_> = (0..20).map(|_| rig.good_step().issued).collect();
        rig.done(&ToBoard::Disarm);
        for _ in 0..5 {
            rig.good_step();
        }
        rig.hello(Pace::LockStep);
        words
    };
    let mut rig = Rig::loaded();
    let first = trial(&mut rig);
    assert_eq!(trial(&mut rig), first);
}
