//! Whatever comes over the link, in whatever order: one answer each, no panic, and nothing that the
//! ladder or the envelope forbid.

use super::*;
use engram_link::{CommandSource, limits::MAX_OBSERVATIONS};
use proptest::collection::vec;
use proptest::prelude::*;
use std::vec;

/// Mostly the usual, so that flights last; everything else now and then.
fn messages() -> impl Strategy<Value = ToBoard> {
    let any_sensors = (
        any::<u64>(),
        any::<u64>(),
        vec(any::<f32>(), 0..=MAX_OBSERVATIONS),
        any::<Option<f32>>(),
        any::<bool>(),
    )
        .prop_map(|(now_us, sample_us, observation, reward, done)| {
            ToBoard::Sensors(engram_link::Sensors {
                now_us,
                sample_us,
                observation: heapless::Vec::from_slice(&observation).expect("fits"),
                reward,
                done,
            })
        });
    let chunk = (any::<u32>(), 0..4_usize).prop_map(|(any, at)| {
        let image = image(2);
        match at {
            0 => chunk(&image, 0),
            1 => chunk(&image, 512),
            _ => ToBoard::UploadChunk(UploadChunk {
                offset: any >> 20,
                data: heapless::Vec::from_slice(&image[..512]).expect("fits"),
            }),
        }
    });
    prop_oneof![
        30 => Just(ToBoard::Sensors(engram_link::Sensors::default())),
        3 => any_sensors,
        3 => chunk,
        2 => any::<u64>().prop_map(|now_us| ToBoard::Tick { now_us: now_us >> 40 }),
        3 => Just(ToBoard::Arm),
        1 => Just(ToBoard::Disarm),
        2 => Just(ToBoard::ResetFaults),
        1 => Just(ToBoard::ClearMemory),
        1 => Just(begin(&image(2))),
        1 => Just(ToBoard::UploadCommit),
        1 => Just(ToBoard::UploadStatus),
        1 => Just(ToBoard::Telemetry),
        1 => any::<u16>().prop_map(|v| ToBoard::Hello { protocol: v & 3, pace: RequestedPace::LockStep }),
    ]
}

/// The edges of the picture in `docs/src/wire-format.md` that one control step can take.
fn step_may_lead(from: State, to: State) -> bool {
    from == to
        || matches!(
            (from, to),
            (State::Armed, State::Hold) | (State::Hold, State::SafeStop)
        )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_conversation_keeps_ladder_and_envelope(script in vec(messages(), 1..150)) {
        let mut rig = Rig::loaded();
        let mut issued = 0_i32;
        for message in script {
            let message = match message {
                ToBoard::Sensors(sensors) if sensors.observation.is_empty() => {
                    rig.now_us = rig.node.control().last_us().unwrap_or(0).saturating_add(PERIOD_US);
                    good(rig.now_us)
                }
                other => other,
            };
            let before = rig.node.state();
            if let FromBoard::Action(action) = rig.ask(&message) {
                prop_assert!(step_may_lead(before, action.state), "{before} -> {}", action.state);
                let new = i32::from(action.issued[0]);
                prop_assert!((new - issued).abs() <= 13_106 && new.abs() <= 32_767);
                issued = new;
                prop_assert_eq!(action.words.is_empty(), action.source != CommandSource::Policy);
                if action.source == CommandSource::Policy {
                    prop_assert_eq!((before, action.state), (State::Armed, State::Armed));
                    prop_assert!(action.faults.is_empty());
                }
                if action.state == State::Hold {
                    prop_assert!(!action.faults.is_empty());
                }
            }
        }
    }

    #[test]
    fn arbitrary_bytes_do_nothing(garbage in vec(any::<u8>(), 0..2000)) {
        let mut rig = Rig::flying();
        let answers = rig.raw(&garbage);
        prop_assert!(answers.is_empty());
        rig.raw(&[0]);
        prop_assert_eq!(rig.good_step().step, 4);
        prop_assert_eq!(rig.node.state(), State::Armed);
    }
}
