//! Hello, counters, and frames that do not arrive as they were sent.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use engram_flight::board::{FaultPlan, FaultyTransport};
use engram_link::limits::MAX_FRAME_BYTES;
use engram_link::{
    FromBoard, FromBoardDecoder, PROTOCOL_VERSION, Pace, Reason, RequestedPace, State, ToBoard,
};

use crate::sample_image::USUAL;
use crate::{Case, Flyer, Rig, Target, frame};

pub(super) const CASES: &[Case] = cases![
    hello_names_versions_and_contract,
    another_protocol_version_is_refused,
    nothing_works_before_a_hello,
    a_new_conversation_takes_over_from_an_old_one,
    damaged_frames_are_counted_and_survived,
    a_frame_that_comes_twice_acts_once,
    a_bad_wire_changes_no_word,
];

fn hello_names_versions_and_contract(rig: &Rig) -> Result<()> {
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

/// Sends one message with a number of its own and waits until it is refused, without a client.
fn refused(rig: &Rig, sequence: u32, message: &ToBoard) -> Result<Reason> {
    let mut transport = rig.transport()?;
    let question = frame(sequence, message)?;
    let mut decoder = FromBoardDecoder::new();
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        transport.write(&question)?;
        let again = Instant::now() + Duration::from_millis(300);
        while Instant::now() < again {
            let mut bytes = [0; 256];
            let count = transport.read(&mut bytes, Duration::from_millis(100))?;
            for byte in &bytes[..count] {
                if let Some(Ok(answer)) = decoder.push(*byte)
                    && answer.message.request() == Some(sequence)
                {
                    return match answer.message {
                        FromBoard::Refused { reason, .. } => Ok(reason),
                        other => bail!("{other:?}"),
                    };
                }
            }
        }
    }
    bail!("no answer")
}

fn another_protocol_version_is_refused(rig: &Rig) -> Result<()> {
    let (board, host) = (PROTOCOL_VERSION, PROTOCOL_VERSION + 1);
    let message = ToBoard::Hello {
        protocol: host,
        pace: RequestedPace::LockStep,
    };
    ensure!(refused(rig, 40, &message)? == Reason::Protocol { board, host });
    Ok(())
}

fn nothing_works_before_a_hello(rig: &Rig) -> Result<()> {
    if matches!(rig.target(), Target::Port(_)) {
        // Somebody has said hello to a board that waits on a port.
        return Ok(());
    }
    ensure!(refused(rig, 7, &ToBoard::Arm)? == Reason::NoHello);
    Ok(())
}

fn a_new_conversation_takes_over_from_an_old_one(rig: &Rig) -> Result<()> {
    // The host goes away in mid-flight and comes back with numbers that start anew.
    let transport = rig.cruising(30)?.client.into_transport();
    let (client, hello) = Rig::client_over(transport)?;
    ensure!(hello.state == State::Armed, "the board was {}", hello.state);
    ensure!(hello.weights_sha256.is_some());
    Flyer::arm(client, &USUAL)?.cruise(30)?;
    Ok(())
}

fn damaged_frames_are_counted_and_survived(rig: &Rig) -> Result<()> {
    let mut flyer = rig.cruising(5)?;
    let before = flyer.client.telemetry()?.link;
    flyer.cruise(5)?;
    // A frame with one flipped bit, one cut short, and noise without an end.
    let whole = frame(60_000, &ToBoard::Disarm)?;
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 0x80;
    let mut noise = vec![0xA5; 2 * MAX_FRAME_BYTES];
    noise.push(0);
    for bytes in [&flipped, &whole[whole.len() - 3..], &noise] {
        flyer.client.transport().write(bytes)?;
    }
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

fn a_frame_that_comes_twice_acts_once(rig: &Rig) -> Result<()> {
    // Every frame to the board comes twice, and so does every answer.
    let plan: FaultPlan = "duplicate=1".parse()?;
    let transport = FaultyTransport::new(rig.transport()?, plan);
    let (client, _) = Rig::client_over(Box::new(transport))?;
    let mut flyer = Flyer::arm(client, &USUAL)?;
    let first = flyer.cruise(1)?;
    let last = flyer.cruise(50)?;
    let steps = last.step.wrapping_sub(first.step);
    ensure!(steps == 50, "{steps} steps for 50 samples");
    Ok(())
}

fn a_bad_wire_changes_no_word(rig: &Rig) -> Result<()> {
    let plan: FaultPlan =
        "drop=0.02,duplicate=0.02,reorder=0.02,corrupt=0.02,delay=0.02,seed=5".parse()?;
    let transport = FaultyTransport::new(rig.transport()?, plan);
    let (client, _) = Rig::client_over(Box::new(transport))?;
    let mut bad = Flyer::arm(client, &USUAL)?;
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
    let mut clean = rig.armed(&USUAL)?;
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
