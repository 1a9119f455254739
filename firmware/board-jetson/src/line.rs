//! The serial line of the process: a device such as `/dev/ttyTHS1`, or a pseudo-terminal.
//!
//! It waits for bytes with a timeout, so that the process sleeps when nothing comes; the node then
//! finds them through the same embedded-io traits as on a microcontroller.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use embedded_io::{ErrorType, Read, ReadReady, Write};
use serialport::{SerialPort, TTYPort};

/// Bytes taken from the operating system at once.
const BUFFER_BYTES: usize = 4_096;
/// How long the host may leave a full line unread.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// Why the line cannot be opened or went away.
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
    /// The other end is gone or the device was unplugged.
    #[error("the serial line was closed: {0}")]
    Closed(#[from] std::io::Error),
}

impl embedded_io::Error for LineError {
    fn kind(&self) -> embedded_io::ErrorKind {
        embedded_io::ErrorKind::BrokenPipe
    }
}

/// An open serial line.
pub(crate) struct Line {
    port: TTYPort,
    /// Keeps our pseudo-terminal alive while no host has it open.
    _far_end: Option<TTYPort>,
    buffer: [u8; BUFFER_BYTES],
    start: usize,
    end: usize,
}

impl Line {
    /// Opens a serial device.
    pub(crate) fn open(path: &str, baud: u32) -> Result<Self, LineError> {
        let port = serialport::new(path, baud).open_native();
        let port = port.map_err(|source| LineError::Open {
            path: path.into(),
            source,
        })?;
        Ok(Self::new(port, None))
    }

    /// Makes a pseudo-terminal; the host opens the path that is returned beside it.
    pub(crate) fn pseudo_terminal() -> Result<(Self, String), LineError> {
        let (port, far_end) = TTYPort::pair().map_err(LineError::Pseudo)?;
        let path = far_end.name().unwrap_or_default();
        Ok((Self::new(port, Some(far_end)), path))
    }

    fn new(port: TTYPort, far_end: Option<TTYPort>) -> Self {
        Self {
            port,
            _far_end: far_end,
            buffer: [0; BUFFER_BYTES],
            start: 0,
            end: 0,
        }
    }

    /// Waits until a byte is there or the time is over; returns whether one is there.
    ///
    /// # Errors
    /// [`LineError::Closed`].
    pub(crate) fn wait(&mut self, timeout: Duration) -> Result<bool, LineError> {
        use std::io::ErrorKind::{Interrupted, TimedOut};
        if self.start < self.end {
            return Ok(true);
        }
        let _ = self.port.set_timeout(timeout); // cannot fail for a TTY
        match self.port.read(&mut self.buffer) {
            Ok(0) => Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into()),
            Ok(count) => {
                (self.start, self.end) = (0, count);
                Ok(true)
            }
            Err(error) if matches!(error.kind(), TimedOut | Interrupted) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl ErrorType for Line {
    type Error = LineError;
}

impl ReadReady for Line {
    fn read_ready(&mut self) -> Result<bool, LineError> {
        self.wait(Duration::ZERO)
    }
}

impl Read for Line {
    fn read(&mut self, out: &mut [u8]) -> Result<usize, LineError> {
        while !self.wait(Duration::from_secs(1))? {}
        let waiting = &self.buffer[self.start..self.end];
        let count = waiting.len().min(out.len());
        out[..count].copy_from_slice(&waiting[..count]);
        self.start += count;
        Ok(count)
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, LineError> {
        let _ = self.port.set_timeout(WRITE_TIMEOUT); // cannot fail for a TTY
        loop {
            match self.port.write(bytes) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                result => return Ok(result?),
            }
        }
    }

    /// Every `write` has handed its bytes to the operating system already.
    fn flush(&mut self) -> Result<(), LineError> {
        Ok(())
    }
}
