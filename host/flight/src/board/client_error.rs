//! What can go wrong in a conversation with a board, in words that say what to do.

use engram_link::{Command, EncodeError, FromBoard, Reason};

use super::heard::printable;
use super::transport::TransportError;

/// What went wrong in a conversation with a board.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Bytes no longer move.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The wire is there, but the board stays silent.
    #[error(
        "the board did not answer {command} within {waited_s:.1} s ({attempts} attempts){last_words}"
    )]
    Silent {
        /// The question's kind.
        command: Command,
        /// How often it was sent.
        attempts: u32,
        /// How long that took, seconds.
        waited_s: f64,
        /// The newest error that the board logged, or what to look at where it never spoke.
        last_words: String,
    },
    /// The board refused, with its reason; nothing changed there.
    #[error("the board refused {command}: {}", printable(&reason.to_string()))]
    Refused {
        /// The question's kind.
        command: Command,
        /// Why.
        reason: Box<Reason>,
    },
    /// The board speaks another version of the protocol.
    #[error(
        "the board speaks protocol {board}, this program {host}: update the older one (scripts/build-boards builds the firmware, `engram flash` cannot)"
    )]
    Protocol {
        /// The board's version.
        board: u16,
        /// This program's version.
        host: u16,
    },
    /// An answer of a kind that does not belong to the question.
    #[error("the board answered {command} with {got}")]
    Unexpected {
        /// The question's kind.
        command: Command,
        /// What came.
        got: String,
    },
    /// A message that does not fit a frame.
    #[error("{command} cannot be sent: {cause}")]
    Encode {
        /// The message's kind.
        command: Command,
        /// What does not fit.
        cause: EncodeError,
    },
}

impl ClientError {
    /// The board's reason, if it refused.
    #[must_use]
    pub fn refusal(&self) -> Option<&Reason> {
        match self {
            Self::Refused { reason, .. } => Some(reason),
            _ => None,
        }
    }
}

/// An answer of a kind that does not belong to the question.
pub(super) fn unexpected(command: Command, got: &FromBoard) -> ClientError {
    let got = match got {
        FromBoard::Hello(_) => "a hello",
        FromBoard::Action(_) => "an action",
        FromBoard::Done { .. } => "\"done\"",
        FromBoard::Refused { .. } => "a refusal",
        FromBoard::UploadProgress(_) => "upload progress",
        FromBoard::Telemetry(_) => "telemetry",
        FromBoard::Log(_) => "a log line",
    };
    ClientError::Unexpected {
        command,
        got: got.to_owned(),
    }
}
