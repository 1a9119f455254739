//! What is random in one flight: the start, gusts, the sensors' errors, and changes of the craft on the way.

use rand::{Rng, RngExt};

use super::dynamics::{ATTITUDE, Dynamics, POSITION, RATE, ROTORS, VELOCITY};
use super::tasks::Hidden;
use super::{BEFORE_LAST, LAST, OBSERVATION};
use crate::random::bell;
use crate::{Flight, Random, TaskSet};

/// How much of a gust is left after a step: they last about 0.5 s.
const GUST_LEFT: f32 = 0.98;
/// Standard deviations of the sensors' noise, at noise 1: position in m.
const POSITION_NOISE_M: f32 = 0.003;
/// Attitude, in rad.
const ATTITUDE_NOISE_RAD: f32 = 0.004;
/// Velocity, in m/s.
const VELOCITY_NOISE_M_PER_S: f32 = 0.02;
/// Angular velocity, in rad/s.
const RATE_NOISE_RAD_PER_S: f32 = 0.03;

/// A craft in its air, with its sensors.
#[derive(Clone, Debug)]
pub(super) struct Air {
    hidden: Hidden,
    dynamics: Dynamics,
    force_n: [f32; 3],
    gust: [f32; 3],
}

impl Air {
    /// No gust yet.
    #[must_use]
    pub(super) fn new(hidden: Hidden) -> Self {
        let body = hidden.body();
        Self {
            hidden,
            dynamics: Dynamics::new(&body),
            force_n: body.force_n,
            gust: [0.0; 3],
        }
    }

    /// Another craft in the same air.
    pub(super) fn change(&mut self, hidden: Hidden) {
        let gust = self.gust;
        *self = Self {
            gust,
            ..Self::new(hidden)
        };
    }

    /// The hidden parameters now in force.
    #[must_use]
    pub(super) const fn hidden(&self) -> &Hidden {
        &self.hidden
    }

    /// The equations now in force.
    #[must_use]
    pub(super) const fn dynamics(&self) -> &Dynamics {
        &self.dynamics
    }

    /// Lets the gusts move on by one step.
    pub(super) fn advance(&mut self, random: &mut Random) {
        let gust_n = self.hidden.gust_n();
        if gust_n > 0.0 {
            // Of standard deviation 1 for ever: what is lost comes in anew.
            let fresh = (1.0 - GUST_LEFT * GUST_LEFT).sqrt();
            let mut force_n = self.force_n;
            for (force, gust) in force_n.iter_mut().zip(&mut self.gust) {
                *gust = GUST_LEFT * *gust + fresh * bell(random.next_u64());
                *force += gust_n * *gust;
            }
            self.dynamics.set_force(force_n);
        }
    }

    /// Adds this moment's errors to a perfect observation.
    pub(super) fn measure(&self, random: &mut Random, observation: &mut [f32]) {
        let errors = self.hidden.sensor_errors();
        let mut noise = |standard_deviation: f32| {
            if errors.noise > 0.0 {
                errors.noise * standard_deviation * bell(random.next_u64())
            } else {
                0.0
            }
        };
        let (position, rest) = observation.split_at_mut(3);
        let (rotation, rest) = rest.split_at_mut(9);
        let (velocity, rest) = rest.split_at_mut(3);
        for value in position {
            *value += noise(POSITION_NOISE_M);
        }
        let [roll, pitch] = errors.tilt_rad;
        let [a, b, c] = [roll, pitch, 0.0].map(|bias| bias + noise(ATTITUDE_NOISE_RAD));
        for row in rotation.chunks_exact_mut(3) {
            // R (1 + [tilt]x): a small turn about the body axes.
            if let [x, y, z] = row {
                (*x, *y, *z) = (
                    *x + c * *y - b * *z,
                    *y - c * *x + a * *z,
                    *z + b * *x - a * *y,
                );
            }
        }
        for value in velocity {
            *value += noise(VELOCITY_NOISE_M_PER_S);
        }
        for (value, bias) in rest.iter_mut().zip(errors.gyro_rad_per_s) {
            *value += bias + noise(RATE_NOISE_RAD_PER_S);
        }
    }
}

/// Draws a start: as l2f does where `spread` is 1, up to 90 degrees of tilt; every tenth at rest at the target.
pub(super) fn start(random: &mut Random, spread: f32, state: &mut [f32]) {
    let mut within = |bound: f32| random.random_range(-bound..bound);
    state.fill(0.0);
    for axis in 0..3 {
        state[POSITION + axis] = within(0.5 * spread);
        state[VELOCITY + axis] = within(spread);
        state[RATE + axis] = within(spread);
    }
    // An axis evenly from the sphere: the first draw inside it.
    let (axis, length) = loop {
        let axis = [within(1.0), within(1.0), within(1.0)];
        let length = axis.iter().map(|value| value * value).sum::<f32>().sqrt();
        if (0.1..1.0).contains(&length) {
            break (axis, length);
        }
    };
    let largest = std::f32::consts::FRAC_PI_2 * spread;
    let (sin, cos) = libm::sincosf(0.25 * (within(largest) + largest));
    state[ATTITUDE] = cos;
    for (index, value) in axis.iter().enumerate() {
        state[ATTITUDE + 1 + index] = value * sin / length;
    }
    if random.random_range(0..10) == 0 {
        state.fill(0.0);
        state[ATTITUDE] = 1.0;
    }
    for rotor in 0..4 {
        let speed = random.random_range(0.0..0.5f32);
        state[ROTORS + rotor] = speed;
        state[LAST + rotor] = 2.0 * speed - 1.0;
        state[BEFORE_LAST + rotor] = 2.0 * speed - 1.0;
    }
}

/// A flight of training: a craft, and what becomes of it.
#[derive(Clone, Debug)]
pub struct Course {
    air: Air,
    random: Random,
    step: usize,
    /// Steps and what the craft is from them on, in order.
    changes: Vec<(usize, Hidden)>,
}

impl Course {
    /// Draws a course and writes its start. A third of the flights change nothing, the others once or twice.
    #[must_use]
    pub fn sample(random: &mut Random, steps: usize, state: &mut [f32]) -> Self {
        let hidden = Hidden::sample(TaskSet::Training, random);
        start(random, 1.0, state);
        let mut moments: Vec<usize> = (0..random.random_range(0..3))
            .map(|_| random.random_range(steps / 4..steps.max(2)))
            .collect();
        moments.sort_unstable();
        let mut latest = hidden;
        let changes = moments
            .into_iter()
            .map(|moment| {
                latest = latest.sample_change(random);
                (moment, latest)
            })
            .collect();
        Self {
            air: Air::new(hidden),
            random: random.clone(),
            step: 0,
            changes,
        }
    }

    /// The hidden parameters now in force.
    #[must_use]
    pub const fn hidden(&self) -> &Hidden {
        self.air.hidden()
    }
}

impl Flight for Course {
    type Parameters = Dynamics;

    fn parameters(&self) -> &Dynamics {
        self.air.dynamics()
    }

    fn measure(&mut self, observation: &mut [f32]) {
        debug_assert_eq!(observation.len(), OBSERVATION);
        self.air.measure(&mut self.random, observation);
    }

    fn tell(&self, task: &mut [f32]) {
        task.copy_from_slice(&self.hidden().centred());
    }

    fn restart(&mut self, state: &mut [f32]) {
        start(&mut self.random, 1.0, state);
    }

    fn advance(&mut self) {
        self.step += 1;
        for (_, hidden) in self
            .changes
            .iter()
            .filter(|(moment, _)| *moment == self.step)
        {
            self.air.change(*hidden);
        }
        self.air.advance(&mut self.random);
    }
}
