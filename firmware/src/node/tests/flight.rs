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
