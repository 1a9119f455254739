//! Robots simulated in MuJoCo: many channels, a reward that travels in the sensor frame, and falls.

use anyhow::{Result, ensure};
use engram::fly::FlightPlan;

use super::flight::{check, fly_once, plan};
use super::{Case, loopback_case, started_case};
use crate::Rig;
use crate::sample_image::{AGE, sample_image_on};

pub(super) const CASES: &[Case] = &[
    started_case(
        "a_half_cheetah_flies_in_lock_step_with_mujoco",
        half_cheetah,
    ),
    started_case(
        "a_board_of_another_robot_refuses_a_half_cheetahs_image",
        other_robot,
    ),
    loopback_case("a_hopper_that_falls_is_set_up_again", hopper),
];

fn half_cheetah(rig: &Rig) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let image = sample_image_on("half-cheetah-vel", 3, &AGE)?;
    let plan = FlightPlan {
        plant: "half-cheetah-vel".to_owned(),
        episode_steps: Some(100),
        ..plan(200)
    };
    let (summary, flight) = fly_once(rig, &plan, &image, &folder.path().join("cheetah.mcap"))?;
    check(&summary, &flight, 200)?;
    for step in &flight.steps {
        let sent = step.sample.as_ref().and_then(|sample| sample.reward);
        // A trial's first step has no reward behind it.
        ensure!(
            step.step == 0 || sent == Some(step.reward),
            "step {}: the reward {sent:?} was sent, {} arrived",
            step.step,
            step.reward
        );
    }
    ensure!(flight.steps.iter().any(|step| step.reward != 0.0));
    Ok(())
}

fn other_robot(rig: &Rig) -> Result<()> {
    let image = sample_image_on("half-cheetah-vel", 3, &AGE)?;
    let (mut client, _) = rig.client()?;
    let refused = Rig::install(&mut client, &image);
    let Err(error) = refused else {
        anyhow::bail!("a pendulum took a half-cheetah's image");
    };
    let words = format!("{error:#}");
    ensure!(words.contains("contract"), "{words}");
    Ok(())
}

fn hopper(rig: &Rig) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let image = sample_image_on("hopper-params", 5, &AGE)?;
    let plan = FlightPlan {
        plant: "hopper-params".to_owned(),
        episode_steps: Some(200),
        ..plan(400)
    };
    let (summary, flight) = fly_once(rig, &plan, &image, &folder.path().join("hopper.mcap"))?;
    check(&summary, &flight, 400)?;
    let falls = flight
        .events
        .iter()
        .filter(|event| event.text.contains("ended by itself"))
        .count();
    // Random weights keep no hopper up for two episodes' time.
    ensure!(falls > 1, "{falls} falls");
    let told = flight
        .steps
        .iter()
        .filter(|step| step.sample.as_ref().is_some_and(|sample| sample.done))
        .count();
    ensure!(
        told >= falls,
        "{falls} falls, and the board was told {told}"
    );
    Ok(())
}
