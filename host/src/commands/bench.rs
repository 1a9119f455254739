//! `engram bench`: what a control step and a simulated step cost on this machine.

use std::path::PathBuf;

use anyhow::{Context, bail};
use engram_firmware::policy::{Memory, Path, Policy};
use engram_image::Image;
use engram_kernels::Line;

use crate::measure::{Latency, PlantSpeed, latency, plant_speed, random_image, shapes};
use crate::plant;

/// Measure the integer policy's control step, and the speed of plants.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  engram bench                       reference shapes with random weights, on this machine
  engram bench --image policy.engram
  engram bench --plant pendulum --json

Shapes: pendulum (the preset), S, M and P (the paper's, slot positions). Times are of single steps on one thread with warm
caches. Not measured here, and null in the JSON: allocations (the firmware crates have no allocator to call), the
machine's floor, instructions per step, and a board's stack (`engram inspect --board`).")]
pub struct Args {
    /// Shapes to measure; all of them by default.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    shapes: Vec<String>,
    /// Measure this image instead of the reference shapes.
    #[arg(long, conflicts_with = "shapes")]
    image: Option<PathBuf>,
    /// Measure a plant's simulated steps per second on one core instead.
    #[arg(long, conflicts_with_all = ["shapes", "image"])]
    plant: Option<String>,
    /// Steps to time per shape, or per round of a plant.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    steps: Option<u32>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// One line of the result.
#[derive(serde::Serialize)]
struct Row {
    name: String,
    target: &'static str,
    path: &'static str,
    macs: u64,
    #[serde(flatten)]
    latency: Latency,
    allocations: Option<u64>,
    instructions_per_step: Option<u64>,
    /// Bytes that persist from step to step.
    ram_bytes: u32,
    stack_bytes: Option<u32>,
    /// Bytes of the runtime's static memory, which is sized for the largest policy.
    memory_bytes: usize,
    /// Bytes of the image file.
    image_bytes: u32,
}

#[derive(serde::Serialize)]
struct Report {
    shapes: Vec<Row>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    plants: Vec<PlantSpeed>,
}

/// Measures and prints.
///
/// # Errors
/// Names the shape, image or plant that does not exist or cannot be read.
pub fn run(args: Args) -> anyhow::Result<()> {
    let mut report = Report {
        shapes: Vec::new(),
        plants: Vec::new(),
    };
    let steps = args.steps.map(|steps| steps as usize);
    if let Some(name) = &args.plant {
        report.plants.push(plant_speed(
            plant::by_name(name)?.as_mut(),
            // A MuJoCo plant makes some ten thousand steps per second, the pendulum many million.
            steps.unwrap_or(if plant::NAMES.contains(&name.as_str()) {
                20_000_000
            } else {
                50_000
            }),
        ));
    } else if let Some(path) = &args.image {
        let bytes =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        report.shapes.extend(rows(
            &path.display().to_string(),
            &bytes,
            steps.unwrap_or(20_000),
        )?);
    } else {
        let all = shapes();
        for name in &args.shapes {
            if !all.iter().any(|shape| shape.name == name) {
                let known: Vec<_> = all.iter().map(|shape| shape.name).collect();
                bail!("there is no shape '{name}'; there is: {}", known.join(", "));
            }
        }
        for shape in all
            .iter()
            .filter(|shape| args.shapes.is_empty() || args.shapes.iter().any(|n| n == shape.name))
        {
            let bytes = random_image(&shape.config, 0)?;
            report
                .shapes
                .extend(rows(shape.name, &bytes, steps.unwrap_or(20_000))?);
        }
    }
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print(&report);
    }
    Ok(())
}

/// One row for every path of this machine, the fastest first.
fn rows(name: &str, bytes: &[u8], steps: usize) -> anyhow::Result<Vec<Row>> {
    let image = Image::read(bytes).with_context(|| format!("{name} is not a valid image"))?;
    Path::ALL
        .into_iter()
        .filter(|path| path.is_available())
        .map(|path| row(name, &image, path, steps))
        .collect()
}

fn row(name: &str, image: &Image<'_>, path: Path, steps: usize) -> anyhow::Result<Row> {
    let mut lines = vec![Line::ZERO; path.lines(image)];
    let policy = Policy::new(path, image, &mut lines);
    Ok(Row {
        name: name.to_owned(),
        target: std::env::consts::ARCH,
        path: policy.path().name(),
        macs: image.bounds.macs_per_step,
        latency: latency(&policy, steps)?,
        allocations: None,
        instructions_per_step: None,
        ram_bytes: image.bounds.state_bytes,
        stack_bytes: None,
        memory_bytes: size_of::<Memory>(),
        image_bytes: image.total_length,
    })
}

fn print(report: &Report) {
    if !report.shapes.is_empty() {
        println!(
            "{:<12} {:<12} {:>10} {:>11} {:>9} {:>9} {:>9} {:>11} {:>12}",
            "shape",
            "path",
            "MACs",
            "median us",
            "p99 us",
            "max us",
            "floor us",
            "state bytes",
            "image bytes"
        );
    }
    for row in &report.shapes {
        println!(
            "{:<12} {:<12} {:>10} {:>11.2} {:>9.2} {:>9.2} {:>9.2} {:>11} {:>12}",
            row.name,
            row.path,
            row.macs,
            row.latency.median_us,
            row.latency.p99_us,
            row.latency.max_us,
            row.latency.floor_us,
            row.ram_bytes,
            row.image_bytes
        );
    }
    for plant in &report.plants {
        println!(
            "{}: {:.4} million steps per second of one core's time",
            plant.name,
            plant.steps_per_s * 1e-6
        );
    }
}
