//! A watchdog of Linux, such as `/dev/watchdog`: it restarts the machine when control steps stop coming to their end.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use engram_firmware::watchdog::Timer;
use libc::c_int;
use nix::errno::Errno;

use crate::news::{self, News};
use crate::system;

/// The longest wait that is asked for: the Raspberry Pi's cannot do more.
const LONGEST_S: u8 = 15;
/// The shortest: drivers count in whole seconds.
const SHORTEST_S: u8 = 1;
/// `WDIOF_MAGICCLOSE`: closed without a `V` before, it stays on.
const MAGIC_CLOSE: u32 = 0x0100;

/// Why there is no watchdog.
#[derive(Debug, thiserror::Error)]
pub enum WatchdogError {
    /// The device cannot be opened.
    #[error(
        "cannot open the watchdog {}: {cause}; one process at a time may have it (systemd's own is off with RuntimeWatchdogSec=0 in \
         /etc/systemd/system.conf), and this one needs the right to write it (a udev rule, or root)",
        path.display()
    )]
    Open {
        /// The device.
        path: PathBuf,
        /// The kernel's words.
        cause: std::io::Error,
    },
    /// It does not say what it can do.
    #[error(
        "the watchdog {} does not say what it can do: {cause}; is it a watchdog (`wdctl {}`)?", path.display(), path.display()
    )]
    Support {
        /// The device.
        path: PathBuf,
        /// What the kernel answered.
        cause: Errno,
    },
    /// It is turned off by any end of the process.
    #[error(
        "the watchdog {} has no magic close (MAGICCLOSE is not among the flags of `wdctl {}`): it would be off as soon as the process ends, even by a crash; \
         use another, of which the kernel's own always is one (`modprobe softdog`)",
        path.display(), path.display()
    )]
    NoMagicClose {
        /// The device.
        path: PathBuf,
    },
    /// It does not wait for as long as is asked.
    #[error(
        "the watchdog {} cannot wait for {seconds} s: {why}; is it a watchdog with WDIOC_SETTIMEOUT (`wdctl {}`)?",
        path.display(), path.display()
    )]
    Timeout {
        /// The device.
        path: PathBuf,
        /// What was asked.
        seconds: u8,
        /// What its driver answered.
        why: String,
    },
}

/// An open watchdog, which runs. It is fed as [`engram_firmware::watchdog`] says.
#[derive(Debug)]
pub struct LinuxWatchdog {
    device: File,
    /// That it cannot be fed, or set, has been said.
    complained: bool,
}

impl LinuxWatchdog {
    /// Opens it, which turns it on, and checks that it stays on when the process does not end in good order, and that it can wait both as long and as short as it will be told to.
    ///
    /// # Errors
    /// [`WatchdogError`].
    pub fn open(path: &Path) -> Result<Self, WatchdogError> {
        let device = OpenOptions::new().write(true).open(path);
        let watchdog = Self {
            complained: false,
            device: device.map_err(|cause| WatchdogError::Open {
                path: path.into(),
                cause,
            })?,
        };
        let support = system::watchdog_options(watchdog.device.as_raw_fd());
        if let Err(error) = outlives_us(path, support) {
            watchdog.stop();
            return Err(error);
        }
        for seconds in [SHORTEST_S, LONGEST_S] {
            let why = match watchdog.wait_for(seconds) {
                Ok(made) if made == c_int::from(seconds) => continue,
                Ok(made) => format!("it waits for {made} s instead"),
                Err(cause) => cause.to_string(),
            };
            watchdog.stop();
            return Err(WatchdogError::Timeout {
                path: path.into(),
                seconds,
                why,
            });
        }
        Ok(watchdog)
    }

    fn wait_for(&self, seconds: u8) -> Result<c_int, Errno> {
        system::set_watchdog(self.device.as_raw_fd(), seconds.into())
    }

    /// Turns it off: the process ends in good order. One that ends otherwise leaves it running.
    pub fn stop(mut self) {
        self.tell(b"V");
    }

    fn tell(&mut self, what: &[u8]) {
        if let Err(cause) = self.device.write_all(what) {
            // The kernel's number alone: its words would have to be allocated.
            let cause = Errno::from_i32(cause.raw_os_error().unwrap_or(0));
            self.complain(News::NotFed(cause));
        }
    }

    /// Once: the next step would say the same.
    fn complain(&mut self, news: News) {
        if !std::mem::replace(&mut self.complained, true) {
            news::tell(news);
        }
    }
}

impl Timer for LinuxWatchdog {
    fn longest_ms(&self) -> u32 {
        u32::from(LONGEST_S) * 1_000
    }

    fn start(&mut self, wait_ms: u32) {
        self.set(wait_ms);
    }

    fn set(&mut self, wait_ms: u32) {
        if let Err(cause) = self.wait_for(seconds(wait_ms)) {
            self.complain(News::NotSet(cause));
        }
    }

    fn is_setting(&self) -> bool {
        false
    }

    fn feed(&mut self) {
        self.tell(b"\0");
    }
}

/// Whether a watchdog that says this of itself goes on when the process is gone.
fn outlives_us(path: &Path, support: Result<u32, Errno>) -> Result<(), WatchdogError> {
    let path = path.into();
    match support {
        Ok(options) if options & MAGIC_CLOSE != 0 => Ok(()),
        Ok(_) => Err(WatchdogError::NoMagicClose { path }),
        Err(cause) => Err(WatchdogError::Support { path, cause }),
    }
}

/// What a driver is asked for: whole seconds, rounded up.
fn seconds(wait_ms: u32) -> u8 {
    let seconds = u8::try_from(wait_ms.div_ceil(1_000)).unwrap_or(LONGEST_S);
    seconds.clamp(SHORTEST_S, LONGEST_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_never_shorter_than_asked_for_nor_longer_than_drivers_can() {
        for (wait_ms, expected) in [
            (0, 1),
            (200, 1),
            (1_000, 1),
            (1_001, 2),
            (15_000, 15),
            (15_001, 15),
            (u32::MAX, 15),
        ] {
            assert_eq!(seconds(wait_ms), expected, "{wait_ms} ms");
        }
    }

    #[test]
    fn one_that_ends_with_the_process_is_refused() {
        let path = Path::new("/dev/watchdog9");
        // What softdog says of itself, and the same without the flag.
        assert!(outlives_us(path, Ok(0x8380)).is_ok());
        let error = outlives_us(path, Ok(0x8280)).expect_err("no magic close");
        let error = error.to_string();
        assert!(
            error.contains("wdctl /dev/watchdog9") && error.contains("softdog"),
            "{error}"
        );
    }

    #[test]
    fn what_is_no_watchdog_is_refused() {
        for (path, word) in [
            ("/nowhere/watchdog", "RuntimeWatchdogSec"),
            ("/dev/null", "is it a watchdog (`wdctl /dev/null`)"),
        ] {
            let error = LinuxWatchdog::open(Path::new(path)).expect_err("no watchdog");
            let error = error.to_string();
            assert!(error.contains(path) && error.contains(word), "{error}");
        }
    }
}
