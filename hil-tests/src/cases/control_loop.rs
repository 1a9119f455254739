//! The control loop goes on, in real time, whatever host and line do: ENG-SAFE-14 to 18.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use engram::board::{BoardName, Client};
use engram_link::limits::MAX_FRAME_BYTES;
use engram_link::{
    Action, CommandSource, Fault, Faults, FromBoard, Pace, Reason, RequestedPace, Sensors, State,
    ToBoard, encode,
};

use super::{Case, case};
use crate::sample_image::{AGE, sample_image, strong_image};
use crate::{Rig, Target, pendulum, refusal};

pub(super) const CASES: &[Case] = &[
    case("eng_safe_14_a_host_that_stops", host_stops),
    case("eng_safe_14_a_host_that_sends_rubbish", host_sends_rubbish),
    case("eng_safe_14_a_host_that_lies_about_time", host_lies),
    case(
        "eng_safe_14_a_host_that_floods_and_reads_nothing",
        host_floods,
    ),
    case(
        "eng_safe_15_no_lock_step_before_the_command_is_safe",
        lock_step,
    ),
    case(
        "eng_safe_15_an_upload_leaves_the_control_loop_running",
        upload,
    ),
    case("eng_safe_16_disarm_is_always_taken", disarm),
    case("eng_safe_17_a_second_host_is_answered_by_name", second_host),
    case("eng_safe_18_early_steps_are_bounded", early_steps),
];

/// A board that flies in real time, and what it reported last.
struct RealTime {
    client: Client,
    last: Action,
}

impl RealTime {
    /// A disarmed board with an image that commands much, making steps of its own.
    fn start(rig: &Rig) -> Result<Self> {
        let (mut client, _) = rig.client()?;
        Rig::install(&mut client, &strong_image(1)?)?;
        client.hello(Pace::RealTime)?;
        let mut flight = Self {
            last: next(&mut client)?,
            client,
        };
        flight.settle()?;
        Ok(flight)
    }

    /// The same, armed, with the command far from the safe one. A busy machine may make an emulated board late: it may
    /// try again.
    fn far_from_safe(rig: &Rig) -> Result<Self> {
        for _ in 0..4 {
            if let Ok(flight) = Self::try_far_from_safe(rig) {
                return Ok(flight);
            }
        }
        Self::try_far_from_safe(rig)
    }

    fn try_far_from_safe(rig: &Rig) -> Result<Self> {
        let mut flight = Self::start(rig)?;
        flight.sample()?;
        flight.client.arm()?;
        for _ in 0..500 {
            flight.sample()?;
            flight.last = next(&mut flight.client)?;
            if flight.last.state == State::Armed && word(&flight.last) > 20_000 {
                return Ok(flight);
            }
            ensure!(flight.last.faults.is_empty(), "{}", flight.last.faults);
        }
        bail!(
            "the sample policy never commands much: {:?}",
            flight.last.issued
        )
    }

    /// A good sample, as young as the newest action says.
    fn sample(&mut self) -> Result<()> {
        let sample_us = self.last.now_us + 1_000;
        self.client.send(&ToBoard::Sensors(good(sample_us)))?;
        Ok(())
    }

    /// Reads on until the board is disarmed and its command is the safe one.
    fn settle(&mut self) -> Result<()> {
        for _ in 0..500 {
            self.last = next(&mut self.client)?;
            if self.last.state == State::Disarmed && word(&self.last) == 0 {
                return Ok(());
            }
        }
        bail!("never settled: {:?}", self.last)
    }
}

/// The size of the issued command, words; the pendulum's safe command is 0.
fn word(action: &Action) -> u16 {
    action
        .issued
        .iter()
        .map(|word| word.unsigned_abs())
        .max()
        .unwrap_or(0)
}

fn good(sample_us: u64) -> Sensors {
    let phase = (sample_us as f32 * 1e-6) * 3.0;
    Sensors {
        now_us: sample_us,
        sample_us,
        observation: [phase.cos(), phase.sin(), 8.0].into_iter().collect(),
        reward: None,
        done: false,
    }
}

fn next(client: &mut Client) -> Result<Action> {
    client
        .next_action(Instant::now() + Duration::from_secs(5))?
        .context("no control step for 5 s")
}

/// One frame with a number of its own, past the client.
fn raw(client: &mut Client, sequence: u32, message: &ToBoard) -> Result<()> {
    let mut frame = [0; MAX_FRAME_BYTES];
    let length = encode(sequence, message, &mut frame).map_err(|e| anyhow::anyhow!("{e}"))?;
    client.transport().write(&frame[..length])?;
    Ok(())
}

/// No good sample comes while `meanwhile` runs: hold for one step, and then at once towards the safe command. A machine
/// that stops an emulated board for a while makes its steps late: then it tries again.
fn stops_in_time(rig: &Rig, meanwhile: impl Fn(&mut RealTime) -> Result<()>) -> Result<()> {
    for _ in 0..2 {
        if try_stops_in_time(rig, &meanwhile).is_ok() {
            return Ok(());
        }
    }
    try_stops_in_time(rig, &meanwhile)
}

fn try_stops_in_time(rig: &Rig, meanwhile: &impl Fn(&mut RealTime) -> Result<()>) -> Result<()> {
    let mut flight = RealTime::far_from_safe(rig)?;
    let held = word(&flight.last);
    meanwhile(&mut flight)?;
    let mut steps = vec![flight.last.clone()];
    while steps.len() < 60 && steps.last().is_some_and(|step| word(step) > 0) {
        steps.push(next(&mut flight.client)?);
    }
    for (before, after) in steps.iter().zip(&steps[1..]) {
        ensure!(
            after.step.wrapping_sub(before.step) == 1,
            "step {} follows step {}",
            after.step,
            before.step
        );
    }
    let fault = steps
        .iter()
        .position(|step| step.state != State::Armed)
        .context("no fault was found")?;
    let [fault, first, ..] = &steps[fault..] else {
        bail!("the fault came in the last step: {steps:?}")
    };
    ensure!(
        fault.state == State::Hold && fault.source == CommandSource::Held,
        "{fault:?}"
    );
    ensure!(
        first.state == State::SafeStop && first.source == CommandSource::Safe,
        "{first:?}"
    );
    ensure!(
        word(first) < word(fault) && word(fault) <= 32_767 && held > 0,
        "{first:?}"
    );
    // From the fault to the first step towards safe is one step: a period, late by half a one at most.
    let period_us = u64::from(pendulum().period_us);
    let took_us = first.now_us - fault.now_us;
    ensure!(
        took_us <= 2 * period_us,
        "{took_us} us from the fault to the first step towards safe"
    );
    flight.client.disarm()?;
    flight.settle()
}

fn host_stops(rig: &Rig) -> Result<()> {
    stops_in_time(rig, |_| {
        std::thread::sleep(Duration::from_millis(400));
        Ok(())
    })
}

fn host_sends_rubbish(rig: &Rig) -> Result<()> {
    stops_in_time(rig, |flight| {
        let mut state = 0x2545_F491_4F6C_DD1D_u64;
        for _ in 0..40 {
            let rubbish: Vec<u8> = (0..200)
                .map(|_| {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    (state >> 32) as u8
                })
                .collect();
            flight.client.transport().write(&rubbish)?;
            std::thread::sleep(Duration::from_millis(10));
        }
        flight.client.transport().write(&[0])?;
        Ok(())
    })
}

fn host_lies(rig: &Rig) -> Result<()> {
    stops_in_time(rig, |flight| {
        for lie in 0..20 {
            let sample_us = flight.last.now_us + 60_000_000 + lie;
            flight.client.send(&ToBoard::Sensors(good(sample_us)))?;
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    })
}

fn host_floods(rig: &Rig) -> Result<()> {
    if *rig.target() == Target::Board(BoardName::QemuF405) {
        // QEMU's USART stops the whole machine until somebody reads; a part sends whether anybody does or not.
        return Ok(());
    }
    let mut flight = RealTime::far_from_safe(rig)?;
    let before = flight.client.telemetry()?;
    let first = flight.last.clone();
    // More answers than any wire keeps (a socket's 200 KiB), and none is read.
    let mut frame = [0; MAX_FRAME_BYTES];
    for number in 0..6_000_u32 {
        let length =
            encode(number, &ToBoard::Telemetry, &mut frame).map_err(|e| anyhow::anyhow!("{e}"))?;
        flight.client.transport().write(&frame[..length])?;
    }
    std::thread::sleep(Duration::from_secs(2));
    // The host is back: what waited comes first, then the present, in which it is disarmed.
    flight.client.disarm()?;
    while flight.last.state != State::Disarmed {
        flight.last = next(&mut flight.client)?;
    }
    let after = flight.client.telemetry()?;
    ensure!(after.faults.contains(Fault::SampleAge), "{}", after.faults);
    let steps = flight.last.step.wrapping_sub(first.step);
    let took_us = flight.last.now_us.saturating_sub(first.now_us);
    let due = took_us / u64::from(pendulum().period_us);
    // An emulated board on a busy machine loses some; a loop that was stopped makes none for two seconds.
    ensure!(due > 90, "the board's clock stood still: {took_us} us");
    ensure!(
        u64::from(steps) >= due * 3 / 5,
        "{steps} control steps, {due} were due"
    );
    let dropped = after.transmit_errors.wrapping_sub(before.transmit_errors);
    ensure!(dropped > 0, "6000 answers found room");
    flight.settle()
}

fn lock_step(rig: &Rig) -> Result<()> {
    let mut flight = RealTime::far_from_safe(rig)?;
    let lock_step = ToBoard::Hello {
        protocol: engram_link::PROTOCOL_VERSION,
        pace: RequestedPace::LockStep,
    };
    ensure!(refusal(flight.client.ask(&lock_step))? == Reason::PaceFixed(State::Armed));
    flight.client.disarm()?;
    match flight.client.ask(&lock_step) {
        // A slow host asks when the command is safe already.
        Ok(FromBoard::Hello(_)) => {}
        other => match refusal(other)? {
            Reason::NotSettled => {
                // Steps go on whatever was asked for.
                flight.settle()?;
                let step = flight.last.step;
                flight.last = next(&mut flight.client)?;
                ensure!(flight.last.step > step);
            }
            other => bail!("lock-step on the way to the safe command: {other:?}"),
        },
    }
    let hello = flight.client.hello(Pace::LockStep)?;
    ensure!(hello.pace == Pace::LockStep && hello.lock_step);
    let action = flight.client.tick(1_000_000)?;
    ensure!(word(&action) == 0, "{action:?}");
    Ok(())
}

/// Control steps within half a second.
fn steps_in_half_a_second(client: &mut Client) -> Result<u32> {
    client.discard_actions();
    let end = Instant::now() + Duration::from_millis(500);
    let mut steps = 0;
    while client.next_action(end)?.is_some() {
        steps += 1;
    }
    Ok(steps)
}

fn upload(rig: &Rig) -> Result<()> {
    let mut flight = RealTime::far_from_safe(rig)?;
    // Disarm, and an upload and its commit before the command can be safe: the commit waits for that.
    flight.client.disarm()?;
    Rig::install(&mut flight.client, &sample_image(1, &AGE)?)?;
    let telemetry = flight.client.telemetry()?;
    ensure!(telemetry.state == State::Disarmed && telemetry.weights_checked);
    let steps = steps_in_half_a_second(&mut flight.client)?;
    ensure!(
        steps >= 5,
        "{steps} control steps in half a second after an upload"
    );
    // A new conversation that asks for no pace, as `engram flash` does.
    let hello = flight.client.hello(RequestedPace::Unchanged)?;
    ensure!(hello.pace == Pace::RealTime);
    ensure!(refusal(flight.client.commit())? == Reason::NoUpload);
    let steps = steps_in_half_a_second(&mut flight.client)?;
    ensure!(
        steps >= 5,
        "{steps} control steps in half a second after a refusal"
    );
    flight.settle()
}

fn disarm(rig: &Rig) -> Result<()> {
    let image = sample_image(1, &AGE)?;
    let mut flyer = rig.armed(&image)?;
    for number in [0, 1_000_000_000, u32::MAX] {
        flyer.cruise(3)?;
        // Late or of another conversation, and again and again.
        for _ in 0..3 {
            raw(&mut flyer.client, number, &ToBoard::Disarm)?;
        }
        let action = flyer.good_step()?;
        ensure!(
            action.state == State::Disarmed,
            "number {number}: {}",
            action.state
        );
        flyer.rearm()?;
    }
    let mut flight = RealTime::far_from_safe(rig)?;
    raw(&mut flight.client, 77, &ToBoard::Disarm)?;
    flight.settle()
}

fn second_host(rig: &Rig) -> Result<()> {
    // In flight another host's hello is answered, whatever it asks for, and ends nothing.
    let mut flight = RealTime::far_from_safe(rig)?;
    let hello = |protocol, pace| ToBoard::Hello { protocol, pace };
    let late = flight.client.telemetry()?.link.late;
    for (number, stray) in (1..).zip([
        hello(engram_link::PROTOCOL_VERSION, RequestedPace::Unchanged),
        hello(engram_link::PROTOCOL_VERSION, RequestedPace::LockStep),
        hello(1, RequestedPace::LockStep),
    ]) {
        raw(&mut flight.client, number, &stray)?;
        for _ in 0..5 {
            flight.sample()?;
            flight.last = next(&mut flight.client)?;
        }
    }
    let after = flight.client.telemetry()?;
    let late = after.link.late.wrapping_sub(late);
    ensure!(late == 0, "{late} frames of the flight were taken for late");
    flight.client.disarm()?;
    flight.settle()?;
    let mut transport = flight.client.into_transport();
    // The board sends an action in every period meanwhile: none of them is an answer to hello.
    for _ in 0..10 {
        let (client, hello) =
            Client::connect(transport, RequestedPace::Unchanged, Rig::patience())?;
        ensure!(hello.pace == Pace::RealTime);
        transport = client.into_transport();
    }
    // The first host's numbers mean nothing in the second one's conversation.
    let (mut client, _) = Client::connect(transport, RequestedPace::Unchanged, Rig::patience())?;
    let before = client.telemetry()?;
    for number in 5..10 {
        raw(&mut client, number, &ToBoard::ResetFaults)?;
    }
    let after = client.telemetry()?;
    let late = after.link.late.wrapping_sub(before.link.late);
    ensure!(
        late == 5,
        "{late} of 5 frames of another conversation were told apart"
    );
    Ok(())
}

fn early_steps(rig: &Rig) -> Result<()> {
    let image = strong_image(1)?;
    let mut flyer = rig.armed(&image)?;
    let slew = f64::from(pendulum().actions[0].slew_per_s);
    let range = f64::from(pendulum().actions[0].max - pendulum().actions[0].min);
    let mut early = 0;
    let mut last = flyer.cruise(20)?;
    while last.state == State::Armed {
        early += 1;
        ensure!(early <= 4, "early steps are not bounded");
        let mut sample = flyer.good_sample();
        sample.now_us = last.now_us + 9_000;
        sample.sample_us = sample.now_us;
        let action = flyer.step(&sample)?;
        let moved = f64::from((i32::from(action.issued[0]) - i32::from(last.issued[0])).abs());
        let most = slew * 0.009 / range * 65_534.0 + 1.0;
        ensure!(moved <= most, "{moved} words in 9 ms, {most} allowed");
        last = action;
    }
    ensure!(
        early == 4 && last.faults == Faults::from(Fault::DeadlineMisses),
        "{last:?}"
    );
    Ok(())
}
