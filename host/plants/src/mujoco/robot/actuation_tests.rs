//! From commands to controls: offsets, motors that follow positions, filters, delays and noise, added actuators.

use std::sync::Arc;

use super::case::{Case, MOTOR, SERVO, arm, is_near};
use super::{RobotModel, UserRobot};
use crate::{Plant, Task};

fn begun(case: &Case) -> UserRobot {
    let mut plant = case.robot();
    let values = plant.task().values;
    plant.reset(&Task { values }, 1);
    plant
}

fn control(plant: &UserRobot) -> f64 {
    plant.simulation().data().ctrl()[0]
}

/// A motor of this gear.
fn geared(gear: f64) -> String {
    arm(&format!(
        r#"<motor name="m" joint="j" gear="{gear}" ctrlrange="-1.5 1.5"/>"#
    ))
}

#[test]
fn a_motor_with_gains_is_the_servo_that_a_model_would_have() {
    let servo = |limit: f64| {
        let servo = format!(
            r#"<position name="m" joint="j" kp="20" kv="0.7" forcerange="-{limit} {limit}"/>"#
        );
        begun(&Case::new(&arm(&servo)))
    };
    for gear in [1.0, 2.0, -3.0, 0.25] {
        let mut follows =
            begun(&Case::new(&geared(gear)).acting("position = { kp = 20, kd = 0.7 }"));
        let mut servo = servo(1.5 * gear.abs());
        for step in 0..60 {
            let command = if step % 20 < 10 { 0.8 } else { -0.6 };
            follows.step(&[command]);
            servo.step(&[command]);
            let (one, other) = (follows.simulation().qpos()[0], servo.simulation().qpos()[0]);
            assert!((one - other).abs() < 1e-9, "{gear} {step}: {one} {other}");
            let torque = follows.simulation().data().qfrc_actuator()[0];
            assert!(torque.abs() <= 1.5 * gear.abs() + 1e-9, "{gear}: {torque}");
        }
        assert!(follows.simulation().qpos()[0].abs() > 0.01);
    }
}

#[test]
fn commands_are_offsets_from_a_number_the_pose_or_the_keyframes_control() {
    let with_key = |model: &str| {
        let key = r#"</actuator><keyframe><key name="home" qpos="0.4" ctrl="-0.3"/></keyframe>"#;
        model.replace("</actuator>", key)
    };
    let home = "[start]\nkeyframe = \"home\"";
    let gains = "position = { kp = 20, kd = 1 }\n";
    for (model, keys, start, settles_at) in [
        (arm(SERVO), "around = 0.25", "", 0.25),
        (arm(SERVO), "around = \"pose\"", "", 0.0),
        (with_key(&arm(SERVO)), "around = \"pose\"", home, 0.4),
        (with_key(&arm(SERVO)), "around = \"control\"", home, -0.3),
        (geared(-2.0), &format!("{gains}around = 0.25"), "", 0.25),
        (
            with_key(&geared(-2.0)),
            &format!("{gains}around = \"pose\""),
            home,
            0.4,
        ),
        (geared(2.0), gains, "", 0.0),
    ] {
        let mut case = Case::new(&model).acting(keys).with(start);
        case.range = [-0.5, 0.5];
        let mut plant = begun(&case);
        for command in [0.0f32, 0.3, -0.2] {
            for _ in 0..300 {
                plant.step(&[command]);
            }
            is_near(plant.state()[0], settles_at + command);
        }
    }
}

#[test]
fn a_polarity_mirrors_offsets_about_the_pose() {
    let mut case = Case::new(&geared(2.0))
        .acting("position = { kp = 20, kd = 1 }\naround = 0.4")
        .hidden([-1.0, 1.0], "polarity = { actuators = [\"m\"] }");
    case.range = [-0.5, 0.5];
    let mut plant = case.robot();
    for (polarity, stands) in [(1.0, 0.7), (-1.0, 0.1)] {
        plant.reset(
            &Task {
                values: vec![polarity],
            },
            1,
        );
        for _ in 0..300 {
            plant.step(&[0.3]);
        }
        is_near(plant.state()[0], stands);
    }
}

#[test]
fn what_cannot_follow_or_start_is_refused() {
    let gains = "position = { kp = 20, kd = 1 }";
    let tendon = arm(r#"<motor name="m" tendon="t" ctrlrange="-1 1"/>"#).replace(
        "<actuator>",
        r#"<tendon><fixed name="t"><joint joint="j" coef="1"/></fixed></tendon><actuator>"#,
    );
    let cases: [(String, &str, &[&str]); 9] = [
        (arm(SERVO), gains, &["action[0].position", "is a servo"]),
        (
            tendon.clone(),
            gains,
            &["action[0].position", "one hinge or slide"],
        ),
        (
            tendon,
            "around = \"pose\"",
            &["action[0].around is \"pose\"", "one hinge or slide"],
        ),
        (geared(0.0), gains, &["gear or a gain of 0"]),
        (
            arm(r#"<general name="m" joint="j" dyntype="filter" dynprm="0.1"/>"#),
            gains,
            &["has dynamics"],
        ),
        (
            arm(SERVO),
            "around = 0.5",
            &[
                "action[0].max is 1.0",
                "ctrlrange, -1 to 1; around 0.5",
                "-1.5 to 0.5",
            ],
        ),
        (
            arm(SERVO),
            "around = \"control\"",
            &["action[0].around", "names no keyframe"],
        ),
        (
            arm(MOTOR),
            "position = { kp = 0.0 }",
            &["action[0].position.kp is 0.0", "above 0"],
        ),
        (arm(MOTOR), "around = \"home\"", &["around is a number"]),
    ];
    for (model, keys, parts) in cases {
        Case::new(&model).acting(keys).refused(parts);
    }
    for (keys, parts) in [
        ("filter_s = 0.0", ["action[0].filter_s is 0.0", "above 0"]),
        (
            "noise_std = -1.0",
            ["action[0].noise_std is -1.0", "at least 0"],
        ),
        (
            "delay_steps = 65",
            ["action[0].delay_steps is 65", "at most 64"],
        ),
        (
            "position = { kd = 1 }",
            ["missing field `kp`", "robot.toml"],
        ),
    ] {
        Case::new(&arm(MOTOR)).acting(keys).refused(&parts);
    }
}

#[test]
fn a_filter_goes_its_way_in_every_physics_step() {
    let mut plant = begun(&Case::new(&arm(MOTOR)).acting("filter_s = 0.02"));
    // Ten physics steps of 2 ms are one time constant, and the safe command was 0.
    for steps in 1..4 {
        plant.step(&[0.8]);
        let expected = 0.8 * (1.0 - libm::exp(-f64::from(steps)));
        assert!(
            (control(&plant) - expected).abs() < 1e-6,
            "{}",
            control(&plant)
        );
    }
    plant.restart(crate::Start::Usual);
    plant.step(&[0.0]);
    assert_eq!(control(&plant), 0.0);
}

#[test]
fn a_task_may_add_to_a_filter() {
    for (keys, fixed_s) in [("", 0.0), ("filter_s = 0.01", 0.01)] {
        let case = Case::new(&arm(MOTOR))
            .acting(keys)
            .hidden([0.0, 0.05], "action_filter = { actions = [\"m\"] }")
            .with("[[change]]\nname = \"slow\"\nsummary = \"slower\"\nmultiply = { h = 2.0 }");
        let mut plant = case.robot();
        for hidden_s in [0.0f32, 0.02, 0.05] {
            let task = Task {
                values: vec![hidden_s],
            };
            plant.reset(&task, 1);
            // One control step of 20 ms, and another one when the parameter has doubled.
            let mut left = 1.0;
            for factor in [1.0, 2.0] {
                let constant_s = fixed_s + factor * f64::from(hidden_s);
                plant.step(&[0.8]);
                left *= if constant_s > 0.0 {
                    libm::exp(-0.02 / constant_s)
                } else {
                    0.0
                };
                let expected = 0.8 * (1.0 - left);
                let is = control(&plant);
                assert!((is - expected).abs() < 1e-6, "{hidden_s}: {is}, {expected}");
                plant.apply("slow").unwrap();
            }
        }
    }
    Case::new(&arm(MOTOR))
        .hidden([-0.1, 0.2], "action_filter = { actions = [\"*\"] }")
        .refused(&["hidden[0].training is [-0.1, 0.2]", "at least 0, in s"]);
}

#[test]
fn a_late_command_acts_late_and_a_task_may_add_to_that() {
    let case = Case::new(&arm(MOTOR))
        .acting("delay_steps = 1")
        .hidden([0.0, 3.0], "action_delay = { actions = [\"m\"] }")
        .with("[[change]]\nname = \"bus\"\nsummary = \"slower\"\nmultiply = { h = 2.0 }");
    let mut plant = case.robot();
    for (hidden, delay) in [(0.0, 1), (0.4, 1), (1.6, 3), (3.0, 4)] {
        plant.reset(
            &Task {
                values: vec![hidden],
            },
            1,
        );
        for step in 0..10 {
            plant.step(&[0.1 + 0.1 * step as f32]);
            let expected = if step < delay {
                0.0
            } else {
                0.1 + 0.1 * (step - delay) as f64
            };
            assert!((control(&plant) - expected).abs() < 1e-6, "{hidden} {step}");
        }
    }
    plant.apply("bus").unwrap();
    plant.step(&[0.0]);
    // Seven steps before: the fourth of the ten.
    assert!((control(&plant) - 0.4).abs() < 1e-6, "{}", control(&plant));
    for (range, effect, part) in [
        (
            [0.0, 0.4],
            "action_delay = { actions = [\"m\"] }",
            "rounded to whole steps",
        ),
        (
            [0.0, 65.0],
            "action_delay = { actions = [\"m\"] }",
            "from 0 to 64",
        ),
        (
            [0.0, 2.0],
            "action_delay = { actions = [\"n\"] }",
            "there is: m",
        ),
        (
            [0.0, 2.0],
            "action_delay = { actions = [] }",
            "at least one",
        ),
        (
            [0.0, 2.0],
            "action_delay = { actions = [\"m\", \"m\"] }",
            "count twice",
        ),
    ] {
        Case::new(&arm(MOTOR))
            .hidden(range, effect)
            .refused(&["hidden[0].", part]);
    }
}

#[test]
fn noise_of_an_actuator_has_its_size_and_comes_from_the_seed() {
    let run = |seed| {
        let mut plant = Case::new(&arm(MOTOR)).acting("noise_std = 0.05").robot();
        plant.reset(&Task { values: vec![] }, seed);
        (0..400)
            .map(|_| {
                plant.step(&[0.2]);
                control(&plant) - 0.2
            })
            .collect::<Vec<f64>>()
    };
    let noise = run(3);
    let square: f64 = noise.iter().map(|value| value * value).sum();
    let deviation = (square / 400.0).sqrt();
    assert!((deviation - 0.05).abs() < 0.006, "{deviation}");
    assert_eq!(noise, run(3));
    assert_ne!(noise, run(4));
}

const URDF: &str = r#"<robot name="r"><link name="base"/><link name="arm"><inertial><mass value="1"/><inertia ixx="1" iyy="1" izz="1" ixy="0" ixz="0" iyz="0"/></inertial></link>
  <joint name="j" type="revolute"><parent link="base"/><child link="arm"/><axis xyz="0 1 0"/><limit lower="-1" upper="1" effort="50" velocity="9"/></joint></robot>"#;

#[test]
fn a_urdf_is_driven_by_actuators_of_the_file() {
    let actuator = |keys: &str| {
        format!("[[actuator]]\nname = \"m\"\njoint = \"j\"\nctrlrange = [-1.0, 1.0]\n{keys}")
    };
    // On an inertia of 1 kg m^2.
    let mut plant = begun(&Case::new(URDF).with(&actuator("gear = 5.0")));
    plant.step(&[0.5]);
    let speed = plant.simulation().qvel()[0];
    assert!((speed - 0.02 * 2.5).abs() < 1e-3, "{speed}");
    let mut plant = begun(&Case::new(URDF).with(&actuator("kp = 40.0\nkv = 10.0")));
    for _ in 0..200 {
        plant.step(&[0.5]);
    }
    is_near(plant.state()[0], 0.5);
    let mut plant = begun(
        &Case::new(URDF)
            .with(&actuator("gear = 20.0"))
            .acting("position = { kp = 40, kd = 10 }\naround = 0.1"),
    );
    for _ in 0..200 {
        plant.step(&[0.5]);
    }
    is_near(plant.state()[0], 0.6);
    let mut plant = begun(
        &Case::new(URDF)
            .with(&actuator("kv = 10.0\nforcerange = [-2.0, 2.0]"))
            .hidden([0.5, 2.0], "strength_scale = { actuators = [\"m\"] }"),
    );
    plant.step(&[1.0]);
    assert!((plant.simulation().qvel()[0] - 0.02 * 2.0 * 1.25).abs() < 1e-3);
}

#[test]
fn an_added_actuator_is_checked_and_counts_for_the_digest() {
    let section = |name: &str, joint: &str, keys: &str| {
        format!(
            "[[actuator]]\nname = \"{name}\"\njoint = \"{joint}\"\nctrlrange = [-1.0, 1.0]\n{keys}"
        )
    };
    for (model, section, parts) in [
        (
            URDF,
            section("m", "k", ""),
            ["actuator[0].joint is \"k\"", "it has: j"],
        ),
        (
            URDF,
            section("m", "j", "gear = 0.0"),
            ["actuator[0].gear is 0.0", "other than 0"],
        ),
        (
            URDF,
            section("m", "j", "kp = -1.0"),
            ["actuator[0].kp is -1.0", "above 0"],
        ),
        (
            URDF,
            section("m m", "j", ""),
            ["actuator[0].name", "without spaces"],
        ),
        (
            URDF,
            section("m", "j", "forcerange = [1.0, -1.0]"),
            ["actuator[0].forcerange", "the smaller one first"],
        ),
        (
            &arm(MOTOR),
            section("m", "j", ""),
            ["actuator[0].name is \"m\"", "of the model"],
        ),
    ] {
        Case::new(model).with(&section).refused(&parts);
    }
    let free = arm(MOTOR).replace(
        "</worldbody>",
        "<body name=\"ball\" pos=\"2 0 1\"><freejoint name=\"free\"/><geom size=\".1\"/></body></worldbody>",
    );
    Case::new(&free)
        .with(&section("other", "free", ""))
        .refused(&["actuator[0].joint is \"free\"", "hinge or slide"]);
    let digest = |gear: &str| {
        let case = Case::new("").with(&section("m", "j", gear));
        let robot = Arc::new(case.with_model(URDF.as_bytes()));
        RobotModel::new(robot).unwrap().digest()
    };
    assert_ne!(digest("gear = 1.0"), digest("gear = 2.0"));
    assert_eq!(digest("gear = 1.0"), digest(""));
}

#[test]
fn plugins_of_mujocos_own_wheel_are_there() {
    let pid = arm(r#"<plugin name="m" joint="j" plugin="mujoco.pid" actdim="2" ctrlrange="-1 1"><config key="kp" value="30"/><config key="ki" value="40"/><config key="kd" value="2"/><config key="slewmax" value="3"/><config key="imax" value="5"/></plugin>"#)
        .replace("<worldbody>", "<extension><plugin plugin=\"mujoco.pid\"/></extension><worldbody>");
    let mut plant =
        begun(&Case::new(&pid).hidden([0.5, 2.0], "mass_scale = { bodies = [\"arm\"] }"));
    for _ in 0..600 {
        plant.step(&[0.5]);
    }
    is_near(plant.state()[0], 0.5);
    let grid = arm(MOTOR)
        .replace("<worldbody>", "<extension><plugin plugin=\"mujoco.sensor.touch_grid\"/></extension><worldbody>")
        .replace("mass=\"0.5\"/>", "mass=\"0.5\"/><site name=\"s\" pos=\"0.3 0 0\"/>")
        .replace(
            "</mujoco>",
            r#"<sensor><plugin name="grid" plugin="mujoco.sensor.touch_grid" objtype="site" objname="s"><config key="size" value="4 4"/><config key="fov" value="40 40"/><config key="gamma" value="0"/><config key="nchannel" value="1"/></plugin></sensor></mujoco>"#,
        );
    begun(&Case::new(&grid).with(
        "[[observation]]\nname = \"t\"\nunit = \"N\"\nmin = -9.0\nmax = 9.0\nsensor = { sensor = \"grid\", index = 15 }",
    ));
}

#[test]
fn thirty_two_actions_and_a_hundred_and_twenty_eight_channels_without_a_name() {
    let (mut bodies, mut motors) = (String::new(), String::new());
    for index in 0..32 {
        bodies.push_str(&format!(
            r#"<body pos="{index} 0 1"><joint axis="0 1 0" damping="1"/><geom size=".1" mass="1"/></body>"#
        ));
        motors.push_str(&format!(r#"<motor joint="j{index}"/>"#));
    }
    // Actuators need the joints' names; they lose them all but for the file, which calls everything by its number.
    for index in 0..32 {
        bodies = bodies.replacen("<joint axis", &format!("<joint name=\"j{index}\" axis"), 1);
    }
    let model =
        format!(r#"<mujoco><worldbody>{bodies}</worldbody><actuator>{motors}</actuator></mujoco>"#);
    let mut case = Case::new(&model);
    case.actuator = "#0".to_owned();
    for index in 1..32 {
        case = case.with(&format!(
            "[[action]]\nname = \"a{index}\"\nactuator = \"#{index}\"\nunit = \"1\"\nmin = -1.0\nmax = 1.0\nslew_per_s = 100.0\nsafe = 0.0"
        ));
    }
    for index in 1..128 {
        let source = if index < 64 { "qpos" } else { "qvel" };
        case = case.with(&format!(
            "[[observation]]\nname = \"o{index}\"\nunit = \"1\"\nmin = -99.0\nmax = 99.0\n{source} = {{ joint = \"#{}\" }}",
            index % 32
        ));
    }
    case.head = "period_us = 20000".to_owned();
    let mut plant = begun(&case);
    let command: Vec<f32> = (0..32).map(|index| index as f32 / 32.0).collect();
    for _ in 0..10 {
        plant.step(&command);
    }
    let state = plant.state();
    assert!(state[0].abs() < 1e-6 && state[31] > state[1] && state[1] > 0.0);
    assert_eq!((state.len(), state[31]), (128, state[63]));
    // One leg alone is weak.
    let case = case.hidden([0.2, 0.8], "strength_scale = { actuators = [\"#31\"] }");
    let mut weak = case.robot();
    weak.reset(&Task { values: vec![0.5] }, 1);
    for _ in 0..10 {
        weak.step(&command);
    }
    assert_eq!(weak.state()[30], plant.state()[30]);
    is_near(weak.state()[31], 0.5 * plant.state()[31]);
}
