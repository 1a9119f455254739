//! Measures how many pendulum steps one core makes per second:
//! `cargo run --release --example plant-speed`.
#![forbid(unsafe_code)]

use std::time::Instant;

use engram::plant::pendulum::Pendulum;
use engram::plant::{Plant, Stream, TaskSet, random_stream};

fn main() {
    let environments = 1024;
    let steps = 5_000;
    let mut batch: Vec<Pendulum> = (0..environments)
        .map(|index| {
            let mut pendulum = Pendulum::new();
            let task = pendulum.sample_task(
                TaskSet::Training,
                &mut random_stream(0, Stream::Training, index),
            );
            pendulum.reset(&task, index);
            pendulum
        })
        .collect();
    let start = Instant::now();
    let mut sum = 0.0;
    for step in 0..steps {
        let torque_nm = if step % 20 < 10 { 8.0 } else { -8.0 };
        for pendulum in &mut batch {
            pendulum.advance(torque_nm);
            sum += pendulum.observe().iter().sum::<f32>();
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let rate = (environments * steps) as f64 / seconds;
    println!(
        "{:.1} million steps per second on one core (checksum {sum:.3e})",
        rate * 1e-6
    );
}
