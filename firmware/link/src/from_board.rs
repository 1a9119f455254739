//! Messages from the board to the host.

use crate::limits::{BOARD_BYTES, FIRMWARE_BYTES, LOG_BYTES, MAX_ACTIONS};
use crate::{Command, CommandSource, Counters, Faults, Pace, Reason, State};
use heapless::{String, Vec};
use serde::{Deserialize, Serialize};
use strum::Display;

/// Who the board is and what it can take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct HelloReply {
    /// Sequence number of the hello that this answers.
    pub request: u32,
    /// [`crate::PROTOCOL_VERSION`] of the board.
    pub protocol: u16,
    /// Name and version of the firmware.
    pub firmware: String<FIRMWARE_BYTES>,
    /// Name of the board, as in `engram boards`.
    pub board: String<BOARD_BYTES>,
    /// SHA-256 of the contract that the board was built with; `None`: it takes each image's.
    pub contract_sha256: Option<[u8; 32]>,
    /// Control period, microseconds; of the active image where the contract comes with it.
    pub period_us: u32,
    /// SHA-256 over the active image's logical weights; `None` without an active image.
    pub weights_sha256: Option<[u8; 32]>,
    /// Where the board stands.
    pub state: State,
    /// Latched faults.
    pub faults: Faults,
    /// Who makes control steps.
    pub pace: Pace,
    /// Largest image file that a slot holds, bytes.
    pub image_bytes: u32,
    /// Upload bytes that the board takes per control period while not disarmed.
    pub upload_bytes_per_period: u32,
    /// Whether the board can be paced in lock-step: its sensors are injected and its actuators only report.
    pub lock_step: bool,
    /// Bytes of cache that the board lends to policies.
    pub cache_bytes: u32,
    /// How its kernels want weights packed: the flag of that packing in an image's header, 0 for rows.
    pub packing: u16,
    /// The ed25519 public key of the one whose images the board takes; `None`: it takes everybody's, signed or not.
    pub signer: Option<[u8; 32]>,
}

/// What one control step did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Action {
    /// Lock-step: sequence number of the `Sensors` or `Tick` that made the step; real time: of the
    /// newest `Sensors` that came before it, 0 where none did.
    pub request: u32,
    /// Time of the step, microseconds.
    pub now_us: u64,
    /// Control steps since the board started, this one included.
    pub step: u32,
    /// The policy's command words; empty where the policy did not run in this step.
    pub words: Vec<i16, MAX_ACTIONS>,
    /// What left the envelope for the actuators, as command words.
    pub issued: Vec<i16, MAX_ACTIONS>,
    /// Who computed the issued command.
    pub source: CommandSource,
    /// Reward that entered the working memory of this step; 0 where the policy did not run.
    pub reward: f32,
    /// Where the board stands after the step.
    pub state: State,
    /// Latched faults after the step.
    pub faults: Faults,
}

/// How much of an announced image has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct UploadProgress {
    /// Sequence number of the message that this answers.
    pub request: u32,
    /// Where the next chunk must begin, bytes.
    pub offset: u32,
    /// Announced length, bytes.
    pub length: u32,
    /// Announced SHA-256 of the image file.
    pub sha256: [u8; 32],
}

/// Counters and hashes. Counters run from the board's start and wrap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Telemetry {
    /// Sequence number of the message that this answers.
    pub request: u32,
    /// Where the board stands.
    pub state: State,
    /// Latched faults.
    pub faults: Faults,
    /// Control steps made.
    pub steps: u32,
    /// Control steps in which the policy ran.
    pub policy_steps: u32,
    /// Control steps that found no new sample while armed.
    pub missing_samples: u32,
    /// Commands that the envelope changed.
    pub limited_commands: u32,
    /// Control steps in flight that began early or late, or ended after their deadline.
    pub deadline_misses: u32,
    /// Longest control step by the board's own clock, microseconds; 0 where it has none.
    pub worst_step_us: u32,
    /// Frames received, and what was wrong with the rest.
    pub link: Counters,
    /// Answers that found no room while the line took nothing; the host asks again.
    pub transmit_errors: u32,
    /// Actions and log lines that found no room while the line took nothing.
    pub telemetry_dropped: u32,
    /// Errors of the line itself: overrun, framing, a device that is gone.
    pub line_errors: u32,
    /// Stack that the board has, bytes; 0 where it cannot say.
    pub stack_bytes: u32,
    /// Deepest stack seen, bytes; 0 where it cannot say.
    pub worst_stack_bytes: u32,
    /// Static RAM of the firmware, bytes; 0 where it cannot say.
    pub ram_bytes: u32,
    /// SHA-256 over the active image's logical weights.
    pub weights_sha256: Option<[u8; 32]>,
    /// Whether `weights_sha256` was computed from the bytes in use for this very answer (while
    /// disarmed); else it is the one taken at activation.
    pub weights_checked: bool,
}

/// How important a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Display)]
#[strum(serialize_all = "lowercase")]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Level {
    /// Detail for the firmware's author.
    Debug,
    /// Something expected happened.
    Info,
    /// Something unexpected happened and was dealt with.
    Warn,
    /// Something failed.
    Error,
}

/// A line of the board's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Log {
    /// Readable as it is.
    Text {
        /// How important it is.
        level: Level,
        /// The line, without end of line.
        text: String<LOG_BYTES>,
    },
    /// Bytes of the board's defmt stream, to be decoded with the firmware's ELF file.
    Defmt(Vec<u8, LOG_BYTES>),
}

/// A message from the board to the host.
#[allow(clippy::large_enum_variant)] // no heap to box into, and one lives at a time
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum FromBoard {
    /// Answer to `Hello`.
    Hello(HelloReply),
    /// A control step was made.
    Action(Action),
    /// A command was carried out.
    Done {
        /// Sequence number of the message that this answers.
        request: u32,
        /// Its kind.
        command: Command,
    },
    /// A message was refused; nothing changed.
    Refused {
        /// Sequence number of the message that this answers.
        request: u32,
        /// Its kind.
        command: Command,
        /// Why.
        reason: Reason,
    },
    /// Answer to the upload messages.
    UploadProgress(UploadProgress),
    /// Answer to `Telemetry`.
    Telemetry(Telemetry),
    /// Unasked: a line of the board's log.
    Log(Log),
}

impl FromBoard {
    /// Sequence number of the message that this answers; `None` for what comes unasked.
    pub const fn request(&self) -> Option<u32> {
        match self {
            FromBoard::Hello(reply) => Some(reply.request),
            FromBoard::Action(action) => Some(action.request),
            FromBoard::Done { request, .. } | FromBoard::Refused { request, .. } => Some(*request),
            FromBoard::UploadProgress(progress) => Some(progress.request),
            FromBoard::Telemetry(telemetry) => Some(telemetry.request),
            FromBoard::Log(_) => None,
        }
    }
}
