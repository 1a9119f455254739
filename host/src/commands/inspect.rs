//! `engram inspect`: what an image says about itself, after the checks that a board makes.

use std::path::PathBuf;

use anyhow::{Context, bail};
use engram_export::{PackedWeights, verify};
use engram_firmware::policy::{BUFFERS_BYTES, Policy, bytes_with};
use engram_firmware::signature::PublicKey;
use engram_image::header::Header;
use engram_image::write::in_rows;
use engram_image::{Contract, Image, Reward};
use serde_json::{Value, json};

use crate::output::{OutputError, say};
use engram_flight::board::BoardName;
use engram_flight::footprint::Footprint;

/// Show an image: contract, dimensions, what it needs, where it comes from.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  engram inspect pendulum.engram --json | jq .macs_per_step
  engram inspect signed.engram --key $(cat robot.pub)

The file is read and its golden trace replayed as a board does it; an image that a board would refuse is an error.
With --board, ram_bytes is the static RAM of that board's firmware, its cache for any policy included, stack_bytes what it keeps for
the stack (null where the system gives it), board_state_bytes what the policy keeps from step to step as that board's
kernels lay it out, and board_cache_bytes what it must lend to the policy for that; without, ram_bytes is the policy's memory alone.
`engram fly` measures how deep the stack gets.")]
pub struct Args {
    /// The image.
    file: PathBuf,
    /// Add what the built firmware of this board takes: loopback, qemu-m7, qemu-m55, qemu-f405, qemu-linux, qemu-linux-rt, linux.
    #[arg(long)]
    board: Option<BoardName>,
    /// Public key that must have signed the image: 64 hexadecimal digits, as `engram keygen` prints them.
    #[arg(long, value_name = "KEY")]
    key: Option<PublicKey>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Reads, verifies and prints.
///
/// # Errors
/// The file cannot be read, is not an image, or does not reproduce its golden trace.
pub fn run(args: Args) -> anyhow::Result<()> {
    let bytes = engram_flight::image_file::read(&args.file)?;
    let image = match Image::read(&bytes) {
        Ok(image) => image,
        Err(error) => bail!(
            "{} is not a valid image: {error}; `engram export` makes one",
            args.file.display()
        ),
    };
    if let Some(key) = &args.key {
        let header = Header::read(&bytes)?;
        let signed = key.verify(&header);
        signed.with_context(|| {
            format!(
                "{}: a board with this key would refuse it",
                args.file.display()
            )
        })?;
    }
    verify(&in_rows(bytes.clone())?)
        .with_context(|| format!("{}: a board would refuse it", args.file.display()))?;
    let firmware = match args.board {
        None => None,
        Some(board) => board.find_firmware()?,
    };
    let footprint = match firmware {
        Some(firmware) => {
            Some(Footprint::read(&firmware).with_context(|| format!("{}", firmware.display()))?)
        }
        None => None,
    };
    if args.json {
        say!("{}", record(&args, &image, footprint))?;
    } else {
        print(&args, &image, footprint)?;
    }
    Ok(())
}

/// The contract with every number that a script may check.
pub(super) fn contract_json(contract: &Contract<'_>) -> Value {
    let observations: Vec<_> = contract
        .observations
        .iter()
        .map(|channel| {
            json!({ "name": channel.name, "unit": channel.unit, "min": channel.min, "max": channel.max })
        })
        .collect();
    let actions: Vec<_> = contract
        .actions
        .iter()
        .map(|channel| {
            json!({
                "name": channel.name, "unit": channel.unit, "min": channel.min, "max": channel.max,
                "slew_per_s": channel.slew_per_s, "safe": channel.safe,
            })
        })
        .collect();
    let reward = match &contract.reward {
        Reward::External => json!({ "kind": "external" }),
        Reward::Formula(formula) => json!({
            "kind": "formula",
            "constant": formula.constant,
            "linear": formula.linear.as_slice(),
            "quadratic": formula.quadratic.as_slice(),
            "action_quadratic": formula.action_quadratic.as_slice(),
        }),
    };
    json!({
        "period_s": f64::from(contract.period_us) * 1e-6,
        "observations": observations,
        "actions": actions,
        "reward": reward,
        "sha256": hex::encode(contract.digest()),
    })
}

/// Bytes that persist from step to step on a board, and bytes of cache that it must lend; `None` without a board, and where only
/// that board's processor knows.
fn needs(board: Option<BoardName>, image: &Image<'_>) -> Option<[usize; 2]> {
    match board? {
        BoardName::QemuLinux | BoardName::QemuLinuxRt => None,
        board => Some(match board.kv_layout() {
            Some(kv_layout) => bytes_with(kv_layout, &image.config),
            None => {
                let weights = PackedWeights::new(image);
                let policy = weights.policy(image);
                [policy.state_bytes(), policy.cache_bytes()]
            }
        }),
    }
}

fn record(args: &Args, image: &Image<'_>, footprint: Option<Footprint>) -> Value {
    let config = &image.config;
    let provenance = &image.provenance;
    let accumulators: serde_json::Map<String, Value> = image
        .weights
        .matrices()
        .zip(&image.bounds.accumulator)
        .map(|((name, _), bound)| (name.to_string(), json!(bound)))
        .collect();
    let needs = needs(args.board, image);
    let here = BUFFERS_BYTES + Policy::from(image).cache_bytes();
    json!({
        "file": args.file.display().to_string(),
        "config": {
            "observations": config.observations,
            "actions": config.actions,
            "layers": config.layers,
            "heads": config.heads,
            "model": config.model,
            "ff": config.ff,
            "window": config.window,
            "hidden": config.hidden,
            "positions": config.positions.to_string(),
            "head_input": config.head_input.to_string(),
            "receptive_field": config.receptive_field(),
        },
        "contract": contract_json(&image.contract),
        "macs_per_step": image.bounds.macs_per_step,
        "flash_bytes": image.total_length,
        "ram_bytes": footprint.map_or(here as u64, |footprint| footprint.ram_bytes),
        "state_bytes": image.bounds.state_bytes,
        "board_state_bytes": needs.map(|[state, _]| state),
        "board_cache_bytes": needs.map(|[_, cache]| cache),
        "stack_bytes": footprint.and_then(|footprint| footprint.stack_bytes),
        "board": args.board.map(BoardName::name),
        "firmware_flash_bytes": footprint.map(|footprint| footprint.flash_bytes),
        "accumulator_bounds": accumulators,
        "golden_steps": image.golden.steps,
        "sha256": hex::encode(image.sha256),
        "weights_sha256": hex::encode(image.weights_sha256),
        "counter": image.counter,
        "signed": image.signed,
        "signed_by": args.key.map(|key| key.to_string()),
        "provenance": {
            "plant": provenance.plant,
            "version": provenance.version,
            "seed": provenance.seed,
            "config_sha256": hex::encode(provenance.config_sha256),
            "training_return": provenance.training_return,
        },
    })
}

fn print(args: &Args, image: &Image<'_>, footprint: Option<Footprint>) -> Result<(), OutputError> {
    let (config, contract, provenance) = (&image.config, &image.contract, &image.provenance);
    say!(
        "{}: a valid image; its golden trace of {} steps replays",
        args.file.display(),
        image.golden.steps
    )?;
    say!("\ncontract, {} Hz", 1e6 / f64::from(contract.period_us))?;
    for channel in &contract.observations {
        say!(
            "  observes  {:<24} {:>10} to {:<10} {}",
            channel.name,
            channel.min,
            channel.max,
            channel.unit
        )?;
    }
    for channel in &contract.actions {
        say!(
            "  commands  {:<24} {:>10} to {:<10} {}, at most {} {}/s, safe {}",
            channel.name,
            channel.min,
            channel.max,
            channel.unit,
            channel.slew_per_s,
            channel.unit,
            channel.safe
        )?;
    }
    let reward = match contract.reward {
        Reward::External => "sent with every sample",
        Reward::Formula(formula) if formula.is_zero() => "none: the policy is told 0",
        Reward::Formula(_) => "computed on board from observation and command",
    };
    say!("  reward    {reward}")?;
    say!(
        "\npolicy\n  {} layers of width {} with {} heads, feed-forward {}, window {} ({} positions, sees {} steps), head {} on {}",
        config.layers,
        config.model,
        config.heads,
        config.ff,
        config.window,
        config.positions,
        config.receptive_field(),
        config.hidden.map(|width| width.to_string()).join("-"),
        config.head_input
    )?;
    say!("\nneeds")?;
    say!("  flash   {} bytes", image.total_length)?;
    say!(
        "  memory  {} bytes of window, in {} bytes of cache beside {BUFFERS_BYTES} bytes of buffers (--board: what a board takes)",
        image.bounds.state_bytes,
        Policy::from(image).cache_bytes()
    )?;
    say!(
        "  work    {} multiply-accumulates per step",
        image.bounds.macs_per_step
    )?;
    let worst = image.bounds.accumulator.iter().copied().max().unwrap_or(0);
    say!(
        "  worst accumulator {:.1} % of 32 bits",
        100.0 * f64::from(worst) / f64::from(1_u32 << 31)
    )?;
    if let (Some(board), Some(footprint)) = (args.board, footprint) {
        say!(
            "  on {board}: firmware {} bytes of flash, {} bytes of static RAM with the cache that it lends",
            footprint.flash_bytes,
            footprint.ram_bytes
        )?;
        if let Some(stack_bytes) = footprint.stack_bytes {
            say!(
                "  on {board}: {stack_bytes} bytes of stack; `engram fly` measures how deep it gets"
            )?;
        }
        if let Some([state, cache]) = needs(args.board, image) {
            say!(
                "  on {board}: {cache} bytes of cache, {state} of them window as its kernels lay it out; it refuses the image if it has less"
            )?;
        }
    }
    say!("\nprovenance")?;
    say!(
        "  plant {}, seed {}, engram {}, training return {}",
        provenance.plant,
        provenance.seed,
        provenance.version,
        provenance.training_return
    )?;
    say!("  image    {}", hex::encode(image.sha256))?;
    say!("  weights  {}", hex::encode(image.weights_sha256))?;
    say!("  counter  {}", image.counter)?;
    match (image.signed, args.key) {
        (_, Some(key)) => say!("  signed by {key}"),
        (true, None) => say!("  signed (--key KEY checks by whom)"),
        (false, None) => say!("  not signed"),
    }
}
