//! Interleaved timing: whatever else the machine does meets every contender alike.

use std::hint::black_box;
use std::time::Instant;

use crate::contenders::Contender;
use crate::floor::Floor;
use crate::reference::{Moment, Random, Reference};

/// Steps of a turn that are not timed: they bring the weights back into the caches.
const WARM_STEPS: usize = 8;
/// Steps of a turn that are timed.
const STEPS: usize = 16;
/// What one sample lasts at least: long against the clock, short against a scheduler's slice.
const SAMPLE_US: f64 = 20.0;

/// What a step costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Of the mean step of a sample, over all samples, in microseconds.
    pub(crate) median_us: f64,
    /// The fastest sample.
    pub(crate) min_us: f64,
    /// Heap allocations of one step, as far as Rust's allocator sees them.
    pub(crate) allocations: f64,
}

/// Times every contender once per round, and the floor under them.
pub(crate) fn time(
    reference: &Reference,
    contenders: &mut [Contender<'_>],
    rounds: usize,
) -> anyhow::Result<(Vec<Cost>, Floor)> {
    let config = &reference.config;
    let moments = Random::new(2).trial(config, config.window.max(WARM_STEPS + STEPS));
    let mut mean = vec![0.0; config.actions];
    let mut clocks = Vec::new();
    // The window fills, and whatever is made at the first steps is made.
    for contender in &mut *contenders {
        steps(contender, &moments, &mut mean)?;
        clocks.push(Clock::new(contender, &moments, &mut mean)?);
    }
    let mut floor = Floor::new(config);
    for _ in 0..rounds {
        floor.measure();
        for (contender, clock) in contenders.iter_mut().zip(&mut clocks) {
            steps(contender, &moments[..WARM_STEPS], &mut mean)?;
            for sample in moments[WARM_STEPS..][..STEPS].chunks_exact(clock.steps) {
                clock.time(contender, sample, &mut mean)?;
            }
        }
    }
    let mut costs = Vec::new();
    for (contender, clock) in contenders.iter_mut().zip(clocks) {
        let mut result = Ok(());
        let counted = allocation_counter::measure(|| {
            result = steps(contender, &moments[..STEPS], &mut mean);
        });
        result?;
        costs.push(clock.cost(counted.count_total as f64 / STEPS as f64));
    }
    Ok((costs, floor))
}

/// Times of one contender.
struct Clock {
    /// Steps of a sample, a divisor of [`STEPS`].
    steps: usize,
    times_us: Vec<f64>,
}

impl Clock {
    /// Finds out how many steps a sample needs.
    fn new(
        contender: &mut Contender<'_>,
        moments: &[Moment],
        mean: &mut [f32],
    ) -> anyhow::Result<Self> {
        let mut clock = Self {
            steps: 1,
            times_us: Vec::new(),
        };
        for moment in moments {
            clock.time(contender, std::slice::from_ref(moment), mean)?;
        }
        let step_us = clock.cost(0.0).median_us;
        let mut steps = 1;
        while steps < STEPS && steps as f64 * step_us < SAMPLE_US {
            steps *= 2;
        }
        Ok(Self {
            steps,
            times_us: Vec::new(),
        })
    }

    fn time(
        &mut self,
        contender: &mut Contender<'_>,
        moments: &[Moment],
        mean: &mut [f32],
    ) -> anyhow::Result<()> {
        let start = Instant::now();
        steps(contender, moments, mean)?;
        let elapsed_us = start.elapsed().as_secs_f64() * 1e6;
        self.times_us.push(elapsed_us / moments.len() as f64);
        Ok(())
    }

    fn cost(&self, allocations: f64) -> Cost {
        let mut times_us = self.times_us.clone();
        times_us.sort_by(f64::total_cmp);
        let at = |index: usize| times_us.get(index).copied().unwrap_or(f64::NAN);
        Cost {
            median_us: at(times_us.len() / 2),
            min_us: at(0),
            allocations,
        }
    }
}

fn steps(
    contender: &mut Contender<'_>,
    moments: &[Moment],
    mean: &mut [f32],
) -> anyhow::Result<()> {
    for moment in moments {
        contender.policy.step(black_box(moment), mean)?;
        black_box(&mean);
    }
    Ok(())
}
