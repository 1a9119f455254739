//! The `engram` command. Each subcommand lives in `engram::commands`; nothing is decided here.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    engram::commands::main()
}
