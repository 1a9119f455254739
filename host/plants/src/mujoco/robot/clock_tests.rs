//! Clocks, and gaits that follow one.

use super::case::Case;
use super::measure_tests::{case, is, observing};
use crate::{Plant, Start, Task};

#[test]
fn a_clock_begins_with_the_episode() {
    let clock = |wave: &str, phase: f64| {
        format!("clock = {{ period_s = 0.4, phase = {phase:?}, wave = \"{wave}\" }}")
    };
    let sources = [
        clock("sin", 0.0),
        clock("cos", 0.25),
        "episode_time = {}".to_owned(),
    ];
    let mut plant = observing(&sources.each_ref().map(String::as_str));
    for episode in 0..2 {
        for step in 0..30 {
            let time_s = f64::from(step) * 0.02;
            let angle = std::f64::consts::TAU * time_s / 0.4;
            is(plant.state()[1], angle.sin());
            is(plant.state()[2], -angle.sin());
            is(plant.state()[3], time_s);
            plant.step(&[0.0]);
        }
        assert!(plant.time_s() > 0.5 * f64::from(episode));
        plant.restart(Start::Usual);
    }
}

/// A clock whose turn takes as long as the parameter says, and `rest` beside it.
fn strides(range: [f32; 2], rest: &str) -> Case {
    let clock = "clock = { period_s = \"h\", wave = \"sin\" }";
    case()
        .with(&format!(
            "[[observation]]\nname = \"beat\"\nunit = \"1\"\nmin = -1.0\nmax = 1.0\n{clock}"
        ))
        .hidden(range, "goal = {}")
        .with(rest)
}

#[test]
fn a_clock_may_go_as_fast_as_the_task_says() {
    let change = "[[change]]\nname = \"trot\"\nsummary = \"faster\"\nmultiply = { h = 0.5 }";
    let gait =
        "[[reward]]\nweight = 1.0\ngait = { bodies = [\"box\"], phases = [0.0], period_s = \"h\" }";
    let mut plant = strides([0.4, 0.8], &format!("{change}\n{gait}")).robot();
    let task = Task { values: vec![0.5] };
    plant.reset(&task, 1);
    for episode in 0..2 {
        let mut turns = 0.0;
        let period_s = if episode == 0 { 0.5 } else { 0.25 };
        for step in 0..30 {
            is(plant.state()[1], (std::f64::consts::TAU * turns).sin());
            // The phase goes on from where it is.
            let changed = episode == 0 && step >= 10;
            if episode == 0 && step == 10 {
                plant.apply("trot").unwrap();
            }
            plant.step(&[0.0]);
            turns += 0.02 / if changed { 0.25 } else { period_s };
            // The box stands all the time, and is paid for it in the first half of a turn.
            let stands = turns - turns.floor() < 0.5;
            let edge = (2.0 * turns - (2.0 * turns).round()).abs() < 1e-3;
            let paid = plant.external_reward().unwrap() - 1.0;
            assert!(
                edge || (paid - f32::from(stands)).abs() < 1e-6,
                "{turns}: {paid}"
            );
        }
        plant.restart(Start::Usual);
    }
    for (case, parts) in [
        (
            strides([0.0, 0.8], ""),
            ["hidden[0].training is [0.0, 0.8]", "the period of a clock"],
        ),
        (
            strides([0.4, 0.8], &change.replace("0.5", "-0.5")),
            ["change[0].multiply.h is -0.5", "the period of a clock"],
        ),
        (
            strides([0.4, 0.8], &gait.replace("\"h\"", "\"stride\"")),
            ["reward[1].gait.period_s is \"stride\"", "there is: h"],
        ),
    ] {
        case.refused(&parts);
    }
}
