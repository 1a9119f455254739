//! The loopback board: the portable controller in this process, reached through real encoded frames.
//!
//! It is the same `Node` that every other board runs, with injected sensors and an image store in
//! RAM. In lock-step it has no clock at all. In real time it makes the steps that have become due whenever its line is
//! looked at, each at its own time, as if it had run all along; what the host did not read waits in the node's
//! bounded queue, as behind a real wire without any buffer.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use engram_firmware::fallback::NoFallback;
use engram_firmware::injected::{InjectedSensors, ReportedActuators};
use engram_firmware::node::{Node, Parts};
use engram_firmware::platform::{Clock, Identity, Platform};
use engram_firmware::policy::{LINES, Line, Memory};
use engram_firmware::robots;
use engram_firmware::safety::Settings;
use engram_firmware::store::{PackedStore, RamStore};
use engram_image::limits::IMAGE_BYTES;
use engram_image::{ActionChannel, Channel, Contract, List};
use engram_link::Pace;

use super::transport::{Transport, TransportError};

type LoopbackNode = Node<
    'static,
    InjectedSensors,
    ReportedActuators,
    NoFallback,
    PackedStore<Vec<u8>, Vec<Line>>,
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

/// A copy of `contract` that stays until the program ends, one for each different contract: a board is one robot
/// for good, and its node holds no contract of its own.
fn kept(contract: &Contract<'_>) -> &'static Contract<'static> {
    static KEPT: Mutex<Vec<&'static Contract<'static>>> = Mutex::new(Vec::new());
    let mut kept = KEPT
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(known) = kept
        .iter()
        .find(|known| known.difference(contract).is_none())
    {
        return known;
    }
    let text = |text: &str| -> &'static str { String::from(text).leak() };
    let observations: Vec<Channel<'static>> = contract
        .observations
        .iter()
        .map(|channel| Channel {
            name: text(channel.name),
            unit: text(channel.unit),
            min: channel.min,
            max: channel.max,
        })
        .collect();
    let actions: Vec<ActionChannel<'static>> = contract
        .actions
        .iter()
        .map(|channel| ActionChannel {
            name: text(channel.name),
            unit: text(channel.unit),
            ..*channel
        })
        .collect();
    let copy: &'static Contract<'static> = Box::leak(Box::new(Contract {
        period_us: contract.period_us,
        observations: List::from_slice(&observations),
        actions: List::from_slice(&actions),
        reward: contract.reward,
    }));
    kept.push(copy);
    copy
}

/// A board in this process.
pub struct Loopback {
    node: LoopbackNode,
    period: Duration,
    start: Instant,
    next_tick: Instant,
    dead: bool,
}

impl Loopback {
    /// A pendulum's controller without an image.
    #[must_use]
    pub fn new() -> Self {
        Self::robot(&robots::DEFAULT.contract)
    }

    /// A controller for another robot, which may be known only since the program runs.
    #[must_use]
    pub fn robot(contract: &Contract<'_>) -> Self {
        let contract = kept(contract);
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
                store: PackedStore::new(
                    RamStore::new(vec![0; IMAGE_BYTES], vec![0; IMAGE_BYTES]),
                    vec![Line::ZERO; LINES],
                    vec![Line::ZERO; LINES],
                ),
                memory: Box::new(Memory::new()),
                platform: Process { start },
            }),
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

    /// Real time: makes the steps that have become due by `now`.
    fn catch_up(&mut self, now: Instant) {
        while self.node.pace() == Pace::RealTime && self.next_tick <= now {
            let at_us = (self.next_tick - self.start).as_micros();
            self.node.tick(u64::try_from(at_us).unwrap_or(u64::MAX));
            self.next_tick += self.period;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::{Client, Patience};

    #[test]
    fn a_robot_may_be_known_only_at_run_time() {
        let hello = |contract: &Contract<'_>| {
            let transport = Box::new(Loopback::robot(contract));
            Client::connect(transport, Pace::LockStep, Patience::default())
                .expect("an answer")
                .1
        };
        let name = String::from("weight_") + "on_wheels";
        let mut contract = robots::DEFAULT.contract;
        let mut observations = contract.observations.to_vec();
        observations[2].name = &name;
        contract.observations = List::from_slice(&observations);
        assert_eq!(hello(&contract).contract_sha256, contract.digest());
        let pendulum = robots::DEFAULT.contract;
        assert_eq!(hello(&pendulum).contract_sha256, pendulum.digest());
        assert!(std::ptr::eq(kept(&contract), kept(&contract)));
    }
}
