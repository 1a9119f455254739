//! `engram new-robot`: a crate for a robot's own controller, from the robot's file.

mod board;
mod contract;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use engram_image::{Image, OwnedContract, Reward};
use serde_json::json;

use self::board::Board;
use crate::output::say;
use engram_flight::image_file;
use engram_plants::robot;

/// Write a crate for a robot's own controller: its contract, places for its drivers, its firmware on a board, and tests.
///
/// The crate builds as it is and its tests pass. Its contract is the one of the robot's file, so that the images that are trained
/// on that file fly on it, and no others; `sensors.rs` and `actuators.rs` say channel by channel what is to be filled in. Without a
/// board it is a library, for a board of your own.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  engram new-robot examples/robots/balancer.toml --board stm32f405
  cd balancer && cargo test && cargo build --release --target thumbv7em-none-eabihf
  engram new-robot my-robot.toml --board linux --out firmware/my-robot
  engram new-robot policy.engram          the robot that an image was made for, without a board")]
pub struct Args {
    /// The robot's TOML file, or an image (.engram) that was made for it.
    file: PathBuf,
    /// The folder to make; without it the robot's name, here.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Whose firmware it is.
    #[arg(long, value_enum)]
    board: Option<Board>,
    /// Folder of Engram's sources; without it the one that this program was built in, or else its repository.
    #[arg(long, value_name = "DIR")]
    engram: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What a file says of a robot.
struct Subject {
    name: String,
    contract: OwnedContract,
}

/// Runs the subcommand.
///
/// # Errors
/// The file cannot be read or is wrong, or the folder exists or cannot be written.
pub fn run(args: Args) -> anyhow::Result<()> {
    let subject = read(&args.file)?;
    let folder = (args.out.clone()).unwrap_or_else(|| PathBuf::from(crate_name(&subject.name)));
    if folder.exists() {
        bail!("{} exists; --out names another folder", folder.display());
    }
    let files = files(&subject, &args)?;
    for (path, text) in &files {
        let path = folder.join(path);
        let parent = path.parent().unwrap_or(&folder);
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::write(&path, text))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let paths: Vec<_> = files.iter().map(|(path, _)| *path).collect();
    if args.json {
        return Ok(say!(
            "{}",
            json!({
                "folder": folder.display().to_string(),
                "files": paths,
                "robot": subject.name,
                "observations": subject.contract.observations.len(),
                "actions": subject.contract.actions.len(),
                "contract_sha256": hex::encode(subject.contract.contract().digest()),
            })
        )?);
    }
    say!("{}: {}", folder.display(), paths.join(", "))?;
    if subject.contract.reward.is_none() {
        say!(
            "  the policy is told its reward, and no board computes it: sensors.rs must bring one with every sample, or the robot's file\n  \
             say reward_input = \"none\" or \"formula\" before training"
        )?;
    }
    let build = args.board.map(Board::build);
    say!(
        "  next: fill in src/sensors.rs and src/actuators.rs, then\n  cd {} && cargo test{}",
        folder.display(),
        build.map_or_else(String::new, |build| format!(" && {build}"))
    )?;
    Ok(())
}

fn read(file: &Path) -> anyhow::Result<Subject> {
    let path = file.to_string_lossy();
    if path.ends_with(robot::EXTENSION) {
        let robot = robot::load(&path)?;
        return Ok(Subject {
            name: robot.spec.name.to_string(),
            contract: robot.spec.channels.clone(),
        });
    }
    let bytes = image_file::read(file)?;
    let image = Image::read(&bytes).map_err(|error| {
        anyhow::anyhow!(
            "{} is neither a robot's file ({}) nor an image: {error}",
            file.display(),
            robot::EXTENSION
        )
    })?;
    Ok(Subject {
        name: image.provenance.plant.to_owned(),
        contract: OwnedContract::from(&image.contract),
    })
}

/// A name that cargo takes.
fn crate_name(name: &str) -> String {
    let name: String = name
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() || letter == '_' {
                letter
            } else {
                '-'
            }
        })
        .collect();
    if name.starts_with(|first: char| first.is_ascii_alphabetic()) {
        name
    } else {
        format!("robot-{name}")
    }
}

/// Every file of the crate: its path in it, and its text.
fn files(subject: &Subject, args: &Args) -> anyhow::Result<Vec<(&'static str, String)>> {
    let contract = &subject.contract.contract();
    let actions: Vec<_> = contract
        .actions
        .iter()
        .map(|channel| identifier(channel.name))
        .collect();
    let reward = match contract.reward {
        Reward::External => {
            "// The contract wants the reward of the last action with every sample; without it nothing flies (ENG-SAFE-06).\n        sample.reward = None;"
        }
        Reward::Formula(_) => {
            "// The board computes what the policy is told of its reward.\n        sample.reward = None;"
        }
    };
    let name = crate_name(&subject.name);
    let main = match args.board {
        Some(_) => "//! - `main.rs` puts them on the board.\n",
        None => {
            "//! - The `main` of your board makes a `Node` with them and calls its `turn` for ever.\n"
        }
    };
    let filled = |template: &str| {
        template
            .replace("@name@", &subject.name)
            .replace(
                "@file@",
                &args.file.file_name().unwrap_or_default().to_string_lossy(),
            )
            .replace("@crate@", &name)
            .replace("@ident@", &name.replace('-', "_"))
            .replace("@main@", main)
            .replace("@period@", &contract.period_us.to_string())
            .replace("@observations@", &contract.observations.len().to_string())
            .replace("@pattern@", &actions.join(", "))
            .replace("@reward@", reward)
            .replace("@sha256@", &hex::encode(contract.digest()))
    };
    let measured: String = (contract.observations.iter())
        .map(|c| format!("        // {}\n", range(c.name, c.min, c.max, c.unit)))
        .collect();
    let commanded: String = (contract.actions.iter())
        .map(|c| (range(c.name, c.min, c.max, c.unit), c.safe))
        .map(|(range, safe)| format!("        // {range}, safe {safe}\n"))
        .collect();
    let sources = sources(args.engram.as_deref())?;
    let depend = |folder: &str| match &sources {
        Some(sources) => format!("{{ path = {:?} }}", sources.join(folder)),
        None => format!("{{ git = {:?} }}", env!("CARGO_PKG_REPOSITORY")),
    };
    let manifest = filled(include_str!("new_robot/Cargo.toml.txt"))
        .replace(
            "@bin@",
            &args
                .board
                .map_or_else(String::new, |board| board.program(&name)),
        )
        .replace(
            "@board@\n",
            &args
                .board
                .map_or_else(String::new, |board| board.dependencies(depend)),
        )
        .replace("@firmware@", &depend("firmware"))
        .replace("@image@", &depend("firmware/image"))
        .replace("@link@", &depend("firmware/link"));
    let mut files = vec![
        ("Cargo.toml", manifest),
        ("src/lib.rs", filled(include_str!("new_robot/lib.rs.txt"))),
        (
            "src/contract.rs",
            contract::text(&subject.name, contract, &args.file),
        ),
        (
            "src/sensors.rs",
            filled(include_str!("new_robot/sensors.rs.txt")).replace("@channels@\n", &measured),
        ),
        (
            "src/actuators.rs",
            filled(include_str!("new_robot/actuators.rs.txt")).replace("@channels@\n", &commanded),
        ),
        (
            "src/tests.rs",
            filled(include_str!("new_robot/tests.rs.txt")),
        ),
    ];
    let firmware = args.board.map(Board::files).unwrap_or_default();
    files.extend(firmware.iter().map(|(path, text)| (*path, filled(text))));
    Ok(files)
}

/// A channel's name and range, with the unit if it has one.
fn range(name: &str, min: f32, max: f32, unit: &str) -> String {
    match unit {
        "1" => format!("{name}: {min} to {max}"),
        unit => format!("{name}: {min} to {max} {unit}"),
    }
}

/// Where Engram's crates lie; `None`: in its repository alone.
fn sources(asked: Option<&Path>) -> anyhow::Result<Option<PathBuf>> {
    let is_there = |folder: &Path| folder.join("firmware/image/Cargo.toml").is_file();
    match asked {
        Some(folder) if is_there(folder) => Ok(Some(folder.canonicalize()?)),
        Some(folder) => bail!("{}: no sources of Engram are there", folder.display()),
        None => Ok(Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .filter(|folder| is_there(folder))
            .map(Path::to_owned)),
    }
}

/// A channel's name as Rust takes it.
fn identifier(name: &str) -> String {
    let name: String = name
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter.to_ascii_lowercase()
            } else {
                '_'
            }
        })
        .collect();
    format!("_{name}")
}
