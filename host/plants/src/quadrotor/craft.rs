//! A quadrotor as a plant: one hidden craft, its state, and what its sensors show.

use engram_image::Contract;

use super::{
    ANY, Air, CHANGES, CONTRACT, Hidden, LAST, OBSERVATION, PARAMETERS, POSITION, Quadrotor, RATE,
    ROTORS, STATE, VELOCITY, start,
};
use crate::{
    Change, Differentiable, Judgement, Parameter, Plant, Protocol, Random, Start, Stream, Task,
    TaskSet, UnknownChange, random_stream, unknown_change,
};

/// The plant's name.
pub const NAME: &str = "quadrotor";
/// A flight is lost when the craft is farther than this from its set point, in m.
pub const LOST_M: f32 = 3.0;
/// The goal before a change: the craft is nearer than this, in m.
pub const NEAR_M: f32 = 0.2;
/// The goal after a change: the error is at most this factor of the largest in the last second before it,
pub const RECOVERED: f32 = 1.2;
/// but need not be smaller than this, in m.
pub const RECOVERED_M: f32 = 0.02;
/// Control steps of that second.
const SECOND: usize = 100;

/// One craft with its hidden task.
#[derive(Clone, Debug)]
pub struct Craft {
    air: Air,
    state: [f32; STATE],
    observation: [f32; OBSERVATION],
    random: Random,
    steps: u64,
    reward: f32,
    diverged: bool,
    /// Errors of the last second, in m, newest last.
    errors_m: [f32; SECOND],
    /// What counts as near, in m.
    near_m: f32,
}

impl Default for Craft {
    fn default() -> Self {
        Self::new()
    }
}

impl Craft {
    /// An ordinary craft at its set point.
    #[must_use]
    pub fn new() -> Self {
        let mut state = [0.0; STATE];
        state[super::ATTITUDE] = 1.0;
        // Its rotors stand still, as they were told.
        state[LAST..].fill(-1.0);
        let mut craft = Self {
            air: Air::new(Hidden::middle()),
            state,
            observation: [0.0; OBSERVATION],
            random: random_stream(0, Stream::HeldOut, 0),
            steps: 0,
            reward: 0.0,
            diverged: false,
            errors_m: [0.0; SECOND],
            near_m: NEAR_M,
        };
        craft.measure();
        craft
    }

    /// Distance from the set point, in m.
    fn error_m(&self) -> f32 {
        let [x, y, z] = super::vector(&self.state, POSITION);
        (x * x + y * y + z * z).sqrt()
    }

    fn measure(&mut self) {
        Quadrotor::observe(&self.state, &mut self.observation);
        self.air.measure(&mut self.random, &mut self.observation);
        // Sensors show no more than their range.
        for (value, channel) in self.observation.iter_mut().zip(&CONTRACT.observations) {
            *value = value.clamp(channel.min, channel.max);
        }
    }
}

impl Plant for Craft {
    fn name(&self) -> &'static str {
        NAME
    }

    fn contract(&self) -> Contract<'static> {
        CONTRACT
    }

    fn protocol(&self) -> Protocol {
        Protocol {
            episode_steps: 500,
            episodes: 2,
            hold_steps: 100,
            change_steps: (250, 300),
            recovery_steps: 100,
            default_change: "payload",
        }
    }

    fn parameters(&self) -> &'static [Parameter] {
        &PARAMETERS
    }

    fn changes(&self) -> &'static [Change] {
        &CHANGES
    }

    fn sample_task(&self, set: TaskSet, random: &mut Random) -> Task {
        Hidden::sample(set, random).into()
    }

    fn reset(&mut self, task: &Task, seed: u64) {
        self.random = random_stream(seed, Stream::HeldOut, u64::MAX);
        self.steps = 0;
        self.air = Air::new(Hidden::from(task));
        self.restart(Start::Usual);
    }

    fn restart(&mut self, begin: Start) {
        let spread = match begin {
            Start::Usual => 1.0,
            Start::Anywhere => 2.0,
        };
        start(&mut self.random, spread, &mut self.state);
        self.reward = 0.0;
        self.diverged = false;
        self.near_m = NEAR_M;
        self.errors_m = [self.error_m(); SECOND];
        self.measure();
    }

    fn set_task(&mut self, task: &Task) {
        self.air.change(Hidden::from(task));
    }

    fn task(&self) -> Task {
        (*self.air.hidden()).into()
    }

    fn centred_task(&self) -> Vec<f32> {
        self.air.hidden().centred().to_vec()
    }

    fn apply(&mut self, change: &str) -> Result<(), UnknownChange> {
        let hidden = self.air.hidden();
        let changed = if change == ANY {
            hidden.sample_change(&mut self.random)
        } else {
            hidden
                .changed(change)
                .ok_or_else(|| unknown_change(self, change))?
        };
        self.air.change(changed);
        let largest = self.errors_m.iter().fold(0.0f32, |a, b| a.max(*b));
        self.near_m = (RECOVERED * largest).max(RECOVERED_M);
        Ok(())
    }

    fn observe(&self) -> &[f32] {
        &self.observation
    }

    fn step(&mut self, command: &[f32]) {
        let mut action = [-1.0; 4];
        for (action, command) in action.iter_mut().zip(command) {
            *action = *command;
        }
        self.reward = 1.0 / (1.0 + Quadrotor::cost(&self.state, &action));
        let mut next = [0.0; STATE];
        Quadrotor::step(self.air.dynamics(), &self.state, &action, &mut next);
        // So fast a tumble is beyond what a Runge-Kutta step of 10 ms follows, and beyond any rotor's joints.
        self.diverged = !next.iter().all(|value| value.abs() < 1000.0);
        if self.diverged {
            self.reward = 0.0;
        } else {
            self.state = next;
        }
        self.steps += 1;
        self.errors_m.rotate_left(1);
        self.errors_m[SECOND - 1] = self.error_m();
        self.air.advance(&mut self.random);
        self.measure();
    }

    fn external_reward(&self) -> Option<f32> {
        Some(self.reward)
    }

    fn ended(&self) -> bool {
        self.diverged || self.error_m() > LOST_M
    }

    fn diverged(&self) -> bool {
        self.diverged
    }

    fn metric(&self) -> Option<f32> {
        (!self.diverged).then(|| self.error_m())
    }

    fn metric_name(&self) -> Option<&'static str> {
        Some("position_error_m")
    }

    fn time_s(&self) -> f64 {
        self.steps as f64 * f64::from(CONTRACT.period_us) * 1e-6
    }

    fn state(&self) -> &[f32] {
        &self.state[..LAST]
    }

    fn state_names(&self) -> &'static [&'static str] {
        &[
            "x_m",
            "y_m",
            "z_m",
            "attitude_w",
            "attitude_x",
            "attitude_y",
            "attitude_z",
            "v_x_m_per_s",
            "v_y_m_per_s",
            "v_z_m_per_s",
            "roll_rate_rad_per_s",
            "pitch_rate_rad_per_s",
            "yaw_rate_rad_per_s",
            "rotor_front_right",
            "rotor_back_right",
            "rotor_back_left",
            "rotor_front_left",
        ]
    }

    fn judge(&self) -> Judgement {
        let error_m = self.error_m();
        Judgement {
            holds: error_m < self.near_m,
            fallen: error_m > LOST_M,
        }
    }

    fn privileged(&self, features: &mut Vec<f32>) {
        let state = &self.state;
        features.extend(super::rotation::<f32>(super::vector(
            state,
            super::ATTITUDE,
        )));
        features.extend(&state[POSITION..POSITION + 3]);
        features.extend(
            state[VELOCITY..VELOCITY + 3]
                .iter()
                .map(|value| value * 0.5),
        );
        features.extend(state[RATE..RATE + 3].iter().map(|value| value * 0.2));
        features.extend(&state[ROTORS..]);
        features.extend(self.air.hidden().centred());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::by_name;

    fn task(set: TaskSet, index: u64) -> Task {
        Hidden::sample(set, &mut random_stream(2, set.stream(), index)).into()
    }

    #[test]
    fn observations_stay_within_the_contract() {
        let mut craft = Craft::new();
        for seed in 0..40 {
            craft.reset(&task(TaskSet::OutOfDistribution, seed), seed);
            craft.apply("imu+wind").unwrap();
            for step in 0..600u32 {
                let side = if step.is_multiple_of(2) { 1.0 } else { -1.0 };
                craft.step(&[1.0, side, -1.0, 1.0]);
                for (value, channel) in craft.observe().iter().zip(&CONTRACT.observations) {
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
            plant.reset(&task(TaskSet::HeldOut, 3), seed);
            plant.apply("any").unwrap();
            let mut trace = Vec::new();
            for step in 0..100 {
                trace.extend(plant.observe().iter().map(|value| value.to_bits()));
                plant.step(&[if step % 7 < 3 { 0.5 } else { 0.4 }; 4]);
            }
            trace
        };
        assert_eq!(run(5), run(5));
        assert_ne!(run(5), run(6));
    }

    /// Every machine computes these bits: flight logs are replayed on other machines than they were made on.
    #[test]
    fn a_trial_has_the_same_bits_on_every_machine() {
        let mut craft = Craft::new();
        craft.reset(&task(TaskSet::HeldOut, 0), 1);
        craft.apply("wind+imu+delay").unwrap();
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        for step in 0..300 {
            let more = if step % 40 < 20 { 0.3 } else { 0.2 };
            craft.step(&[more, 0.25, 0.25, 0.25]);
            for value in craft.observe() {
                hash = (hash ^ u64::from(value.to_bits())).wrapping_mul(0x0100_0000_01b3);
            }
        }
        assert_eq!(hash, 0x3311_18ce_8806_32c8, "{hash:#018x}");
    }

    #[test]
    fn a_craft_that_flies_away_is_lost_and_one_that_stays_is_not() {
        let mut craft = Craft::new();
        craft.reset(&Hidden::middle().into(), 0);
        let steps = (0..300).take_while(|_| {
            craft.step(&[1.0; 4]);
            !craft.ended()
        });
        assert!(steps.count() < 200);
        assert!(craft.judge().fallen && !craft.judge().holds && !craft.diverged());
    }

    #[test]
    fn recovered_is_as_near_as_before() {
        let mut craft = Craft::new();
        for (before_m, now_m, holds) in [
            (0.1, 0.11, true),
            (0.1, 0.13, false),
            (0.001, 0.019, true),
            (0.001, 0.021, false),
        ] {
            craft.state[POSITION] = now_m;
            craft.errors_m = [before_m; SECOND];
            craft.near_m = NEAR_M;
            assert!(craft.judge().holds);
            craft.apply("sag").unwrap();
            assert_eq!(craft.judge().holds, holds, "{before_m} {now_m}");
        }
    }

    #[test]
    fn unknown_changes_say_what_there_is() {
        let error = Craft::new().apply("colour").unwrap_err();
        assert!(error.to_string().contains("payload"), "{error}");
        assert!(Craft::new().apply("payload+rotor").is_ok());
    }

    #[test]
    fn a_nearer_craft_is_worth_more() {
        let mut craft = Craft::new();
        let mut last = f32::INFINITY;
        for error_m in [0.0, 0.01, 0.1, 0.5, 2.5] {
            craft.state[POSITION] = error_m;
            craft.step(&[-1.0; 4]);
            let reward = craft.external_reward().unwrap();
            assert!(reward < last && reward > 0.0, "{reward} at {error_m} m");
            last = reward;
        }
    }
}
