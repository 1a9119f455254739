//! Start controls, divergence, names, periods and what tasks leave behind, on small models.

use std::sync::Arc;

use super::case::{Case, MOTOR, SERVO, arm, is_near};
use super::{RobotModel, UserRobot};
use crate::robot::Robot;
use crate::{Driven, Plant, Start, Task, TaskSet, random_stream};

#[test]
fn actuators_that_no_action_names_keep_the_start_keyframes_control() {
    let two = r#"<mujoco><option timestep="0.002" gravity="0 0 0"/>
  <worldbody><body pos="0 0 1"><joint name="j" axis="0 1 0" damping="1"/><geom size=".1" mass="1"/></body>
    <body pos="0 0 3"><joint name="k" axis="0 1 0" damping="1"/><geom size=".1" mass="1"/></body></worldbody>
  <actuator><position name="m" joint="j" kp="9"/><position name="rest" joint="k" kp="9"/></actuator>
  <keyframe><key name="stand" qpos="0.1 0.3" ctrl="0.7 0.04"/></keyframe></mujoco>"#;
    let case = |start: &str| {
        let case = Case::new(two).with(&format!("[start]\n{start}")).with(
            "[[observation]]\nname = \"k\"\nunit = \"rad\"\nmin = -9.0\nmax = 9.0\nqpos = { joint = \"k\" }",
        );
        case.hidden([0.5, 2.0], "strength_scale = { actuators = [\"m\"] }")
            .robot()
    };
    for (start, expected) in [
        ("keyframe = \"stand\"", 0.04f32),
        ("keyframe = \"#0\"", 0.04),
        ("", 0.0),
    ] {
        let mut plant = case(start);
        for seed in 0..2 {
            plant.reset(&Task { values: vec![1.0] }, seed);
            let control = plant.simulation.data().ctrl()[1];
            assert_eq!(control, if start.is_empty() { 0.0 } else { 0.04 });
            for _ in 0..400 {
                plant.step(&[-0.5]);
            }
            is_near(plant.state()[0], -0.5);
            is_near(plant.state()[1], expected);
            plant.restart(Start::Anywhere);
            for _ in 0..400 {
                plant.step(&[0.5]);
            }
            is_near(plant.state()[1], expected);
        }
    }
}

#[test]
fn the_first_change_of_a_command_counts_from_the_safe_one() {
    let mut case = Case::new(&arm(MOTOR))
        .with("[[reward]]\nweight = 1.0\ncontrol_change = {}")
        .hidden([0.5, 2.0], "gear_scale = { actuators = [\"m\"] }");
    case.range = [-1.0, 0.5];
    case.safe = 0.5;
    let plant = case.robot();
    let task = plant.task();
    let mut driven = Driven::new(Box::new(plant));
    for _ in 0..2 {
        driven.begin(&task, 1);
        driven.act(&[0.2]);
        // On [-1, 1] from 1.0, the issued safe command, to the issued one; 1 for being alive.
        let change = 1.0 - driven.working_memory()[1];
        assert!((change - 0.8).abs() < 1e-3, "{change}");
        assert!(
            (driven.reward() - 1.0 - change * change).abs() < 1e-5,
            "{}",
            driven.reward()
        );
        driven.act(&[0.2]);
        assert!((driven.reward() - 1.0).abs() < 1e-5);
        driven.restart(Start::Usual);
        driven.act(&[0.2]);
        assert!((driven.reward() - 1.0).abs() < 1e-5);
    }
}

#[test]
fn a_diverged_step_ends_the_episode_pays_nothing_and_shows_nothing_made_up() {
    let blowing = arm(r#"<motor name="m" joint="j" gear="1e12" ctrlrange="-1 1"/>"#)
        .replace("gravity=\"0 0 0\"", "gravity=\"0 0 -9.81\"");
    for flag in ["", "<flag autoreset=\"disable\"/>"] {
        let model = blowing.replace(
            "gravity=\"0 0 -9.81\"/>",
            &format!("gravity=\"0 0 -9.81\">{flag}</option>"),
        );
        let case = Case::new(&model)
            .with("[[reward]]\nweight = 1.0\nupright = { body = \"arm\" }")
            .with("[goal]\nheight = { body = \"arm\", height_m = 0.5 }")
            .hidden([0.5, 2.0], "gear_scale = { actuators = [\"m\"] }");
        let mut plant = case.robot();
        for seed in 0..3 {
            plant.reset(&Task { values: vec![1.0] }, seed);
            for _ in 0..10 {
                plant.step(&[0.0]);
                assert!(!plant.diverged() && !plant.ended() && plant.external_reward() > Some(1.0));
            }
            let before = plant.observe().to_vec();
            assert!(before[0] > 0.01 && plant.metric().is_some());
            plant.step(&[1.0]);
            assert!(plant.diverged() && plant.ended());
            assert_eq!(plant.external_reward(), Some(0.0));
            assert_eq!((plant.metric(), plant.observe()), (None, before.as_slice()));
            let judgement = plant.judge();
            assert!(judgement.fallen && !judgement.holds);
            let mut features = Vec::new();
            plant.privileged(&mut features);
            assert!(features.iter().all(|value| value.is_finite()));
            plant.restart(Start::Usual);
            assert!(!plant.diverged() && !plant.ended() && plant.metric().is_some());
        }
    }
}

#[test]
fn a_start_without_numbers_is_over_at_once() {
    let mut plant = Case::new(&arm(MOTOR))
        .hidden([0.5, 2.0], "gear_scale = { actuators = [\"m\"] }")
        .robot();
    plant.reset(&Task { values: vec![1.0] }, 1);
    plant.simulation.pushes_mut()[0] = f64::NAN;
    plant.simulation.settle();
    assert!(plant.simulation.diverged());
    plant.step(&[0.0]);
    assert!(plant.diverged() && plant.external_reward() == Some(0.0));
    plant.reset(&Task { values: vec![1.0] }, 1);
    assert!(!plant.diverged());
}

#[test]
fn what_has_no_name_is_called_by_its_number_its_joint_or_its_body() {
    let nameless = arm(MOTOR).replace("name=\"m\" ", "");
    let case = |actuator: &str| {
        let mut case = Case::new(&nameless).hidden(
            [0.5, 2.0],
            &format!("gear_scale = {{ actuators = [\"{actuator}\"] }}"),
        );
        case.actuator = actuator.to_owned();
        case
    };
    for actuator in ["#0", "joint:j", "joint:#0", "joint:body:arm"] {
        case(actuator).robot();
    }
    case("m").refused(&[
        "action[0].actuator is \"m\"",
        "#0",
        "joint:NAME",
        "none with a name",
    ]);
    case("#1").refused(&["action[0].actuator is \"#1\"", "\"#0\" to \"#0\""]);
    let free = nameless.replace(
        "</worldbody>",
        "<body name=\"ball\" pos=\"2 0 1\"><freejoint/><geom size=\".1\"/></body></worldbody>",
    );
    let mut free = Case::new(&free).with(
        "[[observation]]\nname = \"z\"\nunit = \"m\"\nmin = -9.0\nmax = 9.0\nqpos = { joint = \"body:ball\", index = 2 }",
    );
    free.actuator = "#0".to_owned();
    let mut plant = free.robot();
    plant.reset(&Task { values: vec![] }, 1);
    is_near(plant.state()[1], 1.0);
    let mut two = case("joint:j");
    two.model = nameless.replace(
        "<actuator>",
        "<actuator><motor name=\"other\" joint=\"j\"/>",
    );
    two.refused(&["with one actuator", "other, #1"]);
    let mut unknown = case("joint:knee");
    unknown.model = nameless.clone();
    unknown.refused(&["it has: j"]);
}

#[test]
fn a_model_without_actuators_is_told_apart_from_one_without_the_name() {
    Case::new(&arm(MOTOR).replace(MOTOR, "")).refused(&["robot.xml has none", "add an <actuator>"]);
    let urdf = r#"<robot name="r"><link name="base"/><link name="arm"><inertial><mass value="1"/><inertia ixx="1" iyy="1" izz="1" ixy="0" ixz="0" iyz="0"/></inertial></link>
  <joint name="j" type="revolute"><parent link="base"/><child link="arm"/><axis xyz="0 1 0"/><limit lower="-1" upper="1" effort="1" velocity="1"/></joint></robot>"#;
    Case::new(urdf).refused(&["is a URDF", "add an [[actuator]]"]);
    let mut other = Case::new(&arm(MOTOR));
    other.actuator = "motor".to_owned();
    other.refused(&["of the model (it has: m)"]);
}

#[test]
fn a_refused_period_is_told_the_nearest_that_work() {
    let case = |timestep: &str, period_us: u32| {
        let mut case = Case::new(&arm(MOTOR).replace("0.002", timestep));
        case.head = format!("period_us = {period_us}");
        case
    };
    for timestep in ["0.00416667", "0.0041667", "0.004166666666666667"] {
        // 240 Hz: a period is a whole number of microseconds, and 8333.3 is not.
        case(timestep, 25_000).robot();
        case(timestep, 8333).robot();
        for period_us in [8335, 20_000] {
            case(timestep, period_us).refused(&[&format!("period_us is {period_us}"), "12500"]);
        }
    }
    case("0.002", 7000).refused(&["the nearest that work: 4000, 6000, 8000, 10000 (us)"]);
    case("0.002", 1000).refused(&["2000, 4000"]);
}

#[test]
fn too_many_channels_are_counted() {
    let mut case = Case::new(&arm(MOTOR));
    for index in 0..130 {
        case = case.with(&format!(
            "[[observation]]\nname = \"o{index}\"\nunit = \"1\"\nmin = -1.0\nmax = 1.0\nqpos = {{ joint = \"j\" }}"
        ));
    }
    case.refused(&[
        "there are 131 [[observation]] sections",
        "from 1 to 128",
        "robot.toml:",
    ]);
}

#[test]
fn a_task_leaves_nothing_behind_for_another_on_the_same_thread() {
    let mut case =
        Case::new(&arm(SERVO)).hidden([0.5, 2.0], "strength_scale = { actuators = [\"m\"] }");
    case = case.with(
        "[[hidden]]\nname = \"mass\"\ntraining = [0.5, 2.0]\nmass_scale = { bodies = [\"arm\"] }",
    );
    let robot = Robot::from_toml(&case.text(), &case.folder.path().join("robot.toml")).unwrap();
    case.robot();
    let model = RobotModel::new(Arc::new(robot)).unwrap();
    let trace = |plant: &mut UserRobot, step: usize, trace: &mut Vec<u64>| {
        plant.step(&[if step.is_multiple_of(9) { 1.0 } else { -0.5 }]);
        trace.extend(plant.simulation.qpos().iter().map(|value| value.to_bits()));
    };
    let begin = |index| {
        let mut plant = model.make();
        let mut random = random_stream(3, TaskSet::HeldOut.stream(), index);
        let task = plant.sample_task(TaskSet::HeldOut, &mut random);
        plant.reset(&task, index);
        plant
    };
    let alone: Vec<Vec<u64>> = (0..3)
        .map(|index| {
            let (mut plant, mut all) = (begin(index), Vec::new());
            (0..50).for_each(|step| trace(&mut plant, step, &mut all));
            all
        })
        .collect();
    assert_ne!(alone[0], alone[1]);
    let mut plants: Vec<UserRobot> = (0..3).map(begin).collect();
    let mut together = vec![Vec::new(); 3];
    for step in 0..50 {
        for (plant, all) in plants.iter_mut().zip(&mut together) {
            trace(plant, step, all);
        }
    }
    assert_eq!(alone, together);
}

#[test]
fn meshes_and_textures_cost_a_trial_nothing() {
    // 50 MB of texture, made here.
    let texture = r#"<asset><texture name="big" type="2d" builtin="checker" width="4096" height="4096"/></asset><worldbody>"#;
    let large = arm(SERVO).replacen("<worldbody>", texture, 1);
    let made = |model: &str| {
        let case = Case::new(model).hidden([0.5, 2.0], "mass_scale = { bodies = [\"arm\"] }");
        let plant = case.robot();
        (case, plant)
    };
    let (mut large, mut small) = (made(&large), made(&arm(SERVO)));
    let seconds = |plant: &mut UserRobot| {
        let begun = std::time::Instant::now();
        for trial in 0..200u16 {
            let mass = 0.5 + f32::from(trial) / 200.0;
            plant.reset(&Task { values: vec![mass] }, trial.into());
            for _ in 0..20 {
                plant.step(&[0.5]);
            }
        }
        begun.elapsed().as_secs_f64()
    };
    // The best of some: the machine has other work, too. A copy of the model per trial would take 20 times as long.
    let best = |plant: &mut UserRobot| (0..5).map(|_| seconds(plant)).fold(f64::INFINITY, f64::min);
    let (large, small) = (best(&mut large.1), best(&mut small.1));
    println!("with the texture {large:.4} s, without {small:.4} s");
    assert!(large < 3.0 * small, "{large} {small}");
}
