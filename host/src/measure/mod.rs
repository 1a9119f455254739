//! What a control step and a simulated step cost on this machine.
//!
//! Timings are the only thing here that a clock decides; nothing else in the project may read them.

mod image;
mod latency;
mod plants;
mod shapes;

pub use image::random_image;
pub use latency::{Latency, latency};
pub use plants::{PlantSpeed, plant_speed};
pub use shapes::{Shape, shapes};
