//! Flight logs: MCAP files with JSON records that say at their end what they hold.
//!
//! A log is whole when its last record, [`End`](parts::End), has been written and everything that it counts and digests is
//! there. Nothing else passes as whole: what is missing, doubled, out of order or damaged is a [`Flaw`], by name.
//!
//! On the disk a log is an MCAP file that other programs can open at every moment of the flight: after each commit
//! it ends as one, and the next commit begins where that ending was.

mod bytes;
mod error;
mod file;
mod flaw;
mod numbers;
mod parts;
mod pose;
mod reader;
mod scan;
mod schema;
mod writer;

#[cfg(test)]
mod altered_tests;
#[cfg(test)]
mod tests;

pub use error::LogError;
pub use file::{check_log, make_log_folder, unused_log};
pub use flaw::{Flaw, FlawKind};
pub use reader::Flight;
pub use writer::LogWriter;

/// Topics of the log.
mod topic {
    /// One [`super::super::Step`] per control step.
    pub(super) const STEP: &str = "/step";
    /// The true state by name, for plots.
    pub(super) const PLANT: &str = "/plant";
    /// [`super::super::Event`]s.
    pub(super) const EVENT: &str = "/event";
    /// [`super::super::Attention`] per step.
    pub(super) const ATTENTION: &str = "/attention";
    /// The board's log lines, in Foxglove's own form.
    pub(super) const LOG: &str = "/log";
    /// Where the robot is, in Foxglove's own form; for plants that have a pose.
    pub(super) const POSE: &str = "/pose";
    /// What it looks like, told once.
    pub(super) const SCENE: &str = "/scene";
    /// All of them.
    pub(super) const ALL: [&str; 7] = [STEP, PLANT, EVENT, ATTENTION, LOG, POSE, SCENE];
}

/// Names of the metadata records and of the attachment.
mod name {
    /// The [`super::super::Header`].
    pub(super) const FLIGHT: &str = "engram.flight";
    /// The [`super::super::Summary`].
    pub(super) const SUMMARY: &str = "engram.summary";
    /// The [`super::parts::End`].
    pub(super) const END: &str = "engram.end";
    /// The one entry of each of these records: JSON.
    pub(super) const JSON: &str = "json";
    /// The image file.
    pub(super) const IMAGE: &str = "policy.engram";
}
