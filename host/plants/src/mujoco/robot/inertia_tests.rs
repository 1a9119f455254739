//! Payloads, centres of mass, armature, friction loss, gravity and gains, each against a model that has them written in it.

use super::UserRobot;
use super::case::{Case, MOTOR, SERVO, arm, is_near, stands};
use crate::{Plant, Task};

/// A trunk that floats, with a leg on a hinge, and gravity.
fn body(inertial: &str, in_trunk: &str) -> String {
    format!(
        r#"<mujoco><compiler inertiafromgeom="auto"/><option timestep="0.002"/>
  <worldbody><body name="trunk" pos="0 0 2"><freejoint/>{inertial}<geom name="box" type="box" size=".2 .1 .05" mass="3"/><site name="imu"/>{in_trunk}
    <body name="leg" pos=".2 0 0"><joint name="j" axis="0 1 0" damping=".1"/><geom type="capsule" fromto="0 0 0 .1 0 -.3" size=".02" mass=".4"/></body></body></worldbody>
  <actuator>{MOTOR}</actuator><sensor><accelerometer name="a" site="imu"/></sensor></mujoco>"#
    )
}

fn motion(plant: &mut UserRobot, task: &[f32]) -> Vec<f64> {
    plant.reset(
        &Task {
            values: task.to_vec(),
        },
        1,
    );
    let mut all = Vec::new();
    for step in 0..15 {
        plant.step(&[if step % 5 < 3 { 1.0 } else { -0.7 }]);
        all.extend(plant.simulation().qpos());
        all.extend(plant.simulation().data().sensordata());
        all.extend(plant.simulation().data().geom_xpos().as_flattened());
    }
    all
}

#[track_caller]
fn moves_like(hidden: &mut UserRobot, task: &[f32], written: &str) {
    let one = motion(hidden, task);
    let other = motion(&mut Case::new(written).robot(), &[]);
    let shared = one.len().min(other.len());
    assert_eq!(one.len(), other.len());
    for index in 0..shared {
        let (a, b) = (one[index], other[index]);
        assert!((a - b).abs() < 1e-7 * (1.0 + a.abs()), "{index}: {a} {b}");
    }
}

#[test]
fn a_payload_is_a_ball_that_the_model_could_have_had() {
    let ball = |mass: f64| {
        format!(
            r#"<body pos=".1 .05 .07"><geom size=".06" mass="{mass}" contype="0" conaffinity="0"/></body>"#
        )
    };
    let case = Case::new(&body("", "")).hidden(
        [0.0, 3.0],
        "payload = { body = \"trunk\", at = [0.1, 0.05, 0.07], radius_m = 0.06 }",
    );
    let mut plant = case.robot();
    for mass in [0.5, 3.0] {
        let written = body("", &ball(mass));
        // The ball's place is not among those of the other model: only the state is compared.
        let (one, other) = (
            motion(&mut plant, &[mass as f32]),
            motion(&mut Case::new(&written).robot(), &[]),
        );
        let (rows, others) = (one.len() / 15, other.len() / 15);
        for step in 0..15 {
            for entry in 0..8 + 3 {
                let (a, b) = (one[step * rows + entry], other[step * others + entry]);
                assert!(
                    (a - b).abs() < 1e-6 * (1.0 + a.abs()),
                    "{step} {entry}: {a} {b}"
                );
            }
        }
    }
    moves_like(&mut plant, &[0.0], &body("", ""));
}

#[test]
fn a_payload_without_a_place_is_at_the_centre_of_mass() {
    let case = Case::new(&body("", "")).hidden(
        [0.0, 3.0],
        "payload = { body = \"trunk\", radius_m = 0.06 }",
    );
    let mass = 1.5;
    let ball = 0.4 * mass * 0.06 * 0.06;
    // Of a box of 3 kg: a third of its mass by the squares of two half sides.
    let moments = [0.01 + 0.0025, 0.04 + 0.0025, 0.04 + 0.01].map(|sum: f64| sum + ball);
    let inertial = format!(
        r#"<inertial pos="0 0 0" mass="4.5" diaginertia="{} {} {}"/>"#,
        moments[0], moments[1], moments[2]
    );
    moves_like(&mut case.robot(), &[1.5], &body(&inertial, ""));
}

#[test]
fn a_centre_of_mass_moves_along_its_body() {
    let case = Case::new(&body("", "")).hidden(
        [-0.05, 0.05],
        "center_of_mass = { body = \"trunk\", axis = \"x\" }",
    );
    let inertial = r#"<inertial pos="0.04 0 0" mass="3" diaginertia="0.0125 0.0425 0.05"/>"#;
    moves_like(&mut case.robot(), &[0.04], &body(inertial, ""));
    moves_like(&mut case.robot(), &[0.0], &body("", ""));
    Case::new(&body("", ""))
        .hidden(
            [-0.05, 0.05],
            "center_of_mass = { body = \"tail\", axis = \"x\" }",
        )
        .refused(&["hidden[0].center_of_mass.body is \"tail\"", "trunk, leg"]);
}

#[test]
fn what_nothing_can_be_moved_in_is_refused() {
    let lone = arm(MOTOR).replace(
        "</worldbody>",
        "<body name=\"ball\" pos=\"2 0 1\"><freejoint/><geom size=\".1\"/></body></worldbody>",
    );
    let lone = |effect: &str| Case::new(&lone).hidden([0.0, 0.5], effect);
    lone("payload = { body = \"ball\", at = [0.0, 0.0, 0.1] }")
        .refused(&["hidden[0].payload.body is \"ball\"", "<inertial>"]);
    lone("center_of_mass = { body = \"ball\", axis = \"x\" }").refused(&["<inertial>"]);
    lone("payload = { body = \"ball\" }").robot();
    lone("payload = { body = \"world\" }").refused(&["does nothing", "hangs on nothing"]);
    lone("payload = { body = \"ball\", radius_m = -1.0 }")
        .refused(&["hidden[0].payload.radius_m is -1.0", "at least 0"]);
}

#[test]
fn armature_and_friction_loss_are_those_of_a_model() {
    for (effect, attribute) in [("armature", "armature"), ("friction_loss", "frictionloss")] {
        let case = Case::new(&arm(MOTOR))
            .hidden([0.0, 0.5], &format!("{effect} = {{ joints = [\"j\"] }}"));
        let written = arm(MOTOR).replace("damping=", &format!("{attribute}=\"0.25\" damping="));
        moves_like(&mut case.robot(), &[0.25], &written);
        moves_like(&mut case.robot(), &[0.0], &arm(MOTOR));
        // All joints are those between bodies: a trunk flies as freely as before.
        let mut floats = Case::new(&body("", ""))
            .hidden([0.0, 0.5], &format!("{effect} = {{ joints = [\"*\"] }}"))
            .robot();
        floats.reset(&Task { values: vec![0.5] }, 1);
        floats.simulation.with_model(|model| {
            let table = if effect == "armature" {
                model.dof_armature()
            } else {
                model.dof_frictionloss()
            };
            assert_eq!(table, [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5]);
        });
        Case::new(&arm(MOTOR))
            .hidden([-0.1, 0.5], &format!("{effect} = {{ joints = [\"j\"] }}"))
            .refused(&["hidden[0].training", "at least 0"]);
        Case::new(&arm(MOTOR))
            .hidden([0.0, 0.5], &format!("{effect} = {{ joints = [] }}"))
            .refused(&["does nothing", "empty"]);
    }
}

#[test]
fn gravity_has_a_size() {
    let falling =
        |size: f64| arm(MOTOR).replace("gravity=\"0 0 0\"", &format!("gravity=\"0 0 -{size}\""));
    let case = Case::new(&falling(9.81)).hidden([0.2, 1.0], "gravity_scale = {}");
    moves_like(&mut case.robot(), &[0.5], &falling(4.905));
    Case::new(&arm(MOTOR))
        .hidden([0.2, 1.0], "gravity_scale = {}")
        .refused(&["does nothing", "gravity is 0"]);
}

#[test]
fn a_gain_is_softer_and_keeps_its_limit() {
    let servo =
        r#"<position name="m" joint="j" kp="20" kv="1" ctrlrange="-1 1" forcerange="-3 3"/>"#;
    let mut plant = Case::new(&arm(servo))
        .hidden([0.5, 2.0], "gain_scale = { actuators = [\"m\"] }")
        .robot();
    plant.reset(&Task { values: vec![0.5] }, 1);
    plant.simulation.with_model(|model| {
        assert_eq!(model.actuator_gainprm()[0][0], 10.0);
        assert_eq!(model.actuator_biasprm()[0][1..3], [-10.0, -0.5]);
        assert_eq!(model.actuator_forcerange()[0], [-3.0, 3.0]);
    });
    is_near(stands(&mut plant, 0.5, 0.4, 300), 0.4);
    Case::new(&arm(SERVO))
        .hidden([-0.5, 2.0], "gain_scale = { actuators = [\"m\"] }")
        .refused(&["hidden[0].training", "at least 0"]);
}
