//! The serial line of the process: a device such as `/dev/ttyTHS1`, or a pseudo-terminal.
//!
//! One wait is for bytes and for the next control step at once. The node then
//! finds the bytes through the same embedded-io traits as on a microcontroller. Writing never waits, and a device
//! that is gone (an unplugged adapter) is one error and then silence, until another thread has opened it again: closing and opening
//! may take long. Nothing here allocates after the start.

use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use nix::unistd::{read, write};
use serialport::{SerialPort as _, TTYPort};

use crate::allocator;
use crate::linux::now_us;
use crate::news::{self, News};

/// How often a device that is gone is looked for.
const REOPEN: Duration = Duration::from_secs(1);
/// Bytes that are taken from the device at once.
const BUFFER_BYTES: usize = 4_096;

/// Why the line cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The device does not exist, is in use, or is not a serial line.
    #[error(
        "cannot open {path}: {source}; is it the right device, free, and may this user open it (often: group dialout)?"
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
    /// Nobody would open the device again.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

/// A device by its path and speed.
#[derive(Debug)]
struct Device {
    path: Arc<str>,
    baud: u32,
}

impl Device {
    fn open(&self) -> Result<TTYPort, serialport::Error> {
        let port = serialport::new(&*self.path, self.baud).open_native()?;
        never_wait(&port)?;
        Ok(port)
    }
}

/// What the thread is given that closes a device that is gone, and opens it again.
#[derive(Debug)]
struct Finder {
    path: Arc<str>,
    lost: SyncSender<TTYPort>,
    found: Receiver<TTYPort>,
}

impl Finder {
    fn start(device: Device) -> std::io::Result<Self> {
        let path = Arc::clone(&device.path);
        let (lost, losses) = sync_channel::<TTYPort>(1);
        let (finds, found) = sync_channel(1);
        news::beside("engram-opens", move || {
            for port in losses {
                drop(port);
                let port = loop {
                    std::thread::sleep(REOPEN);
                    if let Ok(port) = device.open() {
                        break port;
                    }
                };
                if finds.send(port).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { path, lost, found })
    }
}

/// Reading and writing `port` takes what there is from now on.
fn never_wait(port: &TTYPort) -> Result<(), serialport::Error> {
    fcntl(port.as_raw_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))
        .map(drop)
        .map_err(|error| std::io::Error::from(error).into())
}

/// A serial line.
#[derive(Debug)]
pub struct Line {
    /// `None` while the device is gone.
    port: Option<TTYPort>,
    received: [u8; BUFFER_BYTES],
    /// Where those bytes of `received` begin that the node has not taken yet, and end.
    waiting: (usize, usize),
    /// Who opens it again; `None` for a pseudo-terminal.
    finder: Option<Finder>,
    /// The device went away, and the node has not heard of it.
    lost: bool,
    /// Keeps our pseudo-terminal alive while no host has it open.
    _far_end: Option<TTYPort>,
}

impl Line {
    /// Opens a serial device at `baud` bits per second.
    ///
    /// # Errors
    /// [`LineError::Open`], [`LineError::Thread`].
    pub fn open(path: &str, baud: u32) -> Result<Self, LineError> {
        let device = Device {
            path: path.into(),
            baud,
        };
        let port = device.open().map_err(|source| LineError::Open {
            path: path.into(),
            source,
        })?;
        let finder = Finder::start(device).map_err(LineError::Thread)?;
        Ok(Self::new(port, Some(finder), None))
    }

    /// Makes a pseudo-terminal; the host opens the path that is returned beside it.
    ///
    /// # Errors
    /// [`LineError::Pseudo`].
    pub fn pseudo_terminal() -> Result<(Self, String), LineError> {
        let (port, far_end) = TTYPort::pair().map_err(LineError::Pseudo)?;
        never_wait(&port).map_err(LineError::Pseudo)?;
        let path = far_end.name().unwrap_or_default();
        Ok((Self::new(port, None, Some(far_end)), path))
    }

    fn new(port: TTYPort, finder: Option<Finder>, far_end: Option<TTYPort>) -> Self {
        Self {
            port: Some(port),
            received: [0; BUFFER_BYTES],
            waiting: (0, 0),
            finder,
            lost: false,
            _far_end: far_end,
        }
    }

    /// Waits until a byte is there, until there is room to write if `writes`, or until `until_us` of the monotonic clock.
    /// While the device is gone it is the moment alone, and then a device that was found is taken.
    ///
    /// The kernel takes a time span and makes a moment of it, which it keeps with a timer that wakes a real-time thread
    /// from the interrupt itself, even on PREEMPT_RT; a timerfd would wake it from a thread of the kernel's. Since
    /// `until_us` is a moment of the schedule, nothing adds up.
    pub fn wait(&mut self, until_us: u64, writes: bool) {
        let Some(port) = &self.port else {
            sleep(until_us, &mut []);
            return self.take_found();
        };
        if self.waiting.0 < self.waiting.1 {
            return;
        }
        let mut flags = PollFlags::POLLIN;
        flags.set(PollFlags::POLLOUT, writes);
        let device = port.as_raw_fd();
        let mut files = [PollFd::new(device, flags)];
        sleep(until_us, &mut files);
        let gone = PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL;
        let gone = (files.iter()).any(|file| file.revents().is_some_and(|is| is.intersects(gone)));
        match read(device, &mut self.received) {
            Ok(0) => self.lose(Errno::EPIPE),
            Ok(count) => self.waiting = (0, count),
            // Nothing to read, and no wait would be one any more.
            Err(Errno::EAGAIN) if gone => self.lose(Errno::ENODEV),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(error) => self.lose(error),
        }
    }

    fn lose(&mut self, cause: Errno) {
        let Some(port) = self.port.take() else { return };
        self.lost = true;
        let Some(finder) = &self.finder else {
            // Our own end of a pseudo-terminal closes at once.
            return allocator::allow(|| drop(port));
        };
        // There is room: the thread waits for the next loss since it found the device after the last.
        let sent = finder.lost.try_send(port);
        allocator::allow(|| drop(sent));
        let device = Arc::clone(&finder.path);
        news::tell(News::Gone { device, cause });
    }

    fn take_found(&mut self) {
        let Some(finder) = &self.finder else { return };
        if let Ok(port) = finder.found.try_recv() {
            self.port = Some(port);
            let device = Arc::clone(&finder.path);
            news::tell(News::Back { device });
        }
    }
}

/// Sleeps until something happens to `files` or the moment is there. A signal ends it, too.
fn sleep(until_us: u64, files: &mut [PollFd]) {
    let span = Duration::from_micros(until_us.saturating_sub(now_us()));
    // It fails for a signal alone: files and span are sound.
    let _ = ppoll(files, Some(TimeSpec::from_duration(span)), None);
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
        Ok(self.waiting.0 < self.waiting.1)
    }
}

impl Read for Line {
    /// Takes what [`Line::wait`] found.
    fn read(&mut self, out: &mut [u8]) -> Result<usize, ErrorKind> {
        let (begin, end) = self.waiting;
        let mut waiting = self.received.get(begin..end).unwrap_or_default();
        let Ok(count) = embedded_io::Read::read(&mut waiting, out);
        self.waiting.0 += count;
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
        let Some(port) = &self.port else {
            return Ok(0);
        };
        match write(port.as_raw_fd(), bytes) {
            Ok(count) => Ok(count),
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(0),
            Err(error) => {
                self.lose(error);
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
    use std::time::Instant;

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
        // Nor is a full line one that can be written: the wait ends with its time.
        let began = now_us();
        line.wait(began + 20_000, true);
        assert!(now_us() >= began + 20_000);
    }

    #[test]
    fn a_device_that_goes_away_is_one_error_and_then_silence() {
        let (host, board) = TTYPort::pair().expect("a pseudo-terminal");
        let path = board.name().expect("a path");
        drop(board);
        let mut line = Line::open(&path, 115_200).expect("it opens");
        line.wait(0, false);
        assert_eq!(line.read_ready(), Ok(false));
        drop(host);
        line.wait(now_us() + 100_000, false);
        assert_eq!(line.read_ready(), Err(ErrorKind::NotConnected));
        assert_eq!(
            (line.read_ready(), line.write_ready()),
            (Ok(false), Ok(false))
        );
        assert_eq!(line.write(&[1, 2, 3]), Ok(0));
        line.wait(now_us() + 1_000, false);
    }

    #[test]
    fn one_wait_is_for_bytes_and_for_a_moment() {
        let (mut line, path) = Line::pseudo_terminal().expect("a pseudo-terminal");
        let mut host = TTYPort::open(&serialport::new(path, 115_200)).expect("it opens");
        std::io::Write::write_all(&mut host, &[1, 2, 3]).expect("written");
        let began = now_us();
        line.wait(began + 5_000_000, false);
        assert!(now_us() < began + 4_000_000, "it waited beside the bytes");
        let mut got = [0; 8];
        assert_eq!(line.read(&mut got[..2]), Ok(2));
        // What lies in the buffer is not waited for.
        line.wait(now_us() + 5_000_000, false);
        assert_eq!(line.read(&mut got[2..]), Ok(1));
        assert_eq!(got[..3], [1, 2, 3]);
        assert_eq!(line.read_ready(), Ok(false));
        let began = now_us();
        line.wait(began + 20_000, false);
        assert!(now_us() >= began + 20_000, "it did not wait");
    }
}
