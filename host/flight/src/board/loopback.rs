//! The loopback board: the portable controller in this process, reached through real encoded frames.
//!
//! It is the same `Node` that every other board runs, with injected sensors and an image store in
//! RAM. In lock-step it has no clock at all. In real time it makes the steps that have become due whenever its line is
//! looked at, each at its own time, as if it had run all along; what the host did not read waits in the node's
//! bounded queue, as behind a real wire without any buffer.

use std::time::{Duration, Instant};

use engram_firmware::process::ProcessNode;
use engram_firmware::signature::PublicKey;
use engram_link::Pace;

use super::transport::{Transport, TransportError};

/// A board in this process.
pub struct Loopback {
    node: ProcessNode,
    next_tick: Instant,
    dead: bool,
}

impl Loopback {
    /// A controller without an image; with a key it takes images signed by that key alone.
    #[must_use]
    pub fn new(key: Option<PublicKey>) -> Self {
        Self {
            node: ProcessNode::start("loopback", key),
            next_tick: Instant::now(),
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
            let start = self.node.platform().started();
            let at_us = (self.next_tick - start).as_micros();
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
        Self::new(None)
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
