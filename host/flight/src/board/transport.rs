//! What carries bytes to a board and back.
//!
//! A transport knows nothing of frames and messages: it moves bytes, and says clearly when the
//! other end is gone. It never waits longer than it was told to.

use std::path::Path;
use std::time::Duration;

/// A byte stream to one board.
pub trait Transport: Send {
    /// Reads what has arrived, waiting up to `timeout` for the first byte.
    ///
    /// Returns the number of bytes put into `buffer`; 0 means that nothing came in time.
    ///
    /// # Errors
    /// [`TransportError`] when the board is gone.
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

    /// The ELF file of the firmware behind the wire, where it is known: it holds the strings of the
    /// board's log.
    fn firmware(&self) -> Option<&Path> {
        None
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

    fn firmware(&self) -> Option<&Path> {
        (**self).firmware()
    }

    fn kill(&mut self) {
        (**self).kill();
    }
}
