//! Speed of a simulated plant.

use std::hint::black_box;
use std::time::Instant;

use crate::plant::{Plant, TaskSet, random_stream};

/// Simulated steps per second of one core's time, measurement, noise and reward included.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct PlantSpeed {
    /// The plant.
    pub name: &'static str,
    /// Control steps timed.
    pub steps: usize,
    /// Control steps per second that one thread runs; per second of the clock where the system does not count that.
    pub steps_per_s: f64,
}

/// Steps `plant` through held-out tasks on this thread and takes the best of three rounds.
#[must_use]
pub fn plant_speed(plant: &mut dyn Plant, steps: usize) -> PlantSpeed {
    let contract = plant.contract();
    let episode = plant.protocol().episode_steps;
    let mut random = random_stream(0, TaskSet::HeldOut.stream(), 0);
    let mut best = f64::INFINITY;
    for round in 0..3 {
        let task = plant.sample_task(TaskSet::HeldOut, &mut random);
        plant.reset(&task, round);
        let mut command = vec![0.0; contract.actions.len()];
        let start = Clock::start();
        for step in 0..steps {
            if step % episode == episode - 1 {
                plant.restart(crate::plant::Start::Usual);
            }
            // A square wave keeps it moving; the sum keeps the compiler from leaving anything out.
            let size = if step & 16 == 0 { 0.5 } else { -0.5 };
            for (entry, channel) in command.iter_mut().zip(contract.actions.iter()) {
                *entry = size * channel.max;
            }
            plant.step(black_box(&command));
            black_box((plant.observe(), plant.external_reward()));
            if plant.ended() {
                plant.restart(crate::plant::Start::Usual);
            }
        }
        best = best.min(start.seconds());
    }
    PlantSpeed {
        name: plant.name(),
        steps,
        steps_per_s: steps as f64 / best,
    }
}

/// Times this thread.
struct Clock {
    start: Instant,
    ran_ns: Option<u64>,
}

impl Clock {
    fn start() -> Self {
        Self {
            start: Instant::now(),
            ran_ns: ran_ns(),
        }
    }

    /// Seconds that this thread ran since the start; other programs on the machine do not count.
    fn seconds(&self) -> f64 {
        match (self.ran_ns, ran_ns()) {
            (Some(before), Some(now)) if now > before => (now - before) as f64 * 1e-9,
            _ => self.start.elapsed().as_secs_f64(),
        }
    }
}

/// How long this thread has run, in ns, where Linux says so.
fn ran_ns() -> Option<u64> {
    let counts = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    counts.split_whitespace().next()?.parse().ok()
}
