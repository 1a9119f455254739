//! Bringing images onto a board: resumed, refused, and never in the way of the one that flies.

use std::fs;

use anyhow::{Result, bail, ensure};
use engram::board::{self, BoardName, Client, FaultPlan, FaultyTransport, packed_for};
use engram::footprint::Footprint;
use engram_image::write::{ImageSpec, write_packed};
use engram_image::{ActionChannel, Image, List, ModelConfig, Packing};
use engram_link::{ImageStage, Reason, State, ToBoard, UploadChunk};

use super::{Case, case};
use crate::sample_image::{
    AGE, SLOT, random_image, sample_image, sample_image_for, with_wrong_golden,
};
use crate::{Flyer, Rig, Target, pendulum, refusal};

pub(super) const CASES: &[Case] = &[
    case("an_upload_goes_on_where_it_was_cut", resume),
    case("an_upload_over_a_bad_wire_arrives", bad_wire),
    case("a_truncated_image_is_refused", truncated),
    case("an_image_with_a_flipped_bit_is_refused", flipped),
    case("each_image_flies_by_its_own_contract", other_contract),
    case("contracts_of_legged_robots_fly", legged),
    case(
        "an_image_with_a_wrong_golden_trace_is_refused",
        wrong_golden,
    ),
    case(
        "bytes_that_are_not_the_announced_ones_are_refused",
        other_bytes,
    ),
    case("an_image_that_cannot_fit_is_refused_at_once", too_long),
    case("an_upload_in_flight_waits_for_disarm", in_flight),
    case("an_image_in_flash_flies_without_an_upload", in_flash),
    case("a_packed_image_flies_where_its_kernels_are", packed),
    case("arming_needs_an_image", no_image),
    case("the_bounds_report_is_what_the_board_measures", bounds),
];

fn weights_of(image: &[u8]) -> Result<[u8; 32]> {
    Ok(Image::read(image)
        .map_err(|error| anyhow::anyhow!("{error}"))?
        .weights_sha256)
}

fn resume(rig: &Rig) -> Result<()> {
    let image = sample_image(4, &AGE)?;
    let (client, _) = rig.client()?;
    // The wire is cut about half-way; the board lives on behind it.
    let half = (image.len() / 2) as u32;
    let mut client = client;
    let length = image.len() as u32;
    let sha256 = announced(&mut client, &image)?;
    let mut offset = 0;
    while offset < half {
        let end = (offset + 512).min(length);
        let chunk = UploadChunk {
            offset,
            data: image[offset as usize..end as usize]
                .iter()
                .copied()
                .collect(),
        };
        client.ask(&ToBoard::UploadChunk(chunk))?;
        offset = end;
    }
    let transport = client.into_transport();
    let (mut client, _) = Rig::client_over(transport)?;
    let status = client.upload_status()?;
    ensure!(
        status.offset == offset && status.sha256 == sha256,
        "{status:?}"
    );
    let mut first = None;
    client.upload(
        &image,
        |offset| {
            first.get_or_insert(offset);
        },
        |_| Ok(()),
    )?;
    ensure!(
        first == Some(offset),
        "the upload began at {first:?}, {offset} bytes had arrived"
    );
    client.commit()?;
    ensure!(client.telemetry()?.weights_sha256 == Some(weights_of(&image)?));
    Ok(())
}

/// Announces `image` and returns the hash that the board repeats.
fn announced(client: &mut Client, image: &[u8]) -> Result<[u8; 32]> {
    // The client computes the hash; an upload of no chunks is an announcement.
    let mut begun = None;
    let result = client.upload(
        image,
        |offset| {
            begun.get_or_insert(offset);
        },
        |_| Ok(()),
    );
    result?;
    // Everything has arrived; another announcement makes the board forget it, so that the real
    // upload starts from nothing.
    let whole = client.upload_status()?;
    client.upload_begin(whole.length, [0; 32])?;
    let progress = client.upload_begin(whole.length, whole.sha256)?;
    ensure!(progress.offset == 0, "{progress:?}");
    Ok(progress.sha256)
}

fn bad_wire(rig: &Rig) -> Result<()> {
    let image = sample_image(4, &SLOT)?;
    let plan: FaultPlan = "drop=0.03,duplicate=0.03,reorder=0.03,corrupt=0.03,seed=2".parse()?;
    let transport = FaultyTransport::new(rig.transport()?, plan);
    let (mut client, _) = Rig::client_over(Box::new(transport))?;
    Rig::install(&mut client, &image)?;
    ensure!(client.telemetry()?.weights_sha256 == Some(weights_of(&image)?));
    ensure!(client.faults_injected() > 0);
    Ok(())
}

/// Uploads `bad`, expects it to be refused at `stage`, and flies the old image on.
fn refused(rig: &Rig, bad: &[u8], stage: ImageStage, word: &str) -> Result<()> {
    let good = sample_image(5, &AGE)?;
    let mut flyer = rig.armed(&good)?;
    flyer.cruise(10)?;
    flyer.client.disarm()?;
    let before = flyer.client.telemetry()?.weights_sha256;
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
    ensure!(
        flyer.client.telemetry()?.weights_sha256 == before,
        "the old image is gone"
    );
    flyer.rearm()?;
    flyer.cruise(40)?;
    Ok(())
}

/// Static RAM and stack of the report are what the board itself measures, after a flight.
fn bounds(rig: &Rig) -> Result<()> {
    let image = sample_image(9, &AGE)?;
    let mut flyer = rig.armed(&image)?;
    flyer.cruise(3 * AGE.window as u32)?;
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

/// Of an image that was programmed beside the firmware, the board says at hello that it has it; uploads take its place.
fn in_flash(rig: &Rig) -> Result<()> {
    if *rig.target() != Target::Board(BoardName::QemuF405) {
        // Other boards that are started here have no flash.
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("policy.engram");
    let image = sample_image(9, &AGE)?;
    fs::write(&file, packed_for(Packing::CortexM.flag(), &image))?;
    let (client, hello) = Rig::client_over(board::open_with_flash(&file)?)?;
    ensure!(hello.weights_sha256 == Some(weights_of(&image)?));
    let mut flyer = Flyer::arm_installed(client, &image)?;
    flyer.cruise(3 * AGE.window as u32)?;
    flyer.client.disarm()?;
    let mut client = flyer.client;
    for seed in [1, 2] {
        let next = sample_image(seed, &SLOT)?;
        let mut flyer = Flyer::arm(client, &next)?;
        flyer.cruise(3 * SLOT.window as u32)?;
        flyer.client.disarm()?;
        client = flyer.client;
    }
    // What is in flash and no image, or a damaged one, is left alone.
    let mut damaged = fs::read(&file)?;
    damaged[3_000] ^= 1;
    for bytes in [&b"no image"[..], &damaged] {
        fs::write(&file, bytes)?;
        let (_, hello) = Rig::client_over(board::open_with_flash(&file)?)?;
        ensure!(hello.weights_sha256.is_none());
    }
    Ok(())
}

/// Both kinds of positions in the Cortex-M7's order: the same words there, a reason that says what it needs elsewhere.
fn packed(rig: &Rig) -> Result<()> {
    for config in [AGE, SLOT] {
        let rows = sample_image(8, &config)?;
        let image = Image::read(&rows).map_err(|error| anyhow::anyhow!("{error}"))?;
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
        ensure!(flyer.client.telemetry()?.weights_sha256 == Some(image.weights_sha256));
    }
    Ok(())
}

fn truncated(rig: &Rig) -> Result<()> {
    let image = sample_image(6, &AGE)?;
    refused(rig, &image[..image.len() - 100], ImageStage::Read, "")
}

fn flipped(rig: &Rig) -> Result<()> {
    let mut image = sample_image(6, &AGE)?;
    let middle = image.len() / 2;
    image[middle] ^= 0x10;
    refused(rig, &image, ImageStage::Read, "")
}

fn other_contract(rig: &Rig) -> Result<()> {
    let mut contract = pendulum();
    let weaker = ActionChannel {
        max: 6.0,
        min: -6.0,
        ..contract.actions[0]
    };
    contract.actions = List::from_slice(&[weaker]);
    let (wide, narrow) = (
        sample_image(6, &AGE)?,
        sample_image_for(6, &AGE, &contract)?,
    );
    let mut client = rig.client()?.0;
    for image in [&wide, &narrow, &wide] {
        let mut flyer = Flyer::arm(client, image)?;
        flyer.cruise(20)?;
        flyer.client.disarm()?;
        client = flyer.client;
    }
    Ok(())
}

/// As many observations and actions as a Unitree Go1 has, a Microduck, and as contracts have at most.
fn legged(rig: &Rig) -> Result<()> {
    let (mut client, hello) = rig.client()?;
    for (observations, actions) in [(48, 12), (61, 14), (128, 32), (1, 1)] {
        let config = ModelConfig {
            observations,
            actions,
            ..AGE
        };
        let image = random_image(4, &config)?;
        if !Rig::has_room(&mut client, &hello, &image)? {
            continue;
        }
        let mut flyer = Flyer::arm(client, &image)?;
        let action = flyer.cruise(AGE.window as u32 + 4)?;
        ensure!(action.words.len() == actions && action.issued.len() == actions);
        flyer.client.disarm()?;
        client = flyer.client;
    }
    Ok(())
}

fn wrong_golden(rig: &Rig) -> Result<()> {
    let image = with_wrong_golden(&sample_image(6, &AGE)?)?;
    refused(rig, &image, ImageStage::Golden, "step")
}

fn other_bytes(rig: &Rig) -> Result<()> {
    let image = sample_image(6, &SLOT)?;
    let other = sample_image(7, &SLOT)?;
    let (mut client, _) = rig.client()?;
    client.upload_begin(image.len() as u32, [9; 32])?;
    let mut offset = 0;
    for piece in other[..image.len().min(other.len())].chunks(512) {
        let chunk = UploadChunk {
            offset,
            data: piece.iter().copied().collect(),
        };
        client.ask(&ToBoard::UploadChunk(chunk))?;
        offset += piece.len() as u32;
    }
    match refusal(client.commit())? {
        Reason::Image {
            stage: ImageStage::Transfer,
            ..
        } => Ok(()),
        other => bail!("{other:?}"),
    }
}

fn too_long(rig: &Rig) -> Result<()> {
    let (mut client, hello) = rig.client()?;
    match refusal(client.upload_begin(hello.image_bytes + 1, [1; 32]))? {
        Reason::ImageTooLong { most, .. } => {
            ensure!(most == hello.image_bytes);
            Ok(())
        }
        other => bail!("{other:?}"),
    }
}

fn in_flight(rig: &Rig) -> Result<()> {
    let old = sample_image(5, &AGE)?;
    let new = sample_image(8, &SLOT)?;
    let mut flyer = rig.armed(&old)?;
    flyer.cruise(10)?;
    // The board takes a bounded share per period; between shares the old policy flies on, word for
    // word.
    let mut steps = 0;
    let mut now_us = flyer.now_us;
    let period_us = flyer.period_us();
    let mut samples = Vec::new();
    let Flyer { client, .. } = &mut flyer;
    client.upload(
        &new,
        |_| {},
        |client| {
            now_us += period_us;
            let sample = flying_sample(now_us);
            samples.push((sample.clone(), client.step(sample)?));
            steps += 1;
            Ok(())
        },
    )?;
    ensure!(
        steps > 3,
        "{} bytes were taken within {steps} periods in flight",
        new.len()
    );
    for (sample, action) in samples {
        flyer.follow(&sample, &action)?;
    }
    ensure!(refusal(flyer.client.commit())? == Reason::NotDisarmed(State::Armed));
    flyer.cruise(20)?;
    flyer.client.disarm()?;
    flyer.client.commit()?;
    ensure!(flyer.client.telemetry()?.weights_sha256 == Some(weights_of(&new)?));
    let mut flyer = Flyer::arm(flyer.client, &new)?;
    flyer.cruise(20)?;
    Ok(())
}

fn flying_sample(now_us: u64) -> engram_link::Sensors {
    engram_link::Sensors {
        now_us,
        sample_us: now_us,
        observation: [0.8, 0.6, 0.5].into_iter().collect(),
        reward: None,
        done: false,
    }
}

fn no_image(rig: &Rig) -> Result<()> {
    let (mut client, hello) = rig.client()?;
    if hello.weights_sha256.is_some() {
        // A board that waits on a port may have an image from before.
        return Ok(());
    }
    ensure!(refusal(client.arm())? == Reason::NoImage);
    Ok(())
}
