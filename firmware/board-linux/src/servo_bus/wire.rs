//! Exchanges with the servos of a bus: one question to all of them, goals to all of them.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use rustypot::{CommunicationErrorKind, DynamixelProtocolHandler, SyncReadError};
use serialport::TTYPort;

use super::config::Joint;
use super::port::DeadlinePort;
use super::servo::{Block, Blocks};

/// Why an exchange brought no sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No whole answer in time.
    #[error("servo {id} gave no whole answer in time")]
    Lost {
        /// The first one that did not.
        id: u8,
    },
    /// A checksum that does not fit, no packet, or another servo's id: so it looks, too, when a servo is silent and the next one answers in its place.
    #[error("the answer of servo {id} was damaged, or another servo's")]
    Damaged {
        /// Whose answer was expected.
        id: u8,
    },
    /// The answer to an older question.
    #[error("servo {id} answered an older question")]
    Late {
        /// The servo.
        id: u8,
    },
    /// An intact answer with a status other than 0.
    #[error("servo {id} reports an alarm, status {status:#04x}")]
    Alarm {
        /// The servo.
        id: u8,
        /// The status byte.
        status: u8,
    },
    /// The device has failed: unplugged, say.
    #[error("the serial device is gone")]
    Gone,
}

impl Failure {
    /// Whose answer it was.
    pub(super) const fn id(self) -> Option<u8> {
        match self {
            Self::Lost { id }
            | Self::Damaged { id }
            | Self::Late { id }
            | Self::Alarm { id, .. } => Some(id),
            Self::Gone => None,
        }
    }
}

/// Intact answers of all servos to one question.
pub(super) struct Answers {
    /// The register at which the bytes of each servo begin.
    pub(super) first: u8,
    /// In the order of the joints.
    pub(super) bytes: Vec<Vec<u8>>,
}

/// The port with its protocol.
pub(super) struct Wire {
    pub(super) port: DeadlinePort,
    pub(super) protocol: DynamixelProtocolHandler,
    ids: Vec<u8>,
    blocks: Blocks,
    turn: usize,
}

impl Wire {
    /// For joints whose kinds share a protocol.
    pub(super) fn new(port: TTYPort, joints: &[Joint<'_>], first: &Joint<'_>) -> Self {
        Self {
            port: DeadlinePort::new(port),
            protocol: match first.servo.definition().protocol {
                1 => DynamixelProtocolHandler::v1(),
                _ => DynamixelProtocolHandler::v2(),
            },
            ids: joints.iter().map(|joint| joint.id).collect(),
            blocks: first.servo.blocks(),
            turn: 0,
        }
    }

    /// The block of the next question.
    fn next_block(&mut self) -> Block {
        self.turn = (self.turn + 1) % self.blocks.len();
        let [first, ..] = self.blocks;
        self.blocks.get(self.turn).copied().unwrap_or(first)
    }

    /// Asks all servos and waits for their answers until `deadline`, whatever comes.
    pub(super) fn ask(&mut self, deadline: Instant) -> Result<Answers, Failure> {
        let Block { address, length } = self.next_block();
        self.port.begin(deadline);
        let answers =
            self.protocol
                .sync_read_with_error(&mut self.port, &self.ids, address, length);
        let answers = answers.map_err(|error| self.failure(error))?;
        let mut bytes = Vec::with_capacity(answers.len());
        for ((answer, status), id) in answers.into_iter().zip(&self.ids) {
            if answer.len() != usize::from(length) {
                return Err(Failure::Late { id: *id });
            }
            if !status.is_ok() {
                let status = status.byte();
                return Err(Failure::Alarm { id: *id, status });
            }
            bytes.push(answer);
        }
        Ok(Answers {
            first: address,
            bytes,
        })
    }

    fn failure(&self, error: Box<dyn Error>) -> Failure {
        if self.port.gone() {
            return Failure::Gone;
        }
        let (id, cause) = match error.downcast::<SyncReadError>() {
            Ok(error) => (error.id, error.cause),
            // The question did not get out.
            Err(other) => (self.ids.first().copied().unwrap_or(0), other),
        };
        let timed_out = cause.downcast_ref::<io::Error>().is_some_and(|error| {
            matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::UnexpectedEof)
        }) || matches!(
            cause.downcast_ref(),
            Some(CommunicationErrorKind::TimeoutError)
        );
        if timed_out {
            Failure::Lost { id }
        } else {
            Failure::Damaged { id }
        }
    }

    /// Writes `values`, one per id, from the register `address` on. No servo answers that. Gives the number of bytes that were thrown away before.
    pub(super) fn tell(
        &mut self,
        within: Duration,
        ids: &[u8],
        address: u8,
        values: &[Vec<u8>],
    ) -> Result<usize, Failure> {
        let stray = self.port.begin(Instant::now() + within);
        let told = self
            .protocol
            .sync_write(&mut self.port, ids, address, values);
        told.map(|()| stray).map_err(|error| self.failure(error))
    }
}
