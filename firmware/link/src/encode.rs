//! Turning a message into the bytes of a frame.

use crate::limits::{MAX_FRAME_BYTES, MAX_PAYLOAD_BYTES};
use crc::{CRC_32_ISO_HDLC, Crc};
use serde::Serialize;
use thiserror::Error;

/// CRC-32 of the payload, as in Ethernet and zip.
pub(crate) const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);
/// Bytes of the CRC at the end of a payload.
pub(crate) const CRC_BYTES: usize = 4;

/// A message could not be put into a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum EncodeError {
    /// The message needs more than [`MAX_PAYLOAD_BYTES`]. No message of this crate does; a test says so.
    #[error("the message does not fit into the {MAX_PAYLOAD_BYTES} bytes of a payload")]
    Payload,
    /// The output needs up to [`MAX_FRAME_BYTES`]; it has this many.
    #[error(
        "the frame does not fit into an output of {length} bytes; {MAX_FRAME_BYTES} always suffice"
    )]
    Output {
        /// Length of the output, bytes.
        length: usize,
    },
}

/// Writes one frame, final zero included, and returns its length in bytes.
///
/// # Errors
/// [`EncodeError::Output`] if `out` is too short; [`MAX_FRAME_BYTES`] always suffice.
pub fn encode<M: Serialize>(
    sequence: u32,
    message: &M,
    out: &mut [u8],
) -> Result<usize, EncodeError> {
    let mut payload = [0_u8; MAX_PAYLOAD_BYTES];
    // Serialising the pair gives the same bytes as `Frame`, without moving the message into one.
    let length = postcard::to_slice(&(sequence, message), &mut payload)
        .map_err(|_| EncodeError::Payload)?
        .len();
    let end = length.checked_add(CRC_BYTES).ok_or(EncodeError::Payload)?;
    let body = payload.get(..length).ok_or(EncodeError::Payload)?;
    let crc = CRC.checksum(body).to_le_bytes();
    payload
        .get_mut(length..end)
        .ok_or(EncodeError::Payload)?
        .copy_from_slice(&crc);
    let payload = payload.get(..end).ok_or(EncodeError::Payload)?;
    let too_short = EncodeError::Output { length: out.len() };
    let stuffed = cobs::try_encode(payload, out).map_err(|_| too_short)?;
    *out.get_mut(stuffed).ok_or(too_short)? = 0;
    stuffed.checked_add(1).ok_or(too_short)
}

/// One sender: counts its frames and holds the buffer of the one being sent.
#[derive(Debug, Clone)]
pub struct Encoder {
    next: u32,
    buffer: [u8; MAX_FRAME_BYTES],
}

impl Encoder {
    /// A sender whose first frame has the number 0.
    pub const fn new() -> Self {
        Self {
            next: 0,
            buffer: [0; MAX_FRAME_BYTES],
        }
    }

    /// The number that the next frame will carry.
    pub const fn next_sequence(&self) -> u32 {
        self.next
    }

    /// Makes the next frame; its bytes stay valid until the next call.
    ///
    /// # Errors
    /// [`EncodeError::Payload`] if the message is too long (none of this crate is).
    pub fn frame<M: Serialize>(&mut self, message: &M) -> Result<&[u8], EncodeError> {
        let length = encode(self.next, message, &mut self.buffer)?;
        self.next = self.next.wrapping_add(1);
        self.buffer.get(..length).ok_or(EncodeError::Payload)
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ToBoard, ToBoardDecoder};

    #[test]
    fn an_encoder_counts_its_frames_and_wraps() {
        let mut encoder = Encoder::new();
        assert_eq!(encoder.next_sequence(), 0);
        encoder.next = u32::MAX - 1;
        let mut decoder = ToBoardDecoder::new();
        for sequence in [u32::MAX - 1, u32::MAX, 0, 1] {
            assert_eq!(encoder.next_sequence(), sequence);
            let bytes = encoder.frame(&ToBoard::Arm).expect("fits");
            let got = bytes.iter().find_map(|byte| decoder.push(*byte));
            assert_eq!(got.and_then(Result::ok).map(|f| f.sequence), Some(sequence));
        }
        let counters = decoder.counters();
        assert_eq!((counters.frames, counters.lost, counters.late), (4, 0, 0));
    }
}
