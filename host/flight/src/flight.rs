//! A flight in lock-step: the plant on the host, the decisions wherever the pilot is.
//!
//! Time is virtual: a flight depends on its plan, its image and its seeds, and on no clock. Two
//! equal flights are equal bit for bit, on every board.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use engram_image::Contract;
use engram_link::Log;

use super::log::LogWriter;
use super::pilot::{Decision, Pilot};
use super::plan::{FlightError, FlightPlan};
use super::record::{ChannelRecord, EventKind, Header, LOG_FORMAT, SampleRecord, Step, Summary};
use super::recorder::{Ending, Recorder, Watcher};
use engram_plants::{Plant, Start, Stream, TaskSet, random_stream};

/// What came of a flight: its numbers in any case, and why it ended early if it did.
#[derive(Debug)]
pub struct Outcome {
    /// The numbers.
    pub summary: Summary,
    /// Why it ended early.
    pub error: Option<FlightError>,
}

/// What the log says about the pilot.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PilotCard {
    /// The board as the user named it, or `host`.
    pub board: String,
    /// What the board said it is; empty for `host`.
    pub firmware: String,
    /// `policy` or `classical`.
    pub controller: String,
    /// SHA-256 of the image file, hexadecimal; empty without an image.
    pub image_sha256: String,
    /// SHA-256 of the logical weights, hexadecimal; empty without an image.
    pub weights_sha256: String,
}

/// Makes the plant of a plan, its hidden task drawn and its trial begun.
///
/// # Errors
/// [`FlightError::Change`] when the plan's change is unknown.
pub fn plant_for(plan: &FlightPlan) -> Result<Box<dyn Plant>, FlightError> {
    let mut plant = plan.plant.make();
    let mut random = random_stream(plan.task_seed, Stream::HeldOut, 0);
    let task = plant.sample_task(TaskSet::HeldOut, &mut random);
    plant.reset(&task, plan.task_seed);
    if let Some((change, _)) = &plan.change {
        // Tried on a second plant, so that a misspelt name does not show up in mid-flight.
        let mut trial = plan.plant.make();
        trial.reset(&task, plan.task_seed);
        trial.apply(change)?;
    }
    Ok(plant)
}

/// The log's description of a flight that is about to begin.
#[must_use]
pub fn header(plan: &FlightPlan, plant: &dyn Plant, card: &PilotCard) -> Header {
    let spec = plant.spec();
    let contract = plan.contract();
    let period_s = f64::from(contract.period_us) * 1e-6;
    Header {
        format: LOG_FORMAT,
        engram: env!("CARGO_PKG_VERSION").to_owned(),
        board: card.board.clone(),
        firmware: card.firmware.clone(),
        controller: card.controller.clone(),
        wiped: plan.wipe_memory,
        pace: if plan.real_time {
            "real time"
        } else {
            "lock-step"
        }
        .to_owned(),
        plant: plan.plant.name().to_owned(),
        task_seed: plan.task_seed,
        task: spec
            .parameters
            .iter()
            .zip(plant.task().values)
            .map(|(parameter, value)| {
                (
                    parameter.name.to_string(),
                    value,
                    parameter.unit.to_string(),
                )
            })
            .collect(),
        change: plan
            .change
            .as_ref()
            .map(|(name, step)| (name.clone(), f64::from(*step) * period_s)),
        fault: plan.fault.clone(),
        period_us: contract.period_us,
        observations: contract
            .observations
            .iter()
            .map(|channel| channel_record(channel.name, channel.unit, channel.min, channel.max))
            .collect(),
        actions: contract
            .actions
            .iter()
            .map(|channel| channel_record(channel.name, channel.unit, channel.min, channel.max))
            .collect(),
        state_names: spec.state_names.iter().map(ToString::to_string).collect(),
        has_goal: spec.has_goal,
        contract_sha256: hex::encode(contract.digest()),
        image_sha256: card.image_sha256.clone(),
        weights_sha256: card.weights_sha256.clone(),
    }
}

fn channel_record(name: &str, unit: &str, min: f32, max: f32) -> ChannelRecord {
    ChannelRecord {
        name: name.to_owned(),
        unit: unit.to_owned(),
        min,
        max,
    }
}

/// Opens the log of a flight, if one is wanted.
pub(super) fn open_log(
    path: Option<&Path>,
    header: &Header,
    image: Option<&[u8]>,
) -> Result<Option<LogWriter>, FlightError> {
    Ok(path
        .map(|path| LogWriter::create(path, header, image))
        .transpose()?)
}

/// Flies `plan` in lock-step. `stop` ends the flight in good order from another thread.
///
/// Whatever happens on the way, the log is closed and readable, and the summary is returned.
///
/// # Errors
/// [`FlightError`] when the flight could not begin (no such change, no log file); later errors are in
/// the [`Outcome`].
pub fn fly(
    plan: &FlightPlan,
    pilot: &mut dyn Pilot,
    card: &PilotCard,
    image: Option<&[u8]>,
    log: Option<&Path>,
    watcher: &mut dyn Watcher,
    stop: &AtomicBool,
) -> Result<Outcome, FlightError> {
    let mut plant = plant_for(plan)?;
    let header = header(plan, &*plant, card);
    let log = open_log(log, &header, image)?;
    let contract = plan.contract();
    let mut recorder = Recorder::new(header, &contract, log, watcher);
    let result = run(plan, &mut *plant, &contract, pilot, &mut recorder, stop);
    Ok(close(recorder, pilot, result))
}

/// Ends the flight on the board and in the log. Whatever cannot be done of it, the rest is.
fn close(
    recorder: Recorder<'_>,
    pilot: &mut dyn Pilot,
    result: Result<(), FlightError>,
) -> Outcome {
    let ending = pilot.end();
    finish(recorder, ending, &pilot.drain_logs(), result)
}

/// Completes the log of a flight that has ended on the board.
pub(super) fn finish(
    mut recorder: Recorder<'_>,
    ending: Ending,
    lines: &[Log],
    result: Result<(), FlightError>,
) -> Outcome {
    let logged = lines.iter().try_for_each(|line| recorder.board_log(line));
    let error = result.and(logged.map_err(FlightError::from)).err();
    let (summary, log_error) = recorder.finish(ending, error.as_ref().map(ToString::to_string));
    Outcome {
        summary,
        error: error.or(log_error.map(FlightError::from)),
    }
}

fn run(
    plan: &FlightPlan,
    plant: &mut dyn Plant,
    contract: &Contract<'_>,
    pilot: &mut dyn Pilot,
    recorder: &mut Recorder<'_>,
    stop: &AtomicBool,
) -> Result<(), FlightError> {
    let period_us = u64::from(contract.period_us);
    let mut episode = Episode::default();
    for index in 0..plan.steps {
        let asked = recorder.asked();
        if stop.load(Ordering::Relaxed) {
            return Err(FlightError::Interrupted {
                step: recorder.steps(),
            });
        }
        if asked.stop {
            recorder.event(EventKind::Asked, "the end".to_owned())?;
            break;
        }
        let done = begin_episode(plan, plant, index, &mut episode, recorder)?;
        apply_change(plan, plant, index, recorder)?;
        for change in &asked.changes {
            change_plant(change, plant, recorder)?;
        }
        if let Some(every_step) = asked.wipe_memory {
            pilot.wipe_memory(every_step);
            let memory = match every_step {
                true => "the memory wiped before every step",
                false => "the memory kept",
            };
            recorder.event(EventKind::Asked, memory.to_owned())?;
        }
        let now_us = period_us * (u64::from(index) + 1);
        let sample = SampleRecord {
            sample_us: now_us,
            observation: plant.observe().to_vec(),
            reward: plant.external_reward(),
            done,
        };
        let decided = pilot.decide(now_us, &sample);
        for line in pilot.drain_logs() {
            recorder.board_log(&line)?;
        }
        let decision = decided?;
        let (step, attention) = make_record(
            now_us,
            episode.number,
            Some(sample),
            decision,
            plant,
            contract,
        );
        let command = step.command.clone();
        recorder.step(step, attention)?;
        plant.step(&command);
        recorder.moved(plant)?;
    }
    Ok(())
}

/// Where a flight stands within its trial.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Episode {
    /// From 0.
    pub(super) number: u32,
    /// The step of the flight that it began with.
    first_step: u32,
}

/// Starts the plant anew where the plan says so or the plant ended its episode by itself; returns whether one ended.
pub(super) fn begin_episode(
    plan: &FlightPlan,
    plant: &mut dyn Plant,
    index: u32,
    episode: &mut Episode,
    recorder: &mut Recorder<'_>,
) -> Result<bool, FlightError> {
    let timed_out = index > episode.first_step
        && plan
            .episode_steps
            .is_some_and(|steps| steps > 0 && index - episode.first_step >= steps);
    let ended = plant.ended();
    if ended || timed_out {
        *episode = Episode {
            number: episode.number + 1,
            first_step: index,
        };
        plant.restart(Start::Usual);
        let why = if ended {
            "; the one before ended by itself"
        } else {
            ""
        };
        recorder.event(
            EventKind::Episode,
            format!("episode {} begins{why}", episode.number + 1),
        )?;
    }
    Ok(ended || timed_out)
}

/// Applies the plan's change at its time.
pub(super) fn apply_change(
    plan: &FlightPlan,
    plant: &mut dyn Plant,
    index: u32,
    recorder: &mut Recorder<'_>,
) -> Result<(), FlightError> {
    match &plan.change {
        Some((change, at)) if *at == index => change_plant(change, plant, recorder),
        _ => Ok(()),
    }
}

/// Changes the dynamics, and says so.
fn change_plant(
    change: &str,
    plant: &mut dyn Plant,
    recorder: &mut Recorder<'_>,
) -> Result<(), FlightError> {
    plant.apply(change)?;
    let summary = plant.spec().change_in_words(change);
    Ok(recorder.event(EventKind::Change, format!("{change}: {summary}"))?)
}

/// Puts together what is known of a step.
pub(super) fn make_record(
    now_us: u64,
    episode: u32,
    sample: Option<SampleRecord>,
    decision: Decision,
    plant: &dyn Plant,
    contract: &Contract<'_>,
) -> (Step, Vec<Vec<f32>>) {
    let judgement = plant.judge();
    let command = contract
        .actions
        .iter()
        .zip(&decision.issued)
        .map(|(channel, word)| engram_kernels::command_from_word(*word, channel.min, channel.max))
        .collect();
    let step = Step {
        step: 0,
        now_us,
        episode,
        lost_before: 0,
        orders: decision.orders,
        sample,
        words: decision.words,
        expected: decision.expected,
        issued: decision.issued,
        source: decision.source,
        reward: decision.reward,
        state: decision.state,
        faults: decision.faults,
        command,
        plant: plant.state().to_vec(),
        holds: judgement.holds,
        fallen: judgement.fallen,
        // Known once the plant has moved.
        ended: false,
        diverged: false,
    };
    (step, decision.attention)
}
