//! What observations, rewards, ends and goals measure, against MuJoCo's own sensors and against hand-made numbers.

use std::fmt::Write as _;

use super::UserRobot;
use super::case::Case;
use crate::{Plant, Start, Task};

/// An arm above a floor, and a box that stands on it.
const MODEL: &str = r#"<mujoco><option timestep="0.002"/>
  <worldbody><geom name="floor" type="plane" size="5 5 .1"/><site name="mark" pos="1 2 3"/>
    <body name="arm" pos="0 0 1"><joint name="j" axis="0 1 0" damping="0.2"/>
      <geom name="rod" type="capsule" fromto="0 0 0 0.3 0 0" size="0.02" mass="0.5" contype="0" conaffinity="0"/>
      <site name="tip" pos="0.3 0 0" euler="10 20 30"/><body name="bare" pos="0.1 0 0"><inertial pos="0 0 0" mass="0.1" diaginertia="1e-4 1e-4 1e-4"/></body></body>
    <body name="box" pos="1 0 0.1"><freejoint name="free"/><geom name="cube" type="box" size=".1 .1 .1" mass="2"/></body></worldbody>
  <actuator><motor name="m" joint="j" gear="2" ctrlrange="-1 1"/></actuator>
  <sensor><framepos name="place" objtype="site" objname="tip"/>
    <framepos name="relative" objtype="site" objname="tip" reftype="xbody" refname="box"/>
    <framelinvel name="velocity" objtype="site" objname="tip" reftype="xbody" refname="box"/>
    <frameangvel name="rate" objtype="site" objname="tip" reftype="xbody" refname="box"/>
    <framezaxis name="z" objtype="site" objname="tip" reftype="xbody" refname="box"/>
    <actuatorfrc name="force" actuator="m"/></sensor>
  <keyframe><key name="home" qpos="0.5 1 0 .1 1 0 0 0"/></keyframe></mujoco>"#;

pub(super) fn case() -> Case {
    Case::new(MODEL)
}

/// A robot that observes these, after the case's own first channel.
pub(super) fn observing(sources: &[&str]) -> UserRobot {
    let mut case = case();
    for (index, source) in sources.iter().enumerate() {
        let channel = format!(
            "[[observation]]\nname = \"o{index}\"\nunit = \"1\"\nmin = -1e4\nmax = 1e4\n{source}"
        );
        case = case.with(&channel);
    }
    let mut plant = case.robot();
    plant.reset(&Task { values: vec![] }, 1);
    plant
}

/// A robot paid for this alone.
fn paid(term: &str, rest: &str) -> UserRobot {
    let mut case = case();
    case.reward = format!("weight = 1.0\n{term}");
    let mut plant = case.with(rest).robot();
    plant.reset(&Task { values: vec![] }, 1);
    plant
}

/// Puts the box somewhere, turned about z, turning and moving.
fn put(plant: &mut UserRobot, height: f64, yaw: f64, moves: bool) {
    let (sine, cosine) = (0.5 * yaw).sin_cos();
    plant.simulation.qpos_mut()[1..].copy_from_slice(&[1.0, 0.2, height, cosine, 0.0, 0.0, sine]);
    plant.simulation.qpos_mut()[0] = 0.4;
    if moves {
        let velocities = [2.0, 0.3, -0.2, 0.1, 1.0, 2.0, 3.0];
        plant.simulation.qvel_mut().copy_from_slice(&velocities);
    }
    plant.simulation.settle();
    plant.measure(super::imperfections::When::Again);
}

#[track_caller]
pub(super) fn is(value: f32, expected: f64) {
    let near = 1e-5 * expected.abs().max(1.0);
    assert!(
        (f64::from(value) - expected).abs() < near,
        "{value}, not {expected}"
    );
}

#[test]
fn places_and_motions_are_those_of_mujocos_frame_sensors() {
    let mut sources = Vec::new();
    for (quantity, sensor) in [
        ("body_position = { body = \"site:tip\"", "place"),
        (
            "body_position = { body = \"site:tip\", relative_to = \"box\", frame = \"reference\"",
            "relative",
        ),
        (
            "body_velocity = { body = \"site:tip\", relative_to = \"box\", frame = \"reference\"",
            "velocity",
        ),
        (
            "body_rate = { body = \"site:tip\", relative_to = \"geom:cube\", frame = \"reference\"",
            "rate",
        ),
    ] {
        for (index, axis) in ["x", "y", "z"].into_iter().enumerate() {
            sources.push(format!("{quantity}, axis = \"{axis}\" }}"));
            sources.push(format!(
                "sensor = {{ sensor = \"{sensor}\", index = {index} }}"
            ));
        }
    }
    for row in 0..3 {
        sources.push(format!(
            "body_rotation = {{ body = \"site:tip\", relative_to = \"box\", row = {row}, column = 2 }}"
        ));
        sources.push(format!("sensor = {{ sensor = \"z\", index = {row} }}"));
    }
    let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
    let mut plant = observing(&sources);
    put(&mut plant, 1.0, 0.7, true);
    for (pair, source) in plant.state()[1..].chunks(2).zip(sources.chunks(2)) {
        assert!((pair[0] - pair[1]).abs() < 1e-5, "{pair:?} {source:?}");
    }
    let distinct: std::collections::HashSet<u32> =
        plant.state().iter().map(|value| value.to_bits()).collect();
    assert!(distinct.len() > 12, "the numbers tell something");
}

#[test]
fn every_source_reads_what_it_says() {
    let mut plant = observing(&[
        "distance = { body = \"site:mark\", to = \"box\" }",
        "body_euler = { body = \"box\", angle = \"yaw\" }",
        "body_euler = { body = \"arm\", angle = \"pitch\" }",
        "orientation_error = { body = \"box\", quaternion = [1.0, 0.0, 0.0, 0.0] }",
        "orientation_error = { body = \"arm\", relative_to = \"arm\", quaternion = [0.0, 0.0, 1.0, 0.0] }",
        "joint_offset = { joint = \"j\", keyframe = \"home\" }",
        "pose_error = { joints = [\"*\"] }",
        "actuator_force = { actuator = \"m\" }",
        "joint_torque = { joint = \"j\" }",
        "power = { actuator = \"m\" }",
        "body_position = { body = \"arm\", relative_to = \"box\", axis = \"y\" }",
        "body_velocity = { body = \"arm\", relative_to = \"box\", axis = \"x\" }",
        "qvel = { joint = \"body:box\", index = 5 }",
    ]);
    put(&mut plant, 1.0, 2.5, true);
    plant.simulation.set_control(0, 0.5);
    plant.simulation.settle();
    plant.measure(super::imperfections::When::Again);
    let state = &plant.state()[1..];
    let apart: f64 = [0.0, 1.8, 2.0f64].iter().map(|d| d * d).sum();
    for (value, expected) in state.iter().zip([
        apart.sqrt(),
        2.5,
        0.4,
        2.5,
        std::f64::consts::PI,
        -0.1,
        0.4,
        0.5,
        1.0,
        // The force times the speed of a joint with a gear of 2.
        0.5 * 2.0 * 2.0,
        -0.2,
        -0.3,
        3.0,
    ]) {
        is(*value, expected);
    }
}

#[test]
fn contacts_have_forces_and_last() {
    let touch = "{ body = \"box\", with = \"geom:floor\" }";
    let kinds = ["contact", "contact_force", "contact_time", "air_time"];
    let mut sources: Vec<String> = kinds.map(|kind| format!("{kind} = {touch}")).into();
    sources.push("contact = { body = \"geom:cube\" }".to_owned());
    sources.push("contact = { body = \"world\", with = \"box\" }".to_owned());
    sources.push("contact = { body = \"arm\" }".to_owned());
    let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
    let mut plant = observing(&sources);
    for _ in 0..100 {
        plant.step(&[0.0]);
    }
    let [_, touches, force, since_s, air_s, cube, world, arm] = *plant.state() else {
        panic!("eight channels")
    };
    assert_eq!(
        (touches, air_s, cube, world, arm),
        (1.0, 0.0, 1.0, 1.0, 0.0)
    );
    assert!((force - 2.0 * 9.81).abs() < 0.2, "{force}");
    assert!((1.9..2.001).contains(&since_s), "{since_s}");
    put(&mut plant, 0.5, 0.0, false);
    plant.restart(Start::Usual);
    assert_eq!(plant.state()[3], 0.0);
    put(&mut plant, 0.5, 0.0, false);
    let mut air = Vec::new();
    for _ in 0..20 {
        plant.step(&[0.0]);
        air.push(plant.state()[4]);
    }
    // 0.4 m take 0.286 s; the first step finds it in the air.
    let longest = air.iter().copied().fold(0.0, f32::max);
    assert!((0.24..0.30).contains(&longest), "{air:?}");
    assert_eq!((plant.state()[1], air[19]), (1.0, 0.0));
}

#[test]
fn terms_pay_what_they_say() {
    // After some steps of full torque; q and v are the joint's position and velocity then.
    type Expected = fn(q: f64, v: f64) -> f64;
    let table: [(&str, Expected); 12] = [
        ("value = { qpos = { joint = \"j\" } }", |q, _| q),
        ("value = { sensor = { sensor = \"place\" } }", |q, _| {
            0.3 * q.cos()
        }),
        (
            "track = { qvel = { joint = \"j\" }, target = 0.5 }",
            |_, v| -(v - 0.5).abs(),
        ),
        (
            "track = { qvel = { joint = \"j\" }, target = 0.5, square = true }",
            |_, v| -(v - 0.5).powi(2),
        ),
        (
            "track = { qpos = { joint = [\"j\", \"#0\"] }, target = [0.1, 0.2], width = 0.5 }",
            |q, _| (-((q - 0.1).powi(2) + (q - 0.2).powi(2)) / 0.25).exp(),
        ),
        (
            "track_position = { body = \"site:tip\", axis = [\"x\", \"z\"], target = [0.0, 1.0] }",
            |_, _| -0.3,
        ),
        (
            "track = { body_euler = { body = \"arm\", angle = \"pitch\" }, target = 6.0 }",
            |q, _| -(q - 6.0 + std::f64::consts::TAU).abs(),
        ),
        ("torque = { joints = [\"j\"] }", |_, _| 4.0),
        ("power = { actuators = [\"*\"] }", |_, v| (2.0 * v).abs()),
        ("joint_velocity = { joints = [\"j\"] }", |_, v| v * v),
        ("value = { contact = { body = \"box\" } }", |_, _| 1.0),
        // The box stands and should for the first half of the clock's turn; its other phase says that it should not.
        (
            "gait = { bodies = [\"box\", \"geom:cube\"], phases = [0.0, 0.5], period_s = 1.0 }",
            |_, _| 0.5,
        ),
    ];
    for (term, expected) in table {
        let mut plant = paid(term, "");
        for _ in 0..5 {
            plant.step(&[1.0]);
        }
        let (q, v) = (plant.simulation.qpos()[0], plant.simulation.qvel()[0]);
        let wanted = expected(q, v);
        assert!(
            (plant.reward - wanted).abs() < 1e-6,
            "{term}: {} {wanted}",
            plant.reward
        );
        let mut features = Vec::new();
        plant.privileged(&mut features);
        assert!(features.iter().all(|value| value.is_finite()));
    }
}

#[test]
fn a_landing_pays_once_for_the_time_in_the_air() {
    let mut plant = paid("landing = { bodies = [\"box\"], air_s = 0.1 }", "");
    put(&mut plant, 0.5, 0.0, false);
    plant.step(&[0.0]);
    put(&mut plant, 0.5, 0.0, false);
    let mut rewards = Vec::new();
    for _ in 0..25 {
        plant.step(&[0.0]);
        rewards.push(plant.reward);
    }
    let paid: Vec<&f64> = rewards.iter().filter(|reward| **reward != 0.0).collect();
    assert!(
        !paid.is_empty() && (0.1..0.3).contains(paid[0]),
        "{rewards:?}"
    );
    assert_eq!(rewards[0], 0.0);
    assert_eq!(rewards[24], 0.0);
}

const REACH: &str = "[[goal.all]]\nqpos = { joint = \"j\" }\ntarget = 0.2\nwithin = 0.05";

#[test]
fn a_goal_that_is_reached_ends_the_episode_or_counts() {
    // Under full torque the arm passes through the goal; three steps there reach it.
    for (then, ends) in [("", true), (", then = \"count\"", false)] {
        let rest = format!("[goal]\nreached = {{ steps = 2{then} }}\n{REACH}");
        let mut plant = paid("reached = {}", &rest);
        assert_eq!(plant.spec().metric_name.as_deref(), Some("qpos_error"));
        let mut earned = 0.0;
        for episode in 0..2 {
            let (mut held, mut first) = (0, None);
            for step in 0..60 {
                plant.simulation.qpos_mut()[0] = if step < 5 { 0.0 } else { 0.2 };
                plant.simulation.qvel_mut()[0] = 0.0;
                plant.simulation.settle();
                plant.step(&[0.0]);
                earned += plant.reward;
                let q = plant.simulation.qpos()[0];
                is(plant.metric().unwrap(), (q - 0.2).abs());
                held += i32::from(plant.judge().holds);
                if first.is_none() && plant.reward > 0.0 {
                    first = Some(step);
                    assert_eq!(plant.ended(), ends);
                    assert!(plant.judge().holds && !plant.judge().fallen);
                }
                if plant.ended() {
                    break;
                }
                if step == 40 {
                    plant.simulation.qpos_mut()[0] = 3.0;
                }
            }
            assert_eq!(first, Some(6), "{episode}");
            // Ended after two steps at the goal, or held from then on although it has left.
            assert_eq!(held, if ends { 2 } else { 55 });
            plant.restart(Start::Usual);
        }
        assert_eq!(earned, 2.0);
    }
}

#[test]
fn an_end_may_take_several_conditions_at_once() {
    let end = "[[ended]]\nall = [{ qpos = { joint = \"j\" }, above = 0.3 }, { contact = { body = \"box\" }, below = 0.5 }]\n\
               [[ended]]\nall = [{ body_velocity = { body = \"box\", axis = [\"x\", \"y\"] }, target = [0.0, 0.0], beyond = 5.0 }]";
    for (angle, height, speed, ends) in [
        (0.4, 1.0, 0.0, true),
        (0.2, 1.0, 0.0, false),
        (0.4, 0.1, 0.0, false),
        (0.0, 1.0, 6.0, true),
    ] {
        let mut plant = paid("alive = {}", end);
        put(&mut plant, height, 0.0, false);
        plant.simulation.qpos_mut()[0] = angle;
        plant.simulation.qvel_mut()[2] = speed;
        plant.simulation.settle();
        plant.step(&[0.0]);
        assert_eq!(plant.ended(), ends, "{angle} {height} {speed}");
        assert_eq!(plant.judge().fallen, ends);
    }
}

#[test]
fn commanded_velocities_of_several_axes_are_targets() {
    let mut rest = String::new();
    for axis in ["x", "y"] {
        let _ = writeln!(
            rest,
            "[[hidden]]\nname = \"v{axis}\"\ntraining = [-1.0, 1.0]\ngoal = {{}}"
        );
    }
    rest.push_str(
        "[goal]\nvelocity = { body = \"box\", axis = [\"x\", \"y\"], target = [\"vx\", \"vy\"], within_m_per_s = 0.3 }",
    );
    let term = "track_velocity = { body = \"box\", axis = [\"x\", \"y\"], target = [\"vx\", \"vy\"], width = 0.5 }";
    let mut plant = paid(term, &rest);
    plant.reset(
        &Task {
            values: vec![0.3, -0.4],
        },
        1,
    );
    for _ in 0..20 {
        plant.step(&[0.0]);
    }
    // The box rests: the command is all of the error.
    assert!((plant.metric().unwrap() - 0.5).abs() < 1e-3);
    assert!(
        (plant.reward - (-1.0f64).exp()).abs() < 1e-3,
        "{}",
        plant.reward
    );
    assert!(!plant.judge().holds);
}

#[test]
fn what_cannot_be_measured_is_refused_by_its_key() {
    let observe = |source: &str| {
        format!("[[observation]]\nname = \"o\"\nunit = \"1\"\nmin = -1.0\nmax = 1.0\n{source}")
    };
    let reward = |term: &str| format!("[[reward]]\nweight = 1.0\n{term}");
    let table: &[(String, &[&str])] = &[
        (
            observe("body_position = { body = \"site:top\", axis = \"x\" }"),
            &[
                "observation[1].body_position.body is \"site:top\"",
                "a site of the model (it has: mark, tip)",
            ],
        ),
        (
            observe("body_position = { body = \"arm\", axis = \"w\" }"),
            &["unknown variant `w`", "robot.toml"],
        ),
        (
            observe("body_position = { body = \"arm\", axis = [\"x\", \"y\"] }"),
            &[
                "observation[1].body_position.axis is [\"x\", \"y\"]",
                "one number",
            ],
        ),
        (
            observe("body_position = { body = \"arm\", axis = \"x\", frame = \"body\" }"),
            &[
                "observation[1].body_position.frame is \"body\"",
                "no relative_to",
            ],
        ),
        (
            observe("body_velocity = { body = \"arm\", axis = \"x\", frame = \"reference\" }"),
            &[
                "observation[1].body_velocity.frame is \"reference\"",
                "\"world\" or \"body\"",
            ],
        ),
        (
            observe("contact = { body = \"site:tip\" }"),
            &[
                "observation[1].contact.body is \"site:tip\"",
                "sites touch nothing",
            ],
        ),
        (
            observe("contact = { body = \"bare\" }"),
            &[
                "observation[1].contact.body is \"bare\"",
                "geoms of its own",
            ],
        ),
        (
            observe("joint_offset = { joint = \"free\" }"),
            &[
                "observation[1].joint_offset.joint is \"free\"",
                "a hinge or a slide",
            ],
        ),
        (
            observe("joint_offset = { joint = \"j\", keyframe = \"rest\" }"),
            &[
                "observation[1].joint_offset.keyframe is \"rest\"",
                "it has: home",
            ],
        ),
        (
            observe("orientation_error = { body = \"arm\", quaternion = [1.0, 1.0, 0.0, 0.0] }"),
            &[
                "observation[1].orientation_error.quaternion is [1.0, 1.0, 0.0, 0.0]",
                "unit quaternion",
            ],
        ),
        (
            observe("clock = { period_s = 0.0, wave = \"sin\" }"),
            &["observation[1].clock.period_s is 0.0", "above 0"],
        ),
        (
            observe("power = { actuator = \"motor\" }"),
            &["observation[1].power.actuator is \"motor\"", "it has: m"],
        ),
        (
            observe("joint_torque = { joint = \"j\", index = 1 }"),
            &["observation[1].joint_torque.index is 1", "from 0 to 0"],
        ),
        (
            reward("track = { qpos = { joint = [\"j\", \"#0\"] }, target = [0.0, 0.0, 0.0] }"),
            &["reward[1].track.target is [0.0, 0.0, 0.0]", "a list of 2"],
        ),
        (
            reward("track = { qpos = { joint = [\"j\", \"k\"] } }"),
            &["reward[1].track.qpos.joint[1] is \"k\"", "it has: j, free"],
        ),
        (
            reward("track = { qpos = { joint = [] } }"),
            &["reward[1].track.qpos.joint is []", "at least one"],
        ),
        (
            reward("track = { qpos = { joint = \"j\" }, width = 0.1, square = true }"),
            &["reward[1].track.square is true", "absent beside width"],
        ),
        (
            reward("value = {}"),
            &["reward[1].value needs one of: qpos, qvel", "contact_force"],
        ),
        (
            reward("gait = { bodies = [\"box\"], phases = [0.0, 0.5], period_s = 0.5 }"),
            &["reward[1].gait.phases is [0.0, 0.5]", "1 numbers"],
        ),
        (
            reward("gait = { bodies = [\"box\"], phases = [0.0], period_s = 0.5, duty = 1.0 }"),
            &["reward[1].gait.duty is 1.0", "below 1"],
        ),
        (
            reward("landing = { bodies = [\"box\"], air_s = -0.1 }"),
            &["reward[1].landing.air_s is -0.1", "at least 0"],
        ),
        (
            reward("reached = {}"),
            &["reward[1].reached", "a reached in [goal]"],
        ),
        (
            "[goal]\nreached = { steps = 5 }".to_owned(),
            &["goal.reached", "there is no goal to reach"],
        ),
        (
            format!("[goal]\nreached = {{ steps = 0 }}\n{REACH}"),
            &["goal.reached.steps is 0", "from 1 on"],
        ),
        (
            REACH.replace("within = 0.05", "within = -0.05"),
            &["goal.all[0].within is -0.05", "above 0"],
        ),
        (
            REACH.replace("within = 0.05", "below = 0.05"),
            &["goal.all[0].target is 0.2", "absent beside below"],
        ),
        (
            REACH.replace("within = 0.05", ""),
            &["goal.all[0] needs one of: below, above, within, beyond"],
        ),
        (
            "[[ended]]\nall = []".to_owned(),
            &["ended[0].all is []", "at least one condition"],
        ),
    ];
    for (section, parts) in table {
        case().with(section).refused(parts);
    }
}
