//! Faults on the wire, on purpose: frames lost, doubled, swapped, damaged or late.
//!
//! The faults are drawn per frame from a seeded generator, one for each direction, so that a
//! lock-step run meets the same faults every time. Nothing here knows what a frame means: a frame
//! is whatever ends with a zero byte.

use std::collections::VecDeque;
use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::transport::{Transport, TransportError};

/// A late frame arrives after this many later ones of its direction (or when nothing else moves).
const LATE_BY_FRAMES: usize = 3;

/// How often each fault happens, per frame and direction; all zero is a clean wire.
///
/// Written as `drop=0.01,duplicate=0.01,reorder=0.01,corrupt=0.01,delay=0.01,seed=7,cut=1000`;
/// every part may be left out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FaultPlan {
    /// Probability that a frame disappears.
    pub drop: f64,
    /// Probability that a frame arrives twice.
    pub duplicate: f64,
    /// Probability that a frame changes places with the next one.
    pub reorder: f64,
    /// Probability that one bit of a frame flips.
    pub corrupt: f64,
    /// Probability that a frame arrives only after the three that follow it.
    pub delay: f64,
    /// Seed of the generator.
    pub seed: u64,
    /// Cuts the link for good after this many frames to the board.
    pub cut: Option<u64>,
}

impl Default for FaultPlan {
    fn default() -> Self {
        Self {
            drop: 0.0,
            duplicate: 0.0,
            reorder: 0.0,
            corrupt: 0.0,
            delay: 0.0,
            seed: 1,
            cut: None,
        }
    }
}

/// A `--fault` text that cannot be understood.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum FaultPlanError {
    /// Not `name=value`.
    #[error("fault {part:?} is not of the form name=value")]
    Form {
        /// The part in question.
        part: String,
    },
    /// A name that no fault has.
    #[error(
        "no fault is called {name:?}; there are drop, duplicate, reorder, corrupt, delay, seed and cut"
    )]
    Name {
        /// The name in question.
        name: String,
    },
    /// A probability outside 0 to 1, or a count that is no whole number.
    #[error("fault {name} = {value:?} is not {bound}")]
    Value {
        /// The fault.
        name: String,
        /// What was given.
        value: String,
        /// What is allowed.
        bound: &'static str,
    },
    /// The probabilities add up to more than one.
    #[error("the faults' probabilities add up to {sum}, more than 1")]
    Sum {
        /// Their sum.
        sum: f64,
    },
}

impl FromStr for FaultPlan {
    type Err = FaultPlanError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut plan = Self::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').ok_or_else(|| FaultPlanError::Form {
                part: part.to_owned(),
            })?;
            let bad = |bound| FaultPlanError::Value {
                name: name.to_owned(),
                value: value.to_owned(),
                bound,
            };
            let slot = match name.trim() {
                "drop" => &mut plan.drop,
                "duplicate" => &mut plan.duplicate,
                "reorder" => &mut plan.reorder,
                "corrupt" => &mut plan.corrupt,
                "delay" => &mut plan.delay,
                "seed" => {
                    plan.seed = value.trim().parse().map_err(|_| bad("a whole number"))?;
                    continue;
                }
                "cut" => {
                    plan.cut = Some(
                        value
                            .trim()
                            .parse()
                            .map_err(|_| bad("a number of frames"))?,
                    );
                    continue;
                }
                other => {
                    return Err(FaultPlanError::Name {
                        name: other.to_owned(),
                    });
                }
            };
            *slot = value
                .trim()
                .parse()
                .ok()
                .filter(|p| (0.0..=1.0).contains(p))
                .ok_or_else(|| bad("a probability from 0 to 1"))?;
        }
        let sum = plan.drop + plan.duplicate + plan.reorder + plan.corrupt + plan.delay;
        if sum > 1.0 {
            return Err(FaultPlanError::Sum { sum });
        }
        Ok(plan)
    }
}

/// One direction of a faulty wire.
struct Lane {
    random: Xoshiro256PlusPlus,
    /// Frames held back, each with the number of frames that must pass first.
    held: VecDeque<(usize, Vec<u8>)>,
    injected: u64,
}

impl Lane {
    fn new(seed: u64) -> Self {
        Self {
            random: Xoshiro256PlusPlus::seed_from_u64(seed),
            held: VecDeque::new(),
            injected: 0,
        }
    }

    /// Passes one frame through and returns what comes out now, in order.
    fn pass(&mut self, plan: &FaultPlan, mut frame: Vec<u8>) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        let draw: f64 = self.random.random();
        let mut limit = 0.0;
        let mut chosen = |share: f64| {
            limit += share;
            draw < limit
        };
        let mut hold = None;
        let fault = if chosen(plan.drop) {
            true
        } else if chosen(plan.duplicate) {
            out.push(frame.clone());
            out.push(frame);
            true
        } else if chosen(plan.reorder) {
            hold = Some((1, frame));
            true
        } else if chosen(plan.corrupt) {
            // Never the delimiter alone: a frame that only lost its end would merge with the next,
            // which is a different fault.
            let last = frame.len().saturating_sub(2);
            let place = self.random.random_range(0..=last);
            let bit = self.random.random_range(0..8u32);
            if let Some(byte) = frame.get_mut(place) {
                *byte ^= 1 << bit;
            }
            out.push(frame);
            true
        } else if chosen(plan.delay) {
            hold = Some((LATE_BY_FRAMES, frame));
            true
        } else {
            out.push(frame);
            false
        };
        self.injected += u64::from(fault);
        for waiting in &mut self.held {
            waiting.0 -= 1;
        }
        while self.held.front().is_some_and(|waiting| waiting.0 == 0) {
            out.extend(self.held.pop_front().map(|waiting| waiting.1));
        }
        if let Some(waiting) = hold {
            let place = self.held.partition_point(|other| other.0 <= waiting.0);
            self.held.insert(place, waiting);
        }
        out
    }

    /// Lets go of everything that was held back.
    fn release(&mut self) -> impl Iterator<Item = Vec<u8>> {
        self.held.drain(..).map(|waiting| waiting.1)
    }
}

/// A transport that passes another one's frames through a [`FaultPlan`].
pub struct FaultyTransport<T> {
    inner: T,
    plan: FaultPlan,
    to_board: Lane,
    from_board: Lane,
    sent: u64,
    partial_in: Vec<u8>,
    partial_out: Vec<u8>,
    ready: VecDeque<u8>,
    cut: bool,
}

impl<T: Transport> FaultyTransport<T> {
    /// Puts `plan` between the host and `inner`.
    pub fn new(inner: T, plan: FaultPlan) -> Self {
        Self {
            inner,
            plan,
            to_board: Lane::new(plan.seed),
            from_board: Lane::new(plan.seed ^ 0x9E37_79B9_7F4A_7C15),
            sent: 0,
            partial_in: Vec::new(),
            partial_out: Vec::new(),
            ready: VecDeque::new(),
            cut: false,
        }
    }

    fn check_cut(&self) -> Result<(), TransportError> {
        if self.cut {
            return Err(TransportError::Closed {
                board: "the board".to_owned(),
                why: format!("the fault plan cut the link after {} frames", self.sent),
            });
        }
        Ok(())
    }

    fn take_in(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.partial_in.push(byte);
            if byte == 0 {
                let frame = std::mem::take(&mut self.partial_in);
                for out in self.from_board.pass(&self.plan, frame) {
                    self.ready.extend(out);
                }
            }
        }
    }

    /// Delivers what was held back: to the board, or, if nothing was on the way there, to the host.
    fn let_go(&mut self) -> Result<(), TransportError> {
        let late: Vec<Vec<u8>> = self.to_board.release().collect();
        for frame in &late {
            self.inner.write(frame)?;
        }
        if late.is_empty() {
            self.ready.extend(self.from_board.release().flatten());
        }
        Ok(())
    }

    fn give(&mut self, buffer: &mut [u8]) -> usize {
        let count = self.ready.len().min(buffer.len());
        for (place, byte) in buffer.iter_mut().zip(self.ready.drain(..count)) {
            *place = byte;
        }
        count
    }
}

impl<T: Transport> Transport for FaultyTransport<T> {
    fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, TransportError> {
        self.check_cut()?;
        let deadline = Instant::now() + timeout;
        while self.ready.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut raw = [0; 512];
            let count = self.inner.read(&mut raw, left)?;
            self.take_in(&raw[..count]);
            if count == 0 {
                // Nothing else moves: what was held back arrives now, or never would.
                self.let_go()?;
                break;
            }
        }
        Ok(self.give(buffer))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), TransportError> {
        self.check_cut()?;
        for &byte in bytes {
            self.partial_out.push(byte);
            if byte == 0 {
                let frame = std::mem::take(&mut self.partial_out);
                self.sent += 1;
                for out in self.to_board.pass(&self.plan, frame) {
                    self.inner.write(&out)?;
                }
                if self.plan.cut.is_some_and(|cut| self.sent >= cut) {
                    self.cut = true;
                    return self.check_cut();
                }
            }
        }
        Ok(())
    }

    fn immediate(&self) -> bool {
        self.inner.immediate()
    }

    fn faults_injected(&self) -> u64 {
        self.to_board.injected + self.from_board.injected
    }

    fn firmware(&self) -> Option<&Path> {
        self.inner.firmware()
    }

    fn kill(&mut self) {
        self.inner.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives back what it was given.
    #[derive(Default)]
    struct Echo(VecDeque<u8>);

    impl Transport for Echo {
        fn read(&mut self, buffer: &mut [u8], _: Duration) -> Result<usize, TransportError> {
            let count = self.0.len().min(buffer.len());
            for (place, byte) in buffer.iter_mut().zip(self.0.drain(..count)) {
                *place = byte;
            }
            Ok(count)
        }

        fn write(&mut self, bytes: &[u8]) -> Result<(), TransportError> {
            self.0.extend(bytes);
            Ok(())
        }

        fn immediate(&self) -> bool {
            true
        }

        fn kill(&mut self) {}
    }

    fn echo_all(plan: FaultPlan, frames: u8) -> (Vec<Vec<u8>>, u64) {
        let mut wire = FaultyTransport::new(Echo::default(), plan);
        let mut got = Vec::new();
        let drain = |wire: &mut FaultyTransport<Echo>, got: &mut Vec<u8>| {
            let mut buffer = [0; 16];
            loop {
                let count = wire
                    .read(&mut buffer, Duration::ZERO)
                    .expect("an open wire");
                if count == 0 {
                    break;
                }
                got.extend_from_slice(&buffer[..count]);
            }
        };
        for number in 0..frames {
            wire.write(&[number + 1, 0xAA, 0x55, 0])
                .expect("an open wire");
        }
        for _ in 0..4 {
            drain(&mut wire, &mut got);
        }
        let frames = got
            .split_inclusive(|byte| *byte == 0)
            .map(<[u8]>::to_vec)
            .collect();
        (frames, wire.faults_injected())
    }

    #[test]
    fn a_clean_wire_changes_nothing() {
        let (frames, injected) = echo_all(FaultPlan::default(), 100);
        assert_eq!(injected, 0);
        assert_eq!(frames.len(), 100);
        assert!(
            frames
                .iter()
                .zip(1..)
                .all(|(frame, number)| frame == &[number, 0xAA, 0x55, 0])
        );
    }

    #[test]
    fn the_same_seed_makes_the_same_faults() {
        let plan: FaultPlan = "drop=0.1,duplicate=0.1,reorder=0.1,corrupt=0.1,delay=0.1,seed=9"
            .parse()
            .expect("ok");
        assert_eq!(echo_all(plan, 200), echo_all(plan, 200));
        assert_ne!(
            echo_all(plan, 200),
            echo_all(FaultPlan { seed: 10, ..plan }, 200)
        );
    }

    #[test]
    fn each_fault_does_what_its_name_says() {
        let (none, injected) = echo_all("drop=1".parse().expect("ok"), 10);
        assert!(none.is_empty() && injected == 10);
        // Both directions double.
        assert_eq!(echo_all("duplicate=1".parse().expect("ok"), 10).0.len(), 40);
        let (swapped, _) = echo_all("reorder=0.2,seed=3".parse().expect("ok"), 100);
        let mut order: Vec<u8> = swapped.iter().map(|frame| frame[0]).collect();
        assert!(!order.is_sorted(), "nothing changed places");
        order.sort_unstable();
        assert_eq!(order, (1..=100).collect::<Vec<u8>>(), "nothing may be lost");
        let (late, _) = echo_all("delay=0.1,seed=3".parse().expect("ok"), 100);
        assert_eq!(late.len(), 100, "late is not lost");
        let (damaged, injected) = echo_all("corrupt=0.3".parse().expect("ok"), 100);
        let good = damaged
            .iter()
            .filter(|frame| frame[1..] == [0xAA, 0x55, 0])
            .count();
        assert!(injected > 20 && good < 100);
    }

    #[test]
    fn a_cut_is_final_and_says_so() {
        let mut wire = FaultyTransport::new(Echo::default(), "cut=2".parse().expect("ok"));
        wire.write(&[1, 0]).expect("still open");
        let error = wire.write(&[2, 0]).expect_err("cut").to_string();
        assert!(error.contains("after 2 frames"), "{error}");
        assert!(wire.read(&mut [0; 4], Duration::ZERO).is_err());
    }

    #[test]
    fn bad_plans_are_named() {
        for (text, word) in [
            ("dropp=1", "dropp"),
            ("drop", "name=value"),
            ("drop=2", "0 to 1"),
            ("drop=nan", "0 to 1"),
            ("drop=0.6,corrupt=0.6", "add up"),
            ("seed=x", "whole number"),
        ] {
            let error = text.parse::<FaultPlan>().expect_err(text).to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
