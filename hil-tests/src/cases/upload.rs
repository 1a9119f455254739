//! Bringing images onto a board: resumed, refused, and never in the way of the one that flies.

use anyhow::{Context as _, Result, bail, ensure};
use engram_flight::board::{self, BoardName, Client, FaultPlan, FaultyTransport, packed_for};
use engram_flight::footprint::Footprint;
use engram_image::write::{ImageSpec, write_packed};
use engram_image::{ActionChannel, Image, List, ModelConfig, Packing};
use engram_link::limits::CHUNK_BYTES;
use engram_link::{ImageStage, Reason, State, ToBoard, UploadChunk};
use engram_plants::pendulum::CONTRACT;
use sha2::{Digest, Sha256};

use crate::sample_image::{
    AGE, SLOT, USUAL, random_image, sample_image, sample_image_for, with_wrong_golden,
};
use crate::{Case, Flyer, Rig, Target, good_sample, refusal};

pub(super) const CASES: &[Case] = cases![
    an_upload_goes_on_where_it_was_cut,
    an_upload_over_a_bad_wire_arrives,
    a_damaged_image_is_refused,
    each_image_flies_by_its_own_contract,
    contracts_of_legged_robots_fly,
    an_image_with_a_wrong_golden_trace_is_refused,
    bytes_that_are_not_the_announced_ones_are_refused,
    an_image_that_cannot_fit_is_refused_at_once,
    an_upload_in_flight_waits_for_disarm,
    an_image_in_flash_flies_without_an_upload,
    a_packed_image_flies_where_its_kernels_are,
    arming_needs_an_image,
    the_bounds_report_is_what_the_board_measures,
];

/// Checks that the board holds `image`.
fn holds(client: &mut Client, image: &[u8]) -> Result<()> {
    let weights = Image::read(image)?.weights_sha256;
    ensure!(client.telemetry()?.weights_sha256 == Some(weights));
    Ok(())
}

/// Announces an image of as many bytes under the hash `sha256`, and sends `bytes`, which may be fewer.
fn send(client: &mut Client, length: usize, sha256: [u8; 32], bytes: &[u8]) -> Result<()> {
    client.upload_begin(length as u32, sha256)?;
    for (chunk, offset) in bytes.chunks(CHUNK_BYTES).zip((0..).step_by(CHUNK_BYTES)) {
        let data = chunk.iter().copied().collect();
        client.ask(&ToBoard::UploadChunk(UploadChunk { offset, data }))?;
    }
    Ok(())
}

fn an_upload_goes_on_where_it_was_cut(rig: &Rig) -> Result<()> {
    let image = sample_image(4, &AGE)?;
    let (mut client, _) = rig.client()?;
    // The wire is cut about half-way; the board lives on behind it.
    let (half, sha256) = (image.len() / 2, Sha256::digest(&image).into());
    send(&mut client, image.len(), sha256, &image[..half])?;
    let (mut client, _) = Rig::client_over(client.into_transport())?;
    let status = client.upload_status()?;
    ensure!(
        status.offset as usize == half && status.sha256 == sha256,
        "{status:?}"
    );
    let mut offsets = Vec::new();
    client.upload(&image, |offset| offsets.push(offset), |_| Ok(()))?;
    ensure!(
        offsets.first() == Some(&status.offset),
        "{half} bytes had arrived, and the upload went by {offsets:?}"
    );
    client.commit()?;
    holds(&mut client, &image)
}

fn an_upload_over_a_bad_wire_arrives(rig: &Rig) -> Result<()> {
    let image = sample_image(4, &SLOT)?;
    let plan: FaultPlan = "drop=0.03,duplicate=0.03,reorder=0.03,corrupt=0.03,seed=2".parse()?;
    let transport = FaultyTransport::new(rig.transport()?, plan);
    let (mut client, _) = Rig::client_over(Box::new(transport))?;
    Rig::install(&mut client, &image)?;
    ensure!(client.faults_injected() > 0);
    holds(&mut client, &image)
}

/// Uploads `bad`, expects it to be refused at `stage`, and flies the old image on.
fn refused(rig: &Rig, bad: &[u8], stage: ImageStage, word: &str) -> Result<()> {
    let mut flyer = rig.cruising(10)?;
    flyer.client.disarm()?;
    flyer.client.upload(bad, |_| {}, |_| Ok(()))?;
    match refusal(flyer.client.commit())? {
        Reason::Image { stage: got, text } => {
            ensure!(got == stage, "refused at {got}: {text}");
            ensure!(
                text.contains(word),
                "the reason does not say {word:?}: {text}"
            );
        }
        other => bail!("{other:?}"),
    }
    holds(&mut flyer.client, &USUAL)?;
    flyer.rearm()?;
    flyer.cruise(40)?;
    Ok(())
}

/// Static RAM and stack of the report are what the board itself measures, after a flight.
fn the_bounds_report_is_what_the_board_measures(rig: &Rig) -> Result<()> {
    let mut flyer = rig.cruising(3 * AGE.window as u32)?;
    let measured = flyer.client.telemetry()?;
    let Target::Board(board) = rig.target() else {
        bail!("only a board whose firmware lies here has a report");
    };
    let firmware = board.find_firmware()?;
    let report = firmware.map(|file| Footprint::read(&file)).transpose()?;
    let reserved = report.and_then(|report| Some((report.ram_bytes, report.stack_bytes?)));
    // A program of the system has no memory of its own to report, and says so.
    let (ram_bytes, stack_bytes) = reserved.unwrap_or_default();
    ensure!(
        u64::from(measured.ram_bytes) == ram_bytes
            && u64::from(measured.stack_bytes) == stack_bytes,
        "report {reserved:?}, board {measured:?}"
    );
    ensure!(
        reserved.is_none() || (1..=measured.stack_bytes).contains(&measured.worst_stack_bytes),
        "{measured:?}"
    );
    Ok(())
}

/// Both kinds of positions in the Cortex-M7's order: the same words there, a reason that says what it needs elsewhere.
fn a_packed_image_flies_where_its_kernels_are(rig: &Rig) -> Result<()> {
    for config in [AGE, SLOT] {
        let rows = sample_image(8, &config)?;
        let image = Image::read(&rows)?;
        let file = write_packed(&ImageSpec::from(&image), Packing::CortexM)?;
        ensure!(file != rows, "nothing was packed");
        let (client, hello) = rig.client()?;
        if hello.packing != Packing::CortexM.flag() {
            drop(client);
            refused(rig, &file, ImageStage::Read, "export --for qemu-m7")?;
            continue;
        }
        let mut flyer = Flyer::arm_with(client, &rows, &file)?;
        flyer.cruise(3 * config.window as u32)?;
        holds(&mut flyer.client, &rows)?;
    }
    Ok(())
}

/// Truncated, and with a flipped bit.
fn a_damaged_image_is_refused(rig: &Rig) -> Result<()> {
    let mut image = sample_image(6, &AGE)?;
    refused(rig, &image[..image.len() - 100], ImageStage::Read, "")?;
    let middle = image.len() / 2;
    image[middle] ^= 0x10;
    refused(rig, &image, ImageStage::Read, "")
}

fn each_image_flies_by_its_own_contract(rig: &Rig) -> Result<()> {
    let mut contract = CONTRACT;
    let torque = ActionChannel::new("torque", "Nm", [-6.0, 6.0]);
    contract.actions = List::from_slice(&[torque.with_slew_per_s(480.0).with_safe(0.0)]);
    let narrow = sample_image_for(1, &AGE, &contract)?;
    let mut client = rig.client()?.0;
    for image in [&USUAL, &narrow, &USUAL] {
        let mut flyer = Flyer::arm(client, image)?;
        flyer.cruise(20)?;
        flyer.client.disarm()?;
        client = flyer.client;
    }
    Ok(())
}

/// As many observations and actions as a Unitree Go1 has, a Microduck, and as contracts have at most.
fn contracts_of_legged_robots_fly(rig: &Rig) -> Result<()> {
    let (mut client, _) = rig.client()?;
    for (observations, actions) in [(48, 12), (61, 14), (128, 32), (1, 1)] {
        let config = ModelConfig {
            observations,
            actions,
            ..AGE
        };
        let image = random_image(4, &config)?;
        let steps = AGE.window as u32 + 4;
        let issued = if Rig::has_room(&mut client, &image)? {
            let mut flyer = Flyer::arm(client, &image)?;
            let issued = flyer.cruise(steps)?.issued;
            flyer.client.disarm()?;
            client = flyer.client;
            issued
        } else {
            // From the flash, on a board of its own.
            let armed = rig.armed_if_it_fits(&image)?;
            let (mut flyer, _) = armed.context("no room in a slot, nor in the flash")?;
            flyer.cruise(steps)?.issued
        };
        ensure!(issued.len() == actions);
    }
    Ok(())
}

fn an_image_with_a_wrong_golden_trace_is_refused(rig: &Rig) -> Result<()> {
    let image = with_wrong_golden(&sample_image(6, &AGE)?)?;
    refused(rig, &image, ImageStage::Golden, "step")
}

fn bytes_that_are_not_the_announced_ones_are_refused(rig: &Rig) -> Result<()> {
    let (mut client, _) = rig.client()?;
    send(&mut client, USUAL.len(), [9; 32], &USUAL)?;
    match refusal(client.commit())? {
        Reason::Image {
            stage: ImageStage::Transfer,
            text,
        } if text.contains("SHA-256") => Ok(()),
        other => bail!("{other:?}"),
    }
}

fn an_image_that_cannot_fit_is_refused_at_once(rig: &Rig) -> Result<()> {
    let (mut client, hello) = rig.client()?;
    let most = hello.image_bytes;
    let length = most + 1;
    let reason = refusal(client.upload_begin(length, [1; 32]))?;
    ensure!(reason == Reason::ImageTooLong { length, most });
    Ok(())
}

fn an_upload_in_flight_waits_for_disarm(rig: &Rig) -> Result<()> {
    let new = sample_image(8, &SLOT)?;
    let mut flyer = rig.cruising(10)?;
    // The board takes a bounded share per period; between shares the old policy flies on, word for
    // word.
    let mut now_us = flyer.last.now_us;
    let mut steps = Vec::new();
    flyer.client.upload(
        &new,
        |_| {},
        |client| {
            now_us += u64::from(CONTRACT.period_us);
            let sample = good_sample(&CONTRACT, now_us);
            let action = client.step(sample.clone())?;
            steps.push((sample, action));
            Ok(())
        },
    )?;
    ensure!(
        steps.len() > 3,
        "{} bytes were taken within {} periods in flight",
        new.len(),
        steps.len()
    );
    for (sample, action) in steps {
        flyer.follow(&sample, action)?;
    }
    ensure!(refusal(flyer.client.commit())? == Reason::NotDisarmed(State::Armed));
    flyer.cruise(20)?;
    flyer.client.disarm()?;
    flyer.client.commit()?;
    holds(&mut flyer.client, &new)?;
    Flyer::arm(flyer.client, &new)?.cruise(20)?;
    Ok(())
}

/// Of an image that was programmed beside the firmware, and no slot could hold, the board says at hello that it has it; uploads take its
/// place.
fn an_image_in_flash_flies_without_an_upload(rig: &Rig) -> Result<()> {
    let board = BoardName::QemuF405;
    if *rig.target() != Target::Board(board) {
        rig.not_tried(
            "an image in flash",
            "it has no flash that is programmed here",
        );
        return Ok(());
    }
    let config = ModelConfig {
        observations: 128,
        actions: 32,
        ..AGE
    };
    let image = random_image(9, &config)?;
    let mut damaged = packed_for(board.packing().flag(), &image).into_owned();
    let (mut client, hello) = Rig::client_over(board::open_for(board, &image)?)?;
    ensure!(damaged.len() > hello.image_bytes as usize);
    holds(&mut client, &image)?;
    let mut flyer = Flyer::arm_installed(client, &image)?;
    flyer.cruise(3 * AGE.window as u32)?;
    for seed in [1, 2] {
        flyer.client.disarm()?;
        let next = sample_image(seed, &SLOT)?;
        let mut uploaded = Flyer::arm(flyer.client, &next)?;
        uploaded.cruise(3 * SLOT.window as u32)?;
        flyer.client = uploaded.client;
    }
    // What is in flash and no image, or a damaged one, is left alone.
    damaged[3_000] ^= 1;
    for bytes in [&b"no image"[..], &damaged] {
        let (_, hello) = Rig::client_over(board::open_for(board, bytes)?)?;
        ensure!(hello.weights_sha256.is_none());
    }
    Ok(())
}

fn arming_needs_an_image(rig: &Rig) -> Result<()> {
    let (mut client, hello) = rig.client()?;
    // A board that waits on a port may have an image from before.
    if hello.weights_sha256.is_none() {
        ensure!(refusal(client.arm())? == Reason::NoImage);
    }
    Ok(())
}
