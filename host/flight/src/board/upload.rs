//! Pushing an image over the link: announced by length and hash, in chunks, taken up where it
//! stopped.

use engram_link::limits::CHUNK_BYTES;
use engram_link::{FromBoard, Reason, ToBoard, UploadChunk, UploadProgress};
use sha2::{Digest, Sha256};

use super::client::Client;
use super::client_error::{ClientError, unexpected};

/// Why an image did not get onto the board.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The conversation failed, or the board refused; its old image still runs.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// More bytes than the link can count.
    #[error("the image has {length} bytes, more than the link can announce (4294967295)")]
    TooLong {
        /// Its length, bytes.
        length: usize,
    },
    /// The board asks for chunks but does not get on.
    #[error("the upload does not get on: of {length} bytes the board never had more than {offset}")]
    Stuck {
        /// The furthest that it came, bytes.
        offset: u32,
        /// Length of the image file, bytes.
        length: u32,
    },
    /// The board asks for bytes that the image does not have.
    #[error(
        "the board asks for byte {offset} of an image of {length} bytes: it takes something else for this upload"
    )]
    Beyond {
        /// Where the next chunk must begin, bytes.
        offset: u32,
        /// Length of the image file, bytes.
        length: u32,
    },
}

/// How many chunks may bring the upload no further than it was before it counts as stuck.
const PATIENCE: u32 = 64;

impl Client {
    /// Brings all of `image` into the board's spare slot, going on where an earlier upload of the
    /// same image stopped. Nothing is activated.
    ///
    /// `progress` hears how many bytes have arrived, first where the upload starts.
    /// `between` runs when the board's share of upload work for this period is used up: make a
    /// control step there (or wait for one).
    ///
    /// # Errors
    /// [`UploadError`]; the board's active image keeps running, or the confirmed one if that was on trial.
    pub fn upload(
        &mut self,
        image: &[u8],
        mut progress: impl FnMut(u32),
        mut between: impl FnMut(&mut Self) -> Result<(), ClientError>,
    ) -> Result<(), UploadError> {
        let length = u32::try_from(image.len()).map_err(|_| UploadError::TooLong {
            length: image.len(),
        })?;
        let sha256 = Sha256::digest(image).into();
        let mut offset = self
            .ask_progress(&ToBoard::UploadBegin { length, sha256 })?
            .offset;
        progress(offset);
        let (mut furthest, mut stuck) = (offset, 0);
        while offset != length {
            if offset > length {
                return Err(UploadError::Beyond { offset, length });
            }
            let chunk = chunk_at(image, offset);
            let next = match self.ask_progress(&ToBoard::UploadChunk(chunk)) {
                Ok(arrived) => arrived.offset,
                Err(error) => match error.refusal() {
                    Some(Reason::UploadOffset { expected, .. }) => *expected,
                    Some(Reason::UploadShare { .. }) => {
                        between(self)?;
                        offset
                    }
                    _ => return Err(error.into()),
                },
            };
            // An offset that goes to and fro gets on as little as one that stays.
            stuck = if next > furthest { 0 } else { stuck + 1 };
            furthest = furthest.max(next);
            if stuck > PATIENCE {
                return Err(UploadError::Stuck {
                    offset: furthest,
                    length,
                });
            }
            offset = next;
            progress(offset);
        }
        Ok(())
    }

    /// Verifies, replays and activates the uploaded image.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the reason; the old image then keeps running.
    pub fn commit(&mut self) -> Result<(), ClientError> {
        self.command(&ToBoard::UploadCommit)
    }

    /// How much of an announced image has arrived.
    ///
    /// # Errors
    /// [`ClientError::Refused`] when none was announced.
    pub fn upload_status(&mut self) -> Result<UploadProgress, ClientError> {
        self.ask_progress(&ToBoard::UploadStatus)
    }

    /// Announces an image without sending any of it.
    ///
    /// # Errors
    /// [`ClientError::Refused`] when it cannot fit.
    pub fn upload_begin(
        &mut self,
        length: u32,
        sha256: [u8; 32],
    ) -> Result<UploadProgress, ClientError> {
        self.ask_progress(&ToBoard::UploadBegin { length, sha256 })
    }

    fn ask_progress(&mut self, message: &ToBoard) -> Result<UploadProgress, ClientError> {
        match self.ask(message)? {
            FromBoard::UploadProgress(progress) => Ok(progress),
            other => Err(unexpected(message.command(), &other)),
        }
    }
}

fn chunk_at(image: &[u8], offset: u32) -> UploadChunk {
    let rest = image.get(offset as usize..).unwrap_or_default();
    let data = rest.get(..rest.len().min(CHUNK_BYTES)).unwrap_or_default();
    UploadChunk {
        offset,
        data: data.iter().copied().collect(),
    }
}
