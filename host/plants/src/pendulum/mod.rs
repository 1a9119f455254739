//! The pendulum: a torque motor on a rod whose mass, length, damping, gain and **polarity** are hidden.
//!
//! Angle 0 is upright, rate is positive with growing angle; with the task's polarity at +1 a positive torque
//! grows the rate. A policy that does not find out the polarity drives the rod the wrong way.
//! The measurements are noisy on purpose, so that no single step betrays the polarity.

mod contract;
mod dynamics;
mod tasks;

pub use contract::CONTRACT;

use std::sync::Arc;

use engram_image::OwnedContract;
use rand::{Rng, RngExt};

use super::random::bell;
use super::{
    Judgement, Plant, PlantSpec, Protocol, Random, Start, Stream, Task, TaskSet, UnknownChange,
    random_stream,
};

pub use dynamics::{Dynamics, RATE_LIMIT_RAD_PER_S, State};
pub use tasks::{CHANGES, Hidden, PARAMETERS};

/// The plant's name.
pub const NAME: &str = "pendulum";
/// Standard deviation of the angle that the encoder reads, in rad.
pub const ANGLE_NOISE_RAD: f32 = 0.02;
/// Standard deviation of the rate that the gyro reads, in rad/s.
pub const RATE_NOISE_RAD_PER_S: f32 = 0.6;
/// Upright means an angle below this, in rad, and
pub const UPRIGHT_ANGLE_RAD: f32 = 0.3;
/// a rate below this, in rad/s; both of the true state.
pub const UPRIGHT_RATE_RAD_PER_S: f32 = 1.0;

/// One pendulum with its hidden task.
#[derive(Clone, Debug)]
pub struct Pendulum {
    spec: Arc<PlantSpec>,
    hidden: Hidden,
    dynamics: Dynamics,
    state: State,
    /// `state` again, as logs want it: angle, rate.
    shown: [f32; 2],
    observation: [f32; 3],
    random: Random,
    steps: u64,
}

impl Default for Pendulum {
    fn default() -> Self {
        Self::new()
    }
}

impl Pendulum {
    /// A pendulum of middling parameters, hanging at rest.
    #[must_use]
    pub fn new() -> Self {
        let hidden = Hidden::middle();
        let mut pendulum = Self {
            spec: Arc::new(spec()),
            hidden,
            dynamics: Dynamics::new(&hidden),
            state: State {
                angle: std::f32::consts::PI,
                rate: 0.0,
            },
            shown: [0.0; 2],
            observation: [0.0; 3],
            random: random_stream(0, Stream::HeldOut, 0),
            steps: 0,
        };
        pendulum.measure();
        pendulum
    }

    /// The hidden parameters now in force.
    #[must_use]
    pub fn hidden(&self) -> Hidden {
        self.hidden
    }

    /// Puts the rod into a state (angle in rad from upright, rate in rad/s) and measures it.
    pub fn place(&mut self, state: State) {
        self.state = state;
        self.measure();
    }

    /// Holds a torque command (in Nm, before gain and polarity) for one control period.
    #[inline]
    pub fn advance(&mut self, torque_nm: f32) {
        self.state = self.dynamics.advance(self.state, torque_nm);
        self.steps += 1;
        self.measure();
    }

    #[inline]
    fn measure(&mut self) {
        let angle = self.state.angle + ANGLE_NOISE_RAD * bell(self.random.next_u64());
        let (sin, cos) = libm::sincosf(angle);
        let rate = self.state.rate + RATE_NOISE_RAD_PER_S * bell(self.random.next_u64());
        self.observation = [cos, sin, rate];
        self.shown = [self.state.angle, self.state.rate];
    }

    fn change_hidden(&mut self, hidden: Hidden) {
        self.hidden = hidden;
        self.dynamics = Dynamics::new(&hidden);
    }
}

fn spec() -> PlantSpec {
    PlantSpec {
        name: NAME.into(),
        channels: OwnedContract::from(&CONTRACT),
        protocol: Protocol::usual(300, "polarity".into()),
        parameters: PARAMETERS.to_vec(),
        changes: CHANGES.to_vec(),
        state_names: vec!["angle_rad".into(), "rate_rad_per_s".into()],
        has_goal: true,
        metric_name: None,
    }
}

impl Plant for Pendulum {
    fn spec(&self) -> &Arc<PlantSpec> {
        &self.spec
    }

    fn sample_task(&self, set: TaskSet, random: &mut Random) -> Task {
        let mut hidden = Hidden::from(&self.spec.sample(set, random));
        // There is nothing between the two.
        hidden.polarity = if hidden.polarity < 0.0 { -1.0 } else { 1.0 };
        hidden.into()
    }

    fn reset(&mut self, task: &Task, seed: u64) {
        self.random = random_stream(seed, Stream::HeldOut, u64::MAX);
        self.steps = 0;
        self.set_task(task);
        self.restart(Start::Usual);
    }

    fn restart(&mut self, start: Start) {
        use std::f32::consts::PI;
        let (spread_angle, spread_rate) = match start {
            Start::Usual => (0.5, 0.5),
            Start::Anywhere => (PI, 4.0),
        };
        let angle = PI + self.random.random_range(-spread_angle..spread_angle);
        let rate = self.random.random_range(-spread_rate..spread_rate);
        self.place(State {
            angle: dynamics::wrap(angle),
            rate,
        });
    }

    fn set_task(&mut self, task: &Task) {
        self.change_hidden(Hidden::from(task));
    }

    fn task(&self) -> Task {
        self.hidden.into()
    }

    fn apply(&mut self, change: &str) -> Result<(), UnknownChange> {
        let changed = self
            .hidden
            .changed(change)
            .ok_or_else(|| self.spec.unknown_change(change))?;
        self.change_hidden(changed);
        Ok(())
    }

    fn observe(&self) -> &[f32] {
        &self.observation
    }

    fn step(&mut self, command: &[f32]) {
        self.advance(command.first().copied().unwrap_or(0.0));
    }

    fn time_s(&self) -> f64 {
        self.steps as f64 * f64::from(CONTRACT.period_us) * 1e-6
    }

    fn state(&self) -> &[f32] {
        &self.shown
    }

    fn judge(&self) -> Judgement {
        let State { angle, rate } = self.state;
        Judgement {
            holds: angle.abs() < UPRIGHT_ANGLE_RAD && rate.abs() < UPRIGHT_RATE_RAD_PER_S,
            fallen: angle.abs() > std::f32::consts::FRAC_PI_2,
        }
    }

    fn privileged(&self, features: &mut Vec<f32>) {
        let (sin, cos) = libm::sincosf(self.state.angle);
        features.extend([cos, sin, self.state.rate * 0.2]);
        features.extend(self.hidden.centred());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::by_name;

    #[test]
    fn observations_stay_within_the_contract() {
        let contract = CONTRACT;
        let mut pendulum = Pendulum::new();
        let mut random = random_stream(2, Stream::Training, 0);
        for seed in 0..20 {
            let task = pendulum.sample_task(TaskSet::OutOfDistribution, &mut random);
            pendulum.reset(&task, seed);
            for _ in 0..600 {
                pendulum.step(&[12.0]);
                for (value, channel) in pendulum.observe().iter().zip(contract.observations.iter())
                {
                    assert!(
                        *value >= channel.min && *value <= channel.max,
                        "{} = {value}",
                        channel.name
                    );
                }
            }
        }
    }

    #[test]
    fn a_trial_depends_on_its_seed_alone() {
        let run = |seed| {
            let mut plant = by_name(NAME).unwrap();
            let task = plant.sample_task(
                TaskSet::HeldOut,
                &mut random_stream(seed, Stream::HeldOut, 3),
            );
            plant.reset(&task, seed);
            let mut trace = Vec::new();
            for step in 0..100 {
                trace.extend(plant.observe().iter().map(|value| value.to_bits()));
                plant.step(&[if step % 7 < 3 { 9.0 } else { -4.0 }]);
            }
            trace
        };
        assert_eq!(run(5), run(5));
        assert_ne!(run(5), run(6));
    }

    /// Every machine computes these bits: flight logs are replayed on other machines than they were made on.
    #[test]
    fn a_trial_has_the_same_bits_on_every_machine() {
        let mut pendulum = Pendulum::new();
        let task =
            pendulum.sample_task(TaskSet::HeldOut, &mut random_stream(0, Stream::HeldOut, 0));
        pendulum.reset(&task, 1);
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        for step in 0..600 {
            pendulum.step(&[if step % 40 < 20 { 12.0 } else { -12.0 }]);
            for value in pendulum.observe() {
                hash = (hash ^ u64::from(value.to_bits())).wrapping_mul(0x0100_0000_01b3);
            }
        }
        assert_eq!(hash, 0x3ecd_7518_67cb_f115, "{hash:#018x}");
    }

    #[test]
    fn tasks_lie_where_their_set_says() {
        let pendulum = Pendulum::new();
        let mut random = random_stream(0, Stream::Training, 0);
        let mut positive = 0;
        let mut draw = |set| Hidden::from(&pendulum.sample_task(set, &mut random));
        for _ in 0..1000 {
            let inside = draw(TaskSet::HeldOut);
            let mut centred = inside.centred().into_iter();
            assert!(centred.all(|value| value.abs() <= 1.0 + 1e-5), "{inside:?}");
            positive += usize::from(inside.polarity > 0.0);
            let outside = draw(TaskSet::OutOfDistribution);
            let mut centred = outside.centred().into_iter();
            assert!(centred.any(|value| value.abs() > 1.0), "{outside:?}");
            assert!(outside.polarity.abs() == 1.0);
        }
        assert!((400..600).contains(&positive));
    }

    #[test]
    fn unknown_names_say_what_there_is() {
        let error = by_name("unicycle").err().unwrap();
        assert!(error.to_string().contains("pendulum"), "{error}");
        let error = Pendulum::new().apply("colour").unwrap_err();
        assert!(error.to_string().contains("polarity-mass"), "{error}");
    }

    #[test]
    fn changes_do_what_they_say() {
        for change in &CHANGES {
            let mut pendulum = Pendulum::new();
            let before = pendulum.task();
            pendulum.apply(&change.name).unwrap();
            assert_eq!(
                before == pendulum.task(),
                change.name == "none",
                "{}",
                change.name
            );
        }
    }

    #[test]
    fn upright_is_judged_by_the_true_state() {
        let mut pendulum = Pendulum::new();
        assert!(pendulum.judge().fallen);
        pendulum.place(State {
            angle: 0.29,
            rate: -0.9,
        });
        assert!(pendulum.judge().holds && !pendulum.judge().fallen);
        pendulum.place(State {
            angle: 0.1,
            rate: 1.1,
        });
        assert!(!pendulum.judge().holds);
    }
}
