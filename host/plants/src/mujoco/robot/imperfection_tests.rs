//! Sensors that are off or late, and pushes.

use super::case::{Case, MOTOR, arm};
use crate::{Plant, Start, Task};

const SPEED: &str = "[[observation]]\nname = \"w\"\nunit = \"rad/s\"\nmin = -9.0\nmax = 9.0\nqvel = { joint = \"j\" }";

#[test]
fn a_sensor_is_off_by_what_the_task_says_and_the_truth_is_not() {
    let case = Case::new(&arm(MOTOR))
        .with(SPEED)
        .hidden([-0.2, 0.2], "observation_bias = { observations = [\"w\"] }");
    let mut plant = case.robot();
    plant.reset(
        &Task {
            values: vec![0.125],
        },
        1,
    );
    for _ in 0..5 {
        plant.step(&[0.5]);
        let (seen, truth) = (plant.observe(), plant.state());
        assert_eq!((seen[0], seen[1]), (truth[0], truth[1] + 0.125));
    }
    plant.set_task(&Task {
        values: vec![-0.125],
    });
    assert_eq!(plant.observe()[1], plant.state()[1] - 0.125);
    Case::new(&arm(MOTOR))
        .hidden([-0.2, 0.2], "observation_bias = { observations = [\"w\"] }")
        .refused(&[
            "hidden[0].observation_bias.observations[0] is \"w\"",
            "there is: q",
        ]);
}

#[test]
fn a_task_may_be_noisy() {
    let mut case = Case::new(&arm(MOTOR))
        .hidden([0.0, 0.2], "observation_noise = { observations = [\"q\"] }")
        .with("[[hidden]]\nname = \"blur\"\ntraining = [0.0, 0.2]\naction_noise = { actions = [\"m\"] }");
    case.channel = "noise_std = 0.01".to_owned();
    let mut plant = case.robot();
    let mut deviations = |task: [f32; 2]| {
        plant.reset(
            &Task {
                values: task.to_vec(),
            },
            1,
        );
        let (mut seen, mut done) = (0.0, 0.0);
        for _ in 0..1000 {
            plant.step(&[0.0]);
            seen += f64::from(plant.observe()[0] - plant.state()[0]).powi(2);
            done += plant.simulation().data().ctrl()[0].powi(2);
        }
        [seen, done].map(|sum| (sum / 1000.0).sqrt())
    };
    for task in [[0.0f32, 0.0], [0.04, 0.1]] {
        let [seen, done] = deviations(task);
        assert!(
            (seen / f64::from(task[0] + 0.01) - 1.0).abs() < 0.1,
            "{seen}"
        );
        assert!((done - f64::from(task[1])).abs() < 0.01, "{done}");
    }
    Case::new(&arm(MOTOR))
        .hidden([-0.1, 0.2], "action_noise = { actions = [\"*\"] }")
        .refused(&["hidden[0].training", "standard deviation"]);
}

#[test]
fn a_late_sensor_tells_what_was_and_an_episode_begins_with_its_own_start() {
    let mut case = Case::new(&arm(MOTOR))
        .with(SPEED)
        .with("[start]\nposition = 0.1")
        .hidden([0.0, 2.0], "observation_delay = { observations = [\"*\"] }");
    case.channel = "delay_steps = 1".to_owned();
    let mut plant = case.robot();
    for (hidden, delays) in [(0.0, [1, 0]), (2.0, [3, 2])] {
        plant.reset(
            &Task {
                values: vec![hidden],
            },
            1,
        );
        for _ in 0..2 {
            let mut past = vec![plant.state().to_vec()];
            assert_eq!(plant.observe(), plant.state());
            for step in 1..8usize {
                plant.step(&[0.5]);
                past.push(plant.state().to_vec());
                // Asking again is no time that passes.
                plant.set_task(&plant.task());
                for (channel, delay) in delays.into_iter().enumerate() {
                    let then = past[step.saturating_sub(delay)][channel];
                    assert_eq!(plant.observe()[channel], then, "{step} {channel}");
                }
            }
            plant.restart(Start::Usual);
        }
    }
    case.channel = "delay_steps = 65".to_owned();
    case.refused(&["observation[0].delay_steps is 65", "at most 64"]);
}

/// A cart on two slides.
const CART: &str = r#"<mujoco><option timestep="0.002" gravity="0 0 0"/><worldbody>
  <body name="cart"><joint name="x" type="slide" axis="1 0 0"/><joint name="y" type="slide" axis="0 1 0"/><geom size=".1" mass="2"/></body></worldbody>
  <actuator><motor name="m" joint="x" ctrlrange="-1 1"/></actuator></mujoco>"#;

#[test]
fn pushes_come_now_and_then_as_strong_and_as_long_as_the_file_says() {
    let case = |axis: &str| {
        Case::new(CART).hidden(
            [0.0, 50.0],
            &format!("push = {{ body = \"cart\", {axis}every_s = 1.0, for_s = 0.1 }}"),
        )
    };
    for axis in ["", "axis = \"y\", "] {
        let mut plant = case(axis).robot();
        plant.reset(&Task { values: vec![20.0] }, 5);
        let (mut pushed, mut begun, mut length) = (0, 0, 0);
        for _ in 0..5000 {
            plant.step(&[0.0]);
            let [x, y, z, ..] = plant.simulation().data().xfrc_applied()[1];
            let force = (x * x + y * y).sqrt();
            assert!((force == 0.0 || (force - 20.0).abs() < 1e-9) && z == 0.0);
            assert!(axis.is_empty() || x == 0.0);
            if force > 0.0 {
                pushed += 1;
                begun += i32::from(length == 0);
                length += 1;
            } else {
                // A second one may follow at once.
                assert!(length % 5 == 0, "{length}");
                length = 0;
            }
        }
        // 100 s.
        assert!(
            (70..130).contains(&begun) && (400..600).contains(&pushed),
            "{begun} {pushed}"
        );
        assert!(plant.simulation().qvel()[1].abs() > 0.0);
        while plant.simulation().data().xfrc_applied()[1] == [0.0; 6] {
            plant.step(&[0.0]);
        }
        plant.restart(Start::Usual);
        assert_eq!(plant.simulation().data().xfrc_applied()[1], [0.0; 6]);
    }
}

#[test]
fn a_push_is_refused_that_could_not_be_one() {
    for (effect, parts) in [
        (
            "{ body = \"world\", every_s = 1.0, for_s = 0.1 }",
            ["push.body is \"world\"", "fixed"],
        ),
        (
            "{ body = \"cart\", every_s = 0.1, for_s = 0.1 }",
            ["push.every_s is 0.1", "longer"],
        ),
        (
            "{ body = \"cart\", every_s = 1.0, for_s = 0.0 }",
            ["push.for_s is 0.0", "above 0"],
        ),
        (
            "{ body = \"car\", every_s = 1.0, for_s = 0.1 }",
            ["push.body is \"car\"", "cart"],
        ),
    ] {
        Case::new(CART)
            .hidden([0.0, 50.0], &format!("push = {effect}"))
            .refused(&parts);
    }
    Case::new(CART)
        .hidden(
            [-1.0, 50.0],
            "push = { body = \"cart\", every_s = 1.0, for_s = 0.1 }",
        )
        .refused(&["hidden[0].training", "in N"]);
}

#[test]
fn a_trial_may_see_more_than_one_change() {
    let robot = |rate: &str| {
        let mut case = Case::new(&arm(MOTOR));
        case.head = format!("period_us = 20000\n{rate}");
        case
    };
    let made = |case: Case| case.made().map(|plant| plant.robot.changes_per_trial);
    assert_eq!(made(robot("")).unwrap(), 1.0);
    assert_eq!(made(robot("changes_per_trial = 2.5")).unwrap(), 2.5);
    robot("changes_per_trial = 0.0").refused(&["changes_per_trial is 0.0", "above 0"]);
    robot("changes_per_trial = 201.0").refused(&["one for every control step"]);
}
