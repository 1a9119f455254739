//! Being asked to end: Ctrl-C, a request to end (SIGTERM), and a terminal that hangs up (SIGHUP).

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::register;

/// A flag that is set when the process is asked to end, from now on. A hang-up is left alone where it is ignored already:
/// `nohup` asks for that. (An ignored Ctrl-C is caught all the same: shells ignore it for everything in the background, and
/// who sends it there means it.)
///
/// # Errors
/// The system's, where it does not let a signal be caught.
pub fn listen() -> io::Result<Arc<AtomicBool>> {
    let asked = Arc::new(AtomicBool::new(false));
    register(SIGINT, Arc::clone(&asked))?;
    register(SIGTERM, Arc::clone(&asked))?;
    #[cfg(unix)]
    if !hang_ups_are_ignored() {
        register(signal_hook::consts::SIGHUP, Arc::clone(&asked))?;
    }
    Ok(asked)
}

/// Whether whoever started this process had it ignore hang-ups, as `nohup` does. Where there is no `/proc`, nobody knows.
#[cfg(unix)]
#[must_use]
pub fn hang_ups_are_ignored() -> bool {
    std::fs::read_to_string("/proc/self/status")
        .is_ok_and(|status| ignores(&status, signal_hook::consts::SIGHUP))
}

/// Whether a process of this status ignores a signal.
#[cfg(unix)]
fn ignores(status: &str, signal: i32) -> bool {
    let mask = (status.lines())
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use signal_hook::consts::{SIGHUP, SIGPIPE};

    #[test]
    fn a_status_tells_what_is_ignored() {
        let status = "Name:\tx\nSigBlk:\t0000000000000001\nSigIgn:\t0000000000001001\n";
        assert!(ignores(status, SIGHUP) && ignores(status, SIGPIPE));
        assert!(!ignores(status, SIGINT) && !ignores(status, SIGTERM));
        assert!(!ignores("", SIGHUP));
    }
}
