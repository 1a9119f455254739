//! Boards: something that speaks the link, in this process, in QEMU, as a Linux process, or at the
//! end of a serial line.
//!
//! A [`Transport`] moves bytes, a [`Client`] holds the conversation. Whatever a test or a flight
//! does to a board goes through real encoded frames, on the loopback board as well: no code here
//! may reach into a board past its link.

mod client;
mod client_error;
#[cfg_attr(not(feature = "defmt"), path = "defmt_log_as_it_is.rs")]
mod defmt_log;
mod fault;
mod heard;
mod loopback;
mod names;
mod open;
mod packed;
mod stream;
mod transport;
mod upload;

pub use client::{Client, Patience};
pub use client_error::ClientError;
pub use fault::{FaultPlan, FaultPlanError, FaultyTransport};
pub(crate) use heard::printable;
pub use loopback::Loopback;
pub use names::{Bench, BoardName, Missing, UnknownBoard};
pub(crate) use open::AARCH64_LIBRARIES;
pub use open::{
    DEFAULT_BAUD, OpenError, open, open_firmware, open_for, open_port, open_with_console,
    open_with_key,
};
pub use packed::{NotForBoard, file_for, packed_for};
pub use transport::{Transport, TransportError};
pub use upload::UploadError;
