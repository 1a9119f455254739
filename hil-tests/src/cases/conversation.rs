//! Hello, counters, and frames that do not arrive as they were sent.

use anyhow::{Context, Result, bail, ensure};
use engram::board::{FaultPlan, FaultyTransport};
use engram_link::{
    FromBoard, FromBoardDecoder, PROTOCOL_VERSION, Pace, Reason, RequestedPace, State, ToBoard,
    encode, limits::MAX_FRAME_BYTES,
};
use std::time::{Duration, Instant};

use super::{Case, case};
use crate::sample_image::{AGE, sample_image};
use crate::{Flyer, Rig, Target};

pub(super) const CASES: &[Case] = &[
    case("hello_names_versions_and_contract", hello),
    case("another_protocol_version_is_refused", other_protocol),
    case("nothing_works_before_a_hello", nothing_before_hello),
    case(
        "a_new_conversation_takes_over_from_an_old_one",
        new_conversation,
    ),
    case("damaged_frames_are_counted_and_survived", damaged_frames),
    case("a_frame_that_comes_twice_acts_once", repeated_frame),
    case("a_bad_wire_changes_no_word", bad_wire),
];

fn hello(rig: &Rig) -> Result<()> {
    let (mut client, hello) = rig.client()?;
    ensure!(hello.protocol == PROTOCOL_VERSION);
    ensure!(
        hello.contract_sha256.is_none() && hello.period_us > 0,
        "a board of injected sensors takes the contract of each image"
    );
    ensure!(hello.pace == Pace::LockStep && hello.state == State::Disarmed);
    ensure!(!hello.firmware.is_empty() && !hello.board.is_empty());
    ensure!(
        hello.image_bytes >= 32 * 1024,
        "a slot holds only {} bytes",
        hello.image_bytes
    );
    if let Target::Board(board) = rig.target() {
        ensure!(
            hello.packing == board.packing().flag(),
            "it wants weights with flag {}, and `engram export --for {board}` packs others",
            hello.packing
        );
    }
    ensure!(client.telemetry()?.faults.is_empty());
    Ok(())
}

/// Sends one message with a number of its own and waits for its answer, without a client.
fn ask_raw(rig: &Rig, sequence: u32, message: &ToBoard) -> Result<FromBoard> {
    let mut transport = rig.transport()?;
    let mut frame = [0; MAX_FRAME_BYTES];
    let length = encode(sequence, message, &mut frame).map_err(|e| anyhow::anyhow!("{e}"))?;
    let mut decoder = FromBoardDecoder::new();
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        transport.write(&frame[..length])?;
        let again = Instant::now() + Duration::from_millis(300);
        while Instant::now() < again {
            let mut bytes = [0; 256];
            let count = transport.read(&mut bytes, Duration::from_millis(100))?;
            for byte in &bytes[..count] {
                if let Some(Ok(answer)) = decoder.push(*byte)
                    && answer.message.request() == Some(sequence)
                {
                    return Ok(answer.message);
                }
            }
        }
    }
    bail!("no answer")
}

fn other_protocol(rig: &Rig) -> Result<()> {
    let message = ToBoard::Hello {
        protocol: PROTOCOL_VERSION + 1,
        pace: RequestedPace::LockStep,
    };
    match ask_raw(rig, 40, &message)? {
        FromBoard::Refused {
            reason: Reason::Protocol { board, host },
            ..
        } => {
            ensure!((board, host) == (PROTOCOL_VERSION, PROTOCOL_VERSION + 1));
            Ok(())
        }
        other => bail!("{other:?}"),
    }
}

fn nothing_before_hello(rig: &Rig) -> Result<()> {
    if matches!(rig.target(), crate::Target::Port(_)) {
        // Somebody has said hello to a board that waits on a port.
        return Ok(());
    }
    match ask_raw(rig, 7, &ToBoard::Arm)? {
        FromBoard::Refused {
            reason: Reason::NoHello,
            ..
        } => Ok(()),
        other => bail!("{other:?}"),
    }
}

fn new_conversation(rig: &Rig) -> Result<()> {
    let image = sample_image(1, &AGE)?;
    let mut flyer = rig.armed(&image)?;
    flyer.cruise(30)?;
    // The host goes away in mid-flight and comes back with numbers that start anew.
    let transport = flyer.client.into_transport();
    let (client, hello) = Rig::client_over(transport)?;
    ensure!(hello.state == State::Armed, "the board was {}", hello.state);
    ensure!(hello.weights_sha256.is_some());
    let mut flyer = Flyer::arm(client, &image)?;
    flyer.cruise(30)?;
    Ok(())
}

fn damaged_frames(rig: &Rig) -> Result<()> {
    let image = sample_image(1, &AGE)?;
    let mut flyer = rig.armed(&image)?;
    let before = flyer.client.telemetry()?.link;
    flyer.cruise(5)?;
    // A frame with one flipped bit, one cut short, and noise without an end.
    let mut frame = [0; MAX_FRAME_BYTES];
    let length =
        encode(60_000, &ToBoard::Disarm, &mut frame).map_err(|e| anyhow::anyhow!("{e}"))?;
    let mut flipped = frame[..length].to_vec();
    flipped[length / 2] ^= 0x80;
    flyer.client.transport().write(&flipped)?;
    flyer.client.transport().write(&frame[length - 3..length])?;
    let mut noise = vec![0xA5; 2 * MAX_FRAME_BYTES];
    noise.push(0);
    flyer.client.transport().write(&noise)?;
    flyer.cruise(5)?;
    let after = flyer.client.telemetry()?.link;
    let errors = after.errors().wrapping_sub(before.errors());
    ensure!(
        errors == 3,
        "3 damaged frames were sent, {errors} counted: {after:?}"
    );
    ensure!(
        after.overflows.wrapping_sub(before.overflows) == 1,
        "{after:?}"
    );
    Ok(())
}

fn repeated_frame(rig: &Rig) -> Result<()> {
    let image = sample_image(1, &AGE)?;
    let (client, _) = rig.client()?;
    let flyer = Flyer::arm(client, &image)?;
    let now_us = flyer.now_us;
    // Every frame to the board comes twice, and so does every answer.
    let plan: FaultPlan = "duplicate=1".parse()?;
    let transport = FaultyTransport::new(flyer.client.into_transport(), plan);
    let (client, _) = Rig::client_over(Box::new(transport))?;
    let mut flyer = Flyer::arm(client, &image)?;
    let first = flyer.cruise(1)?;
    let last = flyer.cruise(50)?;
    ensure!(
        last.step.wrapping_sub(first.step) == 50,
        "{} steps for 50 samples",
        last.step - first.step
    );
    ensure!(flyer.now_us > now_us);
    Ok(())
}

fn bad_wire(rig: &Rig) -> Result<()> {
    let image = sample_image(1, &AGE)?;
    let plan: FaultPlan =
        "drop=0.02,duplicate=0.02,reorder=0.02,corrupt=0.02,delay=0.02,seed=5".parse()?;
    let transport = FaultyTransport::new(rig.transport()?, plan);
    let (client, _) = Rig::client_over(Box::new(transport))?;
    let mut bad = Flyer::arm(client, &image)?;
    let mut actions = Vec::new();
    for _ in 0..120 {
        actions.push(bad.good_step()?);
    }
    let injected = bad.client.faults_injected();
    ensure!(injected > 20, "only {injected} faults were injected");
    ensure!(bad.client.retransmissions() > 0);
    let board = bad.client.telemetry()?.link.errors();
    let host = bad.client.received().errors();
    ensure!(
        board + host > 0,
        "no damaged frame was counted on either side"
    );

    // The same flight over a clean wire.
    let mut clean = rig.armed(&image)?;
    for (index, was) in actions.iter().enumerate() {
        let is = clean
            .good_step()
            .with_context(|| format!("clean flight, step {index}"))?;
        ensure!(
            (&is.words, &is.issued, is.reward.to_bits(), is.state)
                == (&was.words, &was.issued, was.reward.to_bits(), was.state),
            "step {index}: {was:?} over the bad wire, {is:?} over the clean one"
        );
    }
    Ok(())
}
