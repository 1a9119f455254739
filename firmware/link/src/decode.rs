//! Finding frames in a stream of bytes that may hold anything.
//!
//! Work per byte is bounded: a byte is stored, and a zero makes one pass over at most
//! [`MAX_FRAME_BYTES`] stored bytes.

use crate::encode::{CRC, CRC_BYTES};
use crate::limits::MAX_FRAME_BYTES;
use crate::sequence::SequenceMonitor;
use crate::{Arrival, Frame, FromBoard, Message, Order, ToBoard};
use cobs::{DecodeResult, DecoderState};
use core::marker::PhantomData;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why bytes between two zeros were no frame. All of them are counted, none stops the decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum DecodeError {
    /// More bytes than any frame has; the rest up to the next zero is dropped too.
    #[error("more bytes than a frame may have came without a zero")]
    Overflow,
    /// The byte stuffing is broken, or nothing but a CRC could be inside.
    #[error("the byte stuffing of a frame is broken")]
    Stuffing,
    /// The CRC does not fit the payload.
    #[error("the CRC of a frame does not fit")]
    Crc,
    /// An intact payload that is no message of this protocol version.
    #[error("an intact frame holds no message of this protocol version")]
    Message,
}

/// What a receiver has seen; every counter wraps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Counters {
    /// Intact frames.
    pub frames: u32,
    /// Frames with a wrong CRC.
    pub crc_errors: u32,
    /// Frames with broken byte stuffing.
    pub stuffing_errors: u32,
    /// Runs of bytes longer than a frame.
    pub overflows: u32,
    /// Intact frames that held no known message.
    pub unknown_messages: u32,
    /// Frames missing by their numbers (a late one was counted as missing before).
    pub lost: u32,
    /// Frames with the number of the one before.
    pub repeated: u32,
    /// Frames with an older number.
    pub late: u32,
}

impl Counters {
    /// Everything that was received but could not be used.
    pub const fn errors(&self) -> u32 {
        self.crc_errors
            .wrapping_add(self.stuffing_errors)
            .wrapping_add(self.overflows)
            .wrapping_add(self.unknown_messages)
    }
}

/// Receives the frames of one direction. `M` is [`ToBoard`] on the board, [`FromBoard`] on the host.
#[derive(Debug, Clone)]
pub struct Decoder<M> {
    buffer: [u8; MAX_FRAME_BYTES],
    length: usize,
    overflowed: bool,
    counters: Counters,
    sequence: SequenceMonitor,
    arrival: Arrival,
    message: PhantomData<M>,
}

/// The board's receiver.
pub type ToBoardDecoder = Decoder<ToBoard>;
/// The host's receiver.
pub type FromBoardDecoder = Decoder<FromBoard>;

impl<M> Decoder<M> {
    /// A receiver that has seen nothing.
    pub fn new() -> Self {
        Self {
            buffer: [0; MAX_FRAME_BYTES],
            length: 0,
            overflowed: false,
            counters: Counters::default(),
            sequence: SequenceMonitor::new(),
            arrival: Arrival::Next,
            message: PhantomData,
        }
    }

    /// What was received so far.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// The newest running number of the other side; `None` before its first frame.
    pub const fn newest_sequence(&self) -> Option<u32> {
        self.sequence.newest()
    }

    /// The running numbers start anew with this one: its hello was taken ([`Arrival::Opening`]).
    pub fn begin_conversation(&mut self, sequence: u32) {
        self.sequence.restart(sequence);
    }

    /// How the last intact frame arrived.
    pub const fn arrival(&self) -> Arrival {
        self.arrival
    }
}

impl<M: Message> Decoder<M> {
    /// Takes one byte; returns a frame or an error when the byte ends one, else nothing.
    ///
    /// Zeros without anything between them are silence, not an error. After garbage the decoder is in
    /// step again at the next zero.
    pub fn push(&mut self, byte: u8) -> Option<Result<Frame<M>, DecodeError>> {
        if byte != 0 {
            match self.buffer.get_mut(self.length) {
                Some(place) => {
                    *place = byte;
                    self.length = self.length.wrapping_add(1);
                }
                None => self.overflowed = true,
            }
            return None;
        }
        let length = core::mem::take(&mut self.length);
        let overflowed = core::mem::take(&mut self.overflowed);
        if length == 0 {
            return None;
        }
        let result = if overflowed {
            Err(DecodeError::Overflow)
        } else {
            self.unpack(length)
        };
        self.count(&result);
        Some(result)
    }

    /// Undoes the stuffing of the first `length` stored bytes, checks the CRC and reads the message.
    // Not inlined: the check that no panic is reachable looks for its symbol in the firmware.
    #[inline(never)]
    fn unpack(&mut self, length: usize) -> Result<Frame<M>, DecodeError> {
        let payload_length = self.unstuff(length).ok_or(DecodeError::Stuffing)?;
        let payload = self
            .buffer
            .get(..payload_length)
            .ok_or(DecodeError::Stuffing)?;
        let (body, crc) = payload
            .split_last_chunk::<CRC_BYTES>()
            .ok_or(DecodeError::Stuffing)?;
        if CRC.checksum(body) != u32::from_le_bytes(*crc) {
            return Err(DecodeError::Crc);
        }
        match postcard::take_from_bytes::<Frame<M>>(body) {
            Ok((frame, [])) => Ok(frame),
            _ => Err(DecodeError::Message),
        }
    }

    /// Undoes the stuffing of the first `length` stored bytes in place; returns what is left of them.
    ///
    /// `cobs::decode_in_place` does the same, but the compiler cannot rule out that it panics.
    fn unstuff(&mut self, length: usize) -> Option<usize> {
        let mut state = DecoderState::Idle;
        let mut written = 0_usize;
        for read in 0..length {
            let byte = *self.buffer.get(read)?;
            if let DecodeResult::DataContinue(byte) = state.feed(byte).ok()? {
                *self.buffer.get_mut(written)? = byte;
                written = written.wrapping_add(1);
            }
        }
        matches!(state.feed(0), Ok(DecodeResult::DataComplete)).then_some(written)
    }

    fn count(&mut self, result: &Result<Frame<M>, DecodeError>) {
        let counters = &mut self.counters;
        let counter = match result {
            Err(DecodeError::Overflow) => &mut counters.overflows,
            Err(DecodeError::Stuffing) => &mut counters.stuffing_errors,
            Err(DecodeError::Crc) => &mut counters.crc_errors,
            Err(DecodeError::Message) => &mut counters.unknown_messages,
            Ok(frame) => {
                let seen = self.sequence.look_at(frame.sequence);
                let order = frame.message.order();
                let anytime = order == Order::Anytime;
                self.arrival = match seen {
                    Arrival::Late if order == Order::Opening => Arrival::Opening,
                    // Only in its own place does it count as a frame that was not lost.
                    Arrival::AfterGap(_) if anytime => seen,
                    _ => self.sequence.observe(frame.sequence),
                };
                match self.arrival {
                    Arrival::AfterGap(missing) if !anytime => add(&mut counters.lost, missing),
                    Arrival::Repeated => add(&mut counters.repeated, 1),
                    Arrival::Late => add(&mut counters.late, 1),
                    _ => {}
                }
                &mut counters.frames
            }
        };
        add(counter, 1);
    }
}

fn add(counter: &mut u32, count: u32) {
    *counter = counter.wrapping_add(count);
}

impl<M> Default for Decoder<M> {
    fn default() -> Self {
        Self::new()
    }
}
