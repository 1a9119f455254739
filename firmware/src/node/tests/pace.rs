//! ENG-SAFE-15 and 18: who makes control steps, and how far one may move.

use super::*;
use crate::DriverError;
use engram_link::CommandSource;

#[test]
fn eng_safe_15_the_pace_is_fixed_in_flight_and_until_the_command_is_safe() {
    let mut rig = Rig::in_real_time();
    rig.sample();
    let flying = rig.tick();
    assert_ne!(flying.issued[0], 0);
    let lock_step = hello(RequestedPace::LockStep);
    assert_eq!(rig.refused(&lock_step), Reason::PaceFixed(State::Armed));
    assert_eq!(rig.hello(Pace::RealTime).state, State::Armed);
    rig.done(&ToBoard::Disarm);
    assert_eq!(rig.refused(&lock_step), Reason::NotSettled);
    // Steps go on whatever was asked for, and lead to the safe command.
    for _ in 0..10 {
        assert_eq!(rig.tick().source, CommandSource::Safe);
    }
    assert_eq!(rig.hello(Pace::LockStep).pace, Pace::LockStep);
}

#[test]
fn eng_safe_15_a_hello_may_leave_the_pace_as_it_is() {
    for pace in [Pace::LockStep, Pace::RealTime] {
        let mut rig = Rig::silent(pace);
        let reply = rig.hello(RequestedPace::Unchanged);
        assert_eq!((reply.pace, reply.lock_step), (pace, true));
    }
}

/// Actuators that move something.
#[derive(Default)]
pub(super) struct Motor(Vec<f32>);

impl Actuators for Motor {
    fn write(&mut self, command: &[f32]) -> Result<(), DriverError> {
        self.0.push(command[0]);
        Ok(())
    }
}

#[test]
fn eng_safe_15_a_board_that_moves_something_has_no_lock_step() {
    // A mistake in a board's `main` must not cost the control loop.
    let mut rig = Rig::with(OWN, Pace::LockStep, Motor::default());
    assert_eq!(rig.node.pace(), Pace::RealTime);
    let reason = rig.refused(&hello(RequestedPace::LockStep));
    assert_eq!(reason, Reason::NoLockStep);
    rig.node.tick(PERIOD_US);
    let reply = rig.hello(RequestedPace::Unchanged);
    assert_eq!((reply.pace, reply.lock_step), (Pace::RealTime, false));
    rig.now_us = PERIOD_US;
    rig.tick();
    let written = rig.node.control().actuators().0.len();
    assert_eq!(written, 2, "a write in every step");
}

#[test]
fn eng_safe_15_an_image_is_verified_only_where_the_command_is_safe() {
    let mut rig = Rig::in_real_time();
    uploaded_on_the_way(&mut rig);
    assert!(!rig.telemetry().weights_checked, "no time for that now");
    let (request, answers) = rig.send(&ToBoard::UploadCommit);
    assert!(answers.is_empty());
    let again = rig.raw(&rig.last.clone());
    assert!(again.is_empty(), "nor does a retry bring an answer");
    let [mut steps, mut at_rest] = [0, 0];
    let answers = loop {
        let now_us = rig.next_period();
        rig.node.tick(now_us);
        steps += 1;
        at_rest += u8::from(rig.node.control().issued()[0] == 0);
        let answers = rig.sent();
        // A board's watchdog has heard of the landing by then.
        let may_pause = at_rest == RESTING_STEPS;
        assert_eq!(answers.len(), 1 + usize::from(may_pause), "{answers:?}");
        if may_pause {
            break answers;
        }
    };
    assert!(steps < 10);
    // Answers overtake telemetry.
    let command = Command::UploadCommit;
    assert_eq!(answers[0], FromBoard::Done { request, command });
    assert!(rig.telemetry().weights_checked);
}

/// Disarmed in real time, on the way to the safe command, with all of an image uploaded.
fn uploaded_on_the_way(rig: &mut Rig) {
    rig.sample();
    assert_ne!(rig.tick().issued[0], 0);
    rig.done(&ToBoard::Disarm);
    rig.upload(&image(2));
}

#[test]
fn eng_safe_15_every_commit_that_waits_is_answered_once() {
    let mut rig = Rig::in_real_time();
    uploaded_on_the_way(&mut rig);
    let (first, answers) = rig.send(&ToBoard::UploadCommit);
    assert!(answers.is_empty());
    let (second, answers) = rig.send(&ToBoard::UploadCommit);
    let command = Command::UploadCommit;
    let refused = |request, reason| FromBoard::Refused {
        request,
        command,
        reason,
    };
    assert_eq!(answers, [refused(first, Reason::NotSettled)]);
    // Whoever arms meanwhile has not lost it in silence; his own answer can be asked for again.
    let (request, answers) = rig.send(&ToBoard::Arm);
    let armed = FromBoard::Done {
        request,
        command: Command::Arm,
    };
    let not_disarmed = Reason::NotDisarmed(State::Armed);
    assert_eq!(answers, [refused(second, not_disarmed), armed.clone()]);
    assert_eq!(rig.raw(&rig.last.clone()), [armed]);
    // The image is still there for a commit in its time.
    rig.done(&ToBoard::Disarm);
    for _ in 0..10 {
        rig.tick();
    }
    rig.done(&ToBoard::UploadCommit);
}

#[test]
fn eng_safe_15_weights_are_verified_once_between_two_steps() {
    let mut rig = Rig::in_real_time();
    rig.done(&ToBoard::Disarm);
    for _ in 0..10 {
        rig.tick();
    }
    assert!(rig.telemetry().weights_checked);
    for _ in 0..100 {
        assert!(!rig.telemetry().weights_checked);
    }
    rig.tick();
    assert!(rig.telemetry().weights_checked);
}

#[test]
fn eng_safe_18_no_disarm_or_hello_makes_time_for_a_step() {
    let mut rig = Rig::loaded();
    let mut now_us = 1_000_000;
    rig.action(&good(now_us));
    let mut last = 0;
    for turn in 0..40 {
        rig.done(&ToBoard::Arm);
        now_us += 1;
        let action = rig.action(&good(now_us));
        let moved = (i32::from(action.issued[0]) - last).abs();
        assert!(moved <= 1, "turn {turn}: {moved} words in a microsecond");
        last = i32::from(action.issued[0]);
        rig.done(&ToBoard::Disarm);
        rig.hello(Pace::LockStep);
    }
}
