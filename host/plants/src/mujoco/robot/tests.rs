//! The example robot on MuJoCo, and what a file is told that does not fit its model.

use std::path::Path;
use std::sync::Arc;

use mujoco_rs::wrappers::MjModel;

use super::case::{Case, MOTOR, arm};
use super::{RobotModel, UserRobot};
use crate::robot::{Robot, RobotError};
use crate::{Driven, Plant, PlantFactory, Start, Stream, Task, TaskSet, by_name, random_stream};

const FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../examples/robots/balancer.toml"
);
const EXAMPLE: &str = include_str!("../../../../../examples/robots/balancer.toml");

fn made(text: &str) -> Result<UserRobot, RobotError> {
    let robot = Robot::from_toml(text, Path::new(FILE)).expect("a good file");
    Ok(RobotModel::new(Arc::new(robot))?.make())
}

fn refused(from: &str, to: &str) -> String {
    assert!(EXAMPLE.contains(from), "{from}");
    made(&EXAMPLE.replacen(from, to, 1))
        .err()
        .expect(to)
        .to_string()
}

/// Polarity, motor, payload, friction, speed.
fn task(values: [f32; 5]) -> Task {
    Task {
        values: values.to_vec(),
    }
}

const USUAL: [f32; 5] = [1.0, 1.0, 1.0, 1.0, 0.5];

/// Balances and drives the robot from its true state; the sign of the motors is known.
fn drive(plant: &mut dyn Plant, steps: usize, polarity: f32) -> f32 {
    let mut sum = 0.0;
    for _ in 0..steps {
        let [tilt, pitch_rate, yaw_rate, left, right, wish] = *plant.state() else {
            panic!("six channels")
        };
        // The body's up direction leans back when the robot leans forward.
        let speed = 0.06 * (0.5 * (left + right) + pitch_rate);
        let torque = -2.2 * tilt + 0.25 * pitch_rate + 0.25 * (speed - 0.8 * wish);
        let turn = 0.02 * yaw_rate;
        plant.step(&[
            (polarity * (torque + turn)).clamp(-0.5, 0.5),
            (polarity * (torque - turn)).clamp(-0.5, 0.5),
        ]);
        sum += plant.external_reward().unwrap();
        if plant.ended() {
            break;
        }
    }
    sum
}

#[test]
fn the_example_balances_under_a_controller_that_knows_its_polarity() {
    let mut plant = by_name(FILE).unwrap();
    assert_eq!(plant.spec().name, "balancer");
    assert!(plant.spec().contract().validate().is_ok());
    for polarity in [1.0, -1.0] {
        plant.reset(&task([polarity, 1.0, 1.0, 1.0, 0.5]), 1);
        let right = drive(plant.as_mut(), 250, polarity);
        assert!(
            !plant.ended() && plant.judge().holds,
            "{:?} {right}",
            plant.state()
        );
        assert!(
            plant.metric().unwrap() < 0.25,
            "{}",
            plant.metric().unwrap()
        );
        plant.reset(&task([polarity, 1.0, 1.0, 1.0, 0.5]), 1);
        let wrong = drive(plant.as_mut(), 250, -polarity);
        assert!(plant.ended() && plant.judge().fallen && !plant.judge().holds);
        assert!(right > 200.0 && wrong < 50.0, "{right} {wrong}");
    }
}

#[test]
fn hidden_parameters_reach_the_model_and_a_change_comes_in_mid_motion() {
    let mut plant = made(EXAMPLE).unwrap();
    plant.reset(&task([-1.0, 1.2, 3.0, 0.5, 0.5]), 1);
    let usual = &plant.body.model;
    plant.simulation.with_model(|model| {
        let gear = model.actuator_gear();
        assert!((gear[0][0] + 1.2).abs() < 1e-6 && (gear[1][0] + 1.2).abs() < 1e-6);
        let payload = usual.body_mass()[2];
        assert!((model.body_mass()[2] - 3.0 * payload).abs() < 1e-6);
        assert_eq!(model.body_mass()[1], usual.body_mass()[1]);
        assert!((model.geom_friction()[0][0] - 0.45).abs() < 1e-6);
    });
    for _ in 0..3 {
        plant.step(&[0.3, 0.3]);
    }
    let before = plant.state().to_vec();
    plant.apply("polarity").unwrap();
    assert_eq!(plant.state(), before);
    assert_eq!(plant.task().values[0], 1.0);
    let gear = |model: &MjModel| model.actuator_gear()[0][0];
    assert!((plant.simulation.with_model(gear) - 1.2).abs() < 1e-6);
    let reward = plant.external_reward();
    plant.restart(Start::Usual);
    assert_eq!(plant.external_reward(), reward);
    plant.reset(&task(USUAL), 1);
    assert_eq!(plant.external_reward(), Some(0.0));
    let error = plant.apply("colour").unwrap_err().to_string();
    assert!(error.contains("none, polarity, payload, motor"), "{error}");
}

#[test]
fn what_the_model_does_not_have_is_refused_with_what_it_has() {
    let error = refused("joint = \"left_wheel\"", "joint = \"left\"");
    for part in [
        "balancer.toml",
        "observation[3].qvel.joint is \"left\"",
        "root, left_wheel, right_wheel",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let error = refused(
        "joint = \"left_wheel\"",
        "joint = \"left_wheel\", index = 1",
    );
    assert!(
        error.contains("observation[3].qvel.index is 1") && error.contains("from 0 to 0"),
        "{error}"
    );
    let error = refused("sensor = \"gyro\"", "sensor = \"gyros\"");
    assert!(error.contains("gyro, accelerometer"), "{error}");
    let error = refused("actuator = \"left_motor\"", "actuator = \"motor\"");
    assert!(error.contains("left_motor, right_motor"), "{error}");
    let error = refused("actuator = \"right_motor\"", "actuator = \"left_motor\"");
    assert!(error.contains("no other action drives"), "{error}");
    let error = refused("bodies = [\"payload\"]", "bodies = [\"load\"]");
    assert!(
        error.contains("hidden[2].mass_scale.bodies[0] is \"load\""),
        "{error}"
    );
    let error = refused("max = 0.5\nslew", "max = 0.9\nslew");
    assert!(
        error.contains("action[0].max is 0.9") && error.contains("-0.6 to 0.6"),
        "{error}"
    );
    let error = refused("period_us = 20000", "period_us = 15000");
    assert!(
        error.contains("multiple of the model's timestep"),
        "{error}"
    );
    let error = refused("\"balancer.xml\"", "\"no.xml\"");
    assert!(
        error.contains("model is \"no.xml\"") && error.contains("there is no"),
        "{error}"
    );
    let error = refused("[start]", "[start]\nkeyframe = \"stand\"");
    assert!(error.contains("the model has none"), "{error}");
}

#[test]
fn every_source_and_term_reads_what_it_says() {
    let text = EXAMPLE
        .replacen(
            "hidden = \"speed\"",
            "body_position = { body = \"payload\", axis = \"z\" }",
            1,
        )
        .replacen(
            "sensor = { sensor = \"gyro\", index = 2 }",
            "body_rotation = { body = \"chassis\", row = 2, column = 2 }",
            1,
        )
        .replacen(
            "sensor = { sensor = \"gyro\", index = 1 }",
            "body_rate = { body = \"chassis\", axis = \"y\", frame = \"body\" }",
            1,
        )
        .replacen(
            "qvel = { joint = \"left_wheel\" }",
            "body_velocity = { body = \"chassis\", axis = \"x\" }",
            1,
        )
        .replacen(
            "qvel = { joint = \"right_wheel\" }",
            "qvel = { joint = \"root\" }",
            1,
        )
        .replacen(
            "alive = {}",
            "height = { body = \"payload\" }\n[[reward]]\nweight = 2.0\nupright = { body = \"chassis\" }\n\
             [[reward]]\nweight = 1e-3\njoint_velocity = { joints = [\"left_wheel\", \"right_wheel\"] }\n\
             [[reward]]\nweight = -0.5\ncontrol_change = {}\n\
             [[reward]]\nweight = 1.0\ntrack_position = { body = \"payload\", axis = \"z\", target = 0.0 }",
            1,
        );
    let mut plant = made(&text).unwrap();
    plant.reset(&task(USUAL), 0);
    plant.step(&[0.4, 0.2]);
    let data = plant.simulation.data();
    let velocity = data.qvel();
    let [_, rate, up, x_rate, root, height] = *plant.state() else {
        panic!("six channels")
    };
    let close = |a: f32, b: f64| assert!((f64::from(a) - b).abs() < 1e-6, "{a} {b}");
    close(rate, velocity[4]);
    close(rate, data.sensordata()[1]);
    close(x_rate, velocity[0]);
    close(root, velocity[0]);
    close(height, data.xpos()[2][2]);
    let quaternion = data.qpos();
    close(
        up,
        1.0 - 2.0 * (quaternion[4] * quaternion[4] + quaternion[5] * quaternion[5]),
    );
    let speed = data.object_velocity(
        mujoco_rs::wrappers::mj_model::MjtObjBase::mjOBJ_XBODY,
        1,
        true,
    )[3];
    let error = (speed - 0.5) / 0.4;
    let command = [0.8f64, 0.4];
    let effort: f64 = command.iter().map(|value| value * value).sum();
    let wheels = velocity[6] * velocity[6] + velocity[7] * velocity[7];
    let height = f64::from(height);
    // The height of weight 0.5 and the tracked height of 0 with weight 1 leave minus half of it.
    let expected =
        (-error * error).exp() + 0.5 * height - height + 2.0 * f64::from(up) + 1e-3 * wheels
            - 0.5 * effort
            - 0.1 * velocity_about_z(&plant).abs()
            - 0.05 * effort;
    assert!(
        (plant.reward - expected).abs() < 1e-6,
        "{} {expected}",
        plant.reward
    );
}

fn velocity_about_z(plant: &UserRobot) -> f64 {
    let object = mujoco_rs::wrappers::mj_model::MjtObjBase::mjOBJ_XBODY;
    plant.simulation.data().object_velocity(object, 1, false)[2]
}

#[test]
fn gravity_tilts() {
    let text = format!(
        "{EXAMPLE}\n[[hidden]]\nname = \"slope\"\nunit = \"rad\"\ntraining = [-0.1, 0.2]\ngravity_tilt = {{ axis = \"y\" }}\n"
    );
    let mut plant = made(&text).unwrap();
    let mut values = USUAL.to_vec();
    values.push(0.2);
    plant.reset(&Task { values }, 0);
    let [x, _, z] = plant.simulation.with_model(|model| model.opt().gravity);
    assert!((x + 9.81 * 0.2f64.sin()).abs() < 1e-6 && (z + 9.81 * 0.2f64.cos()).abs() < 1e-6);
}

#[test]
fn a_trial_depends_on_its_seed_alone_and_stays_within_the_contract() {
    let run = |seed| {
        let mut driven = Driven::new(by_name(FILE).unwrap());
        let mut random = random_stream(seed, Stream::HeldOut, 3);
        let task = driven
            .plant()
            .sample_task(TaskSet::OutOfDistribution, &mut random);
        driven.begin(&task, seed);
        let mut trace = Vec::new();
        for step in 0..300 {
            driven.act(&[if step % 7 < 3 { 0.9 } else { -0.4 }, 0.5]);
            let contract = driven.spec().contract();
            for (value, channel) in driven.plant().observe().iter().zip(&contract.observations) {
                assert!((channel.min..=channel.max).contains(value));
            }
            trace.extend(driven.working_memory().iter().map(|value| value.to_bits()));
            let mut features = Vec::new();
            driven.plant().privileged(&mut features);
            assert!(features.iter().all(|value| value.abs() <= 10.0));
            if driven.plant().ended() {
                driven.restart(Start::Anywhere);
            }
        }
        trace
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}

#[test]
fn another_plant_of_a_file_is_cheap() {
    let factory = PlantFactory::open(FILE).unwrap();
    let begun = std::time::Instant::now();
    for _ in 0..200 {
        std::hint::black_box(factory.make());
    }
    // A fraction of a millisecond each; loading the model alone takes several.
    assert!(begun.elapsed().as_secs_f64() < 2.0, "{:?}", begun.elapsed());
}

#[test]
fn a_policy_that_is_told_nothing_of_its_reward_earns_it_all_the_same() {
    let text = std::fs::read_to_string(FILE).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let model = Path::new(FILE).with_file_name("balancer.xml");
    std::fs::copy(model, folder.path().join("balancer.xml")).unwrap();
    let earned = |input: &str| {
        let file = folder.path().join(format!("{input}.toml"));
        let line = format!("reward_input = \"{input}\"\nepisodes = 2 ");
        std::fs::write(&file, text.replace("episodes = 2 ", &line)).unwrap();
        let mut driven = Driven::new(by_name(file.to_str().unwrap()).unwrap());
        let mut random = random_stream(1, Stream::HeldOut, 3);
        let task = driven.plant().sample_task(TaskSet::HeldOut, &mut random);
        driven.begin(&task, 1);
        let mut told = 0.0;
        let mut earned = Vec::new();
        for _ in 0..10 {
            driven.act(&[0.1, -0.1]);
            told += driven.reward().abs();
            earned.push(driven.earned());
        }
        (told > 0.0, earned)
    };
    let (external, none) = (earned("external"), earned("none"));
    assert!(external.0 && !none.0);
    assert_eq!(external.1, none.1);
    assert!(none.1.iter().any(|reward| *reward != 0.0));
}

#[test]
fn all_parameters_are_told_however_many_there_are() {
    let mut case = Case::new(&arm(MOTOR));
    for index in 0..40 {
        case = case.with(&format!(
            "[[hidden]]\nname = \"h{index}\"\ntraining = [0.0, 1.0]\nobservation_noise = {{ observations = [\"q\"] }}"
        ));
    }
    let robot = case.robot();
    let mut told = crate::Told::new(Box::new(robot));
    let mut values = vec![0.5; 40];
    values[39] = 1.0;
    told.reset(&Task { values }, 1);
    assert!(told.spec().contract().validate().is_ok());
    let told = told.observe();
    assert_eq!(
        (told.len(), told[1], told[39], told[40]),
        (41, 0.0, 0.0, 1.0)
    );
}
