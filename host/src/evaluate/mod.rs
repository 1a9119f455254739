//! Evaluation: the protocol of one trial, the controllers that are compared, and the numbers.
//!
//! Every controller meets the same tasks, start states, sensor noise and change times, sees the same working
//! memories, and passes the same envelope. Results depend on the seeds alone, not on the number of
//! threads. Nothing here trains, and nothing here touches a board.

pub mod adaptation;
mod controller;
mod flight;
mod float;
mod integer;
mod policy;
mod protocol;
mod record;
mod simulate;
mod statistics;
mod subject;
mod summary;
mod task_file;
pub(crate) mod trace;
mod trial;

pub use controller::{Cascaded, Classic, Controller, Moment, Random, Zero};
pub use flight::fly;
pub use float::Float;
pub use integer::Integer;
pub use policy::Options;
pub use protocol::{Plan, Results, evaluate};
pub use record::Record;
pub use simulate::FlightOptions;
pub use statistics::{Interval, PairedCost, mean, median, paired_cost};
pub use subject::{Agreement, EpisodeMemory, Prepared, Subject, SubjectError, contract_of};
pub use summary::Summary;
pub use task_file::{TaskFileError, read_tasks};
pub use trace::{Attention, Changed, FlightTrace, Representations, Signals};
pub use trial::{Outcome, Step, TrialPlan, run};
