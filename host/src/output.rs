//! All that the command prints: results on standard output, words about them on standard error.
//!
//! A result that cannot be printed is an error ([`OutputError`]), never a panic, and comes after the work: whoever flies or
//! trains prints last. A word that cannot be shown changes nothing. `println!` and `eprintln!`, which panic, are lints here.

use std::fmt::Arguments;
use std::io::{ErrorKind, IsTerminal, Write, stderr, stdout};

use tracing_subscriber::fmt::MakeWriter;

/// Prints a line of the result on standard output; a `Result`, see [`result`].
macro_rules! say {
    ($($text:tt)*) => { $crate::output::result(format_args!($($text)*)) };
}
/// Prints a line about the work on standard error, see [`remark`].
macro_rules! tell {
    ($($text:tt)*) => { $crate::output::remark(format_args!($($text)*)) };
}
pub(crate) use {say, tell};

/// Why a result did not reach standard output.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    /// Whoever read it has seen enough (`engram ... | head -1`): the command ends quietly, and as a success.
    #[error("nobody reads standard output any more")]
    Closed,
    /// It cannot be written.
    #[error("the result cannot be written to standard output: {0}")]
    Write(std::io::Error),
}

impl From<std::io::Error> for OutputError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Write(error),
        }
    }
}

/// Prints a line on standard output; behind `say!`.
///
/// # Errors
/// Standard output is closed or cannot be written.
pub(crate) fn result(line: Arguments<'_>) -> Result<(), OutputError> {
    Ok(writeln!(stdout(), "{line}")?)
}

/// Prints a line on standard error, or nothing where that cannot be written; behind `tell!`.
pub(crate) fn remark(line: Arguments<'_>) {
    // In one piece, or two processes that write into one file mix their lines.
    let _ = stderr().write_all(format!("{line}\n").as_bytes());
}

/// Whether words on standard error may have colours: it is a terminal, and `NO_COLOR` (<https://no-color.org>) does not forbid them.
#[must_use]
pub(crate) fn colours() -> bool {
    stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Standard error for lines of a log, which are lost where it cannot be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogLines;

impl Write for LogLines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let _ = stderr().write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for LogLines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}
