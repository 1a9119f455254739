//! `engram report`: one HTML page with the numbers and the plots.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use engram_export::checkpoint::folder;

mod evaluation;

use crate::evaluate::trace::names;
use crate::evaluate::{FlightOptions, FlightTrace, Record, Subject};
use crate::output::tell;
use crate::report::flight_trace;
use crate::report::flights::{self, Origin};
use crate::report::page::Page;
use crate::report::training::{self, Across, TrainingRun};
use engram_export::Checkpoint;
use engram_flight::Flight;
use engram_plants::bounded_file;
use engram_plants::{Plants, pendulum};
use engram_train::{CURVE_FILE, curve, timing};

/// Change of the pendulum's picture, where none is asked for.
const PENDULUM_CHANGE: &str = "polarity-mass";
/// Name of an evaluation's result inside a run's folder.
const EVALUATION_FILE: &str = "eval.json";

/// Write one HTML page with the numbers and plots of a run and of flights.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  engram report runs/pendulum -o report.html
  engram report runs/half-cheetah-vel-0 runs/half-cheetah-vel-1 runs/oracle-0    seeds together, agents apart
  engram report runs/pendulum --flight policy.mcap --flight wiped.mcap --picture demo.svg
  engram report images/quadrotor --image images/quadrotor.engram --change payload --picture quadrotor.svg
  engram eval policy.engram --compare wiped,classical --json > runs/pendulum/eval.json
  engram report --eval oracle-0.json --eval rl2-0.json --rewards adaptation.svg

Without --flight, the policy is flown in simulation on the host, on any plant: one held-out task beside the same policy
with its memory wiped, the plant's classical controller and --beside, then --tasks of them. What the memory holds is shown
of DIR's f32 policy. An eval.json in the first DIR is shown as tables.")]
pub struct Args {
    /// Folders of training runs; their curves are drawn together, and the first one is flown.
    dir: Vec<PathBuf>,
    /// Log of a flight (`engram fly --log`); the first one is the policy, the others stand beside it.
    #[arg(long, value_name = "LOG")]
    flight: Vec<PathBuf>,
    /// Image that is flown in simulation; by default the run's f32 policy.
    #[arg(long, conflicts_with = "flight")]
    image: Option<PathBuf>,
    /// Another run or image that is flown beside it, for example the memoryless policy.
    #[arg(long, value_name = "RUN_OR_IMAGE", conflicts_with = "flight")]
    beside: Vec<PathBuf>,
    /// Plant of the simulated flights, by name or file; by default the one that the policy was trained on.
    #[arg(long, conflicts_with = "flight")]
    plant: Option<String>,
    /// Change in the simulated flights; by default the plant's own, of a pendulum `polarity-mass`.
    #[arg(long)]
    change: Option<String>,
    /// Number of the held-out task of the simulated flight.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(..1_000_000))]
    task: u32,
    /// Held-out tasks that are flown for means and for what the memory holds; 0 for none.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(..10_000))]
    tasks: u32,
    /// Result of `engram eval --json`, one object per line; by default DIR/eval.json where there is one.
    #[arg(long, value_name = "FILE")]
    eval: Vec<PathBuf>,
    /// Also write the reward per control step of the --eval results as SVG: one curve for each file, of which
    /// those that differ in a number at the end of their names (seeds) are averaged.
    #[arg(long, value_name = "FILE.svg", requires = "eval")]
    rewards: Option<PathBuf>,
    /// Also write the training curves of the DIRs as SVG: return against environment steps.
    #[arg(long, value_name = "FILE.svg", requires = "dir")]
    curves: Option<PathBuf>,
    /// The same against minutes.
    #[arg(long, value_name = "FILE.svg", requires = "dir")]
    curves_over_time: Option<PathBuf>,
    /// Also write the picture of the flights as SVG.
    #[arg(long, value_name = "FILE.svg")]
    picture: Option<PathBuf>,
    /// The picture's heading; by default what the plant's drawing calls it.
    #[arg(long)]
    title: Option<String>,
    /// Where to write the page.
    #[arg(short, long, default_value = "report.html")]
    output: PathBuf,
}

/// Gathers what there is and writes the page.
///
/// # Errors
/// Names the file that cannot be read or written, or what to give.
pub fn run(args: Args, plants: &Plants) -> anyhow::Result<()> {
    if args.dir.is_empty() && args.flight.is_empty() && args.image.is_none() && args.eval.is_empty()
    {
        bail!("nothing to report: give a run's folder, --flight LOG, --image FILE or --eval FILE");
    }
    let flown = if args.flight.is_empty() {
        simulated(&args, plants)?
    } else {
        logged(&args, plants)?
    };
    let results = evaluations(&args)?;
    if let Some(picture) = &args.rewards {
        evaluation::write_rewards(&results, picture)?;
    }
    let records: Vec<&Record> = results.iter().flat_map(|(_, records)| records).collect();
    let runs = training_runs(&args.dir)?;
    for (path, across) in [
        (&args.curves, Across::Steps),
        (&args.curves_over_time, Across::Minutes),
    ] {
        if let Some(path) = path {
            write(path, &training::picture(&runs, across).standalone())?;
            tell!("wrote {}", path.display());
        }
    }
    let mut page = Page::new(
        "Engram: a policy that adapts with frozen weights",
        "What was trained, how it copes when the dynamics change in mid-flight, and where it looks while it does.",
    );
    if let Some(record) = records.first() {
        evaluation::headline(&mut page, record);
    }
    show(&mut page, &flown, &args)?;
    for record in records {
        evaluation::section(&mut page, record);
    }
    training::section(&mut page, &runs);
    write(&args.output, &page.html())?;
    tell!("wrote {}", args.output.display());
    Ok(())
}

/// Writes a page or a figure, whole or not at all.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    folder::write_one(path, text.as_bytes()).context("cannot write the report")
}

/// What was flown.
#[derive(Default)]
struct Flown {
    origin: Option<Origin>,
    /// One flight of each controller on one task, the policy first.
    one: Vec<FlightTrace>,
    /// Flights of each controller on many tasks, the policy first.
    many: Vec<Vec<FlightTrace>>,
    /// Flights of the f32 policy on many tasks, where another one flies above.
    float: Vec<FlightTrace>,
    /// Why there is none, and what to do.
    none: Option<String>,
}

fn logged(args: &Args, plants: &Plants) -> anyhow::Result<Flown> {
    let one: Vec<FlightTrace> = args
        .flight
        .iter()
        .map(|path| log(path))
        .collect::<Result<_, _>>()?;
    if let (Some(first), Some(other)) = (
        one.first(),
        one.iter().find(|log| log.plant != one[0].plant),
    ) {
        bail!(
            "the logs are of {} and of {}: one report shows flights of one plant",
            first.plant,
            other.plant
        );
    }
    Ok(Flown {
        origin: Some(Origin::Logs),
        one,
        float: float(args, plants)?,
        ..Flown::default()
    })
}

fn log(path: &Path) -> anyhow::Result<FlightTrace> {
    let flight = Flight::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    if let Some(flaws) = flight.not_whole() {
        bail!("{} is not whole: {flaws}", path.display());
    }
    if flight.steps.is_empty() {
        bail!("{} holds no step: there is nothing to show", path.display());
    }
    let memoryless = flight
        .image
        .as_deref()
        .and_then(|bytes| engram_image::Image::read(bytes).ok())
        .is_some_and(|image| image.config.window == 1);
    let header = &flight.header;
    let name = match (header.controller.as_str(), memoryless, header.wiped) {
        ("policy", true, _) => names::MEMORYLESS.to_owned(),
        ("policy", false, true) => names::WIPED.to_owned(),
        ("policy", false, false) => format!("policy on {}", header.board),
        _ => names::CLASSICAL.to_owned(),
    };
    let mut trace = flight_trace(&flight, &name);
    // What never looks back has no attention to show.
    trace.attention = trace.attention.filter(|_| !memoryless && !header.wiped);
    Ok(trace)
}

/// What is asked of a simulation of this policy.
fn options(subject: &Subject, args: &Args) -> FlightOptions {
    let own = (subject.plant == pendulum::NAME).then(|| PENDULUM_CHANGE.to_owned());
    FlightOptions {
        plant: args.plant.clone(),
        change: args.change.clone().or(own.filter(|_| args.plant.is_none())),
        ..FlightOptions::default()
    }
}

fn simulated(args: &Args, plants: &Plants) -> anyhow::Result<Flown> {
    let Some(path) = args.image.as_ref().or(args.dir.first()) else {
        return Ok(Flown::default());
    };
    let subject = Subject::load(path)?;
    if let Some(none) = no_plant(&subject, args, plants) {
        return Ok(Flown {
            none: Some(none),
            ..Flown::default()
        });
    }
    let together = FlightOptions {
        compare: true,
        beside: args.beside.clone(),
        ..options(&subject, args)
    };
    let one = subject.simulate(
        plants,
        &FlightOptions {
            tasks: args.task..args.task + 1,
            ..together.clone()
        },
    )?;
    let mut many = Vec::new();
    if args.tasks > 0 {
        let mut flights = subject.simulate(
            plants,
            &FlightOptions {
                tasks: 0..args.tasks,
                ..together
            },
        )?;
        while !flights.is_empty() {
            let rest = flights.split_off(args.tasks as usize);
            many.push(flights);
            flights = rest;
        }
    }
    Ok(Flown {
        origin: Some(if subject.is_image() {
            Origin::Integers
        } else {
            Origin::Float
        }),
        one,
        many,
        float: if subject.is_image() {
            float(args, plants)?
        } else {
            Vec::new()
        },
        none: None,
    })
}

/// Why a run cannot be flown here, though it has curves to show. Of an image, whose flights alone are asked for, the simulation
/// itself says so.
fn no_plant(subject: &Subject, args: &Args, plants: &Plants) -> Option<String> {
    if subject.is_image() || args.plant.is_some() {
        return None;
    }
    let error = plants.open(&subject.plant).err()?;
    Some(format!(
        "No flights: {error}. Where its file has moved, give it by --plant FILE.toml; flights from elsewhere are shown by \
         --flight LOG."
    ))
}

/// Flights of the first run's f32 policy, which tells what its memory holds.
fn float(args: &Args, plants: &Plants) -> anyhow::Result<Vec<FlightTrace>> {
    let Some(dir) = args.dir.first().filter(|_| args.tasks > 0) else {
        return Ok(Vec::new());
    };
    let subject = Subject::load(dir)?;
    if no_plant(&subject, args, plants).is_some() {
        return Ok(Vec::new());
    }
    subject.simulate(
        plants,
        &FlightOptions {
            tasks: 0..args.tasks,
            ..options(&subject, args)
        },
    )
}

/// Each file of results with what it holds.
fn evaluations(args: &Args) -> anyhow::Result<Vec<(PathBuf, Vec<Record>)>> {
    let mut files = args.eval.clone();
    if let Some(beside) = args.dir.first().map(|dir| dir.join(EVALUATION_FILE))
        && files.is_empty()
        && beside.exists()
    {
        files.push(beside);
    }
    let mut results = Vec::new();
    for file in files {
        let mut records = Vec::new();
        let text =
            bounded_file::text(&file).with_context(|| format!("cannot read {}", file.display()))?;
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let record = Record::read(line).with_context(|| {
                format!("{} is not what `engram eval --json` prints", file.display())
            })?;
            records.push(record);
        }
        results.push((file, records));
    }
    Ok(results)
}

fn show(page: &mut Page, flown: &Flown, args: &Args) -> anyhow::Result<()> {
    let Some(origin) = flown.origin else {
        let none = flown.none.as_deref();
        if args.picture.is_some() {
            let none = none.unwrap_or("Give --flight LOG, a run's folder or --image FILE.");
            bail!("--picture shows flights, and there are none. {none}");
        }
        if let Some(none) = none {
            tell!("{none}");
            page.words(none);
        }
        return Ok(());
    };
    let title = args.title.as_deref();
    if let Some(path) = &args.picture
        && let Some(picture) = flights::picture(&flown.one, title, origin)
    {
        write(path, &picture)?;
        tell!("wrote {}", path.display());
    }
    flights::section(page, &flown.one, title, origin);
    let policies = flown.many.first().unwrap_or(&flown.float);
    let looking: Vec<&FlightTrace> = match origin {
        Origin::Logs => flown.one.iter().take(1).collect(),
        _ => policies.iter().collect(),
    };
    flights::attention(page, &looking);
    let many: Vec<&[FlightTrace]> = flown.many.iter().map(Vec::as_slice).collect();
    flights::over_tasks(page, &many);
    let telling = if flown.float.is_empty() {
        policies
    } else {
        &flown.float
    };
    flights::memory(page, &telling.iter().collect::<Vec<_>>());
    Ok(())
}

/// The training runs in `dirs`; a folder without a curve, as of a policy that was copied, has nothing to show.
fn training_runs(dirs: &[PathBuf]) -> anyhow::Result<Vec<TrainingRun>> {
    let with_curve = dirs.iter().filter(|dir| folder::holds(dir, CURVE_FILE));
    with_curve
        .map(|dir| {
            let checkpoint = Checkpoint::load(dir)?;
            Ok(TrainingRun {
                folder: dir.display().to_string(),
                plant: checkpoint.plant,
                agent: checkpoint.agent.to_string(),
                seed: checkpoint.seed,
                training_return: checkpoint.training_return,
                points: curve::read(dir)?,
                laps: timing::read(dir)?,
            })
        })
        .collect()
}
