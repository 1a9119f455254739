//! Robots simulated in MuJoCo: many channels, a reward that travels in the sensor frame, and falls.

use anyhow::{Context, Result, ensure};
use engram_flight::FlightPlan;
use engram_link::Pace;

use super::flight::{flies, flies_over, plan};
use crate::sample_image::{AGE, SLOT, sample_image_on};
use crate::{Case, Rig};

pub(super) const CASES: &[Case] = cases![
    a_half_cheetah_flies_in_lock_step_with_mujoco,
    a_half_cheetah_in_mujoco_takes_a_pendulums_place,
    the_shipped_half_cheetah_finds_its_speed_in_lock_step_with_mujoco,
    every_robots_file_flies_in_lock_step_with_mujoco,
    a_hopper_that_falls_in_mujoco_is_set_up_again,
];

const HALF_CHEETAH: &str = "half-cheetah-vel";

fn a_half_cheetah_flies_in_lock_step_with_mujoco(rig: &Rig) -> Result<()> {
    let image = sample_image_on(HALF_CHEETAH, 3, &AGE)?;
    let plan = FlightPlan {
        episode_steps: Some(100),
        ..plan(HALF_CHEETAH, 200)
    };
    let (_, flight) = flies(rig, &plan, &image)?;
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
fn the_shipped_half_cheetah_finds_its_speed_in_lock_step_with_mujoco(rig: &Rig) -> Result<()> {
    let image = std::fs::read(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../images/half-cheetah-vel.engram"
    ))?;
    let (summary, _) = flies(rig, &plan(HALF_CHEETAH, 100), &image)?;
    // Within 0.25 m/s of 1.24 m/s, which it is not told; with its memory wiped it is so in a fifth of the steps.
    ensure!(
        summary.holds_at_end == Some(true) && summary.held_share >= Some(0.8),
        "the velocity was held in {:?} of the steps",
        summary.held_share
    );
    Ok(())
}

/// A board that moves and measures nothing takes the contract of each image.
fn a_half_cheetah_in_mujoco_takes_a_pendulums_place(rig: &Rig) -> Result<()> {
    let mut client = rig.cruising(20)?.client;
    client.disarm()?;
    let before = client.hello(Pace::LockStep)?;
    // Small enough for every board's slots.
    let cheetah = sample_image_on(HALF_CHEETAH, 3, &SLOT)?;
    Rig::install(&mut client, &cheetah)?;
    let after = client.hello(Pace::LockStep)?;
    ensure!((before.period_us, after.period_us) == (20_000, 50_000));
    let plan = plan(HALF_CHEETAH, 60);
    flies_over(rig, client.into_transport(), &plan, &cheetah)?;
    Ok(())
}

/// The files of `examples/robots` with the policies that come with them: no board was built for any of them. In mid-flight what
/// each file is about changes, after which a receptive field passes.
fn every_robots_file_flies_in_lock_step_with_mujoco(rig: &Rig) -> Result<()> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let files = std::fs::read_dir(format!("{root}/examples/robots"))?;
    let mut flown = 0;
    for file in files {
        let file = file?.path().canonicalize()?;
        if file.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let mut plan = plan(&file.display().to_string(), 120);
        let spec = plan.plant.spec();
        let name = spec.name.to_string();
        let image = std::fs::read(format!("{root}/images/{name}.engram"))
            .with_context(|| format!("the policy of {name}"))?;
        let change = spec.protocol.default_change.to_string();
        plan.change = Some((change, 60));
        let (summary, _) = flies(rig, &plan, &image).with_context(|| name.clone())?;
        ensure!(summary.falls == 0, "{name}: {summary:?}");
        flown += 1;
    }
    ensure!(flown > 0, "there is no robot's file");
    Ok(())
}

fn a_hopper_that_falls_in_mujoco_is_set_up_again(rig: &Rig) -> Result<()> {
    let image = sample_image_on("hopper-params", 5, &AGE)?;
    let plan = FlightPlan {
        episode_steps: Some(200),
        ..plan("hopper-params", 400)
    };
    let (summary, flight) = flies(rig, &plan, &image)?;
    let events = flight.events.iter();
    let falls = events
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
    let samples = flight.steps.iter().filter_map(|step| step.sample.as_ref());
    let told = samples.filter(|sample| sample.done).count();
    ensure!(
        told >= falls,
        "{falls} falls, and the board was told {told}"
    );
    Ok(())
}
