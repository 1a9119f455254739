//! Step for step, the plants compute what gymnasium and MuJoCo's Python package compute. scripts/mujoco-golden.py
//! made the files and says what they hold.

use super::Locomotion;
use super::by_name;
use super::tests::next_action;
use crate::{Plant, Task};

/// How far a number may be from Python's.
const TOLERANCE: f64 = 1e-9;
/// After every so many steps, the whole observation is in the file.
const WHOLE: usize = 50;

/// Reads one number after the other.
struct Numbers<'a>(&'a [u8]);

impl Numbers<'_> {
    fn next(&mut self) -> f64 {
        let (number, rest) = self.0.split_first_chunk().unwrap();
        self.0 = rest;
        f64::from_le_bytes(*number)
    }

    fn count(&mut self) -> usize {
        self.next() as usize
    }

    fn take(&mut self, count: usize) -> Vec<f64> {
        (0..count).map(|_| self.next()).collect()
    }
}

/// The largest distances from Python: of rewards, and of observations.
#[derive(Default, Debug)]
struct Distance {
    reward: f64,
    observation: f64,
}

impl Distance {
    fn compare(&mut self, plant: &Locomotion, whole: &[f64]) {
        assert_eq!(plant.exact_observation().len(), whole.len());
        for (ours, theirs) in plant.exact_observation().iter().zip(whole) {
            self.observation = self.observation.max((ours - theirs).abs());
        }
    }
}

/// Replays one seed; returns the steps after which the robot had fallen, too.
fn replay(plant: &mut Locomotion, numbers: &mut Numbers<'_>, distance: &mut Distance) -> usize {
    let mut actions = numbers.next() as u64;
    let steps = numbers.count();
    let [task, positions, velocities, entries] = [(); 4].map(|()| numbers.count());
    let values = numbers
        .take(task)
        .iter()
        .map(|value| *value as f32)
        .collect();
    plant.set_task(&Task { values });
    let qpos = numbers.take(positions);
    plant.place(&qpos, &numbers.take(velocities));
    distance.compare(plant, &numbers.take(entries));
    let mut command = vec![0.0; plant.spec().contract().actions.len()];
    let mut fallen = 0;
    for step in 1..=steps {
        command.fill_with(|| next_action(&mut actions));
        plant.step(&command);
        distance.reward = distance
            .reward
            .max((plant.exact_reward() - numbers.next()).abs());
        assert_eq!(
            f64::from(u8::from(plant.ended())),
            numbers.next(),
            "step {step}"
        );
        fallen += usize::from(plant.ended());
        let entries = plant.exact_observation().iter().enumerate();
        let sum: f64 = entries
            .map(|(index, value)| (1.0 + index as f64 / 16.0) * value)
            .sum();
        distance.observation = distance.observation.max((sum - numbers.next()).abs());
        if step % WHOLE == 0 {
            let whole = numbers.take(plant.exact_observation().len());
            distance.compare(plant, &whole);
        }
    }
    fallen
}

fn agrees(name: &str, golden: &[u8]) {
    let mut plant = by_name(name).unwrap().unwrap().make();
    let mut numbers = Numbers(golden);
    let mut seeds = 0;
    while !numbers.0.is_empty() {
        let mut distance = Distance::default();
        let fallen = replay(&mut plant, &mut numbers, &mut distance);
        println!(
            "{name}, seed {}: {distance:?}, fallen in {fallen} steps",
            seeds + 1
        );
        assert!(distance.reward <= TOLERANCE && distance.observation <= TOLERANCE);
        seeds += 1;
    }
    assert_eq!(seeds, 3);
}

#[test]
fn half_cheetah_vel_agrees_with_python() {
    agrees(
        "half-cheetah-vel",
        include_bytes!("golden/half-cheetah-vel.f64"),
    );
}

#[test]
fn half_cheetah_dir_agrees_with_python() {
    agrees(
        "half-cheetah-dir",
        include_bytes!("golden/half-cheetah-dir.f64"),
    );
}

#[test]
fn ant_dir_agrees_with_python() {
    agrees("ant-dir", include_bytes!("golden/ant-dir.f64"));
}

#[test]
fn ant_dir_xy_agrees_with_python() {
    agrees("ant-dir-xy", include_bytes!("golden/ant-dir-xy.f64"));
}

#[test]
fn walker_params_agrees_with_python() {
    agrees("walker-params", include_bytes!("golden/walker-params.f64"));
}

#[test]
fn hopper_params_agrees_with_python() {
    agrees("hopper-params", include_bytes!("golden/hopper-params.f64"));
}
