//! What must be true of a robot with drivers of its own: the template's firmware, in the emulated STM32F405, where no device answers.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use engram_flight::board::{Client, open_firmware, packed_for};
use engram_image::Contract;
use engram_link::{Fault, ImageStage, Pace, Reason, RequestedPace, State};
use engram_robot_template::contract::CONTRACT;

use crate::sample_image::{AGE, sample_image_for};
use crate::{Rig, refusal};

/// It says hello with its contract, refuses an image for another robot and takes one of its own; and it does not move while its sensors are silent:
/// armed, it stops safely at once, and no command but the safe one is ever issued.
///
/// # Errors
/// What is not so.
pub fn a_robot_without_its_sensors_does_not_move() -> Result<()> {
    let elf =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/boards/engram-robot-template.elf");
    ensure!(
        elf.is_file(),
        "{} is not there: scripts/build-boards template",
        elf.display()
    );
    let (mut client, hello) = Client::connect(
        open_firmware(&elf)?,
        RequestedPace::Unchanged,
        Rig::patience(),
    )?;
    ensure!(hello.contract_sha256 == Some(CONTRACT.digest()));
    ensure!((hello.pace, hello.lock_step) == (Pace::RealTime, false));
    ensure!(hello.period_us == CONTRACT.period_us);

    let own = sample_image_for(1, &AGE, &CONTRACT)?;
    let other = Contract {
        period_us: 2 * CONTRACT.period_us,
        ..CONTRACT
    };
    let others = sample_image_for(1, &AGE, &other)?;
    client.upload(&packed_for(hello.packing, &others), |_| {}, |_| Ok(()))?;
    let why = refusal(client.commit())?;
    let stage = ImageStage::Contract;
    ensure!(
        matches!(why, Reason::Image { stage: at, .. } if at == stage),
        "{why:?}"
    );
    Rig::install(&mut client, &packed_for(hello.packing, &own))?;

    client.discard_actions();
    client.arm()?;
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut states = Vec::new();
    for _ in 0..20 {
        let action = client.next_action(deadline)?.context("no control steps")?;
        ensure!(action.issued == [0], "it moves: {action:?}");
        ensure!(action.words.is_empty(), "the policy ran: {action:?}");
        states.push((action.state, action.faults.contains(Fault::SensorFailure)));
    }
    states.dedup();
    let expected = [
        (State::Disarmed, false),
        (State::Hold, true),
        (State::SafeStop, true),
    ];
    // The step before the arming may have been the last one that is left out.
    ensure!(
        expected.ends_with(&states) && states.len() >= 2,
        "{states:?}"
    );
    client.disarm()?;
    let telemetry = client.telemetry()?;
    ensure!(telemetry.worst_stack_bytes < telemetry.stack_bytes);
    Ok(())
}
