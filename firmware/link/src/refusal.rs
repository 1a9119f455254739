//! Why a board refused a message: typed, and readable as text.

use crate::limits::REASON_BYTES;
use crate::{Faults, State};
use heapless::String;
use serde::{Deserialize, Serialize};
use strum::Display;
use thiserror::Error;

/// The check that an uploaded image failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Display)]
#[strum(serialize_all = "lowercase")]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ImageStage {
    /// SHA-256 of the uploaded file against the announced one.
    Transfer,
    /// The image reader.
    #[strum(serialize = "reading")]
    Read,
    /// The image's contract against the board's.
    Contract,
    /// The golden trace.
    #[strum(serialize = "golden trace")]
    Golden,
    /// What the policy needs of the board's memory.
    Memory,
    /// The image's signature against the board's public key.
    Signature,
}

/// Why the board did not do what a message asked. Nothing changed on the board.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Reason {
    /// Host and board speak different protocol versions.
    #[error("the board speaks protocol {board}, the host {host}: update the older one")]
    Protocol {
        /// The board's version.
        board: u16,
        /// The host's version.
        host: u16,
    },
    /// No hello with the right protocol version came before.
    #[error("say hello first")]
    NoHello,
    /// The frame's number is older than the newest one's, or of another conversation: not carried out.
    #[error(
        "the frame is older than the newest one, number {newest}, or another host's, and was not carried out"
    )]
    LateFrame {
        /// Number of the newest frame.
        newest: u32,
    },
    /// The pace can only be changed while disarmed or in safe stop.
    #[error("the pace cannot change while the state is {0}: disarm first")]
    PaceFixed(State),
    /// Only possible while disarmed.
    #[error("only while disarmed, and the state is {0}: disarm first")]
    NotDisarmed(State),
    /// Only possible while disarmed or in safe stop.
    #[error("only while disarmed or in safe stop, and the state is {0}: disarm first")]
    NotStopped(State),
    /// There is no active image.
    #[error("there is no active image: upload one first")]
    NoImage,
    /// Faults are latched: reset them first.
    #[error("faults are latched, reset them first: {0}")]
    FaultsLatched(Faults),
    /// This board has sensors of its own and takes no injected samples.
    #[error("this board reads its own sensors and takes no injected samples")]
    NotInjectable,
    /// The board paces itself; it takes no `Tick`.
    #[error("the board paces itself: say hello with pace lock-step first")]
    NotLockStep,
    /// The message's time is not after the newest step's.
    #[error("the message is of {got_us} us, not after the newest step at {newest_us} us")]
    OutOfOrder {
        /// Time of the newest step, microseconds.
        newest_us: u64,
        /// Time in the message, microseconds.
        got_us: u64,
    },
    /// No upload was begun.
    #[error("no upload was begun")]
    NoUpload,
    /// The announced image does not fit into a slot.
    #[error("the image has {length} bytes, a slot of this board holds {most}")]
    ImageTooLong {
        /// Announced length, bytes.
        length: u32,
        /// Largest length, bytes.
        most: u32,
    },
    /// The chunk lies beyond what has arrived, or runs past the announced length.
    #[error("the chunk begins at byte {got}, the next expected byte is {expected}")]
    UploadOffset {
        /// Where the next chunk must begin, bytes.
        expected: u32,
        /// Where this one begins, bytes.
        got: u32,
    },
    /// The image has not arrived completely.
    #[error("only {offset} of {length} bytes have arrived")]
    UploadIncomplete {
        /// Bytes that have arrived.
        offset: u32,
        /// Announced length, bytes.
        length: u32,
    },
    /// This period's share of upload work is used up; send the chunk again after the next step.
    #[error(
        "this period's {bytes_per_period} bytes of upload are used up: send the chunk again after the next step"
    )]
    UploadShare {
        /// Bytes taken per period while not disarmed.
        bytes_per_period: u32,
    },
    /// The image store failed to write.
    #[error("the image store failed to write")]
    Store,
    /// The uploaded image was refused; the active image keeps running.
    #[error("the image was refused at {stage}: {text}")]
    Image {
        /// The check that failed.
        stage: ImageStage,
        /// What it found.
        text: String<REASON_BYTES>,
    },
    /// Sensors or actuators are real: in lock-step nobody would make control steps.
    #[error(
        "its sensors or actuators are real, and in lock-step nobody would make control steps: ask for real time"
    )]
    NoLockStep,
    /// The issued command has not reached the safe one yet; ask again after some periods.
    #[error("the command has not reached the safe one yet: ask again after some periods")]
    NotSettled,
}
