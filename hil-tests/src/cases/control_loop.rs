//! The control loop goes on, in real time, whatever host and line do: ENG-SAFE-14 to 18.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use engram_flight::board::{BoardName, Client};
use engram_image::random::SplitMix64;
use engram_link::{
    Action, CommandSource, Fault, Faults, FromBoard, PROTOCOL_VERSION, Pace, Reason, RequestedPace,
    State, ToBoard,
};
use engram_plants::pendulum::CONTRACT;

use crate::sample_image::{USUAL, strong_image};
use crate::{Case, Rig, Target, frame, good_sample, refusal};

pub(super) const CASES: &[Case] = cases![
    eng_safe_14_a_host_that_stops,
    eng_safe_14_a_host_that_sends_rubbish,
    eng_safe_14_a_host_that_lies_about_time,
    eng_safe_14_a_host_that_floods_and_reads_nothing,
    eng_safe_15_no_lock_step_before_the_command_is_safe,
    eng_safe_15_an_upload_leaves_the_control_loop_running,
    eng_safe_16_disarm_is_always_taken,
    eng_safe_17_a_second_host_is_answered_by_name,
    eng_safe_18_early_steps_are_bounded,
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
        let last = next(&mut client)?;
        let mut flight = Self { client, last };
        flight.settle()?;
        Ok(flight)
    }

    /// The same, armed, with the command far from the safe one.
    fn far_from_safe(rig: &Rig) -> Result<Self> {
        again(5, || Self::try_far_from_safe(rig))
    }

    fn try_far_from_safe(rig: &Rig) -> Result<Self> {
        let mut flight = Self::start(rig)?;
        flight.sample()?;
        flight.client.arm()?;
        for _ in 0..500 {
            flight.sample()?;
            flight.next()?;
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

    /// Waits for the next step.
    fn next(&mut self) -> Result<()> {
        self.last = next(&mut self.client)?;
        Ok(())
    }

    /// A good sample of so much later than the newest action.
    fn sample_later(&mut self, later_us: u64) -> Result<()> {
        let sample = good_sample(&CONTRACT, self.last.now_us + later_us);
        self.client.send(&ToBoard::Sensors(sample))?;
        Ok(())
    }

    /// A good sample, as young as the newest action says.
    fn sample(&mut self) -> Result<()> {
        self.sample_later(1_000)
    }

    /// Reads on until the board is disarmed and its command is the safe one.
    fn settle(&mut self) -> Result<()> {
        for _ in 0..500 {
            self.next()?;
            if self.last.state == State::Disarmed && word(&self.last) == 0 {
                return Ok(());
            }
        }
        bail!("never settled: {:?}", self.last)
    }
}

/// The size of the issued command, words; the pendulum's safe command is 0.
fn word(action: &Action) -> u16 {
    action.issued[0].unsigned_abs()
}

fn next(client: &mut Client) -> Result<Action> {
    client
        .next_action(Instant::now() + Duration::from_secs(5))?
        .context("no control step for 5 s")
}

/// A busy machine may stop an emulated board for a while and so make its steps late: it may try again, `attempts` in all.
fn again<T>(attempts: u32, mut what: impl FnMut() -> Result<T>) -> Result<T> {
    for _ in 1..attempts {
        if let Ok(done) = what() {
            return Ok(done);
        }
    }
    what()
}

/// No good sample comes while `meanwhile` runs: hold for one step, and then at once towards the safe command.
fn stops_in_time(rig: &Rig, meanwhile: fn(&mut RealTime) -> Result<()>) -> Result<()> {
    again(3, || try_stops_in_time(rig, meanwhile))
}

fn try_stops_in_time(rig: &Rig, meanwhile: fn(&mut RealTime) -> Result<()>) -> Result<()> {
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
    let period_us = u64::from(CONTRACT.period_us);
    let took_us = first.now_us - fault.now_us;
    ensure!(
        took_us <= 2 * period_us,
        "{took_us} us from the fault to the first step towards safe"
    );
    flight.client.disarm()?;
    flight.settle()
}

fn eng_safe_14_a_host_that_stops(rig: &Rig) -> Result<()> {
    stops_in_time(rig, |_| {
        std::thread::sleep(Duration::from_millis(400));
        Ok(())
    })
}

fn eng_safe_14_a_host_that_sends_rubbish(rig: &Rig) -> Result<()> {
    stops_in_time(rig, |flight| {
        let mut random = SplitMix64::new(1);
        for _ in 0..40 {
            let rubbish: Vec<u8> = (0..200).map(|_| random.below(256) as u8).collect();
            flight.client.transport().write(&rubbish)?;
            std::thread::sleep(Duration::from_millis(10));
        }
        flight.client.transport().write(&[0])?;
        Ok(())
    })
}

fn eng_safe_14_a_host_that_lies_about_time(rig: &Rig) -> Result<()> {
    stops_in_time(rig, |flight| {
        for lie in 0..20 {
            flight.sample_later(60_000_000 + lie)?;
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    })
}

fn eng_safe_14_a_host_that_floods_and_reads_nothing(rig: &Rig) -> Result<()> {
    if *rig.target() == Target::Board(BoardName::QemuF405) {
        let why = "QEMU's USART stops the whole machine until somebody reads; a part sends whether anybody does or not";
        rig.not_tried("a host that floods and reads nothing", why);
        return Ok(());
    }
    let mut flight = RealTime::far_from_safe(rig)?;
    let before = flight.client.telemetry()?;
    let first = flight.last.clone();
    // More answers than any wire keeps (a socket's 200 KiB), and none is read.
    for number in 0..6_000 {
        let question = frame(number, &ToBoard::Telemetry)?;
        flight.client.transport().write(&question)?;
    }
    std::thread::sleep(Duration::from_secs(2));
    // The host is back: what waited comes first, then the present, in which it is disarmed.
    flight.client.disarm()?;
    while flight.last.state != State::Disarmed {
        flight.next()?;
    }
    let after = flight.client.telemetry()?;
    ensure!(after.faults.contains(Fault::SampleAge), "{}", after.faults);
    let steps = flight.last.step.wrapping_sub(first.step);
    let took_us = flight.last.now_us.saturating_sub(first.now_us);
    let due = took_us / u64::from(CONTRACT.period_us);
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

fn eng_safe_15_no_lock_step_before_the_command_is_safe(rig: &Rig) -> Result<()> {
    let mut flight = RealTime::far_from_safe(rig)?;
    let lock_step = ToBoard::Hello {
        protocol: PROTOCOL_VERSION,
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
                flight.next()?;
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

/// The board goes on making control steps.
fn steps_go_on(client: &mut Client) -> Result<()> {
    client.discard_actions();
    let end = Instant::now() + Duration::from_millis(500);
    let mut steps = 0;
    while client.next_action(end)?.is_some() {
        steps += 1;
    }
    ensure!(steps >= 5, "{steps} control steps in half a second");
    Ok(())
}

fn eng_safe_15_an_upload_leaves_the_control_loop_running(rig: &Rig) -> Result<()> {
    let mut flight = RealTime::far_from_safe(rig)?;
    // Disarm, and an upload and its commit before the command can be safe: the commit waits for that.
    flight.client.disarm()?;
    Rig::install(&mut flight.client, &USUAL)?;
    let telemetry = flight.client.telemetry()?;
    ensure!(telemetry.state == State::Disarmed && telemetry.weights_checked);
    steps_go_on(&mut flight.client).context("after an upload")?;
    // A new conversation that asks for no pace, as `engram flash` does.
    let hello = flight.client.hello(RequestedPace::Unchanged)?;
    ensure!(hello.pace == Pace::RealTime);
    ensure!(refusal(flight.client.commit())? == Reason::NoUpload);
    steps_go_on(&mut flight.client).context("after a refusal")?;
    flight.settle()
}

fn eng_safe_16_disarm_is_always_taken(rig: &Rig) -> Result<()> {
    let mut flyer = rig.armed(&USUAL)?;
    for number in [0, 1_000_000_000, u32::MAX] {
        flyer.cruise(3)?;
        // Late or of another conversation, and again and again.
        for _ in 0..3 {
            let disarm = frame(number, &ToBoard::Disarm)?;
            flyer.client.transport().write(&disarm)?;
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
    let transport = flight.client.transport();
    transport.write(&frame(77, &ToBoard::Disarm)?)?;
    flight.settle()
}

fn eng_safe_17_a_second_host_is_answered_by_name(rig: &Rig) -> Result<()> {
    again(2, || try_second_host(rig))
}

fn try_second_host(rig: &Rig) -> Result<()> {
    // In flight another host's hello is answered, whatever it asks for, and ends nothing.
    let mut flight = RealTime::far_from_safe(rig)?;
    let hello = |protocol, pace| ToBoard::Hello { protocol, pace };
    let late = flight.client.telemetry()?.link.late;
    for (number, stray) in (1..).zip([
        hello(PROTOCOL_VERSION, RequestedPace::Unchanged),
        hello(PROTOCOL_VERSION, RequestedPace::LockStep),
        hello(1, RequestedPace::LockStep),
    ]) {
        let stray = frame(number, &stray)?;
        flight.client.transport().write(&stray)?;
        for _ in 0..5 {
            flight.sample()?;
            flight.next()?;
            ensure!(flight.last.state == State::Armed, "{:?}", flight.last);
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
        let reset = frame(number, &ToBoard::ResetFaults)?;
        client.transport().write(&reset)?;
    }
    let after = client.telemetry()?;
    let late = after.link.late.wrapping_sub(before.link.late);
    ensure!(
        late == 5,
        "{late} of 5 frames of another conversation were told apart"
    );
    Ok(())
}

fn eng_safe_18_early_steps_are_bounded(rig: &Rig) -> Result<()> {
    let image = strong_image(1)?;
    let mut flyer = rig.armed(&image)?;
    let mut last = flyer.cruise(20)?;
    let mut early = 0;
    while last.state == State::Armed {
        early += 1;
        ensure!(early <= 4, "early steps are not bounded");
        // A flyer's check of the envelope counts the time that passed: the command moves less.
        let now_us = last.now_us + 9_000;
        last = flyer.step(|sample| (sample.now_us, sample.sample_us) = (now_us, now_us))?;
    }
    ensure!(
        early == 4 && last.faults == Faults::from(Fault::DeadlineMisses),
        "{last:?}"
    );
    Ok(())
}
