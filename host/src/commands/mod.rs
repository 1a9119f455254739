//! The `engram` command line: one file per subcommand, each with its `Args` and a `run`.
//!
//! A subcommand parses, calls the library and prints; `train`, `eval`, `export` and `report` also put their work together here.
//! Results go to standard output (one JSON object with `--json`), words about progress to
//! standard error, so that a script can read the one without the other; `output` prints both.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use engram_plants::{Plants, UnfitPlant};

use crate::output::{LogLines, OutputError, colours, tell};

pub mod bench;
pub mod boards;
mod choice;
pub mod eval;
pub mod export;
pub mod flash;
pub mod fly;
pub mod inspect;
pub mod keygen;
pub mod new_robot;
pub mod policy;
pub mod replay;
pub mod report;
pub mod sign;
pub mod train;
pub mod watch;

/// Robot policies that adapt on the controller itself: meta-train on the host, quantize, flash, fly.
#[derive(Parser, Debug)]
#[command(name = "engram", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Train(train::Args),
    Eval(eval::Args),
    Export(export::Args),
    Inspect(inspect::Args),
    Keygen(keygen::Args),
    Sign(sign::Args),
    NewRobot(new_robot::Args),
    Policy(policy::Args),
    Boards(boards::Args),
    Flash(flash::Args),
    Watch(watch::Args),
    Fly(fly::Args),
    Replay(replay::Args),
    Bench(bench::Args),
    Report(report::Args),
}

/// The whole command on the plants that we bring: [`main_with`] of these.
#[must_use]
pub fn main() -> ExitCode {
    main_with(Ok(Plants::built_in()))
}

/// The `main` of a program that has plants of its own beside ours: parses the command line, runs the subcommand and turns its
/// error into words and an exit code.
///
/// ```no_run
/// use std::process::ExitCode;
///
/// use engram_plants::Plants;
/// # use engram_plants::pendulum::Pendulum as Servo;
///
/// fn main() -> ExitCode {
///     // Any type that implements `engram_plants::Plant`, by a function that makes one.
///     engram::commands::main_with(Plants::built_in().with(Servo::new))
/// }
/// ```
///
/// Returns success only when the subcommand did what was asked. A plant that is refused fails every subcommand.
#[must_use]
pub fn main_with(plants: Result<Plants, UnfitPlant>) -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(shown) if shown.use_stderr() => {
            let _ = shown.print();
            return ExitCode::from(2);
        }
        // What --help and --version print.
        Err(shown) => {
            return match shown.print().map_err(OutputError::from) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => failure(&error.into()),
            };
        }
    };
    let plants = match plants {
        Ok(plants) => plants,
        Err(error) => return failure(&error.into()),
    };
    tracing_subscriber::fmt()
        .with_writer(LogLines)
        .with_ansi(colours())
        .with_target(false)
        .without_time()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("ENGRAM_LOG")
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info")),
        )
        .init();
    let result = match cli.command {
        Command::Train(args) => train::run(args, &plants),
        Command::Eval(args) => eval::run(args, &plants),
        Command::Export(args) => export::run(args, &plants),
        Command::Inspect(args) => inspect::run(args),
        Command::Keygen(args) => keygen::run(args),
        Command::Sign(args) => sign::run(args),
        Command::NewRobot(args) => new_robot::run(args),
        Command::Policy(args) => policy::run(args),
        Command::Boards(args) => boards::run(args),
        Command::Flash(args) => flash::run(args),
        Command::Watch(args) => watch::run(args),
        Command::Fly(args) => fly::run(args, &plants),
        Command::Replay(args) => replay::run(args),
        Command::Bench(args) => bench::run(args, &plants),
        Command::Report(args) => report::run(args, &plants),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure(&error),
    }
}

/// Says what went wrong, unless it is only that nobody reads on.
fn failure(error: &anyhow::Error) -> ExitCode {
    if let Some(OutputError::Closed) = error.downcast_ref() {
        return ExitCode::SUCCESS;
    }
    tell!("error: {error:#}");
    ExitCode::FAILURE
}
