//! Messages from the host to the board.

use crate::RequestedPace;
use crate::limits::{CHUNK_BYTES, MAX_OBSERVATIONS};
use heapless::Vec;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumDiscriminants};

/// One sample of the plant.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Sensors {
    /// Lock-step: the time of the control step, microseconds. Real time: ignored.
    pub now_us: u64,
    /// When the sample was taken, microseconds, on the clock of the control steps.
    pub sample_us: u64,
    /// The contract's observation channels, in its order and units.
    pub observation: Vec<f32, MAX_OBSERVATIONS>,
    /// Reward of the last action; needed where the contract's reward is external, else ignored.
    pub reward: Option<f32>,
    /// Whether an episode ended between the last sample and this one.
    pub done: bool,
}

/// A piece of the announced image.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct UploadChunk {
    /// Where the piece begins in the image file, bytes.
    pub offset: u32,
    /// The bytes.
    pub data: Vec<u8, CHUNK_BYTES>,
}

/// A message from the host to the board. Each is answered by exactly one message that carries its
/// sequence number as `request` (in real time, `Sensors` is the exception).
///
/// A frame with the sequence number of the one before is a retry: it gets the same answer again and
/// is not carried out twice. [`ToBoard::Disarm`] knows no numbers: it is carried out whenever it comes.
#[allow(clippy::large_enum_variant)] // no heap to box into, and one lives at a time
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, EnumDiscriminants)]
#[strum_discriminants(
    name(Command),
    doc = "The kind of a message to the board, echoed in its answer.",
    derive(Hash, Serialize, Deserialize, Display),
    strum(serialize_all = "kebab-case"),
    cfg_attr(feature = "defmt", derive(defmt::Format))
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ToBoard {
    /// Opens a conversation and chooses the pace. Answer: `Hello` or `Refused`.
    Hello {
        /// [`crate::PROTOCOL_VERSION`] of the host.
        protocol: u16,
        /// Who makes control steps from now on.
        pace: RequestedPace,
    },
    /// A sample. Answer in lock-step: `Action`. In real time the next step's `Action` names the newest
    /// `Sensors` in its `request`; earlier ones of the same period get no answer.
    Sensors(Sensors),
    /// Lock-step only: a period passed and no sample came. Answer: `Action`.
    Tick {
        /// The time of the control step, microseconds.
        now_us: u64,
    },
    /// Let the policy fly, with empty memory. Answer: `Done` or `Refused`.
    Arm,
    /// Stop the policy. Always taken: before any hello, late, again and again, from any host. Answer: `Done`.
    Disarm,
    /// Forget the latched faults; leaves safe stop for disarmed. Answer: `Done` or `Refused`.
    ResetFaults,
    /// Forget all working memories. The trial goes on: the next working memory still carries the last
    /// command and reward. Answer: `Done`.
    ClearMemory,
    /// Announce an image, or take up an interrupted upload of the same one. Answer: `UploadProgress` or `Refused`.
    UploadBegin {
        /// Length of the image file, bytes.
        length: u32,
        /// SHA-256 of the whole image file.
        sha256: [u8; 32],
    },
    /// A piece of the announced image. Answer: `UploadProgress` or `Refused`.
    UploadChunk(UploadChunk),
    /// Verify, replay and activate the uploaded image; may take seconds. Answer: `Done` or `Refused`.
    UploadCommit,
    /// Ask how much has arrived. Answer: `UploadProgress` or `Refused`.
    UploadStatus,
    /// Ask for counters and hashes; while disarmed the active image is verified anew. Answer: `Telemetry`.
    Telemetry,
}

impl ToBoard {
    /// The kind of this message, as answers name it.
    pub fn command(&self) -> Command {
        self.into()
    }
}
