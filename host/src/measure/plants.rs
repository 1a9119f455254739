//! Speed of a simulated plant.

use std::hint::black_box;
use std::time::Instant;

use crate::plant::{Plant, TaskSet, random_stream};

/// Simulated steps per second on one core, measurement and noise included.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct PlantSpeed {
    /// The plant.
    pub name: &'static str,
    /// Control steps timed.
    pub steps: usize,
    /// Control steps per second of one thread.
    pub steps_per_s: f64,
}

/// Steps `plant` through held-out tasks on this thread and takes the best of three rounds.
#[must_use]
pub fn plant_speed(plant: &mut dyn Plant, steps: usize) -> PlantSpeed {
    let actions = plant.contract().actions.len();
    let episode = plant.protocol().episode_steps;
    let mut random = random_stream(0, TaskSet::HeldOut.stream(), 0);
    let mut best = f64::INFINITY;
    for round in 0..3 {
        let task = plant.sample_task(TaskSet::HeldOut, &mut random);
        plant.reset(&task, round);
        let mut command = vec![0.0; actions];
        let start = Instant::now();
        for step in 0..steps {
            if step % episode == episode - 1 {
                plant.restart(crate::plant::Start::Usual);
            }
            // A square wave keeps it moving; the sum keeps the compiler from leaving anything out.
            command.fill(if step & 16 == 0 { 6.0 } else { -6.0 });
            plant.step(black_box(&command));
            black_box(plant.observe());
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    PlantSpeed {
        name: plant.name(),
        steps,
        steps_per_s: steps as f64 / best,
    }
}
