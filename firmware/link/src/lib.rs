//! Frames and messages of the serial link between host and board.
//!
//! A frame is `COBS(postcard(sequence, message) ++ CRC-32) ++ 0x00`; `docs/src/wire-format.md`
//! describes it byte by byte, for readers in any language.
//!
//! Nothing here allocates or panics: whatever arrives on the wire, [`Decoder::push`] returns a
//! message, a counted error, or nothing. This crate knows no policy, image or plant; what it shares
//! with the runtime ([`State`], [`Fault`]) is here because it travels in messages.
#![no_std]
#![forbid(unsafe_code)]

mod decode;
mod encode;
mod fault;
mod from_board;
mod refusal;
mod sequence;
mod state;
mod to_board;

pub mod limits;

pub use decode::{Counters, DecodeError, Decoder, FromBoardDecoder, ToBoardDecoder};
pub use encode::{EncodeError, Encoder, encode};
pub use fault::{Fault, Faults};
pub use from_board::{Action, FromBoard, HelloReply, Level, Log, Telemetry, UploadProgress};
pub use refusal::{ImageStage, Reason};
pub use sequence::Arrival;
pub use state::{CommandSource, Pace, RequestedPace, State};
pub use to_board::{Command, Sensors, ToBoard, UploadChunk};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Version of everything this crate puts on the wire. Host and board must have the same.
pub const PROTOCOL_VERSION: u16 = 4;

/// One message with the sender's running number.
///
/// Each direction counts for itself, by one per frame, wrapping at 2^32; a frame that is sent again on
/// purpose (a retry) keeps its number. A host begins at a random number, so that two hosts on one
/// line do not take each other's answers for their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Frame<M> {
    /// The sender's running number.
    pub sequence: u32,
    /// [`ToBoard`] or [`FromBoard`].
    pub message: M,
}

/// What a message has to do with the running numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Order {
    /// It has its place among the others.
    Numbered,
    /// It may begin the numbers anew, for its sender may have been restarted: a hello.
    Opening,
    /// It is taken whenever it comes, and moves nobody else's numbers: disarm.
    Anytime,
}

/// What a direction of the link carries.
pub trait Message: Serialize + DeserializeOwned {
    /// What this message has to do with the running numbers.
    fn order(&self) -> Order;
}

impl Message for ToBoard {
    fn order(&self) -> Order {
        match self {
            ToBoard::Hello { .. } => Order::Opening,
            ToBoard::Disarm => Order::Anytime,
            _ => Order::Numbered,
        }
    }
}

impl Message for FromBoard {
    fn order(&self) -> Order {
        match self {
            FromBoard::Hello(_) => Order::Opening,
            _ => Order::Numbered,
        }
    }
}
