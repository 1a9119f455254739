//! The larger robots under examples/robots: that they load, stay together under random commands, and do what a hand-made
//! controller expects of them.

use crate::{Driven, Plant, Start, Stream, Task, TaskSet, by_name, random_stream};
use rand::RngExt;

const ROBOTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/robots/");

fn plant(name: &str) -> Box<dyn Plant> {
    by_name(&format!("{ROBOTS}{name}.toml")).unwrap_or_else(|error| panic!("{error}"))
}

/// The task of these values, each by its name; the others are in the middle.
fn task(plant: &dyn Plant, values: &[(&str, f32)]) -> Task {
    let parameters = plant.spec().parameters.iter();
    let value = |parameter: &crate::Parameter| {
        let given = values.iter().find(|(name, _)| *name == parameter.name);
        let (low, high) = parameter.training;
        given.map_or(0.5 * (low + high), |(_, value)| *value)
    };
    Task {
        values: parameters.map(value).collect(),
    }
}

/// Lets it pursue one command; the reward per step, and the steps until the end.
fn hold(plant: &mut dyn Plant, command: &[f32], steps: usize) -> (f32, usize) {
    let mut sum = 0.0;
    for step in 0..steps {
        plant.step(command);
        sum += plant.external_reward().unwrap();
        if plant.ended() {
            return (sum / (step + 1) as f32, step + 1);
        }
    }
    (sum / steps as f32, steps)
}

fn safe(plant: &dyn Plant) -> Vec<f32> {
    let spec = plant.spec();
    let contract = spec.contract();
    contract.actions.iter().map(|action| action.safe).collect()
}

#[test]
fn random_commands_never_diverge() {
    for name in ["quadruped", "arm6"] {
        let mut driven = Driven::new(plant(name));
        let actions = driven.plant().spec().channels.actions.len();
        let mut random = random_stream(7, Stream::OutOfDistribution, 0);
        let mut command = vec![0.0f32; actions];
        for seed in 0..10 {
            let task = (driven.plant()).sample_task(TaskSet::OutOfDistribution, &mut random);
            driven.begin(&task, seed);
            for _ in 0..200 {
                command.fill_with(|| random.random_range(-1.0..=1.0));
                driven.act(&command);
                let plant = driven.plant();
                assert!(!plant.diverged(), "{name}");
                let earned = driven.earned();
                assert!((-30.0..4.0).contains(&earned), "{name}: {earned}");
                let mut features = Vec::new();
                plant.privileged(&mut features);
                assert!(features.iter().all(|value| value.is_finite()));
                if plant.ended() {
                    driven.restart(Start::Anywhere);
                }
            }
        }
    }
}

#[test]
fn the_quadruped_stands_under_its_own_servos_and_earns_more_where_standing_is_wanted() {
    let mut plant = plant("quadruped");
    let stand = safe(plant.as_ref());
    let rest = [("forward", 0.0), ("sideways", 0.0), ("turn", 0.0)];
    for payload in [0.2, 8.0] {
        let mut values = rest.to_vec();
        values.push(("payload", payload));
        let task = task(plant.as_ref(), &values);
        plant.reset(&task, 1);
        let (earned, steps) = hold(plant.as_mut(), &stand, 250);
        assert_eq!(steps, 250, "payload {payload}");
        assert!(plant.state()[2] > 0.96, "{:?}", plant.state());
        assert!(plant.judge().holds && plant.metric().unwrap() < 0.05);
        assert!(earned > 1.7, "{earned}");
    }
    // Who does not walk when told to earns less, and who lets go falls.
    let walk = task(
        plant.as_ref(),
        &[("forward", 0.7), ("sideways", 0.0), ("turn", 0.0)],
    );
    plant.reset(&walk, 1);
    let (earned, _) = hold(plant.as_mut(), &stand, 250);
    assert!(!plant.judge().holds && earned < 1.3, "{earned}");
    let limp: Vec<f32> = (0..12).map(|index| [0.0, 1.6, -2.4][index % 3]).collect();
    plant.reset(&walk, 1);
    let (_, steps) = hold(plant.as_mut(), &limp, 250);
    assert!(steps < 250, "it lies down");
}

#[test]
fn the_arm_hangs_lower_under_a_load_and_with_weak_motors() {
    let mut plant = plant("arm6");
    let home = safe(plant.as_ref());
    let mut tip = |load: f32, strength: f32| {
        let of = [("load", load), ("strength", strength), ("damping", 1.0)];
        let task = task(plant.as_ref(), &of);
        plant.reset(&task, 1);
        let (earned, steps) = hold(plant.as_mut(), &home, 200);
        assert_eq!(steps, 200);
        assert!(plant.metric().unwrap() < 0.6, "{:?}", plant.metric());
        let height = plant.state()[2];
        plant.step(&home);
        assert!((plant.state()[2] - height).abs() < 1e-3, "at rest");
        (height, earned)
    };
    let (usual, loaded, weak) = (tip(1.0, 1.0), tip(3.0, 1.0), tip(1.0, 0.5));
    assert!(
        loaded.0 < usual.0 - 0.03 && weak.0 < usual.0 - 0.02,
        "{usual:?} {loaded:?} {weak:?}"
    );
    // The target that its tip is at pays best.
    let mut earned = |height: f32| {
        let x = plant.state()[0];
        let of = [
            ("load", 1.0),
            ("strength", 1.0),
            ("damping", 1.0),
            ("x", x),
            ("y", 0.0),
            ("z", height),
        ];
        let task = task(plant.as_ref(), &of);
        plant.reset(&task, 1);
        hold(plant.as_mut(), &home, 200).0
    };
    let (near, far) = (earned(usual.0), earned(usual.0 + 0.3));
    assert!(near > far + 0.8, "{near} {far}");
}
