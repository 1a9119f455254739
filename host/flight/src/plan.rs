//! What is to be flown, and why it may not work.

use engram_firmware::policy::PolicyError;
use engram_image::{Contract, ContractDifference, ReadError};

use super::log::LogError;
use crate::board::{ClientError, NotForBoard, OpenError, UploadError};
use engram_plants::{PlantFactory, UnknownChange};

/// One flight: the plant's side of it.
#[derive(Debug, Clone)]
pub struct FlightPlan {
    /// Makes the plant.
    pub plant: PlantFactory,
    /// Seed of the hidden task, the start state and the sensors' noise.
    pub task_seed: u64,
    /// Control steps to fly.
    pub steps: u32,
    /// Steps after which the plant starts anew within the trial; `None` flies in one piece.
    pub episode_steps: Option<u32>,
    /// A change of the dynamics, and the step before which it comes.
    pub change: Option<(String, u32)>,
    /// Empty the memory before every step.
    pub wipe_memory: bool,
    /// Let the board's own clock make the steps.
    pub real_time: bool,
    /// Microseconds between two steps on that clock, where it is not the contract's period: time-lapse. Each step is still worth
    /// one period of the plant; the image must be one [`at_period`](crate::image_file::at_period).
    pub period_us: Option<u32>,
    /// The fault plan as given, for the log; empty for a clean wire.
    pub fault: String,
}

impl FlightPlan {
    /// The contract that is flown: the plant's, at the plan's own period.
    #[must_use]
    pub fn contract(&self) -> Contract<'_> {
        let contract = self.plant.spec().contract();
        Contract {
            period_us: self.period_us.unwrap_or(contract.period_us),
            ..contract
        }
    }
}

/// Why a flight could not begin, or ended early.
#[derive(Debug, thiserror::Error)]
pub enum FlightError {
    /// No such change.
    #[error(transparent)]
    Change(#[from] UnknownChange),
    /// The board could not be started or reached.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The conversation with the board failed.
    #[error(transparent)]
    Board(#[from] ClientError),
    /// The image did not get onto the board.
    #[error(transparent)]
    Upload(#[from] UploadError),
    /// The board would refuse the image.
    #[error(transparent)]
    NotForBoard(#[from] NotForBoard),
    /// The bytes are no image.
    #[error("the image cannot be read: {0}")]
    Image(ReadError),
    /// The host's policy refused to run.
    #[error("the host's policy cannot run: {0}")]
    Policy(PolicyError),
    /// The image is for another plant.
    #[error("the image was made for another plant than {plant}: {difference}")]
    ImageContract {
        /// The plant.
        plant: String,
        /// The first difference.
        difference: ContractDifference,
    },
    /// The board's firmware is for another robot.
    #[error(
        "the board's firmware has another contract (sha256 {board}) than the image ({image}): build the firmware for this plant, or train and export for the board's"
    )]
    BoardContract {
        /// The board's contract.
        board: String,
        /// The image's contract.
        image: String,
    },
    /// The board flies on its own sensors.
    #[error(
        "{board} has sensors or actuators of its own and cannot be flown against a simulation: bring the image onto it with `engram flash` and let it fly on its own"
    )]
    OwnSensors {
        /// The board, by the name that it gives itself.
        board: String,
    },
    /// The log could not be written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The classical controller knows one plant.
    #[error("the classical controller flies the pendulum only, not {plant}")]
    NoClassical {
        /// The plant.
        plant: String,
    },
    /// Ctrl-C.
    #[error("interrupted at step {step}")]
    Interrupted {
        /// Steps flown.
        step: u32,
    },
    /// The board makes no steps of its own, or none in time.
    #[error(
        "the board makes no control steps in real time: no new one came for {waited_s:.1} s (one that starts anew counts from the beginning)"
    )]
    NoSteps {
        /// How long none came, seconds.
        waited_s: f64,
    },
}
