//! Time of one control step of the integer policy.

use std::hint::black_box;
use std::time::Instant;

use engram_firmware::policy::{Memory, Policy, PolicyError, WorkingMemory};
use engram_kernels::{Line, line_reader};
use rand::RngExt;

use crate::plant::{Stream, random_stream};

/// Steps before the clock counts.
const WARM_UP: usize = 1_000;
/// Different working memories that are fed in turn.
const INPUTS: usize = 64;

/// Latency of a step, microseconds.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Latency {
    /// Half of the steps took at most this.
    pub median_us: f64,
    /// 99 of 100 steps took at most this.
    pub p99_us: f64,
    /// The slowest step, whatever interrupted it.
    pub max_us: f64,
    /// Median time to read as many bytes as the weights have, a cache line at a time, in the same run.
    pub floor_us: f64,
}

/// Steps between two measurements of the floor.
const FLOOR_EVERY: usize = 64;
/// Reads of one measurement of the floor.
const FLOOR_READS: u32 = 16;

/// Times `steps` steps of the policy, one by one, on this thread. Inputs are random in `[-1, 1]`.
///
/// # Errors
/// [`PolicyError`] cannot happen for an image from the reader; it is passed on all the same.
///
/// # Panics
/// When `steps` is zero.
pub fn latency(policy: &Policy<'_>, steps: usize) -> Result<Latency, PolicyError> {
    assert!(steps > 0, "nothing to time");
    let image = policy.image();
    let config = &image.config;
    let mut random = random_stream(0, Stream::HeldOut, 0);
    let observations: Vec<Vec<f32>> = (0..INPUTS)
        .map(|_| {
            (0..config.observations)
                .map(|_| random.random_range(-1.0..1.0))
                .collect()
        })
        .collect();
    let mut memory = Box::new(Memory::new());
    let mut issued = vec![0; config.actions];
    let mut words = vec![0; config.actions];
    let mut times = Vec::with_capacity(steps);
    let matrices = image.weights.matrices();
    let weight_bytes: usize = matrices.map(|(_, matrix)| matrix.weight.len()).sum();
    let lines = vec![Line([1; 64]); weight_bytes.div_ceil(64)];
    let (read, mut floor) = (line_reader(), Vec::new());
    for (count, observation) in observations
        .iter()
        .cycle()
        .take(WARM_UP + steps)
        .enumerate()
    {
        let input = WorkingMemory {
            observation,
            issued: &issued,
            reward: 0.5,
            done: false,
        };
        let start = Instant::now();
        black_box(policy).step(&mut memory, black_box(&input), &mut words, &mut ())?;
        let time = start.elapsed();
        black_box(&words);
        if count >= WARM_UP {
            times.push(time.as_secs_f64() * 1e6);
        }
        issued.copy_from_slice(&words);
        if count % FLOOR_EVERY == 0 {
            let start = Instant::now();
            for _ in 0..FLOOR_READS {
                black_box(read(black_box(&lines)));
            }
            floor.push(start.elapsed().as_secs_f64() * 1e6 / f64::from(FLOOR_READS));
        }
    }
    floor.sort_by(f64::total_cmp);
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((share * times.len() as f64) as usize).min(times.len() - 1)];
    Ok(Latency {
        median_us: at(0.5),
        p99_us: at(0.99),
        max_us: at(1.0),
        floor_us: floor[floor.len() / 2],
    })
}
