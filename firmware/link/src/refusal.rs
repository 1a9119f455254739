//! Why a board refused a message: typed, and readable as text.

use crate::limits::REASON_BYTES;
use crate::{Faults, State};
use core::fmt;
use heapless::String;
use serde::{Deserialize, Serialize};

/// The check that an uploaded image failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ImageStage {
    /// SHA-256 of the uploaded file against the announced one.
    Transfer,
    /// The image reader.
    Read,
    /// The image's contract against the board's.
    Contract,
    /// The golden trace.
    Golden,
    /// What the policy needs of the board's memory.
    Memory,
}

impl fmt::Display for ImageStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ImageStage::Transfer => "transfer",
            ImageStage::Read => "reading",
            ImageStage::Contract => "contract",
            ImageStage::Golden => "golden trace",
            ImageStage::Memory => "memory",
        })
    }
}

/// Why the board did not do what a message asked. Nothing changed on the board.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Reason {
    /// Host and board speak different protocol versions.
    Protocol {
        /// The board's version.
        board: u16,
        /// The host's version.
        host: u16,
    },
    /// No hello with the right protocol version came before.
    NoHello,
    /// The frame's number is older than the newest one's, or of another conversation: not carried out.
    LateFrame {
        /// Number of the newest frame.
        newest: u32,
    },
    /// The pace can only be changed while disarmed or in safe stop.
    PaceFixed(State),
    /// Only possible while disarmed.
    NotDisarmed(State),
    /// Only possible while disarmed or in safe stop.
    NotStopped(State),
    /// There is no active image.
    NoImage,
    /// Faults are latched: reset them first.
    FaultsLatched(Faults),
    /// This board has sensors of its own and takes no injected samples.
    NotInjectable,
    /// The board paces itself; it takes no `Tick`.
    NotLockStep,
    /// The message's time is not after the newest step's.
    OutOfOrder {
        /// Time of the newest step, microseconds.
        newest_us: u64,
        /// Time in the message, microseconds.
        got_us: u64,
    },
    /// No upload was begun.
    NoUpload,
    /// The announced image does not fit into a slot.
    ImageTooLong {
        /// Announced length, bytes.
        length: u32,
        /// Largest length, bytes.
        most: u32,
    },
    /// The chunk lies beyond what has arrived, or runs past the announced length.
    UploadOffset {
        /// Where the next chunk must begin, bytes.
        expected: u32,
        /// Where this one begins, bytes.
        got: u32,
    },
    /// The image has not arrived completely.
    UploadIncomplete {
        /// Bytes that have arrived.
        offset: u32,
        /// Announced length, bytes.
        length: u32,
    },
    /// This period's share of upload work is used up; send the chunk again after the next step.
    UploadShare {
        /// Bytes taken per period while not disarmed.
        bytes_per_period: u32,
    },
    /// The image store failed to write.
    Store,
    /// The uploaded image was refused; the active image keeps running.
    Image {
        /// The check that failed.
        stage: ImageStage,
        /// What it found.
        text: String<REASON_BYTES>,
    },
    /// Sensors or actuators are real: in lock-step nobody would make control steps.
    NoLockStep,
    /// The issued command has not reached the safe one yet; ask again after some periods.
    NotSettled,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Protocol { board, host } => write!(
                f,
                "the board speaks protocol {board}, the host {host}: update the older one"
            ),
            Reason::NoHello => f.write_str("say hello first"),
            Reason::LateFrame { newest } => write!(
                f,
                "the frame is older than the newest one, number {newest}, or another host's, and was not carried out"
            ),
            Reason::PaceFixed(state) => write!(
                f,
                "the pace cannot change while the state is {state}: disarm first"
            ),
            Reason::NotDisarmed(state) => {
                write!(
                    f,
                    "only while disarmed, and the state is {state}: disarm first"
                )
            }
            Reason::NotStopped(state) => write!(
                f,
                "only while disarmed or in safe stop, and the state is {state}: disarm first"
            ),
            Reason::NoImage => f.write_str("there is no active image: upload one first"),
            Reason::FaultsLatched(faults) => {
                write!(f, "faults are latched, reset them first: {faults}")
            }
            Reason::NotInjectable => {
                f.write_str("this board reads its own sensors and takes no injected samples")
            }
            Reason::NotLockStep => {
                f.write_str("the board paces itself: say hello with pace lock-step first")
            }
            Reason::OutOfOrder { newest_us, got_us } => write!(
                f,
                "the message is of {got_us} us, not after the newest step at {newest_us} us"
            ),
            Reason::NoUpload => f.write_str("no upload was begun"),
            Reason::ImageTooLong { length, most } => write!(
                f,
                "the image has {length} bytes, a slot of this board holds {most}"
            ),
            Reason::UploadOffset { expected, got } => write!(
                f,
                "the chunk begins at byte {got}, the next expected byte is {expected}"
            ),
            Reason::UploadIncomplete { offset, length } => {
                write!(f, "only {offset} of {length} bytes have arrived")
            }
            Reason::UploadShare { bytes_per_period } => write!(
                f,
                "this period's {bytes_per_period} bytes of upload are used up: send the chunk again after the next step"
            ),
            Reason::Store => f.write_str("the image store failed to write"),
            Reason::Image { stage, text } => {
                write!(f, "the image was refused at {stage}: {text}")
            }
            Reason::NoLockStep => f.write_str(
                "its sensors or actuators are real, and in lock-step nobody would make control steps: ask for real time",
            ),
            Reason::NotSettled => f.write_str(
                "the command has not reached the safe one yet: ask again after some periods",
            ),
        }
    }
}

impl core::error::Error for Reason {}
