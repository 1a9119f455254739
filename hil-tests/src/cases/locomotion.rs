//! Robots simulated in MuJoCo: many channels, a reward that travels in the sensor frame, and falls.

use anyhow::{Result, ensure};
use engram::fly::FlightPlan;
use engram_link::Pace;

use super::flight::{check, fly_once, plan};
use super::{Case, case};
use crate::Rig;
use crate::sample_image::{AGE, sample_image, sample_image_on};

pub(super) const CASES: &[Case] = &[
    case(
        "a_half_cheetah_flies_in_lock_step_with_mujoco",
        half_cheetah,
    ),
    case(
        "a_half_cheetah_in_mujoco_takes_a_pendulums_place",
        other_robot,
    ),
    case(
        "the_shipped_half_cheetah_finds_its_speed_in_lock_step_with_mujoco",
        shipped_half_cheetah,
    ),
    case("every_robots_file_flies_in_lock_step_with_mujoco", robots),
    case("a_hopper_that_falls_in_mujoco_is_set_up_again", hopper),
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

/// The policy that comes with the program, for 5 s: it must fly on the board as on the host, and do what it was
/// trained for.
fn shipped_half_cheetah(rig: &Rig) -> Result<()> {
    const STEPS: u32 = 100;
    let folder = tempfile::tempdir()?;
    let image = std::fs::read(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../images/half-cheetah-vel.engram"
    ))?;
    let plan = FlightPlan {
        plant: "half-cheetah-vel".to_owned(),
        ..plan(STEPS)
    };
    let (summary, flight) = fly_once(rig, &plan, &image, &folder.path().join("shipped.mcap"))?;
    check(&summary, &flight, STEPS)?;
    // Within 0.25 m/s of 1.24 m/s, which it is not told; with its memory wiped it is so in a fifth of the steps.
    ensure!(
        summary.holds_at_end == Some(true) && summary.held_share >= Some(0.8),
        "the velocity was held in {:?} of the steps",
        summary.held_share
    );
    Ok(())
}

fn other_robot(rig: &Rig) -> Result<()> {
    let (pendulum, cheetah) = (
        sample_image(3, &AGE)?,
        sample_image_on("half-cheetah-vel", 3, &AGE)?,
    );
    let mut flyer = rig.armed(&pendulum)?;
    flyer.cruise(20)?;
    flyer.client.disarm()?;
    let before = flyer.client.hello(Pace::LockStep)?;
    Rig::install(&mut flyer.client, &cheetah)?;
    let after = flyer.client.hello(Pace::LockStep)?;
    ensure!((before.period_us, after.period_us) == (20_000, 50_000));
    Ok(())
}

/// The files of `examples/robots`: no board was built for any of them.
fn robots(rig: &Rig) -> Result<()> {
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/robots"))?;
    let mut flown = 0;
    for file in files {
        let file = file?.path().canonicalize()?;
        if file.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let folder = tempfile::tempdir()?;
        let plan = FlightPlan {
            plant: file.display().to_string(),
            ..plan(60)
        };
        let image = sample_image_on(&plan.plant, 7, &AGE)?;
        let (summary, flight) = fly_once(rig, &plan, &image, &folder.path().join("robot.mcap"))?;
        check(&summary, &flight, 60)?;
        flown += 1;
    }
    ensure!(flown > 0, "there is no robot's file");
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
    // The last may come in the flight's last step, which no episode follows.
    let counted = summary.falls as usize;
    ensure!(
        counted == falls || counted == falls + 1,
        "{falls} falls, {counted} counted"
    );
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
