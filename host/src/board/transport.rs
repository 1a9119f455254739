//! What carries bytes to a board and back.
//!
//! A transport knows nothing of frames and messages: it moves bytes, and says clearly when the
//! other end is gone. It never waits longer than it was told to.

use std::io;
use std::time::Duration;

/// A byte stream to one board.
pub trait Transport: Send {
    /// Reads what has arrived, waiting up to `timeout` for the first byte.
    ///
    /// Returns the number of bytes put into `buffer`; 0 means that nothing came in time.
    ///
    /// # Errors
    /// [`TransportError`] when the board is gone or the operating system refuses to read.
    fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, TransportError>;

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// [`TransportError`] when the board is gone or does not take the bytes within a few seconds.
    fn write(&mut self, bytes: &[u8]) -> Result<(), TransportError>;

    /// Whether an answer that is not there yet will never come (a board in this process).
    ///
    /// The client then need not wait for a time-out before it sends a lost frame again.
    fn immediate(&self) -> bool {
        false
    }

    /// Faults injected so far; 0 where nothing injects them.
    fn faults_injected(&self) -> u64 {
        0
    }

    /// Ends the board, as if its plug were pulled; reads and writes fail from then on.
    ///
    /// A board on a real wire cannot be ended from here: its transport only stops using the wire.
    fn kill(&mut self);
}

/// Why bytes no longer move.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The other end is gone: process ended, socket closed, cable pulled.
    #[error("the link to {board} is closed: {why}")]
    Closed {
        /// The board, as the user named it.
        board: String,
        /// What is known about the end, with the board's last words where there are any.
        why: String,
    },
    /// The operating system reports something else.
    #[error("the link to {board} failed: {source}")]
    Io {
        /// The board, as the user named it.
        board: String,
        /// The operating system's words.
        source: io::Error,
    },
}

impl Transport for Box<dyn Transport> {
    fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, TransportError> {
        (**self).read(buffer, timeout)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), TransportError> {
        (**self).write(bytes)
    }

    fn immediate(&self) -> bool {
        (**self).immediate()
    }

    fn faults_injected(&self) -> u64 {
        (**self).faults_injected()
    }

    fn kill(&mut self) {
        (**self).kill();
    }
}
