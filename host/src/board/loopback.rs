//! The loopback board: the portable controller in this process, reached through real encoded frames.
//!
//! It is the same `Node` that every other board runs, with injected sensors and an image store in
//! RAM. In lock-step it has no clock at all; in real time it makes its steps while it is read.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use embedded_io::{ErrorType, Write};
use engram_firmware::fallback::NoFallback;
use engram_firmware::injected::{InjectedSensors, ReportedActuators};
use engram_firmware::node::{Node, Parts};
use engram_firmware::platform::{Clock, Identity, Platform};
use engram_firmware::policy::Memory;
use engram_firmware::robots::PENDULUM;
use engram_firmware::safety::Settings;
use engram_firmware::store::RamStore;
use engram_image::Contract;
use engram_image::limits::IMAGE_BYTES;
use engram_link::Pace;

use super::transport::{Transport, TransportError};

/// The robot that this board is.
static ROBOT: Contract<'static> = PENDULUM;

type LoopbackNode = Node<
    'static,
    InjectedSensors,
    ReportedActuators,
    NoFallback,
    RamStore<Vec<u8>>,
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

/// Takes what the node sends.
struct Outbox<'a>(&'a mut VecDeque<u8>);

impl ErrorType for Outbox<'_> {
    type Error = Infallible;
}

impl Write for Outbox<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        self.0.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// A board in this process.
pub struct Loopback {
    node: LoopbackNode,
    outbox: VecDeque<u8>,
    period: Duration,
    start: Instant,
    next_tick: Instant,
    dead: bool,
}

impl Loopback {
    /// A pendulum's controller without an image.
    #[must_use]
    pub fn new() -> Self {
        Self::robot(&ROBOT)
    }

    /// A controller for another robot.
    #[must_use]
    pub fn robot(contract: &'static Contract<'static>) -> Self {
        let start = Instant::now();
        let period = Duration::from_micros(u64::from(contract.period_us));
        Self {
            node: Node::new(Parts {
                contract,
                settings: Settings::for_period(contract.period_us),
                pace: Pace::LockStep,
                sensors: InjectedSensors::new(),
                actuators: ReportedActuators,
                fallback: NoFallback,
                store: RamStore::new(vec![0; IMAGE_BYTES], vec![0; IMAGE_BYTES]),
                memory: Box::new(Memory::new()),
                platform: Process { start },
            }),
            outbox: VecDeque::new(),
            period,
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

    /// Real time: makes the steps that are due, waiting for the next one up to `deadline`.
    fn run_until(&mut self, deadline: Instant) {
        while self.outbox.is_empty() && self.node.pace() == Pace::RealTime {
            let now = Instant::now();
            if now >= self.next_tick {
                let now_us = u64::try_from((now - self.start).as_micros()).unwrap_or(u64::MAX);
                self.node.tick(now_us, &mut Outbox(&mut self.outbox));
                // A host that was away for long must not be answered with a burst of late steps.
                self.next_tick = (self.next_tick + self.period).max(now);
            } else if now >= deadline {
                break;
            } else {
                std::thread::sleep((self.next_tick.min(deadline)) - now);
            }
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
        let count = self.outbox.len().min(buffer.len());
        for (place, byte) in buffer.iter_mut().zip(self.outbox.drain(..count)) {
            *place = byte;
        }
        Ok(count)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), TransportError> {
        self.check()?;
        self.node.receive(bytes, &mut Outbox(&mut self.outbox));
        Ok(())
    }

    fn immediate(&self) -> bool {
        self.node.pace() == Pace::LockStep
    }

    fn kill(&mut self) {
        self.dead = true;
    }
}
