//! What a control step and a simulated step cost on this machine.
//!
//! Timings are decided by a clock, and nothing else in the project may read them; counts of instructions are not.

mod floor;
mod latency;
mod plants;
mod shapes;

pub use latency::{Latency, latency};
pub use plants::{Bounds, PlantSpeed, ROUNDS, plant_speed};
pub use shapes::{Shape, shapes};
