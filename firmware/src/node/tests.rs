//! The node as a host sees it: bytes in, bytes out.

extern crate std;

mod arbitrary;
mod contract;
mod flight;
mod hosts;
mod line;
mod pace;
mod real_time;
mod trial;
mod upload;

use super::*;
use crate::fallback::NoFallback;
use crate::injected::{InjectedSensors, ReportedActuators};
use crate::platform::{Clock, Identity};
use crate::policy::LargestMemory;
use crate::signature::PublicKey;
use crate::store::RamStore;
use crate::tests_support::{CONTRACT, image};
use engram_link::{
    Command, FromBoardDecoder, HelloReply, PROTOCOL_VERSION, RequestedPace, Telemetry, ToBoard,
    UploadChunk, UploadProgress,
};
use sha2::{Digest, Sha256};
use std::boxed::Box;
use std::vec::Vec;

const PERIOD_US: u64 = 20_000;

/// The contract of most boards under test.
const OWN: ContractSource = ContractSource::Board {
    contract: &CONTRACT,
    settings: Settings::for_period(20_000),
};

/// A clock that the test moves.
#[derive(Default)]
struct TestBoard {
    now_us: u64,
    /// How much each look at the clock takes.
    look_us: u64,
}

impl Clock for TestBoard {
    fn now_us(&mut self) -> u64 {
        self.now_us += self.look_us;
        self.now_us
    }
}

impl Platform for TestBoard {
    fn identity(&self) -> Identity {
        Identity {
            board: "test",
            firmware: "engram-firmware test",
            stack_bytes: 1000,
            ram_bytes: 2000,
        }
    }

    fn worst_stack_bytes(&mut self) -> u32 {
        500
    }
}

type TestNode<A, I> = Node<InjectedSensors, A, NoFallback, I, Box<Memory>, TestBoard>;

/// A node and a host that talks to it.
struct Rig<A = ReportedActuators, I = RamStore<Vec<u8>>> {
    node: TestNode<A, I>,
    to_board: Encoder,
    from_board: FromBoardDecoder,
    /// The bytes of the frame made last.
    last: Vec<u8>,
    now_us: u64,
}

impl Rig {
    /// Before hello.
    fn silent(pace: Pace) -> Self {
        Self::with(OWN, pace, ReportedActuators)
    }

    /// Greeted, in lock-step, without an image.
    fn greeted() -> Self {
        let mut rig = Self::silent(Pace::LockStep);
        rig.hello(Pace::LockStep);
        rig
    }

    /// Greeted, in lock-step, with image 1.
    fn loaded() -> Self {
        let mut rig = Self::greeted();
        rig.node.install(&image(1)).expect("a good image");
        rig
    }

    /// Armed and three steps old.
    fn flying() -> Self {
        let mut rig = Self::loaded();
        rig.done(&ToBoard::Arm);
        for _ in 0..3 {
            rig.good_step();
        }
        rig
    }

    /// Armed, in real time.
    fn in_real_time() -> Self {
        let mut rig = Self::silent(Pace::RealTime);
        rig.hello(Pace::RealTime);
        rig.node.install(&image(1)).expect("a good image");
        rig.done(&ToBoard::Arm);
        rig
    }
}

impl<A: Actuators> Rig<A> {
    /// Before hello.
    fn with(contract: ContractSource, pace: Pace, actuators: A) -> Self {
        let store = RamStore::new(std::vec![0; 20_000], std::vec![0; 20_000]);
        Self::over(contract, pace, actuators, store, None)
    }
}

impl<A: Actuators, I: ImageStore> Rig<A, I> {
    /// The same over another store.
    fn over(
        contract: ContractSource,
        pace: Pace,
        actuators: A,
        store: I,
        key: Option<PublicKey>,
    ) -> Self {
        Self {
            node: Node::new(Parts {
                contract,
                key,
                pace,
                sensors: InjectedSensors::new(),
                actuators,
                fallback: NoFallback,
                store,
                memory: Box::<LargestMemory>::default(),
                platform: TestBoard::default(),
            }),
            to_board: Encoder::new(),
            from_board: FromBoardDecoder::new(),
            last: Vec::new(),
            now_us: 0,
        }
    }

    /// The host's next frame.
    fn frame(&mut self, message: &ToBoard) -> Vec<u8> {
        self.last = self.to_board.frame(message).expect("fits").to_vec();
        self.last.clone()
    }

    /// Raw bytes to the node; all messages that come back.
    fn raw(&mut self, bytes: &[u8]) -> Vec<FromBoard> {
        self.node.receive(bytes);
        self.sent()
    }

    /// One message to the node, its number, and all messages that come back.
    fn send(&mut self, message: &ToBoard) -> (u32, Vec<FromBoard>) {
        let number = self.to_board.next_sequence();
        let frame = self.frame(message);
        (number, self.raw(&frame))
    }

    /// All messages that the node has to send.
    fn sent(&mut self) -> Vec<FromBoard> {
        let mut messages = Vec::new();
        while !self.node.outgoing().front().is_empty() {
            let front = self.node.outgoing().front().to_vec();
            self.node.outgoing().taken(front.len());
            let frames = front.iter().filter_map(|byte| self.from_board.push(*byte));
            messages.extend(frames.map(|frame| frame.expect("intact").message));
        }
        messages
    }

    /// One message to the node and its only answer, which names it.
    fn ask(&mut self, message: &ToBoard) -> FromBoard {
        let (number, mut answers) = self.send(message);
        assert_eq!(answers.len(), 1, "{message:?}: {answers:?}");
        let answer = answers.remove(0);
        assert_eq!(answer.request(), Some(number));
        answer
    }

    /// Must be done.
    fn done(&mut self, message: &ToBoard) {
        match self.ask(message) {
            FromBoard::Done { command, .. } => assert_eq!(command, message.command()),
            other => panic!("{message:?}: {other:?}"),
        }
    }

    /// Must be refused.
    fn refused(&mut self, message: &ToBoard) -> Reason {
        match self.ask(message) {
            FromBoard::Refused {
                command, reason, ..
            } => {
                assert_eq!(command, message.command());
                reason
            }
            other => panic!("{message:?}: {other:?}"),
        }
    }

    fn hello(&mut self, pace: impl Into<RequestedPace>) -> HelloReply {
        match self.ask(&hello(pace.into())) {
            FromBoard::Hello(reply) => reply,
            other => panic!("{other:?}"),
        }
    }

    fn telemetry(&mut self) -> Telemetry {
        match self.ask(&ToBoard::Telemetry) {
            FromBoard::Telemetry(telemetry) => telemetry,
            other => panic!("{other:?}"),
        }
    }

    fn action(&mut self, message: &ToBoard) -> Action {
        match self.ask(message) {
            FromBoard::Action(action) => action,
            other => panic!("{message:?}: {other:?}"),
        }
    }

    fn progress(&mut self, message: &ToBoard) -> UploadProgress {
        match self.ask(message) {
            FromBoard::UploadProgress(progress) => progress,
            other => panic!("{message:?}: {other:?}"),
        }
    }

    /// Uploads what is missing of an image; not the commit.
    fn upload(&mut self, image: &[u8]) {
        let mut offset = self.progress(&begin(image)).offset as usize;
        while offset < image.len() {
            offset = self.progress(&chunk(image, offset)).offset as usize;
        }
    }

    fn next_period(&mut self) -> u64 {
        self.now_us += u64::from(self.node.period_us());
        self.now_us
    }

    /// Lock-step: the next period with a good sample.
    fn good_step(&mut self) -> Action {
        self.changed_step(|_| {})
    }

    /// The same with a sample that is no longer good.
    fn changed_step(&mut self, change: impl FnOnce(&mut engram_link::Sensors)) -> Action {
        let mut sensors = good_sensors(self.next_period());
        change(&mut sensors);
        self.action(&ToBoard::Sensors(sensors))
    }

    /// Lock-step: the next period without a sample.
    fn empty_step(&mut self) -> Action {
        let now_us = self.next_period();
        self.action(&ToBoard::Tick { now_us })
    }

    /// Real time: a sample of the next millisecond, which gets no answer of its own, and its number.
    fn sample(&mut self) -> u32 {
        let message = ToBoard::Sensors(engram_link::Sensors {
            now_us: 0,
            ..good_sensors(self.now_us + 1_000)
        });
        let (number, answers) = self.send(&message);
        assert!(answers.is_empty());
        assert!(self.raw(&self.last.clone()).is_empty(), "nor does a retry");
        number
    }

    /// Real time: the next period's step.
    fn tick(&mut self) -> Action {
        let now_us = self.next_period();
        self.node.tick(now_us);
        match self.sent().as_slice() {
            [FromBoard::Action(action)] => action.clone(),
            other => panic!("{other:?}"),
        }
    }
}

fn hello(pace: RequestedPace) -> ToBoard {
    ToBoard::Hello {
        protocol: PROTOCOL_VERSION,
        pace,
    }
}

/// A sample that passes all checks and changes from step to step.
fn good_sensors(now_us: u64) -> engram_link::Sensors {
    let phase = (now_us / PERIOD_US % 10) as f32 / 10.0;
    engram_link::Sensors {
        now_us,
        sample_us: now_us,
        observation: heapless::Vec::from_slice(&[phase, 1.0 - phase, phase * 8.0 - 4.0])
            .expect("fits"),
        reward: None,
        done: false,
    }
}

fn good(now_us: u64) -> ToBoard {
    ToBoard::Sensors(good_sensors(now_us))
}

fn begin(image: &[u8]) -> ToBoard {
    ToBoard::UploadBegin {
        length: u32::try_from(image.len()).expect("short"),
        sha256: Sha256::digest(image).into(),
    }
}

fn chunk(image: &[u8], offset: usize) -> ToBoard {
    let end = image.len().min(offset + 512);
    ToBoard::UploadChunk(UploadChunk {
        offset: u32::try_from(offset).expect("short"),
        data: heapless::Vec::from_slice(&image[offset..end]).expect("fits"),
    })
}

#[test]
fn hello_says_who_the_board_is() {
    let mut rig = Rig::silent(Pace::RealTime);
    let reply = rig.hello(Pace::LockStep);
    assert_eq!(reply.board.as_str(), "test");
    assert_eq!(reply.contract_sha256, Some(CONTRACT.digest()));
    assert_eq!((reply.pace, reply.period_us), (Pace::LockStep, 20_000));
    assert_eq!(reply.weights_sha256, None);
    assert_eq!(reply.image_bytes, 20_000);
    rig.node.install(&image(1)).expect("a good image");
    let reply = rig.hello(Pace::LockStep);
    assert_eq!(reply.weights_sha256, rig.telemetry().weights_sha256);
}

#[test]
fn telemetry_counts_and_checks_the_weights() {
    let mut rig = Rig::flying();
    let flying = rig.telemetry();
    assert!(!flying.weights_checked);
    assert_eq!((flying.steps, flying.policy_steps), (3, 3));
    assert_eq!((flying.stack_bytes, flying.worst_stack_bytes), (1000, 500));
    rig.done(&ToBoard::Disarm);
    let disarmed = rig.telemetry();
    assert!(disarmed.weights_checked);
    assert!(disarmed.weights_sha256.is_some());
    assert_eq!(disarmed.weights_sha256, flying.weights_sha256);
}

#[test]
fn commands_are_answered_by_their_kind() {
    let mut rig = Rig::loaded();
    rig.done(&ToBoard::Arm);
    assert_eq!(
        rig.refused(&ToBoard::Arm),
        Reason::NotDisarmed(State::Armed)
    );
    assert_eq!(
        rig.refused(&ToBoard::ResetFaults),
        Reason::NotStopped(State::Armed)
    );
    rig.done(&ToBoard::ClearMemory);
    rig.done(&ToBoard::Disarm);
    rig.done(&ToBoard::Disarm);
    rig.done(&ToBoard::ResetFaults);
    assert_eq!(rig.refused(&ToBoard::UploadStatus), Reason::NoUpload);
    assert_eq!(rig.refused(&ToBoard::UploadCommit), Reason::NoUpload);
}

#[test]
fn eng_safe_13_an_image_that_changed_in_place_is_dropped() {
    let mut rig = Rig::flying();
    rig.done(&ToBoard::Disarm);
    rig.node.slots.damage_active();
    let telemetry = rig.telemetry();
    assert_eq!(telemetry.weights_sha256, None);
    assert!(!telemetry.weights_checked);
    assert_eq!(telemetry.faults, engram_link::Fault::ImageCorrupt.into());
    rig.done(&ToBoard::ResetFaults);
    assert_eq!(rig.refused(&ToBoard::Arm), Reason::NoImage);
    rig.node.install(&image(1)).expect("a good image");
    rig.done(&ToBoard::Arm);
}
