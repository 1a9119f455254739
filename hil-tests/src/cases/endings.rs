//! Flights that end early: each with a clear message and a log that can be read and replayed.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use engram::board::{FaultPlan, FaultyTransport, Patience, Transport, TransportError};
use engram::fly::{self, BoardPilot, Event, Flight, Header, Outcome, Step, Watcher};

use super::flight::plan;
use super::{Case, case};
use crate::sample_image::{AGE, sample_image};
use crate::{Rig, pendulum};

pub(super) const CASES: &[Case] = &[
    case("killing_the_board_ends_with_a_message_and_a_log", killed),
    case("cutting_the_link_ends_with_a_message_and_a_log", cut),
    case("a_link_gone_deaf_ends_with_a_message_and_a_log", deaf),
    case("an_interrupted_flight_ends_with_a_log", interrupted),
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

/// Flies over `transport` until something ends it; returns the outcome and the log.
fn fly_to_the_end(
    rig: &Rig,
    image: &[u8],
    transport: Box<dyn Transport>,
    log: &Path,
    watcher: &mut dyn Watcher,
    stop: &AtomicBool,
) -> Result<(Outcome, Flight)> {
    // Silence must not take long to notice here; still longer than a busy machine takes to answer.
    let patience = Patience {
        attempts: 20,
        ..Rig::patience()
    };
    let mut pilot = BoardPilot::prepare(
        transport,
        patience,
        image,
        "pendulum",
        &pendulum(),
        false,
        &mut |_, _| {},
    )?;
    let card = pilot.card(&rig.target().to_string(), image);
    let outcome = fly::fly(
        &plan(4_000),
        &mut pilot,
        &card,
        Some(image),
        Some(log),
        watcher,
        stop,
    )?;
    let flight = Flight::read(log).context("the log of a flight that ended early")?;
    Ok((outcome, flight))
}

/// The message names what happened; the log has every step and replays.
fn check(outcome: &Outcome, flight: &Flight, word: &str) -> Result<()> {
    let error = outcome
        .error
        .as_ref()
        .context("the flight did not end early")?
        .to_string();
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
    let replay = fly::replay(flight)?;
    ensure!(replay.equal && replay.replayed == steps, "{replay:?}");
    Ok(())
}

/// Frames of a whole upload and hello, with room for retries, and then some steps.
fn frames_until_mid_flight(image: &[u8]) -> u32 {
    (image.len() / 512) as u32 + 150
}

fn killed(rig: &Rig) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let image = sample_image(1, &AGE)?;
    let plug = Plug {
        inner: rig.transport()?,
        frames_left: frames_until_mid_flight(&image),
        deaf: false,
    };
    let stop = AtomicBool::new(false);
    let log = folder.path().join("killed.mcap");
    let (outcome, flight) = fly_to_the_end(rig, &image, Box::new(plug), &log, &mut (), &stop)?;
    check(&outcome, &flight, "closed")
}

fn cut(rig: &Rig) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let image = sample_image(1, &AGE)?;
    let faults = FaultPlan {
        cut: Some(u64::from(frames_until_mid_flight(&image))),
        ..FaultPlan::default()
    };
    let wire = FaultyTransport::new(rig.transport()?, faults);
    let stop = AtomicBool::new(false);
    let log = folder.path().join("cut.mcap");
    let (outcome, flight) = fly_to_the_end(rig, &image, Box::new(wire), &log, &mut (), &stop)?;
    check(&outcome, &flight, "cut the link")
}

fn deaf(rig: &Rig) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let image = sample_image(1, &AGE)?;
    let plug = Plug {
        inner: rig.transport()?,
        frames_left: frames_until_mid_flight(&image),
        deaf: true,
    };
    let stop = AtomicBool::new(false);
    let log = folder.path().join("deaf.mcap");
    let (outcome, flight) = fly_to_the_end(rig, &image, Box::new(plug), &log, &mut (), &stop)?;
    check(&outcome, &flight, "did not answer")
}

/// Presses Ctrl-C at a step.
struct Interrupt<'s> {
    at: u32,
    stop: &'s AtomicBool,
}

impl Watcher for Interrupt<'_> {
    fn step(&mut self, _: &Header, step: &Step, _: f64) {
        if step.step == self.at {
            self.stop.store(true, Ordering::Relaxed);
        }
    }

    fn event(&mut self, _: &Event) {}
}

fn interrupted(rig: &Rig) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let image = sample_image(1, &AGE)?;
    let stop = AtomicBool::new(false);
    let mut watcher = Interrupt {
        at: 60,
        stop: &stop,
    };
    let log = folder.path().join("interrupted.mcap");
    let (outcome, flight) =
        fly_to_the_end(rig, &image, rig.transport()?, &log, &mut watcher, &stop)?;
    ensure!(
        outcome.summary.steps == 61,
        "{} steps flown",
        outcome.summary.steps
    );
    ensure!(
        outcome.summary.weights_sha256_after == outcome.summary.weights_sha256_before,
        "the board was not left in good order"
    );
    check(&outcome, &flight, "interrupted at step 61")
}
