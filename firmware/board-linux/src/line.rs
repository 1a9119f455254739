//! The serial line of the process: a device such as `/dev/ttyTHS1`, or a pseudo-terminal.
//!
//! It waits for bytes with a timeout, so that the process sleeps when nothing comes; the node then
//! finds them through the same embedded-io traits as on a microcontroller. Writing never waits, and a device
//! that is gone (an unplugged adapter) is one error and then silence, until it can be opened again.

use std::io::{BufRead as _, BufReader, ErrorKind::*, Write as _};
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use serialport::{SerialPort, TTYPort};

use crate::say;

/// How often a device that is gone is looked for.
const REOPEN: Duration = Duration::from_secs(1);

/// Why the line cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LineError {
    /// The device does not exist, is in use, or is not a serial line.
    #[error(
        "cannot open {path}: {source}; is it the right device, free, and may this user open it?"
    )]
    Open {
        /// The device.
        path: String,
        /// What the operating system said.
        source: serialport::Error,
    },
    /// No pseudo-terminal is to be had.
    #[error("cannot make a pseudo-terminal: {0}")]
    Pseudo(serialport::Error),
}

/// A device by its path and speed.
struct Device {
    path: String,
    baud: u32,
}

impl Device {
    fn open(&self) -> Result<TTYPort, serialport::Error> {
        let port = serialport::new(self.path.as_str(), self.baud).open_native()?;
        never_wait(&port)?;
        Ok(port)
    }
}

/// Writing to `port` takes what fits from now on.
fn never_wait(port: &TTYPort) -> Result<(), serialport::Error> {
    fcntl(port.as_raw_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))
        .map(drop)
        .map_err(|error| std::io::Error::from(error).into())
}

/// A serial line.
pub(crate) struct Line {
    /// `None` while the device is gone.
    port: Option<BufReader<TTYPort>>,
    /// What to open again; `None` for a pseudo-terminal.
    device: Option<Device>,
    /// When to open it again.
    reopen: Instant,
    /// The device went away, and the node has not heard of it.
    lost: bool,
    /// Keeps our pseudo-terminal alive while no host has it open.
    _far_end: Option<TTYPort>,
}

impl Line {
    /// Opens a serial device.
    pub(crate) fn open(path: &str, baud: u32) -> Result<Self, LineError> {
        let device = Device {
            path: path.into(),
            baud,
        };
        let port = device.open().map_err(|source| LineError::Open {
            path: path.into(),
            source,
        })?;
        Ok(Self::new(port, Some(device), None))
    }

    /// Makes a pseudo-terminal; the host opens the path that is returned beside it.
    pub(crate) fn pseudo_terminal() -> Result<(Self, String), LineError> {
        let (port, far_end) = TTYPort::pair().map_err(LineError::Pseudo)?;
        never_wait(&port).map_err(LineError::Pseudo)?;
        let path = far_end.name().unwrap_or_default();
        Ok((Self::new(port, None, Some(far_end)), path))
    }

    fn new(port: TTYPort, device: Option<Device>, far_end: Option<TTYPort>) -> Self {
        Self {
            port: Some(BufReader::new(port)),
            device,
            reopen: Instant::now(),
            lost: false,
            _far_end: far_end,
        }
    }

    /// Waits until a byte is there or the time is over. While the device is gone it is looked for now and then.
    pub(crate) fn wait(&mut self, timeout: Duration) {
        let Some(port) = &mut self.port else {
            std::thread::sleep(timeout);
            return self.look_for_device();
        };
        let _ = port.get_mut().set_timeout(timeout); // cannot fail for a TTY
        match port.fill_buf().map(<[u8]>::is_empty) {
            Ok(true) => self.lose(&UnexpectedEof.into()),
            Ok(false) => {}
            Err(error) if matches!(error.kind(), TimedOut | Interrupted | WouldBlock) => {}
            Err(error) => self.lose(&error),
        }
    }

    fn lose(&mut self, error: &std::io::Error) {
        self.port = None;
        self.lost = true;
        self.reopen = Instant::now() + REOPEN;
        let path = self
            .device
            .as_ref()
            .map_or("the pseudo-terminal", |device| &device.path);
        say(format_args!(
            "{path} is gone ({error}); the control loop goes on"
        ));
    }

    fn look_for_device(&mut self) {
        let Some(device) = &self.device else { return };
        if Instant::now() < self.reopen {
            return;
        }
        self.reopen = Instant::now() + REOPEN;
        if let Ok(port) = device.open() {
            say(format_args!("{} is back", device.path));
            self.port = Some(BufReader::new(port));
        }
    }
}

impl ErrorType for Line {
    type Error = ErrorKind;
}

impl ReadReady for Line {
    /// # Errors
    /// Once for each time that the device went away.
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        if std::mem::take(&mut self.lost) {
            return Err(ErrorKind::NotConnected);
        }
        let waiting = self.port.as_ref().map(BufReader::buffer);
        Ok(waiting.is_some_and(|waiting| !waiting.is_empty()))
    }
}

impl Read for Line {
    /// Takes what [`Line::wait`] found.
    fn read(&mut self, out: &mut [u8]) -> Result<usize, ErrorKind> {
        let Some(port) = &mut self.port else {
            return Ok(0);
        };
        let Ok(count) = port.buffer().read(out);
        port.consume(count);
        Ok(count)
    }
}

impl WriteReady for Line {
    /// Whether there is a device; it may still take nothing.
    fn write_ready(&mut self) -> Result<bool, ErrorKind> {
        Ok(self.port.is_some())
    }
}

impl Write for Line {
    /// Takes as many bytes as there is room for; none, where the other end reads nothing.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        let Some(port) = &mut self.port else {
            return Ok(0);
        };
        let port = port.get_mut();
        let _ = port.set_timeout(Duration::ZERO); // cannot fail for a TTY
        match port.write(bytes) {
            Ok(count) => Ok(count),
            Err(error) if matches!(error.kind(), TimedOut | Interrupted | WouldBlock) => Ok(0),
            Err(error) => {
                self.lose(&error);
                Ok(0)
            }
        }
    }

    /// Every `write` has handed its bytes to the operating system already.
    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_does_not_read_delays_no_write() {
        let (mut line, _path) = Line::pseudo_terminal().expect("a pseudo-terminal");
        let began = Instant::now();
        let mut taken = 0;
        for _ in 0..1_000 {
            taken += line.write(&[0x55; 600]).expect("no error");
        }
        assert!(
            began.elapsed() < Duration::from_secs(1),
            "{:?}",
            began.elapsed()
        );
        assert!((1..600_000).contains(&taken), "{taken} bytes were taken");
    }

    #[test]
    fn a_device_that_goes_away_is_one_error_and_then_silence() {
        let (host, board) = TTYPort::pair().expect("a pseudo-terminal");
        let path = board.name().expect("a path");
        drop(board);
        let mut line = Line::open(&path, 115_200).expect("it opens");
        line.wait(Duration::ZERO);
        assert_eq!(line.read_ready(), Ok(false));
        drop(host);
        line.wait(Duration::from_millis(100));
        assert_eq!(line.read_ready(), Err(ErrorKind::NotConnected));
        assert_eq!(
            (line.read_ready(), line.write_ready()),
            (Ok(false), Ok(false))
        );
        assert_eq!(line.write(&[1, 2, 3]), Ok(0));
        line.wait(Duration::from_millis(1));
    }
}
