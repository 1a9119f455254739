//! Doing a flight again from its log alone, and naming the first step that comes out differently.
//!
//! The replay sends the logged samples and orders to a fresh board in this process, which runs the
//! logged image, and compares everything that a board decides: policy words, issued words, who
//! decided, reward, state and faults. No plant takes part.

use engram_image::Image;
use engram_link::{Pace, Sensors};
use serde::Serialize;

use super::board_pilot::upload;
use super::log::{Flaw, FlawKind, Flight};
use super::plan::FlightError;
use super::record::{Difference, Order, Step};
use crate::board::{Client, ClientError, Loopback, Patience};

/// What came of a replay; the keys of `engram replay --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Replay {
    /// The board that flew.
    pub board: String,
    /// The plant.
    pub plant: String,
    /// Steps in the log.
    pub steps: u32,
    /// Steps that were done again, the differing one included: those from the first on that are as they were written.
    pub replayed: u32,
    /// Whether the flight came out bit for bit: there are steps, all came out, and the log lacks nothing.
    pub equal: bool,
    /// The first step and field that came out differently.
    pub first_difference: Option<Difference>,
    /// Whether the log proves that it holds the whole flight.
    pub log_complete: bool,
    /// What keeps it from that.
    pub flaws: Vec<Flaw>,
}

/// Why a log cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// No image in the log: a controller on the host flew.
    #[error("the log holds no image: it is the flight of the {controller} controller on the host")]
    NoImage {
        /// The controller.
        controller: String,
    },
    /// The image is missing or damaged.
    #[error("the log cannot be replayed: {flaws}")]
    Damaged {
        /// What is wrong with it, in words.
        flaws: String,
    },
    /// The replaying board failed.
    #[error(transparent)]
    Flight(#[from] FlightError),
}

impl From<ClientError> for ReplayError {
    fn from(error: ClientError) -> Self {
        Self::Flight(error.into())
    }
}

/// Replays `flight`.
///
/// # Errors
/// [`ReplayError`]; a step that comes out differently is no error but the result.
pub fn replay(flight: &Flight) -> Result<Replay, ReplayError> {
    let bytes = flight
        .image
        .as_deref()
        .ok_or_else(|| match flight.not_whole() {
            Some(flaws) => ReplayError::Damaged { flaws },
            None => ReplayError::NoImage {
                controller: flight.header.controller.clone(),
            },
        })?;
    let image = Image::read(bytes).map_err(FlightError::Image)?;
    let (mut client, _) = Client::connect(
        Box::new(Loopback::default()),
        Pace::LockStep,
        Patience::default(),
    )?;
    let flown = hex::encode(image.contract.digest());
    if flight.header.contract_sha256 != flown {
        return Err(ReplayError::Flight(FlightError::BoardContract {
            board: flight.header.contract_sha256.clone(),
            image: flown,
        }));
    }
    upload(&mut client, bytes, &mut |_, _| {})?;
    let mut result = Replay {
        board: flight.header.board.clone(),
        plant: flight.header.plant.clone(),
        steps: u32::try_from(flight.steps.len()).unwrap_or(u32::MAX),
        replayed: 0,
        // A log that proves nothing of its end may come out all the same.
        equal: !flight.steps.is_empty()
            && flight
                .flaws
                .iter()
                .all(|flaw| flaw.kind == FlawKind::NoProof),
        first_difference: None,
        log_complete: flight.complete,
        flaws: flight.flaws.clone(),
    };
    for step in flight.sound_steps() {
        result.replayed += 1;
        if let Some(difference) = replay_step(&mut client, step)? {
            result.equal = false;
            result.first_difference = Some(difference);
            break;
        }
    }
    Ok(result)
}

/// Does one step again.
fn replay_step(client: &mut Client, step: &Step) -> Result<Option<Difference>, ReplayError> {
    for order in &step.orders {
        match order {
            Order::Arm => client.arm()?,
            Order::Disarm => client.disarm()?,
            Order::ResetFaults => client.reset_faults()?,
            Order::ClearMemory => client.clear_memory()?,
        }
    }
    let action = match &step.sample {
        None => client.tick(step.now_us)?,
        Some(sample) => client.step(Sensors {
            now_us: step.now_us,
            sample_us: sample.sample_us,
            observation: sample.observation.iter().copied().collect(),
            reward: sample.reward,
            done: sample.done,
        })?,
    };
    let difference = |field: &str, expected: String, got: String| {
        (expected != got).then(|| Difference {
            step: step.step,
            field: field.to_owned(),
            expected,
            got,
        })
    };
    Ok(words_difference(step, "words", &action.words, &step.words)
        .or_else(|| words_difference(step, "issued", &action.issued, &step.issued))
        .or_else(|| difference("source", action.source.to_string(), step.source.to_string()))
        .or_else(|| difference("reward", exact(action.reward), exact(step.reward)))
        .or_else(|| difference("state", action.state.to_string(), step.state.to_string()))
        .or_else(|| {
            let logged = engram_link::Faults(step.faults);
            difference("faults", action.faults.to_string(), logged.to_string())
        }))
}

/// A number with its bits, so that two that print alike are told apart.
fn exact(value: f32) -> String {
    format!("{value} (0x{:08x})", value.to_bits())
}

fn words_difference(step: &Step, field: &str, again: &[i16], logged: &[i16]) -> Option<Difference> {
    let most = again.len().max(logged.len());
    let shown = |word: Option<&i16>| word.map_or_else(|| "nothing".to_owned(), i16::to_string);
    (0..most).find_map(|index| {
        let (expected, got) = (again.get(index), logged.get(index));
        (expected != got).then(|| Difference {
            step: step.step,
            field: format!("{field}[{index}]"),
            expected: shown(expected),
            got: shown(got),
        })
    })
}
