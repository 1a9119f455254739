//! The loopback board: the portable controller in this process, reached through real encoded frames.
//!
//! It is the same `Node` that every other board runs, with injected sensors and an image store in
//! RAM. In lock-step it has no clock at all. In real time it makes the steps that have become due whenever its line is
//! looked at, each at its own time, as if it had run all along; what the host did not read waits in the node's
//! bounded queue, as behind a real wire without any buffer.

use std::time::{Duration, Instant};

use engram_firmware::fallback::NoFallback;
use engram_firmware::injected::{InjectedSensors, ReportedActuators};
use engram_firmware::node::{ContractSource, Node, Parts};
use engram_firmware::platform::{Clock, Identity, Platform};
use engram_firmware::policy::{CacheLine, LINES, LargestMemory, Memory};
use engram_firmware::store::{PackedStore, RamStore};
use engram_image::limits::IMAGE_BYTES;
use engram_link::Pace;

use super::transport::{Transport, TransportError};

type LoopbackNode = Node<
    InjectedSensors,
    ReportedActuators,
    NoFallback,
    PackedStore<Vec<u8>, Vec<CacheLine>>,
    Box<Memory>,
    Process,
>;

/// This process as a platform.
#[derive(Debug)]
struct Process {
    start: Instant,
}

impl Clock for Process {
    fn now_us(&mut self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

impl Platform for Process {
    fn identity(&self) -> Identity {
        Identity {
            board: "loopback",
            firmware: concat!("engram ", env!("CARGO_PKG_VERSION")),
            stack_bytes: 0,
            ram_bytes: 0,
        }
    }
}

/// A board in this process.
pub struct Loopback {
    node: LoopbackNode,
    start: Instant,
    next_tick: Instant,
    dead: bool,
}

impl Loopback {
    /// A controller without an image.
    #[must_use]
    pub fn new() -> Self {
        let start = Instant::now();
        Self {
            node: Node::new(Parts {
                contract: ContractSource::Image,
                pace: Pace::LockStep,
                sensors: InjectedSensors::new(),
                actuators: ReportedActuators,
                fallback: NoFallback,
                store: PackedStore::new(
                    RamStore::new(vec![0; IMAGE_BYTES], vec![0; IMAGE_BYTES]),
                    vec![CacheLine::ZERO; LINES],
                    vec![CacheLine::ZERO; LINES],
                ),
                memory: Box::<LargestMemory>::default() as Box<Memory>,
                platform: Process { start },
            }),
            start,
            next_tick: start,
            dead: false,
        }
    }

    fn check(&self) -> Result<(), TransportError> {
        if self.dead {
            return Err(TransportError::Closed {
                board: "loopback".to_owned(),
                why: "it was ended from here".to_owned(),
            });
        }
        Ok(())
    }

    /// Real time: makes the steps that have become due by `now`.
    fn catch_up(&mut self, now: Instant) {
        while self.node.pace() == Pace::RealTime && self.next_tick <= now {
            let at_us = (self.next_tick - self.start).as_micros();
            self.node.tick(u64::try_from(at_us).unwrap_or(u64::MAX));
            self.next_tick += Duration::from_micros(u64::from(self.node.period_us()));
        }
    }

    /// Real time: waits for the next step up to `deadline` where the node has nothing to say.
    fn run_until(&mut self, deadline: Instant) {
        loop {
            let now = Instant::now();
            self.catch_up(now);
            let silent = self.node.outgoing().front().is_empty();
            if !silent || self.node.pace() != Pace::RealTime || now >= deadline {
                return;
            }
            std::thread::sleep(self.next_tick.min(deadline) - now);
        }
    }
}

impl Default for Loopback {
    fn default() -> Self {
        Self::new()
    }
}

impl Transport for Loopback {
    fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, TransportError> {
        self.check()?;
        self.run_until(Instant::now() + timeout);
        let mut count = 0;
        while let Some(room) = buffer.get_mut(count..).filter(|room| !room.is_empty()) {
            let front = self.node.outgoing().front();
            let length = front.len().min(room.len());
            if length == 0 {
                break;
            }
            room[..length].copy_from_slice(&front[..length]);
            self.node.outgoing().taken(length);
            count += length;
        }
        Ok(count)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), TransportError> {
        self.check()?;
        let was = self.node.pace();
        self.catch_up(Instant::now());
        self.node.receive(bytes);
        if self.node.pace() != was {
            // The board's own time begins to count.
            self.next_tick = Instant::now();
        }
        Ok(())
    }

    fn immediate(&self) -> bool {
        self.node.pace() == Pace::LockStep
    }

    fn kill(&mut self) {
        self.dead = true;
    }
}
