//! Shape M on this board's memory map: uploaded to the model of its flash, found after a reset, flown from there; and what has room beside it.

use super::super::{Flash, IMAGE_SECTORS, SECTOR_BYTES};
use super::Part;
use engram_firmware::fallback::NoFallback;
use engram_firmware::flash::FlashStore;
use engram_firmware::injected::{InjectedSensors, ReportedActuators};
use engram_firmware::node::{ContractSource, Node, Parts};
use engram_firmware::platform::{Clock, Identity, Platform};
use engram_firmware::policy::{Memory, random_golden};
use engram_firmware::process::heap_memory;
use engram_firmware::store::{ImageStore, RamStore};
use engram_image::write::{write, write_packed};
use engram_image::{Image, ModelConfig, Packing, random, shapes};
use engram_link::{
    Encoder, FromBoard, FromBoardDecoder, PROTOCOL_VERSION, Pace, Reason, Sensors, ToBoard,
    UploadChunk,
};
use sha2::{Digest, Sha256};

/// Time stands still: in lock-step the messages carry it.
struct Still;

impl Clock for Still {
    fn now_us(&mut self) -> u64 {
        0
    }
}

impl Platform for Still {
    fn identity(&self) -> Identity {
        Identity {
            board: "stm32h743",
            firmware: "test",
            stack_bytes: 0,
            ram_bytes: 0,
        }
    }
}

/// A node as `main.rs` has it, and its host.
struct Rig<I> {
    node: Node<InjectedSensors, ReportedActuators, NoFallback, I, Box<Memory>, Still>,
    to_board: Encoder,
    from_board: FromBoardDecoder,
    now_us: u64,
}

impl<I: ImageStore> Rig<I> {
    fn over(store: I) -> Self {
        let node = Node::new(Parts {
            contract: ContractSource::Image,
            key: None,
            pace: Pace::LockStep,
            sensors: InjectedSensors::new(),
            actuators: ReportedActuators,
            fallback: NoFallback,
            store,
            memory: heap_memory(),
            platform: Still,
        });
        Self {
            node,
            to_board: Encoder::new(),
            from_board: FromBoardDecoder::new(),
            now_us: 0,
        }
    }

    fn ask(&mut self, message: &ToBoard) -> FromBoard {
        let frame = self.to_board.frame(message).expect("fits").to_vec();
        self.node.receive(&frame);
        let mut answers = Vec::new();
        while !self.node.outgoing().front().is_empty() {
            let front = self.node.outgoing().front().to_vec();
            self.node.outgoing().taken(front.len());
            let frames = front.iter().filter_map(|byte| self.from_board.push(*byte));
            answers.extend(frames.map(|frame| frame.expect("intact").message));
        }
        assert_eq!(answers.len(), 1, "{message:?}: {answers:?}");
        answers.remove(0)
    }

    /// Says hello; returns how much an image may have.
    fn hello(&mut self) -> u32 {
        let hello = ToBoard::Hello {
            protocol: PROTOCOL_VERSION,
            pace: Pace::LockStep.into(),
        };
        match self.ask(&hello) {
            FromBoard::Hello(reply) => reply.image_bytes,
            other => panic!("{other:?}"),
        }
    }

    /// Announces an image, sends it, and activates it.
    fn upload(&mut self, image: &[u8]) -> Result<(), Reason> {
        let begin = ToBoard::UploadBegin {
            length: image.len() as u32,
            sha256: Sha256::digest(image).into(),
        };
        let mut message = begin;
        loop {
            let progress = match self.ask(&message) {
                FromBoard::UploadProgress(progress) => progress,
                FromBoard::Refused { reason, .. } => return Err(reason),
                other => panic!("{other:?}"),
            };
            let rest = &image[progress.offset as usize..];
            if rest.is_empty() {
                break;
            }
            message = ToBoard::UploadChunk(UploadChunk {
                offset: progress.offset,
                data: rest.iter().take(512).copied().collect(),
            });
        }
        match self.ask(&ToBoard::UploadCommit) {
            FromBoard::Done { .. } => Ok(()),
            other => panic!("{other:?}"),
        }
    }

    /// The command words of a flight under an image's contract, with samples within its ranges.
    fn fly(&mut self, image: &[u8], steps: u32) -> Vec<Vec<i16>> {
        let contract = Image::read(image).expect("good").contract;
        assert!(matches!(self.ask(&ToBoard::Arm), FromBoard::Done { .. }));
        let words = (0..steps).map(|step| {
            self.now_us += u64::from(contract.period_us);
            let channels = contract.observations.iter().zip(0..);
            let observation = channels.map(|(channel, at)| {
                let share = 0.5 + 0.4 * (0.3 * step as f32 + at as f32).sin();
                channel.min + share * (channel.max - channel.min)
            });
            let sensors = Sensors {
                now_us: self.now_us,
                sample_us: self.now_us,
                observation: observation.collect(),
                reward: Some(0.0),
                done: false,
            };
            match self.ask(&ToBoard::Sensors(sensors)) {
                FromBoard::Action(action) => {
                    assert!(action.faults.is_empty(), "step {step}: {:?}", action.faults);
                    action.words.to_vec()
                }
                other => panic!("{other:?}"),
            }
        });
        let words = words.collect();
        assert!(matches!(self.ask(&ToBoard::Disarm), FromBoard::Done { .. }));
        words
    }
}

fn on(part: &mut Part) -> Rig<FlashStore<Flash<&mut Part>>> {
    let mut rig = Rig::over(FlashStore::new(Flash::new(part)).expect("large enough"));
    let _ = rig.hello();
    rig
}

/// An image of a shape, with a golden trace that is longer than two windows; and its bytes packed for this board.
fn image(config: &ModelConfig, seed: u64) -> (Vec<u8>, usize) {
    let mut spec = random::spec(config, seed);
    spec.golden = random_golden(&spec, 2 * config.window + 8).expect("a valid image");
    let packed = write_packed(&spec, Packing::CortexM).expect("fits the packing");
    (write(&spec).expect("a valid image"), packed.len())
}

#[test]
fn shape_m_flies_from_this_flash_after_a_reset() {
    let (medium, packed_bytes) = image(&shapes::MEDIUM, 1);
    let most = medium.len().max(packed_bytes);
    println!("shape M: {} bytes, packed {packed_bytes}", medium.len());
    let mut host = Rig::over(RamStore::new(vec![0; most], vec![0; most]));
    let _ = host.hello();
    assert_eq!(host.upload(&medium), Ok(()));
    let expected = host.fly(&medium, 120);
    assert!(expected.iter().any(|words| *words != expected[0]));

    let mut part = Part::new();
    let mut board = on(&mut part);
    assert!(board.hello() as usize >= most, "it has room");
    assert_eq!(board.upload(&medium), Ok(()));
    assert_eq!(board.fly(&medium, 120), expected);

    // The golden trace passes again, read from the flash.
    let mut board = on(&mut part);
    assert_eq!(board.node.install_found(), Ok(()));
    assert_eq!(board.fly(&medium, 120), expected);

    // What is left is for smaller ones, shape S say; and past one of them M may take M's place.
    let sectors = most.div_ceil(SECTOR_BYTES);
    let slots = IMAGE_SECTORS - 2;
    let left = ((slots - sectors) * SECTOR_BYTES) as u32;
    assert_eq!(board.hello(), left);
    let (next, _) = image(&shapes::MEDIUM, 2);
    let refused = board.upload(&next);
    assert!(
        matches!(refused, Err(Reason::ImageTooLong { most, .. }) if most == left),
        "{refused:?}"
    );
    let (small, _) = image(&shapes::SMALL, 1);
    assert_eq!(board.upload(&small), Ok(()));
    board.fly(&small, engram_firmware::node::TRIAL_STEPS);
    assert_eq!(board.upload(&next), Ok(()));
    let mut board = on(&mut part);
    assert_eq!(board.node.install_found(), Ok(()));
    assert_ne!(board.fly(&next, 120), expected);
}
