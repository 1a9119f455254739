//! A process of an operating system as a board, and what the boards of Linux share with it: images and memory on the heap.

extern crate std;

use std::boxed::Box;
use std::string::String;
use std::time::Instant;
use std::vec::Vec;

use engram_image::limits::IMAGE_BYTES;
use engram_link::Pace;

use crate::fallback::NoFallback;
use crate::injected::{InjectedSensors, ReportedActuators};
use crate::node::{ContractSource, Node, Parts};
use crate::platform::{Clock, Identity, Platform};
use crate::policy::{CacheLine, LINES, LargestMemory, Memory};
use crate::signature::PublicKey;
use crate::store::RamStore;

/// Two image slots on the heap, each with room for any image.
pub type HeapStore = RamStore<Vec<u8>, Vec<CacheLine>>;

/// A [`HeapStore`] without an image.
#[must_use]
pub fn heap_store() -> HeapStore {
    let slot = || std::vec![0; IMAGE_BYTES];
    let lines = || std::vec![CacheLine::ZERO; LINES];
    RamStore::packed([slot(), slot()], [lines(), lines()])
}

/// A policy's memory on the heap, with room for any image's.
#[must_use]
pub fn heap_memory() -> Box<Memory> {
    Box::<LargestMemory>::default()
}

/// A node that moves and measures nothing: the host is the plant, and each image brings its contract. Images and memory lie on
/// the heap.
pub type ProcessNode =
    Node<InjectedSensors, ReportedActuators, NoFallback, HeapStore, Box<Memory>, Process>;

impl ProcessNode {
    /// Without an image, in lock-step; its clock starts at 0. The board's name is kept for as long as the process runs: make few.
    /// With `key` it takes images signed by that key alone.
    #[must_use]
    pub fn start(board: &str, key: Option<PublicKey>) -> Self {
        Self::new(Parts {
            contract: ContractSource::Image,
            key,
            pace: Pace::LockStep,
            sensors: InjectedSensors::new(),
            actuators: ReportedActuators,
            fallback: NoFallback,
            store: heap_store(),
            memory: heap_memory(),
            platform: Process {
                started: Instant::now(),
                board: String::from(board).leak(),
            },
        })
    }
}

/// The process: a monotonic clock and a name.
#[derive(Debug)]
pub struct Process {
    started: Instant,
    board: &'static str,
}

impl Process {
    /// When its clock was 0.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }
}

impl Clock for Process {
    fn now_us(&mut self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

impl Platform for Process {
    fn identity(&self) -> Identity {
        Identity {
            board: self.board,
            firmware: concat!("engram ", env!("CARGO_PKG_VERSION")),
            // A process has as much as it asks for: neither number means anything here.
            stack_bytes: 0,
            ram_bytes: 0,
        }
    }
}
