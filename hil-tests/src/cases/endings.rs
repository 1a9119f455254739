//! Flights that end early: each with a clear message and a log that can be read and replayed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use engram_flight::board::{FaultPlan, FaultyTransport, Patience, Transport, TransportError};
use engram_flight::{Event, Header, Step, Summary, Watcher};

use super::flight::{fly_over, plan};
use crate::sample_image::USUAL;
use crate::{Case, Rig};

pub(super) const CASES: &[Case] = cases![
    killing_the_board_ends_with_a_message_and_a_log,
    cutting_the_link_ends_with_a_message_and_a_log,
    a_link_gone_deaf_ends_with_a_message_and_a_log,
    an_interrupted_flight_ends_with_a_log,
];

/// Ends the board after some frames, as a pulled plug would.
struct Plug {
    inner: Box<dyn Transport>,
    frames_left: u32,
    /// Stay silent instead of dying.
    deaf: bool,
}

impl Transport for Plug {
    fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, TransportError> {
        if self.deaf && self.frames_left == 0 {
            return Ok(0);
        }
        self.inner.read(buffer, timeout)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), TransportError> {
        if self.frames_left == 0 {
            if self.deaf {
                return Ok(());
            }
            self.inner.kill();
        }
        self.frames_left = self.frames_left.saturating_sub(1);
        self.inner.write(bytes)
    }

    fn immediate(&self) -> bool {
        self.inner.immediate()
    }

    fn kill(&mut self) {
        self.inner.kill();
    }
}

/// Presses Ctrl-C at a step.
#[derive(Default)]
struct Interrupt {
    at: Option<u32>,
    stop: AtomicBool,
}

impl Watcher for &Interrupt {
    fn step(&mut self, _: &Header, step: &Step, _: &[Vec<f32>], _: f64) {
        if Some(step.step) == self.at {
            self.stop.store(true, Ordering::Relaxed);
        }
    }

    fn event(&mut self, _: &Event) {}
}

/// Flies until something ends the flight: its message must say `word`, and its log have every step and replay.
fn ends(
    rig: &Rig,
    transport: Box<dyn Transport>,
    interrupt: &Interrupt,
    word: &str,
) -> Result<Summary> {
    // Silence must not take long to notice here; still longer than a busy machine takes to answer.
    let patience = Patience {
        attempts: 20,
        ..Rig::patience()
    };
    let plan = plan("pendulum", 4_000);
    let (stop, mut watcher) = (&interrupt.stop, interrupt);
    let (outcome, flight) = fly_over(rig, transport, patience, &plan, &USUAL, &mut watcher, stop)
        .context("a flight that ended early")?;
    let error = outcome.error.context("the flight did not end early")?;
    let error = error.to_string();
    ensure!(
        error.contains(word),
        "the message does not say {word:?}: {error}"
    );
    let steps = outcome.summary.steps;
    ensure!((10..4_000).contains(&steps), "{steps} steps flown");
    ensure!(
        flight.steps.len() == steps as usize,
        "{} steps in the log",
        flight.steps.len()
    );
    let summary = flight.summary.as_ref().context("no summary in the log")?;
    ensure!(
        summary.ended_early.as_deref() == Some(error.as_str()),
        "{:?}",
        summary.ended_early
    );
    ensure!(summary.words_equal == Some(true));
    let replay = engram_flight::replay(&flight)?;
    ensure!(replay.equal && replay.replayed == steps, "{replay:?}");
    Ok(outcome.summary)
}

/// Frames of a whole upload and hello, with room for retries, and then some steps.
fn frames_until_mid_flight() -> u32 {
    (USUAL.len() / 512) as u32 + 150
}

fn killing_the_board_ends_with_a_message_and_a_log(rig: &Rig) -> Result<()> {
    unplugged(rig, false, "closed")
}

fn a_link_gone_deaf_ends_with_a_message_and_a_log(rig: &Rig) -> Result<()> {
    unplugged(rig, true, "did not answer")
}

fn unplugged(rig: &Rig, deaf: bool, word: &str) -> Result<()> {
    let plug = Plug {
        inner: rig.transport()?,
        frames_left: frames_until_mid_flight(),
        deaf,
    };
    ends(rig, Box::new(plug), &Interrupt::default(), word)?;
    Ok(())
}

fn cutting_the_link_ends_with_a_message_and_a_log(rig: &Rig) -> Result<()> {
    let faults = FaultPlan {
        cut: Some(frames_until_mid_flight().into()),
        ..FaultPlan::default()
    };
    let wire = FaultyTransport::new(rig.transport()?, faults);
    ends(rig, Box::new(wire), &Interrupt::default(), "cut the link")?;
    Ok(())
}

fn an_interrupted_flight_ends_with_a_log(rig: &Rig) -> Result<()> {
    let interrupt = Interrupt {
        at: Some(60),
        ..Interrupt::default()
    };
    let word = "interrupted at step 61";
    let summary = ends(rig, rig.transport()?, &interrupt, word)?;
    ensure!(summary.steps == 61, "{} steps flown", summary.steps);
    ensure!(
        summary.weights_sha256_after == summary.weights_sha256_before,
        "the board was not left in good order"
    );
    Ok(())
}
