//! Measures how many control steps one core simulates per second of its time, observation and reward included:
//! `cargo run --release -p engram-plants --example plant-speed`, with `--features mujoco` for plants that need it.
//! Plants and robots' files may be named; without names it takes all that were built. `--seconds S` (3 without it) is how
//! long each is timed. The last column is what making a plant costs.
#![forbid(unsafe_code)]

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use engram_plants::Plants;
use engram_plants::speed::{Bounds, plant_speed};

/// Plants that are made to time it.
const MAKINGS: u32 = 100;

fn main() -> Result<(), Box<dyn Error>> {
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    let mut seconds = 3.0;
    if let Some(at) = names.iter().position(|word| word == "--seconds") {
        names.remove(at);
        seconds = names.get(at).ok_or("--seconds S")?.parse()?;
        names.remove(at);
    }
    if names.is_empty() {
        names.extend(engram_plants::NAMES.map(str::to_owned));
        if cfg!(feature = "mujoco") {
            names.extend(engram_plants::MUJOCO_NAMES.map(str::to_owned));
        }
    }
    let plants = Plants::built_in();
    println!("| plant | steps per CPU-second | making one, us |");
    println!("|---|---|---|");
    for name in names {
        let factory = plants.open(&name)?;
        let bounds = Bounds {
            steps: usize::MAX,
            seconds,
        };
        let speed = plant_speed(&mut *factory.make(), bounds);
        let start = Instant::now();
        for _ in 0..MAKINGS {
            black_box(factory.make());
        }
        let making_us = start.elapsed().as_secs_f64() / f64::from(MAKINGS) * 1e6;
        println!("| {name} | {:.0} | {making_us:.1} |", speed.steps_per_s);
    }
    Ok(())
}
