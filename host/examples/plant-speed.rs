//! Measures how many control steps one core simulates per second of its time, observation and reward included:
//! `cargo run --release --example plant-speed` or `cargo run --release --features mujoco --example plant-speed`.
//! Plants may be named; without names it takes all that were built. The last column is what making a plant costs.
#![forbid(unsafe_code)]

use std::error::Error;
use std::time::Instant;

use engram::measure::{Bounds, plant_speed};
use engram_plants::by_name;

fn main() -> Result<(), Box<dyn Error>> {
    let named: Vec<String> = std::env::args().skip(1).collect();
    let mut names: Vec<&str> = named.iter().map(String::as_str).collect();
    if names.is_empty() {
        names.extend(engram_plants::NAMES);
        if cfg!(feature = "mujoco") {
            names.extend(engram_plants::MUJOCO_NAMES);
        }
    }
    println!("| plant | steps per CPU-second | making one, us |");
    println!("|---|---|---|");
    for name in names {
        let mut plant = by_name(name)?;
        let bounds = Bounds {
            steps: usize::MAX,
            seconds: 3.0,
        };
        let speed = plant_speed(&mut *plant, bounds);
        let makings = 1000;
        let start = Instant::now();
        for _ in 0..makings {
            std::hint::black_box(by_name(name)?);
        }
        let making_us = start.elapsed().as_secs_f64() / f64::from(makings) * 1e6;
        println!("| {name} | {:.0} | {making_us:.1} |", speed.steps_per_s);
    }
    Ok(())
}
