//! A board behind a socket, a pseudo terminal or a serial device, with or without a process of
//! its own.
//!
//! The process is ended when the stream is dropped; its last words on standard error become part
//! of the message when it ends by itself.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ExitStatus};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use serialport::{SerialPort, TTYPort};
use tempfile::TempDir;

use super::transport::{Transport, TransportError};

/// How many lines of a board process's standard error are kept for its obituary.
const LAST_WORDS: usize = 12;
/// How long one read may sleep before the process is asked whether it still lives.
const POLL: Duration = Duration::from_millis(50);
/// How long a board may take to accept what is written.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// The kind of wire.
pub(super) enum Wire {
    /// QEMU's serial port as a Unix socket.
    Socket(UnixStream),
    /// A serial device, or a pseudo terminal that the board made.
    Terminal(TTYPort),
}

/// A process that is the board, and what it last said.
pub(super) struct BoardProcess {
    child: Child,
    last_words: Arc<Mutex<VecDeque<String>>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl BoardProcess {
    /// Takes over `child`, whose standard error must be piped.
    pub(super) fn new(mut child: Child) -> Self {
        let last_words = Arc::new(Mutex::new(VecDeque::new()));
        let reader = child
            .stderr
            .take()
            .map(|stderr| collect(stderr, Arc::clone(&last_words)));
        Self {
            child,
            last_words,
            reader,
        }
    }

    /// Where the first line that the process prints will arrive; its standard output must be piped.
    pub(super) fn first_line(&mut self) -> mpsc::Receiver<String> {
        let (sender, receiver) = mpsc::channel();
        if let Some(stdout) = self.child.stdout.take() {
            std::thread::spawn(move || {
                let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
                if let Some(line) = lines.next() {
                    // Nobody waits any more: nothing is lost.
                    let _ = sender.send(line);
                }
                // Reading on keeps the process from writing into a closed pipe.
                lines.for_each(drop);
            });
        }
        receiver
    }

    /// The obituary, once the process has ended.
    pub(super) fn ended(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok().flatten()?;
        if let Some(reader) = self.reader.take() {
            // The pipe is at its end and the thread about to finish, unless a grandchild still
            // holds the pipe: that is not waited for.
            let deadline = Instant::now() + Duration::from_millis(200);
            while !reader.is_finished() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        Some(obituary(status, &self.last_words))
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The process id, for messages and tests.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for BoardProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

fn collect(stderr: ChildStderr, into: Arc<Mutex<VecDeque<String>>>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            tracing::debug!("board: {line}");
            // QEMU's note that it waits for us explains nobody's end.
            if line.contains("info: QEMU waiting for connection") {
                continue;
            }
            if let Ok(mut lines) = into.lock() {
                if lines.len() == LAST_WORDS {
                    lines.pop_front();
                }
                lines.push_back(line);
            }
        }
    })
}

fn obituary(status: ExitStatus, last_words: &Mutex<VecDeque<String>>) -> String {
    let words = last_words
        .lock()
        .map(|lines| lines.iter().cloned().collect::<Vec<_>>().join("\n  "))
        .unwrap_or_default();
    if words.is_empty() {
        format!("its process ended ({status})")
    } else {
        format!("its process ended ({status}); its last words:\n  {words}")
    }
}

/// A board behind a [`Wire`].
pub(super) struct Stream {
    name: String,
    wire: Wire,
    process: Option<BoardProcess>,
    dead: Option<String>,
    firmware: Option<PathBuf>,
    /// Holds the socket; removed with the stream.
    _folder: Option<TempDir>,
}

impl Stream {
    /// A stream to the board called `name`.
    pub(super) fn new(
        name: &str,
        wire: Wire,
        process: Option<BoardProcess>,
        folder: Option<TempDir>,
    ) -> Self {
        if let Some(process) = &process {
            tracing::debug!("{name} runs as process {}", process.id());
        }
        Self {
            name: name.to_owned(),
            wire,
            process,
            dead: None,
            firmware: None,
            _folder: folder,
        }
    }

    /// Says which ELF file runs behind the wire.
    pub(super) fn with_firmware(mut self, firmware: PathBuf) -> Self {
        self.firmware = Some(firmware);
        self
    }

    fn closed(&mut self, why: String) -> TransportError {
        self.dead = Some(why.clone());
        TransportError::Closed {
            board: self.name.clone(),
            why,
        }
    }

    /// Says that the wire is closed, with the reason that the process's end gives where it has
    /// one. A process that just closed its wire gets a moment to end.
    fn hung_up(&mut self, otherwise: &str) -> TransportError {
        let deadline = Instant::now() + Duration::from_millis(500);
        while let Some(process) = &mut self.process {
            if let Some(why) = process.ended() {
                return self.closed(why);
            }
            if Instant::now() >= deadline {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.closed(otherwise.to_owned())
    }

    fn still_open(&mut self) -> Result<(), TransportError> {
        if let Some(why) = &self.dead {
            return Err(TransportError::Closed {
                board: self.name.clone(),
                why: why.clone(),
            });
        }
        Ok(())
    }

    fn read_once(&mut self, buffer: &mut [u8], wait: Duration) -> io::Result<usize> {
        match &mut self.wire {
            Wire::Socket(socket) => {
                socket.set_read_timeout(Some(wait))?;
                match socket.read(buffer) {
                    // A socket says "end" by reading nothing.
                    Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
                    other => other,
                }
            }
            Wire::Terminal(port) => {
                port.set_timeout(wait)?;
                match port.read(buffer) {
                    Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
                    other => other,
                }
            }
        }
    }
}

/// Whether an error only means that nothing came in time.
fn is_quiet(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

impl Transport for Stream {
    fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, TransportError> {
        self.still_open()?;
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let wait = left.clamp(Duration::from_millis(1), POLL);
            match self.read_once(buffer, wait) {
                Ok(count) => return Ok(count),
                Err(error) if is_quiet(&error) => {
                    if let Some(why) = self.process.as_mut().and_then(BoardProcess::ended) {
                        return Err(self.closed(why));
                    }
                    if Instant::now() >= deadline {
                        return Ok(0);
                    }
                }
                Err(error) => {
                    return Err(self.hung_up(&format!("the other end hung up ({error})")));
                }
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), TransportError> {
        self.still_open()?;
        let written = match &mut self.wire {
            Wire::Socket(socket) => socket
                .set_write_timeout(Some(WRITE_TIMEOUT))
                .and_then(|()| socket.write_all(bytes)),
            Wire::Terminal(port) => port
                .set_timeout(WRITE_TIMEOUT)
                .map_err(io::Error::from)
                .and_then(|()| port.write_all(bytes)),
        };
        match written {
            Ok(()) => Ok(()),
            Err(error) if is_quiet(&error) => {
                Err(self.closed(format!("it took no bytes for {WRITE_TIMEOUT:?}")))
            }
            Err(error) => Err(self.hung_up(&format!("the other end hung up ({error})"))),
        }
    }

    fn firmware(&self) -> Option<&Path> {
        self.firmware.as_deref()
    }

    fn kill(&mut self) {
        if let Some(process) = &mut self.process {
            process.kill();
        } else {
            self.dead = Some("it was cut from here".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn shell(script: &str) -> BoardProcess {
        let child = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a shell");
        BoardProcess::new(child)
    }

    #[test]
    fn a_process_that_ends_is_reported_with_its_last_words() {
        let (here, _there) = UnixStream::pair().expect("a socket pair");
        let process = shell("echo 'no image found' >&2; exit 3");
        let mut stream = Stream::new("test", Wire::Socket(here), Some(process), None);
        let error = stream
            .read(&mut [0; 8], Duration::from_secs(5))
            .expect_err("it ended");
        let text = error.to_string();
        assert!(
            text.contains("exit status: 3") && text.contains("no image found"),
            "{text}"
        );
        let again = stream.write(b"x").expect_err("still gone").to_string();
        assert!(again.contains("no image found"), "{again}");
    }

    #[test]
    fn a_closed_socket_is_an_error_and_a_quiet_one_is_not() {
        let (here, mut there) = UnixStream::pair().expect("a socket pair");
        let mut stream = Stream::new("test", Wire::Socket(here), None, None);
        let mut buffer = [0; 8];
        assert_eq!(
            stream
                .read(&mut buffer, Duration::from_millis(5))
                .expect("quiet"),
            0
        );
        there.write_all(b"ab").expect("written");
        assert_eq!(
            stream
                .read(&mut buffer, Duration::from_millis(500))
                .expect("two"),
            2
        );
        drop(there);
        let error = stream
            .read(&mut buffer, Duration::from_millis(500))
            .expect_err("closed");
        assert!(matches!(error, TransportError::Closed { .. }), "{error}");
    }

    #[test]
    fn bytes_cross_a_pseudo_terminal_unchanged() {
        let (master, mut slave) = TTYPort::pair().expect("a pseudo terminal");
        let mut stream = Stream::new("test", Wire::Terminal(master), None, None);
        let all: Vec<u8> = (0..=255).collect();
        stream.write(&all).expect("written");
        let mut got = vec![0; 256];
        slave.read_exact(&mut got).expect("read");
        assert_eq!(got, all);
        slave.write_all(&all).expect("written");
        let mut back = Vec::new();
        while back.len() < 256 {
            let mut buffer = [0; 64];
            let count = stream
                .read(&mut buffer, Duration::from_secs(2))
                .expect("read");
            assert!(count > 0, "only {} bytes came", back.len());
            back.extend_from_slice(&buffer[..count]);
        }
        assert_eq!(back, all);
    }

    #[test]
    fn killing_ends_the_process() {
        let (here, _there) = UnixStream::pair().expect("a socket pair");
        let mut stream = Stream::new(
            "test",
            Wire::Socket(here),
            Some(shell("exec sleep 60")),
            None,
        );
        stream.kill();
        let error = stream
            .read(&mut [0; 8], Duration::from_secs(5))
            .expect_err("it ended");
        assert!(error.to_string().contains("signal: 9"), "{error}");
    }
}
