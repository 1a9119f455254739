//! The policy step on ONNX Runtime, tract, candle and burn, beside Engram's: outputs compared, then timed interleaved
//! in one process on one thread.
//!
//! `scripts/peers` builds it with all engines and runs it. `docs/src/notebook/peers.md` says what is compared with what.
#![forbid(unsafe_code)]
// A build with some engines alone leaves parts of the graphs unused.
#![cfg_attr(not(feature = "all"), allow(dead_code, unused_imports))]

mod cache;
mod compare;
mod contenders;
mod engine;
mod floor;
mod graph;
mod reference;
mod report;
mod timing;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::Context as _;
use clap::Parser;
use engram_firmware::policy::Backend;
use engram_image::Image;
use engram_image::shapes::REFERENCE;
use engram_kernels::CacheLine;

use reference::Reference;
use report::{Row, Table};

/// The policy step on ONNX Runtime, tract, candle and burn, beside Engram's.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Turns of every contender.
    #[arg(long, default_value_t = 200)]
    rounds: usize,
    /// Only this shape: S, M or P.
    #[arg(long)]
    shape: Option<String>,
    /// Prints one JSON object instead of tables.
    #[arg(long)]
    json: bool,
    /// ONNX Runtime's library, which `scripts/set-up --onnxruntime` fetches.
    #[arg(long, default_value = "target/onnxruntime/lib/libonnxruntime.so")]
    library: PathBuf,
}

/// What candle takes the number of its threads from.
const THREADS: &str = "RAYON_NUM_THREADS";

fn main() -> anyhow::Result<ExitCode> {
    if std::env::var_os(THREADS).is_none_or(|threads| threads != "1") {
        let program = std::env::current_exe().context("the path of this program")?;
        let status = Command::new(program)
            .args(std::env::args_os().skip(1))
            .env(THREADS, "1")
            .status()?;
        return Ok(ExitCode::from(
            u8::try_from(status.code().unwrap_or(1)).unwrap_or(1),
        ));
    }
    #[cfg(feature = "candle")]
    engine::candle::stay_on_this_thread()?;
    let arguments = Arguments::parse();
    let mut tables = Vec::new();
    for (name, config) in REFERENCE {
        if arguments.shape.as_ref().is_none_or(|only| only == name) {
            tables.push(measure(name, config, &arguments)?);
        }
    }
    anyhow::ensure!(!tables.is_empty(), "there is no such shape: S, M or P");
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report::json(&tables))?);
    } else {
        tables.iter().for_each(|table| println!("{table}"));
    }
    Ok(ExitCode::SUCCESS)
}

fn measure(
    name: &'static str,
    config: engram_image::ModelConfig,
    arguments: &Arguments,
) -> anyhow::Result<Table> {
    let reference = Reference::new(config)?;
    let image = Image::read(&reference.image).map_err(|error| anyhow::anyhow!("{error}"))?;
    let mut lines = vec![CacheLine::ZERO; Backend::best().lines(&image)];
    let mut contenders = Vec::from(contenders::engram(&reference, &image, &mut lines));
    contenders.extend(contenders::peers(&reference, &arguments.library)?);
    let differences = contenders
        .iter_mut()
        .map(|contender| compare::compare(&reference, contender))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let (costs, floor) = timing::time(&reference, &mut contenders, arguments.rounds)?;
    let rows =
        contenders
            .iter()
            .zip(differences)
            .zip(costs)
            .map(|((contender, difference), cost)| Row {
                engine: contender.engine,
                function: contender.function.name(),
                variant: contender.variant.clone(),
                is_equal: contender.is_equal,
                difference,
                cost,
            });
    Ok(Table {
        name,
        floor,
        rows: rows.collect(),
    })
}
