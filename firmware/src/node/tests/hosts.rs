//! ENG-SAFE-16 and 17: disarm is always taken, and hosts do not take each other's answers for their own.

use super::*;
use engram_link::encode;
use engram_link::limits::MAX_FRAME_BYTES;

/// A frame with a number of the test's choosing.
fn numbered(sequence: u32, message: &ToBoard) -> Vec<u8> {
    let mut out = [0; MAX_FRAME_BYTES];
    let length = encode(sequence, message, &mut out).expect("fits");
    out[..length].to_vec()
}

/// The answer to `message` under this number.
fn answer(rig: &mut Rig, sequence: u32, message: &ToBoard) -> FromBoard {
    let answers = rig.raw(&numbered(sequence, message));
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers[0].request(), Some(sequence));
    answers[0].clone()
}

fn disarms(rig: &mut Rig, sequence: u32) {
    let answer = answer(rig, sequence, &ToBoard::Disarm);
    let command = Command::Disarm;
    assert_eq!(
        answer,
        FromBoard::Done {
            request: sequence,
            command
        }
    );
    assert_eq!(rig.node.state(), State::Disarmed);
}

#[test]
fn eng_safe_16_disarm_is_taken_before_any_hello() {
    let mut rig = Rig::silent(Pace::RealTime);
    rig.node.install(&image(1)).expect("a good image");
    rig.node.arm().expect("armed by the board itself");
    rig.done(&ToBoard::Disarm);
    assert_eq!(rig.node.state(), State::Disarmed);
    assert_eq!(rig.refused(&ToBoard::Arm), Reason::NoHello);
}

#[test]
fn eng_safe_16_disarm_is_taken_in_every_state() {
    let mut rig = Rig::in_real_time();
    for steps in 0..30 {
        // No samples come: from armed through hold to safe stop.
        for _ in 0..steps {
            rig.tick();
        }
        disarms(&mut rig, 3_000_000_000 + steps);
        rig.done(&ToBoard::ResetFaults);
        rig.done(&ToBoard::Arm);
    }
}

#[test]
fn eng_safe_17_the_frames_of_another_conversation_are_refused_and_disturb_nothing() {
    let mut rig = Rig::in_real_time();
    let newest = rig.to_board.next_sequence().wrapping_sub(1);
    for stray in [
        newest.wrapping_add(40_000),
        3_000_000_000,
        newest.wrapping_sub(5),
    ] {
        let FromBoard::Refused { reason, .. } = answer(&mut rig, stray, &ToBoard::ResetFaults)
        else {
            panic!("{stray} was taken")
        };
        assert_eq!(reason, Reason::LateFrame { newest });
    }
    let request = rig.sample();
    assert_eq!(rig.tick().request, request);
}

#[test]
fn eng_safe_17_a_hello_of_another_host_is_answered_by_its_number_and_stops_nothing() {
    let mut rig = Rig::in_real_time();
    let hellos = [
        hello(RequestedPace::Unchanged),
        hello(RequestedPace::RealTime),
        hello(RequestedPace::LockStep), // refused
        ToBoard::Hello {
            protocol: 1, // refused
            pace: RequestedPace::LockStep,
        },
    ];
    for (stray, message) in (3_000_000_000..).zip(&hellos) {
        let reply = answer(&mut rig, stray, message);
        assert!(matches!(
            reply,
            FromBoard::Hello(_) | FromBoard::Refused { .. }
        ));
        // The host that flies goes on under its own numbers.
        for _ in 0..5 {
            let request = rig.sample();
            let action = rig.tick();
            assert_eq!(
                (action.request, action.state),
                (request, State::Armed),
                "{message:?}"
            );
        }
    }
    assert_eq!(rig.telemetry().link.late, 0);
}

#[test]
fn eng_safe_17_where_nothing_flies_a_hello_begins_a_conversation() {
    let mut rig = Rig::in_real_time();
    let refused = answer(&mut rig, 3_000_000_001, &ToBoard::ResetFaults);
    assert!(matches!(refused, FromBoard::Refused { .. }));
    disarms(&mut rig, 3_000_000_002);
    answer(&mut rig, 3_000_000_003, &hello(RequestedPace::Unchanged));
    let done = answer(&mut rig, 3_000_000_004, &ToBoard::ResetFaults);
    assert!(matches!(done, FromBoard::Done { .. }), "{done:?}");
}
