//! Hardware in the loop: the plant on the host, the policy on a board, and everything on record.
//!
//! A [flight](fly()) runs a plant against a [`Pilot`]. The host's own integer policy ([`Mirror`])
//! runs beside the board's and every word is compared; the envelope is checked by code that shares
//! nothing with the board's. The [log](Flight) is an MCAP file that [`replay()`] reproduces bit for
//! bit.
//!
//! What may not happen here: a plant that sees a command which did not come out of an envelope; a
//! flight that ends, in whatever way, without a readable log; a wall clock that changes a number of
//! a lock-step flight.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]

pub mod board;
mod board_clock;
mod board_pilot;
mod envelope_check;
mod exact;
mod flight;
pub mod footprint;
pub mod image_file;
pub mod instructions;
mod lateness;
mod log;
mod mirror;
#[cfg(all(test, feature = "mujoco"))]
mod mujoco_tests;
mod pilot;
mod plan;
mod real_time;
mod record;
mod recorder;
mod replay;
mod shipped;
mod show;
pub mod signer;

pub use board_pilot::{BoardPilot, ImageFile, UploadListener};
pub use envelope_check::EnvelopeCheck;
pub use flight::{Outcome, PilotCard, fly, header, plant_for};
pub use lateness::Lateness;
pub use log::{
    Flaw, FlawKind, Flight, LogError, LogWriter, check_log, make_log_folder, unused_log,
};
pub use mirror::Mirror;
pub use pilot::{Decision, Pilot};
pub use plan::{FlightError, FlightPlan};
pub use real_time::fly_real_time;
pub use record::{
    Attention, ChannelRecord, Difference, Event, EventKind, Header, LOG_FORMAT, Order,
    SampleRecord, Step, Summary,
};
pub use recorder::{Asked, Ending, Watcher};
pub use replay::{Replay, ReplayError, replay};
pub use shipped::shipped_image;
pub use show::Show;
