//! `engram export`: from a training run to a verified image.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use engram_export::Exported;
use engram_export::checkpoint::folder::write_one;
use engram_export::export::MatrixReport;
use engram_firmware::policy::{BUFFERS_BYTES, Policy};
use engram_image::write::{ImageSpec, write_packed};
use engram_image::{Image, Packing};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::evaluate::PairedCost;
use crate::export::{self, Export, Options};
use crate::output::{OutputError, say};
use engram_flight::board::BoardName;
use engram_flight::signer::Signer;
use engram_plants::Plants;

/// Largest loss of return that is taken, of what f32 has over random actions.
const COST_LIMIT: f64 = 0.01;

/// Calibrate, quantize, verify and write the policy of a training run.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  engram export runs/pendulum -o pendulum.engram
  engram export runs/pendulum -o signed.engram --for qemu-m7 --counter 4 --sign robot.pem

Ranges are taken from closed-loop trials of the f32 policy. The image is read back and its golden trace replayed by
the policy that boards run before anything is written. The return before and after is measured on held-out tasks with
the same seeds for both; where quantization costs more than 1 % of what the policy earns above random actions, nothing is
written either.")]
pub struct Args {
    /// Folder of the training run.
    run: PathBuf,
    /// Image to write.
    #[arg(short, long, value_name = "FILE.engram")]
    output: PathBuf,
    /// Board whose kernels the weights are packed for. Only such a board runs an image for `qemu-m7`; the others read
    /// the image that is exported without this, which runs everywhere.
    #[arg(long = "for", value_name = "BOARD")]
    board: Option<String>,
    /// Sign the image with this private key, packed as it is; `engram keygen` makes one.
    #[arg(long, value_name = "KEY.pem")]
    sign: Option<PathBuf>,
    /// Anti-rollback counter: boards with images in flash refuse an image with a lower one than that of the image they have
    /// confirmed.
    #[arg(long, value_name = "N", default_value_t = 0)]
    counter: u32,
    #[command(flatten)]
    options: Options,
    /// Write the image although quantization costs more than 1 %.
    #[arg(long)]
    accept_loss: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Exports and reports.
///
/// # Errors
/// Names the file, tensor, channel or step that is at fault. Nothing is written unless the image verifies and costs at
/// most 1 % of what the policy gains, or its cost is accepted.
pub fn run(args: Args, plants: &Plants) -> anyhow::Result<()> {
    let packing = packing_for(args.board.as_deref())?;
    let signer = args.sign.as_deref().map(Signer::read).transpose()?;
    let bar = ProgressBar::new_spinner();
    bar.set_style(
        ProgressStyle::with_template("{spinner} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner()),
    );
    bar.enable_steady_tick(std::time::Duration::from_millis(100));
    let Export { exported, cost } = export::from_run(&args.run, plants, &args.options, |stage| {
        bar.set_message(stage.to_string())
    })?;
    let image = Image::read(&exported.bytes).context("reading the image back")?;
    bar.finish_and_clear();
    judge(&args, &exported, cost.as_ref())?;
    // Verified and measured above as every program reads it; packing moves weights and changes none.
    let mut spec = ImageSpec::from(&image);
    spec.counter = args.counter;
    let mut bytes = write_packed(&spec, packing).with_context(|| {
        format!("the policy cannot be packed for {packing}; export without --for")
    })?;
    if let Some(signer) = &signer {
        bytes = signer.sign(bytes)?;
    }
    write(&args.output, &bytes)?;
    let image = Image::read(&bytes).context("reading the packed image back")?;
    let printed = if args.json {
        say!("{}", record(&args, &exported, &image, cost.as_ref()))
    } else {
        print(&args, &exported, &image, cost.as_ref())
    };
    Ok(printed?)
}

/// Refuses an image that costs too much, unless it was asked for. A cost that the tasks do not agree on is told.
fn judge(args: &Args, exported: &Exported, cost: Option<&PairedCost>) -> anyhow::Result<()> {
    let Some(cost) = cost else { return Ok(()) };
    let limit = 100.0 * COST_LIMIT;
    if cost.beyond(COST_LIMIT).is_none() {
        if cost.cost.is_some_and(|cost| cost > COST_LIMIT) {
            tracing::warn!(
                "{cost}: more than {limit} %, but {} tasks do not tell it from nothing; measure on more (--tasks)",
                args.options.tasks
            );
        }
        return Ok(());
    }
    let told = format!(
        "{cost}; at most {limit} % is taken. The integers are coarsest at {}",
        exported.report.coarsest()
    );
    if args.accept_loss {
        tracing::warn!("{told}");
        return Ok(());
    }
    bail!(
        "{told}\n{} was not written. Calibrate on more trials (--calibration-trials), train on with weight decay \
         (ppo.weight_decay), which keeps single channels from growing, or export another seed; --accept-loss writes the image \
         as it is",
        args.output.display()
    )
}

/// What a board's kernels read best.
pub(super) fn packing_for(board: Option<&str>) -> anyhow::Result<Packing> {
    match board {
        None => Ok(Packing::Rows),
        Some(name) => Ok(name.parse::<BoardName>()?.packing()),
    }
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if path.file_name().is_none() {
        bail!("{} is not a file name; give -o FILE.engram", path.display());
    }
    Ok(write_one(path, bytes)?)
}

fn print(
    args: &Args,
    exported: &Exported,
    image: &Image<'_>,
    cost: Option<&PairedCost>,
) -> Result<(), OutputError> {
    let report = &exported.report;
    say!(
        "{}: verified, {} golden steps replayed",
        args.output.display(),
        report.golden_steps
    )?;
    say!("  weights          {}", hex::encode(image.weights_sha256))?;
    say!("  image            {} bytes", image.total_length)?;
    say!("  counter          {}", image.counter)?;
    if let Some(path) = &args.sign {
        say!("  signed with      {}", path.display())?;
    }
    say!("  memory (window)  {} bytes", image.bounds.state_bytes)?;
    say!(
        "  work             {} multiply-accumulates per step",
        image.bounds.macs_per_step
    )?;
    say!("\n  matrix               rows  columns  weights SNR   accumulator")?;
    for MatrixReport {
        name,
        rows,
        columns,
        weight_snr_db,
        accumulator_bound,
    } in &report.matrices
    {
        let share = 100.0 * *accumulator_bound as f64 / f64::from(1_u32 << 31);
        say!("  {name:<19} {rows:>5} {columns:>8} {weight_snr_db:>9.1} dB {share:>11.1} %")?;
    }
    say!("\n  activation              beyond int8")?;
    for (site, share) in &report.errors.clipped {
        say!("  {:<23} {:>9.4} %", format!("{site:?}"), 100.0 * share)?;
    }
    for (layer, distance) in report.errors.attention.iter().enumerate() {
        say!(
            "  layer {layer}: {:.2} % of the attention goes to other memories than in f32",
            100.0 * distance
        )?;
    }
    say!(
        "  commands, {} steps open loop: rms error {:.4}, largest {:.4} of the half range ({:.1} dB)",
        report.errors.steps,
        report.errors.rms,
        report.errors.max,
        report.errors.snr_db
    )?;
    say!(
        "  with samples at the ends of their ranges in between: rms error {:.4}, largest {:.4}",
        report.outlier_errors.rms,
        report.outlier_errors.max
    )?;
    if let Some(cost) = cost {
        say!(
            "  return over {} held-out tasks: f32 {:.2}, integers {:.2}, random actions {:.2}",
            args.options.tasks,
            cost.reference,
            cost.other,
            cost.floor
        )?;
        say!("  {cost}")?;
    } else {
        say!("  what quantization costs in return was not measured (--tasks 0)")?;
    }
    Ok(())
}

fn record(
    args: &Args,
    exported: &Exported,
    image: &Image<'_>,
    cost: Option<&PairedCost>,
) -> serde_json::Value {
    let report = &exported.report;
    let matrices: Vec<_> = report
        .matrices
        .iter()
        .map(|matrix| {
            json!({
                "name": matrix.name,
                "rows": matrix.rows,
                "columns": matrix.columns,
                // Infinite without any error: not a number in JSON.
                "weight_snr_db": matrix.weight_snr_db.is_finite().then_some(matrix.weight_snr_db),
                "accumulator_bound": matrix.accumulator_bound,
            })
        })
        .collect();
    json!({
        "file": args.output.display().to_string(),
        "plant": image.provenance.plant,
        "flash_bytes": image.total_length,
        "ram_bytes": BUFFERS_BYTES + Policy::from(image).cache_bytes(),
        "state_bytes": image.bounds.state_bytes,
        "macs_per_step": image.bounds.macs_per_step,
        "sha256": hex::encode(image.sha256),
        "weights_sha256": hex::encode(image.weights_sha256),
        "counter": image.counter,
        "signed": image.signed,
        "golden_steps": report.golden_steps,
        "calibration_steps": report.calibration_steps,
        "command_error_rms": report.errors.rms,
        "command_error_max": report.errors.max,
        "outlier_command_error_rms": report.outlier_errors.rms,
        "outlier_command_error_max": report.outlier_errors.max,
        "attention_distance": report.errors.attention,
        "clipped": report.errors.clipped.iter().map(|(site, share)| (format!("{site:?}"), json!(share))).collect::<serde_json::Map<_, _>>(),
        "matrices": matrices,
        "tasks": args.options.tasks,
        "return_f32": cost.map(|cost| cost.reference),
        "return_image": cost.map(|cost| cost.other),
        "return_random": cost.map(|cost| cost.floor),
        "quantization_cost": cost.and_then(|cost| cost.cost),
        "quantization_cost_interval": cost.and_then(|cost| cost.interval),
    })
}
