//! Capacities of messages and frames. They bound every buffer on both ends of the link.
//!
//! The observation and action capacities equal those of the image format; the runtime checks that at
//! compile time, since this crate depends on no other of the project.

/// Observation channels in a sensor frame.
pub const MAX_OBSERVATIONS: usize = 128;
/// Action channels in an action frame.
pub const MAX_ACTIONS: usize = 32;
/// Data bytes of one upload chunk.
pub const CHUNK_BYTES: usize = 512;
/// Bytes of the text in a log frame, or of one defmt frame.
pub const LOG_BYTES: usize = 256;
/// Bytes of the firmware's name and version.
pub const FIRMWARE_BYTES: usize = 32;
/// Bytes of the board's name.
pub const BOARD_BYTES: usize = 16;
/// Bytes of the text that says why an image was refused.
pub const REASON_BYTES: usize = 104;
/// Bytes of a frame's payload: sequence number, message and CRC, before byte stuffing.
pub const MAX_PAYLOAD_BYTES: usize = 640;
/// Bytes of a whole frame on the wire, with byte stuffing and the final zero.
pub const MAX_FRAME_BYTES: usize = MAX_PAYLOAD_BYTES + MAX_PAYLOAD_BYTES / 254 + 2;
