//! What a control step costs on this machine.
//!
//! Timings are decided by a clock, and nothing else in the project may read them; counts of instructions are not.

mod floor;
mod latency;
mod shapes;

pub use latency::{Latency, latency};
pub use shapes::{Shape, shapes};
