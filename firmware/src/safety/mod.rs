//! The safety ladder: what may stop the policy, and what happens then.
//!
//! Armed, a fault leads to hold, then the author's fallback, then safe stop; see [`Ladder`]. Each
//! condition is one requirement `ENG-SAFE-nn` ([`Fault::requirement`]), listed with bound, reaction
//! and test in `docs/src/safety.md`. Nothing here knows of policies, images or the link's frames; the
//! control step calls these checks in a fixed order.

mod deadline;
mod envelope;
mod ladder;
mod link_watch;
mod samples;
mod settings;

pub use deadline::DeadlineMonitor;
pub use engram_link::{Fault, Faults, State};
pub use envelope::Envelope;
pub use ladder::{ArmRefused, Ladder};
pub use link_watch::LinkWatch;
pub use samples::SampleMonitor;
pub use settings::Settings;
