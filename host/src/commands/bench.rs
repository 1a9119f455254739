//! `engram bench`: what a control step and a simulated step cost, on this machine and on microcontrollers.

mod row;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, bail};
use engram_export::PackedWeights;
use engram_firmware::policy::Backend;
use engram_image::Image;
use engram_image::write::in_rows;

use crate::measure::{latency, shapes};
use crate::output::{OutputError, say};
use engram_flight::board::BoardName;
use engram_flight::instructions::{KernelCost, instructions};
use engram_plants::Plants;
use engram_plants::speed::{Bounds, PlantSpeed, ROUNDS, plant_speed};
use row::{Row, print_board, print_here};

/// Measure the integer policy's control step, and the speed of plants.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  engram bench                           the images that ship and the reference shapes, on this machine
  engram bench --image policy.engram
  engram bench --board qemu-m7 --shapes S,M
  engram bench --board qemu-linux --shapes M --functions
  engram bench --plant pendulum --json

Shapes: pendulum and half-cheetah-vel (the images that ship), then with random weights S, M and P (the paper's, slot
positions). Times are of single steps on one thread with warm caches, without the clock's own. The floor is measured in the same run: reading as many bytes as the weights have, or as many
multiply-accumulates on weights in the first-level cache, whichever takes longer. 'spin loop' is p99 over
median of a loop that does nothing, run between the steps: what the machine does to any program.

With --board, instructions that a Cortex-M7 (qemu-m7), a Cortex-M55 (qemu-m55) or 64-bit ARM (qemu-linux) executes are
counted in QEMU, exactly: per step, per multiply-accumulate and per kernel, with RAM and stack as the board measures them, on
every path of the board. They are not cycles. It needs `scripts/build-boards bench-mps2 bench-mps3 bench-linux`. null in the
JSON: not measured on that target, such as the stack of a Linux program, which the system gives.")]
pub struct Args {
    /// Shapes to measure; all of them by default.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    shapes: Vec<String>,
    /// Measure this image instead of the reference shapes.
    #[arg(long, conflicts_with = "shapes")]
    image: Option<PathBuf>,
    /// Count instructions on this board instead of taking times here: qemu-m7, qemu-m55 or qemu-linux.
    #[arg(long, conflicts_with_all = ["plant", "steps"])]
    board: Option<BoardName>,
    /// Also name the functions in which a full step spends its instructions.
    #[arg(long, requires = "board")]
    functions: bool,
    /// Measure a plant's simulated steps per second on one core instead.
    #[arg(long, conflicts_with_all = ["shapes", "image"])]
    plant: Option<String>,
    /// Steps to time per shape, or per round of a plant, at most.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    steps: Option<u32>,
    /// Time a plant for so many seconds, in three rounds; 5 by default.
    #[arg(long, requires = "plant", value_name = "S", value_parser = seconds)]
    seconds: Option<f64>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Default, serde::Serialize)]
struct Report {
    shapes: Vec<Row>,
    /// With a board: instructions of its kernels on inputs of a fixed size.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    kernels: BTreeMap<String, KernelCost>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    plants: Vec<PlantSpeed>,
}

/// Steps that are timed unless told otherwise.
const STEPS: usize = 20_000;
/// How long a plant is timed unless told otherwise: slow robots make a few hundred steps per second.
const PLANT_SECONDS: f64 = 5.0;

/// A time above 0.
fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if seconds.is_finite() && seconds > 0.0 {
        Ok(seconds)
    } else {
        Err("it must be finite and above 0".to_owned())
    }
}

/// Measures and prints.
///
/// # Errors
/// Names the shape, image, board or plant that does not exist or cannot be used.
pub fn run(args: Args, plants: &Plants) -> anyhow::Result<()> {
    let mut report = Report::default();
    let steps = args.steps.map(|steps| steps as usize);
    if let Some(name) = &args.plant {
        let bounds = Bounds {
            steps: steps.unwrap_or(usize::MAX),
            seconds: args.seconds.unwrap_or(PLANT_SECONDS),
        };
        report
            .plants
            .push(plant_speed(plants.open(name)?.make().as_mut(), bounds));
    }
    for (name, bytes) in images(&args)? {
        let image = Image::read(&bytes).with_context(|| format!("{name} is not a valid image"))?;
        match args.board {
            Some(board) => {
                for cost in instructions(board, &image, args.functions)? {
                    report.shapes.push(Row::on(&name, &image, board, &cost));
                    report.kernels = cost.kernels;
                }
            }
            None => rows(
                &name,
                (&image, &bytes),
                steps.unwrap_or(STEPS),
                &mut report.shapes,
            )?,
        }
    }
    if args.json {
        say!("{}", serde_json::to_string(&report)?)?;
    } else {
        print(&report, args.board.is_some())?;
    }
    Ok(())
}

/// What is to be measured, by name, in rows.
fn images(args: &Args) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    if args.plant.is_some() {
        return Ok(Vec::new());
    }
    if let Some(path) = &args.image {
        let name = path.display().to_string();
        let bytes = engram_flight::image_file::read(path)?;
        let bytes = in_rows(bytes).with_context(|| format!("{name} is not a valid image"))?;
        return Ok(vec![(name, bytes)]);
    }
    let all = shapes();
    for name in &args.shapes {
        if !all.iter().any(|shape| shape.name == name) {
            let known: Vec<_> = all.iter().map(|shape| shape.name).collect();
            bail!("there is no shape '{name}'; there is: {}", known.join(", "));
        }
    }
    let wanted = |name: &str| args.shapes.is_empty() || args.shapes.iter().any(|n| n == name);
    all.iter()
        .filter(|shape| wanted(shape.name))
        .map(|shape| Ok((shape.name.to_owned(), shape.image()?.into_owned())))
        .collect()
}

/// One row for every path of this machine, the fastest first.
fn rows(
    name: &str,
    (image, bytes): (&Image<'_>, &[u8]),
    steps: usize,
    rows: &mut Vec<Row>,
) -> anyhow::Result<()> {
    for path in Backend::ALL.into_iter().filter(|path| path.is_available()) {
        let weights = PackedWeights::on(path, image);
        let policy = weights.policy(image);
        // A shape that the path does not take runs portably, and has that row already.
        if policy.backend() == path {
            let latency = latency(image, bytes, &weights, steps)?;
            rows.push(Row::here(name, image, &policy, &latency));
        }
    }
    Ok(())
}

/// A rate with three significant digits: 26.7 million, 5340, 0.412.
fn three_digits(rate: f64) -> String {
    if rate >= 1e6 {
        return format!("{} million", three_digits(rate * 1e-6));
    }
    let rounded: f64 = format!("{rate:.2e}").parse().unwrap_or(rate);
    let places = (2.0 - rounded.log10().floor()).clamp(0.0, 9.0) as usize;
    format!("{rounded:.places$}")
}

fn print(report: &Report, is_board: bool) -> Result<(), OutputError> {
    if is_board {
        print_board(&report.shapes, &report.kernels)?;
    } else if !report.shapes.is_empty() {
        print_here(&report.shapes)?;
    }
    for plant in &report.plants {
        say!(
            "{}: {} steps per second of one core's time (best of {} rounds: {} steps; {:.1} s in all)",
            plant.name,
            three_digits(plant.steps_per_s),
            ROUNDS,
            plant.steps,
            plant.wall_s
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_rate_has_three_digits_however_small() {
        for (rate, text) in [
            (26_712_345.0, "26.7 million"),
            (999_700.0, "1000000"),
            (5_341.2, "5340"),
            (999.7, "1000"),
            (41.27, "41.3"),
            (0.41239, "0.412"),
            (0.004, "0.00400"),
        ] {
            assert_eq!(super::three_digits(rate), text);
        }
    }
}
