//! Speed of a simulated plant. Timings are decided by a clock: no other number of this crate depends on one.

use std::hint::black_box;
use std::time::Instant;

use crate::{Plant, Start, TaskSet, Text, random_stream};

/// Simulated steps per second of one core's time, measurement, noise and reward included.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct PlantSpeed {
    /// The plant.
    pub name: Text,
    /// Control steps of the round that counts.
    pub steps: usize,
    /// Control steps per second that one thread runs; per second of the clock where the system does not count that.
    pub steps_per_s: f64,
    /// How long all rounds took by the clock, in s.
    pub wall_s: f64,
}

/// When the timing of a plant ends; whichever comes first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Control steps of a round, at most.
    pub steps: usize,
    /// Seconds by the clock of all rounds together; the step in progress is finished.
    pub seconds: f64,
}

/// The best of so many rounds counts.
pub const ROUNDS: u32 = 3;
/// Steps between two looks at the clock grow until they take this long: looking costs as much as a fast plant's step.
const LOOK_S: f64 = 1e-3;

/// Steps `plant` through held-out tasks on this thread and takes the best of three rounds.
#[must_use]
pub fn plant_speed(plant: &mut dyn Plant, bounds: Bounds) -> PlantSpeed {
    let mut random = random_stream(0, TaskSet::HeldOut.stream(), 0);
    let begun = Instant::now();
    let mut best: Option<(usize, f64)> = None;
    for round in 0..ROUNDS {
        let task = plant.sample_task(TaskSet::HeldOut, &mut random);
        plant.reset(&task, round.into());
        let until_s = bounds.seconds * f64::from(round + 1) / f64::from(ROUNDS);
        let clock = Clock::start();
        let mut stepper = Stepper::new(plant);
        let mut look = 1;
        while stepper.steps < bounds.steps {
            let before = Instant::now();
            stepper.run(look.min(bounds.steps - stepper.steps));
            if begun.elapsed().as_secs_f64() >= until_s {
                break;
            }
            if before.elapsed().as_secs_f64() < LOOK_S {
                look *= 2;
            }
        }
        let (steps, seconds) = (stepper.steps, clock.seconds());
        let rate = |(steps, seconds): (usize, f64)| steps as f64 / seconds;
        if best.is_none_or(|best| rate((steps, seconds)) > rate(best)) {
            best = Some((steps, seconds));
        }
        if begun.elapsed().as_secs_f64() >= bounds.seconds {
            break;
        }
    }
    let (steps, seconds) = best.unwrap_or((0, 1.0));
    PlantSpeed {
        name: plant.spec().name.clone(),
        steps,
        steps_per_s: steps as f64 / seconds,
        wall_s: begun.elapsed().as_secs_f64(),
    }
}

/// Drives a plant to and fro: over half of every action's range, about its middle.
struct Stepper<'a> {
    plant: &'a mut dyn Plant,
    command: Vec<f32>,
    /// Of every action, the two commands.
    ends: Vec<[f32; 2]>,
    episode: usize,
    steps: usize,
}

impl<'a> Stepper<'a> {
    fn new(plant: &'a mut dyn Plant) -> Self {
        let channels = plant.spec().contract().actions;
        let ends = (channels.iter()).map(|channel| ends(channel.min, channel.max));
        Self {
            command: vec![0.0; channels.len()],
            ends: ends.collect(),
            episode: plant.spec().protocol.episode_steps,
            plant,
            steps: 0,
        }
    }

    fn run(&mut self, steps: usize) {
        for step in self.steps..self.steps + steps {
            if step % self.episode == self.episode - 1 {
                self.plant.restart(Start::Usual);
            }
            // A square wave keeps it moving; the sum keeps the compiler from leaving anything out.
            for (entry, ends) in self.command.iter_mut().zip(&self.ends) {
                *entry = ends[step / 16 % 2];
            }
            self.plant.step(black_box(&self.command));
            black_box((self.plant.observe(), self.plant.external_reward()));
            if self.plant.ended() {
                self.plant.restart(Start::Usual);
            }
        }
        self.steps += steps;
    }
}

/// The ends of the middle half of a range, the upper first.
fn ends(min: f32, max: f32) -> [f32; 2] {
    let (middle, quarter) = (0.5 * (min + max), 0.25 * (max - min));
    [middle + quarter, middle - quarter]
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NAMES, by_name};

    #[test]
    fn commands_are_half_of_a_range_wherever_it_lies() {
        assert_eq!(ends(-2.0, 2.0), [1.0, -1.0]);
        // A knee that only bends one way.
        assert_eq!(ends(-3.0, -1.0), [-1.5, -2.5]);
    }

    #[test]
    fn timing_ends_by_steps_or_by_the_clock() {
        let mut plant = by_name(NAMES[0]).unwrap();
        let mut speed = |steps, seconds| plant_speed(&mut *plant, Bounds { steps, seconds });
        let by_steps = speed(1000, f64::INFINITY);
        assert_eq!(by_steps.steps, 1000);
        assert!(by_steps.steps_per_s > 1000.0);
        let by_clock = speed(usize::MAX, 0.03);
        assert!(
            by_clock.steps > 100 && by_clock.wall_s < 10.0,
            "{by_clock:?}"
        );
        // Without any time one step is timed all the same.
        assert_eq!(speed(usize::MAX, 0.0).steps, 1);
    }
}
