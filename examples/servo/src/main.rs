//! The `engram` command with one more plant: a motor that follows a set point, with an encoder and nothing else.
//! `inertia angle'' = polarity gain command - friction angle'`: four hidden numbers, and nobody measures the speed.
#![forbid(unsafe_code)]

use std::{f32::consts::PI, process::ExitCode, sync::Arc};

use engram_image::{ActionChannel, Channel, Contract, List, QuadraticReward, Reward};
use engram_plants::{
    Change, Judgement, Parameter, Plant, PlantSpec, Plants, Protocol, Random, Start, Stream, Task,
    UnknownChange, bell, random_stream,
};
use rand::{Rng, RngExt};

const PERIOD_S: f32 = 0.02;
const END_RAD: f32 = 3.0; // where the motor stops
const NOISE_RAD: f32 = 0.005; // standard deviation of the encoder

/// What the policy sees and commands. The reward is 1, less what the measured error and the voltage cost.
const CONTRACT: Contract<'static> = Contract {
    period_us: 20_000,
    observations: List::from_slice(&[
        Channel::new("error", "rad", [-4.5, 4.5]),
        Channel::new("angle", "rad", [-3.5, 3.5]),
    ]),
    actions: List::from_slice(&[ActionChannel::new("voltage", "V", [-12.0, 12.0])
        .with_slew_per_s(480.0)
        .with_safe(0.0)]),
    reward: Reward::Formula(QuadraticReward {
        constant: 1.0,
        linear: List::from_slice(&[0.0, 0.0]),
        quadratic: List::from_slice(&[-0.5, 0.0]),
        action_quadratic: List::from_slice(&[-0.000_5]),
    }),
};

struct Servo {
    spec: Arc<PlantSpec>,
    task: [f32; 4],   // inertia, friction, gain, polarity
    state: [f32; 3],  // angle, rate, set point
    course: [f32; 2], // of the set point: frequency, phase
    observation: [f32; 2],
    random: Random,
    steps: u32,
}

impl Servo {
    fn new() -> Self {
        let spec = PlantSpec {
            name: "servo".into(),
            channels: (&CONTRACT).into(),
            protocol: Protocol::usual(300, "polarity".into()),
            parameters: vec![
                Parameter::new("inertia", "kg m2", (0.01, 0.03), (0.007, 0.04)),
                Parameter::new("friction", "Nm s", (0.02, 0.1), (0.0, 0.15)),
                Parameter::new("gain", "Nm/V", (0.02, 0.05), (0.015, 0.06)),
                Parameter::new("polarity", "1", (-1.0, 1.0), (-1.0, 1.0)),
            ],
            changes: vec![
                Change::NONE,
                Change::new("polarity", "the motor turns the other way round"),
                Change::new("inertia", "the inertia doubles"),
            ],
            state_names: vec!["angle".into(), "rate".into(), "set_point".into()],
            has_goal: true,
            metric_name: None,
        };
        Self {
            spec: Arc::new(spec),
            task: [0.02, 0.06, 0.035, 1.0],
            state: [0.0; 3],
            course: [1.0, 0.0],
            observation: [0.0; 2],
            random: random_stream(0, Stream::HeldOut, 0),
            steps: 0,
        }
    }

    fn measure(&mut self) {
        self.state[2] = libm::sinf(self.course[0] * self.time_s() as f32 + self.course[1]);
        let angle = self.state[0] + NOISE_RAD * bell(self.random.next_u64());
        self.observation = [self.state[2] - angle, angle];
    }
}

impl Plant for Servo {
    fn spec(&self) -> &Arc<PlantSpec> {
        &self.spec
    }
    fn reset(&mut self, task: &Task, seed: u64) {
        self.random = random_stream(seed, Stream::HeldOut, u64::MAX);
        self.steps = 0;
        self.set_task(task);
        self.restart(Start::Usual);
    }
    fn restart(&mut self, _: Start) {
        let mut uniform = |end: f32| self.random.random_range(-end..end);
        self.course = [1.3 + uniform(0.7), uniform(PI)]; // rad/s, rad
        self.state = [uniform(1.0), uniform(1.0), 0.0];
        self.measure();
    }
    fn set_task(&mut self, task: &Task) {
        self.task.copy_from_slice(&task.values);
        self.task[3] = self.task[3].signum(); // a polarity has no size
    }
    fn task(&self) -> Task {
        let values = self.task.to_vec();
        Task { values }
    }
    fn apply(&mut self, change: &str) -> Result<(), UnknownChange> {
        match change {
            "none" => {}
            "polarity" => self.task[3] *= -1.0,
            "inertia" => self.task[0] *= 2.0,
            _ => return Err(self.spec.unknown_change(change)),
        }
        Ok(())
    }
    fn observe(&self) -> &[f32] {
        &self.observation
    }
    fn step(&mut self, command: &[f32]) {
        let [inertia, friction, gain, polarity] = self.task;
        let [angle, rate, _] = self.state;
        let rate = rate + PERIOD_S * (polarity * gain * command[0] - friction * rate) / inertia;
        let next = (angle + PERIOD_S * rate).clamp(-END_RAD, END_RAD);
        self.state[..2].copy_from_slice(&[next, (next - angle) / PERIOD_S]);
        self.steps += 1;
        self.measure();
    }
    fn time_s(&self) -> f64 {
        f64::from(self.steps) * 0.02
    }
    fn state(&self) -> &[f32] {
        &self.state
    }
    fn judge(&self) -> Judgement {
        let error = (self.state[2] - self.state[0]).abs();
        let (holds, fallen) = (error < 0.15, error > 1.5);
        Judgement { holds, fallen }
    }
    fn privileged(&self, features: &mut Vec<f32>) {
        features.extend(self.state.map(|value| 0.5 * value));
        features.extend(self.centred_task());
    }
}

fn main() -> ExitCode {
    engram::commands::main_with(Plants::built_in().with(Servo::new))
}
