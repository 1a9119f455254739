//! `engram watch`: what a robot with drivers of its own does, and the command that arms it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use engram_link::{Action, HelloReply, Log, Pace, RequestedPace, State, Telemetry};

use crate::interrupt;
use crate::output::say;
use engram_flight::board::{self, Client, DEFAULT_BAUD, Patience};

/// Watch a robot that makes its own control steps, and arm it.
///
/// A line every half second: state, commands, faults, how long the longest step took. With --arm the policy flies until Ctrl-C, or until the time is
/// over: then the robot is disarmed and goes to its safe command. Without --arm nothing is changed but that old faults are shown.
///
/// The host must be heard: the robot stops by itself when this program ends in any other way (ENG-SAFE-10).
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  engram watch --port /dev/ttyUSB0                      what it says of itself, motors or not
  engram watch --port /dev/ttyUSB0 --arm --seconds 20   fly, and stop")]
pub struct Args {
    /// The robot's serial line, e.g. /dev/ttyUSB0.
    #[arg(long, value_name = "DEVICE")]
    port: String,
    /// Bits per second of the serial line.
    #[arg(long, default_value_t = DEFAULT_BAUD, value_parser = clap::value_parser!(u32).range(1..))]
    baud: u32,
    /// Reset old faults and arm: the motors move.
    #[arg(long)]
    arm: bool,
    /// How long; without it until Ctrl-C.
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u32>,
}

/// Time between two lines.
const SHOWN: Duration = Duration::from_millis(500);

/// Runs the subcommand.
///
/// # Errors
/// Nobody answers, the host makes this board's steps, it does not arm, or a fault ends the flight.
pub fn run(args: Args) -> anyhow::Result<()> {
    let interrupted = interrupt::listen().context("cannot listen for Ctrl-C")?;
    let transport = board::open_port(&args.port, args.baud)?;
    let (mut client, hello) =
        Client::connect(transport, RequestedPace::Unchanged, Patience::default())?;
    introduce(&hello)?;
    if hello.pace == Pace::LockStep {
        bail!(
            "{} waits for a host that makes its control steps: `engram fly --port {}`",
            hello.board,
            args.port
        );
    }
    // Heard well within the ten periods after which a silent link is a fault, also where an answer is lost.
    let between = Duration::from_micros((3 * u64::from(hello.period_us)).min(100_000));
    client.set_patience(Patience {
        answer: between,
        attempts: (5_000_000 / between.as_micros().max(1)) as u32,
        ..Patience::default()
    });
    let flown = if args.arm {
        fly(&mut client, between, &args, &interrupted)
    } else {
        watch(&mut client, between, &args, &interrupted)
    };
    if args.arm {
        // Whatever became of it: an answer that was lost says nothing about what the robot does.
        client.disarm()?;
        say!("disarmed")?;
    }
    flown
}

fn introduce(hello: &HelloReply) -> anyhow::Result<()> {
    let short = |sha256: Option<[u8; 32]>| match sha256 {
        Some(sha256) => hex::encode(sha256)[..12].to_owned(),
        None => "none".to_owned(),
    };
    Ok(say!(
        "{}, {}: period {} us, contract {}, weights {}, {}",
        hello.board,
        hello.firmware,
        hello.period_us,
        short(hello.contract_sha256),
        short(hello.weights_sha256),
        hello.state
    )?)
}

fn fly(
    client: &mut Client,
    between: Duration,
    args: &Args,
    interrupted: &AtomicBool,
) -> anyhow::Result<()> {
    client.reset_faults()?;
    client.arm()?;
    watch(client, between, args, interrupted)
}

fn watch(
    client: &mut Client,
    between: Duration,
    args: &Args,
    interrupted: &AtomicBool,
) -> anyhow::Result<()> {
    let started = Instant::now();
    let over = args
        .seconds
        .map(|seconds| Duration::from_secs(seconds.into()));
    let mut shown: Option<Instant> = None;
    let mut last = None;
    while !interrupted.load(Ordering::Relaxed) && over.is_none_or(|over| started.elapsed() < over) {
        let telemetry = client.telemetry()?;
        let next = Instant::now() + between;
        while let Some(action) = client.next_action(next)? {
            last = Some(action);
        }
        for log in client.drain_logs() {
            if let Log::Text { text, .. } = log {
                say!("  {text}")?;
            }
        }
        let stopped = args.arm && telemetry.state != State::Armed;
        if stopped || shown.is_none_or(|shown| shown.elapsed() >= SHOWN) {
            shown = Some(Instant::now());
            show(started.elapsed(), &telemetry, last.as_ref())?;
        }
        if stopped {
            bail!("the flight ended: {}", faults(&telemetry));
        }
    }
    Ok(())
}

fn faults(telemetry: &Telemetry) -> String {
    let faults: Vec<_> = telemetry
        .faults
        .iter()
        .map(|fault| format!("{} {}", fault.requirement(), fault.text()))
        .collect();
    if faults.is_empty() {
        "no faults".to_owned()
    } else {
        faults.join("; ")
    }
}

fn show(at: Duration, telemetry: &Telemetry, last: Option<&Action>) -> anyhow::Result<()> {
    let issued = last.map_or_else(String::new, |action| format!("{:?}", action.issued));
    Ok(say!(
        "{:6.1} s  {}, {} steps ({} of the policy, {} without a sample, {} late), longest {} us, commands {issued}, {}",
        at.as_secs_f64(),
        telemetry.state,
        telemetry.steps,
        telemetry.policy_steps,
        telemetry.missing_samples,
        telemetry.deadline_misses,
        telemetry.worst_step_us,
        faults(telemetry)
    )?)
}
