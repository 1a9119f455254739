//! Starts: ranges of joints, and places of free bodies.

use super::case::{Case, MOTOR, arm};
use crate::{Plant, Start, Task};

fn model() -> String {
    arm(MOTOR)
        .replace(
            "</worldbody>",
            "<body name=\"cube\" pos=\"2 0 1\" quat=\"0 1 0 0\"><freejoint name=\"free\"/><geom type=\"box\" size=\".1 .1 .1\"/></body>\
             <body pos=\"0 3 1\"><joint name=\"k\" axis=\"0 1 0\"/><geom size=\".1\"/></body></worldbody>",
        )
        .replace(
            "</mujoco>",
            "<keyframe><key name=\"home\" qpos=\"0.5 2 0 1 0 1 0 0 0.25\" ctrl=\"0.3\"/></keyframe></mujoco>",
        )
}

#[test]
fn joints_and_free_bodies_start_in_their_ranges() {
    let case = Case::new(&model()).with(
        "[start]\nkeyframe = \"home\"\nposition = 0.01\nvelocity = 0.02\njoints = [\"j\", \"k\"]\n\
         [[start.joint]]\njoints = [\"j\"]\nposition = [-0.7, -0.3]\nvelocity = [1.0, 2.0]\n\
         [[start.joint]]\njoints = [\"k\"]\noffset = [0.5, 1.0]\n\
         [[start.body]]\nbody = \"cube\"\nx = [1.0, 2.0]\ny = [-0.5, 0.5]\nyaw = [-1.5, 1.5]",
    );
    let mut plant = case.robot();
    let mut corners = [[f64::MAX, f64::MIN]; 6];
    for seed in 0..200 {
        plant.reset(&Task { values: vec![] }, seed);
        if seed % 2 == 1 {
            // Ranges are as wide from anywhere.
            plant.restart(Start::Anywhere);
        }
        assert_eq!(plant.simulation().data().ctrl()[0], 0.3);
        let (q, v) = (plant.simulation().qpos(), plant.simulation().qvel());
        // A turn about the world's z axis from one about x: (0, cos, sin, 0).
        let yaw = 2.0 * q[6].atan2(q[5]);
        for (corner, value) in corners.iter_mut().zip([q[0], q[8], q[1], q[2], yaw, v[0]]) {
            *corner = [corner[0].min(value), corner[1].max(value)];
        }
        let norm: f64 = q[4..8].iter().map(|entry| entry * entry).sum();
        assert!((norm - 1.0).abs() < 1e-9 && q[4].abs() < 1e-9 && q[7].abs() < 1e-9);
        assert!(q[3] == 1.0 && v[7].abs() <= 0.06);
    }
    let ranges = [
        [-0.7, -0.3],
        [0.75, 1.25],
        [1.0, 2.0],
        [-0.5, 0.5],
        [-1.5, 1.5],
        [1.0, 2.0],
    ];
    for ([low, high], [least, most]) in ranges.into_iter().zip(corners) {
        let span = high - low;
        assert!(least >= low && most <= high, "{least} {most}");
        assert!(
            least < low + 0.05 * span && most > high - 0.05 * span,
            "{least} {most}"
        );
    }
}

#[test]
fn a_start_that_cannot_be_is_refused() {
    for (sections, parts) in [
        (
            "[[start.joint]]\njoints = [\"j\"]",
            ["start.joint[0].joints", "position, offset or velocity"],
        ),
        (
            "[[start.joint]]\njoints = [\"j\"]\nposition = [1.0, -1.0]",
            [
                "start.joint[0].position is [1.0, -1.0]",
                "the smaller one first",
            ],
        ),
        (
            "[[start.joint]]\njoints = [\"j\"]\nposition = [0.0, 1.0]\noffset = [0.0, 1.0]",
            ["start.joint[0].offset", "absent beside position"],
        ),
        (
            "[[start.joint]]\njoints = [\"free\"]\nposition = [0.0, 1.0]",
            ["start.joint[0].joints[0] is \"free\"", "[[start.body]]"],
        ),
        (
            "[[start.joint]]\njoints = [\"j\"]\nposition = [0.0, 1.0]\n[[start.joint]]\njoints = [\"*\"]\noffset = [0.0, 1.0]",
            ["start.joint[1].joints[0]", "no other [[start.joint]]"],
        ),
        (
            "[[start.body]]\nbody = \"arm\"\nx = [0.0, 1.0]",
            ["start.body[0].body is \"arm\"", "free joint"],
        ),
        (
            "[[start.body]]\nbody = \"cube\"",
            ["start.body[0].body", "x, y, z or yaw"],
        ),
        (
            "[[start.body]]\nbody = \"cube\"\nx = [0.0, 1.0]\n[[start.body]]\nbody = \"cube\"\ny = [0.0, 1.0]",
            ["start.body[1].body", "no other [[start.body]]"],
        ),
        (
            "[[start.body]]\nbody = \"cube\"\nroll = [0.0, 1.0]",
            ["unknown field `roll`", "yaw"],
        ),
    ] {
        Case::new(&model()).with(sections).refused(&parts);
    }
}
