//! `engram fly`: hardware in the loop, the plant on the host and the policy on a board.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, bail};
use engram_image::header::Header;
use engram_image::write::in_rows;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::classical::ClassicalPilot;
use crate::interrupt;
use crate::live::Live;
use crate::output::{say, tell};
use engram_flight::board::{
    self, BoardName, DEFAULT_BAUD, FaultPlan, FaultyTransport, Patience, Transport,
};
use engram_flight::{
    BoardPilot, FlightError, FlightPlan, ImageFile, Outcome, PilotCard, Show, Summary, Watcher,
};
use engram_plants::Plants;

/// Fly a plant (simulated here) with a policy (on a board) and compare every word with the host's
/// own policy.
///
/// Without IMAGE, the policy that ships for the plant flies. A run in lock-step (the default) is the
/// same every time, bit for bit.
///
/// Example: engram fly --board qemu-m7 --change polarity-mass --change-at-s 3 --show
/// Example: engram fly --plant quadrotor --live
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The policy image (.engram); without it the one that ships for the plant.
    image: Option<PathBuf>,
    /// Where the policy runs; `engram boards` lists them.
    #[arg(long, default_value = "loopback", value_name = "BOARD")]
    board: BoardName,
    /// A board at the end of a serial line instead, e.g. /dev/ttyACM0.
    #[arg(long, conflicts_with = "board", value_name = "DEVICE")]
    port: Option<String>,
    /// Bits per second of the serial line.
    #[arg(long, default_value_t = DEFAULT_BAUD, requires = "port", value_parser = clap::value_parser!(u32).range(1..))]
    baud: u32,
    /// The plant.
    #[arg(long, default_value = "pendulum")]
    plant: String,
    /// Who flies: the policy, or the classical adaptive controller (on the host).
    #[arg(long, value_enum, default_value_t = Controller::Policy)]
    controller: Controller,
    /// Seed of the hidden task, the start and the sensors' noise.
    #[arg(long, default_value_t = 1)]
    task_seed: u64,
    /// How long to fly, in seconds of the plant; without it 8, or with --live until it is stopped.
    #[arg(long, conflicts_with = "steps")]
    seconds: Option<f64>,
    /// How long to fly, in control steps.
    #[arg(long)]
    steps: Option<u32>,
    /// Start the plant anew every so many seconds; the memory persists.
    #[arg(long, value_name = "SECONDS")]
    episode_s: Option<f64>,
    /// Change the dynamics in mid-flight, e.g. polarity, mass, polarity-mass.
    #[arg(long, value_name = "NAME")]
    change: Option<String>,
    /// When the change comes, in seconds.
    #[arg(long, default_value_t = 3.0, value_name = "SECONDS")]
    change_at_s: f64,
    /// Empty the policy's memory before every step.
    #[arg(long)]
    wipe_memory: bool,
    /// Let the board's own clock make the steps.
    #[arg(long)]
    real_time: bool,
    /// Steps of the board's clock in a second, instead of the contract's: time-lapse, each step is still worth one period
    /// of the plant. Shows how late a step comes at that rate.
    #[arg(long, requires = "real_time", value_name = "HZ", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate_hz: Option<u32>,
    /// Disturb the link, e.g. drop=0.01,duplicate=0.01,reorder=0.01,corrupt=0.01,delay=0.01,seed=7.
    #[arg(long, value_name = "PLAN")]
    fault: Option<String>,
    /// The flight log (MCAP; opens in Foxglove, and `engram replay` does it again); without it a new file,
    /// runs/flight.mcap or, where that is taken, runs/flight-2.mcap and so on.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Show the flight live, in plain words.
    #[arg(long)]
    show: bool,
    /// Fly in the browser: a page on this machine, whose address is printed, shows the flight at the pace of the clock; its
    /// buttons start and stop it, change the plant and wipe the memory.
    #[arg(long, conflicts_with_all = ["show", "real_time"])]
    live: bool,
    /// The page's port; without it any that is free.
    #[arg(long, requires = "live", value_name = "PORT")]
    live_port: Option<u16>,
}

/// Who flies.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Controller {
    /// The policy of the image, on the board.
    Policy,
    /// Recursive least squares and LQR, on the host.
    Classical,
}

/// How long a flight is that nobody looks at, in seconds.
const DEFAULT_S: f64 = 8.0;
/// Where a flight is logged that is told no other place.
const DEFAULT_LOG: &str = "runs/flight.mcap";

/// Runs the subcommand.
///
/// # Errors
/// What could not be read, started, reached or flown, and what to do about it; also when board and
/// host disagree on a word, or the board left the armed state.
pub fn run(args: Args, plants: &Plants) -> anyhow::Result<()> {
    let plan = plan(&args, plants)?;
    // A misspelt change must not cost an upload first.
    engram_flight::plant_for(&plan)?;
    // Nor a log that cannot be written.
    match &args.log {
        Some(log) => engram_flight::check_log(log)?,
        None => engram_flight::make_log_folder(Path::new(DEFAULT_LOG))?,
    }
    // The flight ends in good order at the next step.
    let stop = interrupt::listen().context("Ctrl-C cannot be caught")?;
    let mut live = args
        .live
        .then(|| open_page(&args, &plan, &stop))
        .transpose()?;
    let mut show = Show::new();
    let mut nobody = ();
    let watcher: &mut dyn Watcher = match &mut live {
        Some(live) => live,
        None if args.show => &mut show,
        None => &mut nobody,
    };
    let outcome = match args.controller {
        Controller::Policy => fly_policy(&args, &plan, watcher, &stop)?,
        Controller::Classical => fly_classical(&args, &plan, watcher, &stop)?,
    };
    if let Some(live) = live {
        live.end(&outcome);
    }
    let printed = if args.json {
        say!("{}", serde_json::to_string(&outcome.summary)?)
    } else {
        say!("{}", words(&outcome.summary).trim_end())
    };
    verdict(outcome)?;
    Ok(printed?)
}

/// The page of a flight, which waits for its start.
fn open_page(args: &Args, plan: &FlightPlan, stop: &Arc<AtomicBool>) -> anyhow::Result<Live> {
    let policy = args.controller == Controller::Policy;
    let flight = json!({
        "board": if policy { place(args) } else { "host".to_owned() },
        "policy": policy, "task_seed": plan.task_seed,
    });
    let (port, stop) = (args.live_port.unwrap_or(0), Arc::clone(stop));
    let spec = plan.plant.spec();
    let live = Live::open(port, spec, &flight, plan.wipe_memory, stop)?;
    tell!(
        "open {} in a browser on this machine and press Start; Ctrl-C ends the flight",
        live.address()
    );
    Ok(live)
}

/// Where the policy runs, as the user named it.
fn place(args: &Args) -> String {
    let port = args.port.clone();
    port.unwrap_or_else(|| args.board.to_string())
}

/// The file to log into: the one that was named, or a new one.
fn log_path(args: &Args) -> Result<PathBuf, FlightError> {
    match &args.log {
        Some(path) => Ok(path.clone()),
        None => Ok(engram_flight::unused_log(Path::new(DEFAULT_LOG))?),
    }
}

fn plan(args: &Args, plants: &Plants) -> anyhow::Result<FlightPlan> {
    let plant = plants.open(&args.plant)?;
    let period_s = plant.spec().period_s();
    let in_steps = |name: &str, seconds: f64| -> anyhow::Result<u32> {
        let steps = (seconds / period_s).round();
        if !(0.0..=1e9).contains(&steps) {
            bail!(
                "--{name} {seconds}: give a time from 0 to {:.0} s",
                1e9 * period_s
            );
        }
        Ok(steps as u32)
    };
    let change_step = in_steps("change-at-s", args.change_at_s)?;
    Ok(FlightPlan {
        plant,
        task_seed: args.task_seed,
        steps: match (args.steps, args.seconds) {
            (Some(steps), _) => steps,
            (None, Some(seconds)) => in_steps("seconds", seconds)?,
            (None, None) if args.live => u32::MAX,
            (None, None) => in_steps("seconds", DEFAULT_S)?,
        },
        episode_steps: args
            .episode_s
            .map(|s| in_steps("episode-s", s))
            .transpose()?,
        change: args.change.clone().map(|name| (name, change_step)),
        wipe_memory: args.wipe_memory,
        real_time: args.real_time,
        period_us: args.rate_hz.map(|rate_hz| 1_000_000 / rate_hz),
        fault: args.fault.clone().unwrap_or_default(),
    })
}

/// The image file, or the one that ships.
pub(super) fn read_image(path: Option<&Path>, plant: &str) -> anyhow::Result<Vec<u8>> {
    match path {
        Some(path) => Ok(engram_flight::image_file::read(path)?),
        None => match engram_flight::shipped_image(plant) {
            Some(image) => Ok(image.to_vec()),
            None => bail!(
                "no trained policy ships for {plant}: give an image (`engram train {plant} --out RUN`, then `engram export RUN -o FILE.engram`)"
            ),
        },
    }
}

/// A bar for the bytes of an upload, on standard error.
pub(super) fn upload_bar() -> ProgressBar {
    let style =
        ProgressStyle::with_template("  upload {bar:30} {bytes}/{total_bytes} {bytes_per_sec}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style)
}

fn fly_policy(
    args: &Args,
    plan: &FlightPlan,
    watcher: &mut dyn Watcher,
    stop: &AtomicBool,
) -> anyhow::Result<Outcome> {
    // The host's own policy reads rows, and so does every board; one with a packing gets it packed again.
    let file = read_image(args.image.as_deref(), &args.plant)?;
    let mut image = in_rows(file.clone()).map_err(FlightError::Image)?;
    if let Some(period_us) = plan.period_us {
        image = engram_flight::image_file::at_period(&image, period_us)?;
    }
    // At another rate it is another image, and nobody has signed that.
    let signed = plan.period_us.is_none() && Header::read(&file).is_ok_and(|header| header.signed);
    let image_file = ImageFile {
        rows: &image,
        file: if signed { &file } else { &image },
    };
    let fault: Option<FaultPlan> = args.fault.as_deref().map(str::parse).transpose()?;
    let contract = plan.contract();
    let name = place(args);
    let mut transport = match &args.port {
        Some(port) => board::open_port(port, args.baud)?,
        None => board::open_for(args.board, image_file.file)?,
    };
    if let Some(fault) = fault {
        transport = Box::new(FaultyTransport::new(transport, fault)) as Box<dyn Transport>;
    }
    let bar = upload_bar();
    let began = std::time::Instant::now();
    let pilot = BoardPilot::prepare(
        transport,
        Patience::default(),
        image_file,
        &args.plant,
        &contract,
        plan.wipe_memory,
        &mut |offset, length| {
            bar.set_length(u64::from(length));
            bar.set_position(u64::from(offset));
        },
    );
    bar.finish_and_clear();
    let pilot = pilot?;
    announce(&name, &pilot, image.len(), began.elapsed().as_secs_f64());
    let card = pilot.card(&name, &image);
    let log = log_path(args)?;
    let log = Some(log.as_path());
    Ok(if plan.real_time {
        engram_flight::fly_real_time(plan, pilot, &card, &image, log, watcher, stop)?
    } else {
        let mut pilot = pilot;
        engram_flight::fly(plan, &mut pilot, &card, Some(&image), log, watcher, stop)?
    })
}

fn announce(name: &str, pilot: &BoardPilot<'_>, bytes: usize, seconds: f64) {
    let hello = pilot.hello();
    tracing::info!(
        "{name}: {} answers, protocol {}",
        hello.firmware,
        hello.protocol
    );
    if pilot.uploaded() {
        tracing::info!(
            "{name}: took the image ({bytes} bytes), replayed its golden trace word for word, activated it ({seconds:.1} s)"
        );
    } else {
        tracing::info!("{name}: the image is active already");
    }
}

fn fly_classical(
    args: &Args,
    plan: &FlightPlan,
    watcher: &mut dyn Watcher,
    stop: &AtomicBool,
) -> anyhow::Result<Outcome> {
    if args.image.is_some() || args.port.is_some() || plan.real_time || plan.wipe_memory {
        bail!(
            "--controller classical runs on the host: it takes no image, port, --real-time or --wipe-memory"
        );
    }
    let contract = plan.plant.spec().contract();
    let mut pilot = ClassicalPilot::new(&args.plant, &contract)?;
    let card: PilotCard = ClassicalPilot::card();
    let log = log_path(args)?;
    Ok(engram_flight::fly(
        plan,
        &mut pilot,
        &card,
        None,
        Some(log.as_path()),
        watcher,
        stop,
    )?)
}

/// The summary for people.
fn words(summary: &Summary) -> String {
    let mut text = format!(
        "flew {} steps of {} with the {} controller on {}\n",
        summary.steps, summary.plant, summary.controller, summary.board
    );
    match (summary.words_equal, &summary.first_difference) {
        (Some(true), _) => text.push_str(&format!(
            "  words      all {} equal the host's integer policy\n",
            summary.words_compared
        )),
        (Some(false), Some(difference)) => {
            text.push_str(&format!("  words      DIFFER: {difference}\n"));
        }
        _ => {}
    }
    if summary.steps_lost > 0 {
        text.push_str(&format!(
            "  lost       {} steps of the board did not arrive; from the first on no words are compared\n",
            summary.steps_lost
        ));
    }
    text.push_str(&format!("  goal       {}\n", goal(summary)));
    let falls = match summary.falls {
        0 => "none".to_owned(),
        falls => falls.to_string(),
    };
    text.push_str(&format!("  falls      {falls}\n"));
    if summary.diverged_steps > 0 {
        text.push_str(&format!(
            "  simulation DIVERGED in {} of {} steps, which are no physics\n",
            summary.diverged_steps, summary.steps
        ));
    }
    if let Some(recovery_s) = summary.recovery_s {
        text.push_str(&format!(
            "  recovery   {recovery_s:.2} s after the change, for good\n"
        ));
    }
    if summary.controller == "policy" {
        text.push_str(&format!(
            "  weights    {} before, {} after\n",
            short(&summary.weights_sha256_before),
            short(&summary.weights_sha256_after)
        ));
        text.push_str(&format!(
            "  link       {} faults injected, {} frames sent again, {} damaged frames at the board, {} at the host, {} dropped by the board\n",
            summary.faults_injected,
            summary.retransmissions,
            summary.board_receive_errors,
            summary.host_receive_errors,
            summary.board_frames_dropped
        ));
        text.push_str(&format!(
            "  safety     {} envelope violations, {} deadline misses, faults: {}\n",
            summary.envelope_violations,
            summary.deadline_misses,
            if summary.faults.is_empty() {
                "none".to_owned()
            } else {
                summary.faults.join(", ")
            }
        ));
    }
    if let Some(late) = &summary.lateness {
        text.push_str(&format!(
            "  lateness   {} steps {} us apart: half within {} us of the promptest, 99 % within {}, the worst {}; {} came after the next was due\n",
            late.steps, late.period_us, late.median_us, late.p99_us, late.worst_us, late.missed
        ));
    }
    if summary.worst_stack_bytes > 0 {
        text.push_str(&format!(
            "  RAM        {} bytes: {} of stack at its deepest, {} beside it with just the cache of this policy\n",
            summary.worst_stack_bytes + summary.ram_bytes,
            summary.worst_stack_bytes,
            summary.ram_bytes
        ));
    }
    if let Some(log) = &summary.log {
        let what = if summary.log_complete {
            format!("`engram replay {log}` does it again")
        } else if summary.steps_lost > 0 {
            format!("NOT whole: `engram replay {log}` does it again up to the first lost step")
        } else {
            "NOT whole: it holds the flight's beginning".to_owned()
        };
        text.push_str(&format!("  log        {log} ({what})\n"));
    }
    text
}

/// How the goal was held.
fn goal(summary: &Summary) -> String {
    let Some(holds_at_end) = summary.holds_at_end else {
        return "this plant has none".to_owned();
    };
    let Some(share) = summary.held_share else {
        return "there was no step to hold it in".to_owned();
    };
    let end = if holds_at_end {
        ", and through the last second"
    } else {
        ", not to the end"
    };
    format!("held in {} % of the steps{end}", percent(share))
}

/// A share in percent, rounded to tenths; only all is 100, and only nothing is 0.
fn percent(share: f64) -> String {
    let tenths = (1000.0 * share).round();
    let tenths = match share {
        0.0 | 1.0 => tenths,
        _ => tenths.clamp(1.0, 999.0),
    };
    format!("{}", tenths / 10.0)
}

fn short(sha256: &str) -> &str {
    match sha256.get(..12) {
        Some(short) => short,
        None => "not told",
    }
}

fn verdict(outcome: Outcome) -> anyhow::Result<()> {
    let Outcome { summary, error } = outcome;
    if let Some(error) = error {
        let log = summary.log.as_deref().unwrap_or("nowhere");
        let log = if summary.log_complete {
            format!("its log is saved in {log}")
        } else {
            format!("its log, which is not whole, is in {log}")
        };
        let what = format!("the flight ended at step {}; {log}", summary.steps);
        return Err(anyhow::Error::new(error).context(what));
    }
    if let Some(difference) = &summary.first_difference {
        bail!("board and host disagree: {difference}");
    }
    if summary.envelope_violations > 0 {
        bail!(
            "{} issued commands broke the contract's envelope",
            summary.envelope_violations
        );
    }
    if !summary.faults.is_empty() {
        bail!(
            "the board left the armed state: {}",
            summary.faults.join(", ")
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::percent;

    #[test]
    fn only_all_is_100_percent_and_only_nothing_is_0() {
        for (share, shown) in [
            (1.0, "100"),
            (0.9999, "99.9"),
            (0.9725, "97.3"),
            (0.5, "50"),
            (0.0001, "0.1"),
            (0.0, "0"),
        ] {
            assert_eq!(percent(share), shown);
        }
    }
}
