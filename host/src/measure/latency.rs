//! Time of one control step of the integer policy.

use std::hint::black_box;
use std::time::Instant;

use allocation_counter::measure;
use engram_export::PackedWeights;
use engram_firmware::policy::{
    Backend, ControlSteps, LargestMemory, Memory, Policy, PolicyError, WorkingMemory,
};
use engram_image::Image;
use engram_kernels::CacheLine;
use rand::RngExt;

use super::floor::{PRODUCT_LINES, line_reader, products};
use engram_plants::{Stream, random_stream};

/// Steps before the clock counts.
const WARM_UP: usize = 1_000;
/// Different working memories that are fed in turn.
const INPUTS: usize = 64;
/// Steps between two measurements of the floor.
const FLOOR_EVERY: usize = 256;
/// Reads of one measurement of the floor.
const FLOOR_READS: u32 = 16;
/// Products of one measurement of the floor.
const FLOOR_PRODUCTS: u32 = 64;
/// Steps whose allocations are counted.
const COUNTED_STEPS: usize = 256;

/// Latency of a step, microseconds. What reading the clock takes is taken off every step: of a small policy's it would be a
/// tenth.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Latency {
    /// Half of the steps took at most this.
    pub median_us: f64,
    /// 99 of 100 steps took at most this.
    pub p99_us: f64,
    /// The slowest step, whatever interrupted it.
    pub max_us: f64,
    /// The larger of the two floors below: no step can be faster.
    pub floor_us: f64,
    /// Median over the floor.
    pub over_floor: f64,
    /// Median time to read as many bytes as the weights have, a cache line at a time, in the same run.
    pub read_floor_us: f64,
    /// Median time of as many multiply-accumulates as a step cannot do without, by the path's own product on weights that lie in the
    /// first-level cache, in the same run. None for the portable path.
    pub product_floor_us: Option<f64>,
    /// p99 over median.
    pub p99_over_median: f64,
    /// The same of a spin loop as long as a step, run between the steps: what the machine does to any program.
    pub spin_p99_over_median: f64,
    /// Heap allocations of a step and a whole control step, rounded up.
    pub allocations: u64,
    /// Half of the whole control steps, from the sample to the actuators, took at most this.
    pub control_median_us: f64,
}

/// Times `steps` steps of the policy, one by one, on this thread, and then as many whole control steps. Inputs are random
/// in `[-1, 1]`. `image` was read from `bytes` and packed into `weights`.
///
/// # Errors
/// [`PolicyError`] cannot happen for an image from the reader; it is passed on all the same.
///
/// # Panics
/// When `steps` is zero, or `image` was read from other bytes.
pub fn latency(
    image: &Image<'_>,
    bytes: &[u8],
    weights: &PackedWeights,
    steps: usize,
) -> Result<Latency, PolicyError> {
    assert!(steps > 0, "nothing to time");
    let policy = &weights.policy(image);
    let mut controller = Controller::new(image, bytes, weights);
    let mut stepper = Stepper::new(policy);
    let mut warm = Vec::with_capacity(WARM_UP);
    for _ in 0..WARM_UP {
        warm.push(stepper.timed()?);
    }
    let spins = Spins::lasting(quantile(&mut warm, 0.5));
    let clock = clock();
    let mut floor = Floor::new(policy);
    let [mut times, mut spun, mut controls] = [(); 3].map(|()| Vec::with_capacity(steps));
    for count in 0..steps {
        times.push((stepper.timed()? - clock).max(0.0));
        spun.push((spins.timed() - clock).max(0.0));
        if count % FLOOR_EVERY == 0 {
            floor.measure();
            // Its caches are the floor's doing.
            stepper.step()?;
        }
    }
    for _ in 0..steps {
        controls.push((controller.timed() - clock).max(0.0));
    }
    let mut done = Ok(());
    let counted = measure(|| {
        done = (0..COUNTED_STEPS).try_for_each(|_| {
            controller.timed();
            stepper.step()
        });
    });
    done?;
    let median_us = quantile(&mut times, 0.5);
    let p99_us = quantile(&mut times, 0.99);
    let (read_floor_us, product_floor_us) = floor.medians();
    let floor_us = read_floor_us.max(product_floor_us.unwrap_or(0.0));
    Ok(Latency {
        median_us,
        p99_us,
        max_us: quantile(&mut times, 1.0),
        floor_us,
        over_floor: median_us / floor_us,
        read_floor_us,
        product_floor_us,
        p99_over_median: p99_us / median_us,
        spin_p99_over_median: quantile(&mut spun, 0.99) / quantile(&mut spun, 0.5),
        allocations: counted.count_total.div_ceil(COUNTED_STEPS as u64),
        control_median_us: quantile(&mut controls, 0.5),
    })
}

/// The value that so great a share of `values` does not exceed; sorts them.
fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((share * values.len() as f64) as usize).min(values.len() - 1)]
}

/// Microseconds since `start`.
fn since(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e6
}

/// Microseconds between two readings of the clock with nothing in between.
fn clock() -> f64 {
    let mut times: Vec<f64> = (0..WARM_UP).map(|_| since(Instant::now())).collect();
    quantile(&mut times, 0.5)
}

/// A policy with all that its steps need.
struct Stepper<'s, 'a> {
    policy: &'s Policy<'a>,
    memory: Box<Memory>,
    observations: Vec<Vec<f32>>,
    issued: Vec<i16>,
    words: Vec<i16>,
    count: usize,
}

impl<'s, 'a> Stepper<'s, 'a> {
    fn new(policy: &'s Policy<'a>) -> Self {
        let config = policy.parameters().config;
        let mut random = random_stream(0, Stream::HeldOut, 0);
        let mut observation = || {
            (0..config.observations)
                .map(|_| random.random_range(-1.0..1.0))
                .collect()
        };
        Self {
            policy,
            memory: Box::<LargestMemory>::default(),
            observations: (0..INPUTS).map(|_| observation()).collect(),
            issued: vec![0; config.actions],
            words: vec![0; config.actions],
            count: 0,
        }
    }

    fn step(&mut self) -> Result<(), PolicyError> {
        self.timed().map(|_| ())
    }

    /// One step; microseconds.
    fn timed(&mut self) -> Result<f64, PolicyError> {
        let input = WorkingMemory {
            observation: &self.observations[self.count % INPUTS],
            issued: &self.issued,
            reward: 0.5,
            done: false,
        };
        let start = Instant::now();
        black_box(self.policy).step(
            &mut self.memory,
            black_box(&input),
            &mut self.words,
            &mut (),
        )?;
        let time = since(start);
        self.issued.copy_from_slice(black_box(&self.words));
        self.count += 1;
        Ok(time)
    }
}

/// A control loop around the policy, with a memory of its own.
struct Controller<'a> {
    steps: ControlSteps<'a>,
    memory: Box<Memory>,
}

impl<'a> Controller<'a> {
    fn new(image: &Image<'_>, bytes: &'a [u8], weights: &'a PackedWeights) -> Self {
        Self {
            steps: ControlSteps::new((image, bytes), weights.parts())
                .expect("the image lies in its bytes"),
            memory: Box::<LargestMemory>::default(),
        }
    }

    /// One whole control step; microseconds.
    fn timed(&mut self) -> f64 {
        self.steps.prepare();
        let start = Instant::now();
        let ran = self.steps.step(&mut self.memory);
        let time = since(start);
        assert!(ran, "a control step without its policy");
        time
    }
}

/// A loop that does nothing but last.
struct Spins(u64);

impl Spins {
    /// Rounds that take about so many microseconds.
    fn lasting(us: f64) -> Self {
        const TRIAL: u64 = 100_000;
        let start = Instant::now();
        Self(TRIAL).timed();
        Self(((us / since(start) * TRIAL as f64) as u64).max(1))
    }

    /// One loop; microseconds.
    fn timed(&self) -> f64 {
        let start = Instant::now();
        for round in 0..self.0 {
            black_box(round);
        }
        since(start)
    }
}

/// What no step can be faster than.
struct Floor {
    backend: Backend,
    macs: f64,
    weights: Vec<CacheLine>,
    map: Vec<CacheLine>,
    reads: Vec<f64>,
    products: Vec<f64>,
}

impl Floor {
    fn new(policy: &Policy<'_>) -> Self {
        let image = policy.parameters();
        let matrices = image.weights.matrices();
        let bytes: usize = matrices.map(|(_, matrix)| matrix.weight.len()).sum();
        Self {
            backend: policy.backend(),
            macs: image.config.least_macs_per_step() as f64,
            weights: vec![CacheLine([1; 64]); bytes.div_ceil(64)],
            map: vec![CacheLine::ZERO; PRODUCT_LINES],
            reads: Vec::new(),
            products: Vec::new(),
        }
    }

    fn measure(&mut self) {
        // Which loads there are was asked before the clock runs.
        let read = line_reader();
        let start = Instant::now();
        for _ in 0..FLOOR_READS {
            black_box(read(black_box(&self.weights)));
        }
        self.reads.push(since(start) / f64::from(FLOOR_READS));
        // Instructions and map were used last hundreds of steps ago.
        let _ = products(self.backend, FLOOR_PRODUCTS, &mut self.map);
        // What packing the map takes, which is part of either call, is taken off.
        let start = Instant::now();
        let _ = products(self.backend, FLOOR_PRODUCTS, &mut self.map);
        let few = since(start);
        let start = Instant::now();
        let macs = products(self.backend, 3 * FLOOR_PRODUCTS, &mut self.map);
        let many = since(start);
        if let Some(macs) = macs
            && many > few
        {
            self.products
                .push((many - few) * self.macs / (macs as f64 * 2.0 / 3.0));
        }
    }

    /// Microseconds to read the weights, and to multiply.
    fn medians(&mut self) -> (f64, Option<f64>) {
        let multiplies = !self.products.is_empty();
        (
            quantile(&mut self.reads, 0.5),
            multiplies.then(|| quantile(&mut self.products, 0.5)),
        )
    }
}

#[cfg(test)]
mod tests {
    use engram_image::random::spec;
    use engram_image::write::write;

    use super::*;
    use crate::measure::shapes;

    #[test]
    fn a_step_allocates_nothing_and_is_not_below_its_floor() {
        let shape = shapes().into_iter().find(|shape| shape.name == "S");
        let bytes = write(&spec(&shape.expect("a shape").config, 0)).expect("an image");
        let image = Image::read(&bytes).expect("an image");
        for path in Backend::ALL.into_iter().filter(|path| path.is_available()) {
            let weights = PackedWeights::on(path, &image);
            let once = || latency(&image, &bytes, &weights, 500).expect("steps");
            // Where other programs run meanwhile, they may take the floor's time: again, then.
            let latency = (0..10)
                .map(|_| once())
                .find(|latency| latency.over_floor > 0.9);
            let latency = latency.unwrap_or_else(|| panic!("{path}: {:?}", once()));
            assert_eq!(latency.allocations, 0, "{path}");
            assert!(latency.median_us <= latency.p99_us && latency.p99_us <= latency.max_us);
            assert_eq!(
                latency.product_floor_us.is_some(),
                path != Backend::Portable
            );
        }
    }

    #[test]
    fn allocations_are_counted() {
        let counted = measure(|| drop(black_box(vec![0_u8; 100])));
        assert_eq!(counted.count_total, 1);
    }
}
