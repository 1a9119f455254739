//! The 128 bytes before the body: little endian, fixed places.
//!
//! | bytes | content |
//! |---|---|
//! | 0..8 | magic `ENGRAM\r\n` |
//! | 8..10 | format version, u16: 2, or 1 of an image from before the counter |
//! | 10..12 | flags, u16: bit 0 signed, bit 1 packed for Cortex-M, all others 0 |
//! | 12..16 | total length, u32: header and body |
//! | 16..48 | SHA-256 of the body |
//! | 48..112 | signature slot; all zero without a signature |
//! | 112..116 | anti-rollback counter, u32; 0 in version 1 |
//! | 116..128 | reserved, all zero |

use sha2::{Digest, Sha256};

use crate::error::ReadError;
use crate::limits::IMAGE_BYTES;
use crate::packing::Packing;

/// First bytes of every image. The line ending shows a transfer in text mode.
pub const MAGIC: [u8; 8] = *b"ENGRAM\r\n";
/// The format that this writer writes, and the newest that this reader knows.
pub const FORMAT_VERSION: u16 = 2;
/// The oldest format that this reader knows: without a counter, and the same in everything else.
pub const OLDEST_FORMAT_VERSION: u16 = 1;
/// Bytes of the header.
pub const HEADER_BYTES: usize = 128;
/// Where the signature slot begins.
const SIGNATURE_AT: usize = 48;
/// Flag: the signature slot holds a signature.
pub const FLAG_SIGNED: u16 = 1;
/// Flag: the weights are packed for the DSP instructions of the Cortex-M4 and M7.
pub const FLAG_CORTEX_M: u16 = 2;

/// A header that agrees with itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Bytes of header and body.
    pub total_length: u32,
    /// Whether the signature slot is in use.
    pub signed: bool,
    /// How the weights lie in the body.
    pub packing: Packing,
    /// SHA-256 of the body, as the header states it.
    pub sha256: [u8; 32],
    /// The signature slot.
    pub signature: &'a [u8; 64],
    /// Grows with every release that must not be followed by an older one.
    pub counter: u32,
    /// The whole header.
    bytes: &'a [u8; HEADER_BYTES],
}

impl<'a> Header<'a> {
    /// Reads the header at the start of `bytes`, which may be longer: a board asks it how much of a
    /// slot is image.
    ///
    /// # Errors
    /// Anything that is wrong with the first 128 bytes taken by themselves.
    pub fn read(bytes: &'a [u8]) -> Result<Self, ReadError> {
        let short = ReadError::TooShort {
            length: bytes.len(),
            minimum: HEADER_BYTES,
        };
        let bytes = bytes.first_chunk::<HEADER_BYTES>().ok_or(short)?;
        let (magic, rest) = bytes.split_first_chunk::<8>().ok_or(short)?;
        let (version, rest) = rest.split_first_chunk::<2>().ok_or(short)?;
        let (flags, rest) = rest.split_first_chunk::<2>().ok_or(short)?;
        let (total_length, rest) = rest.split_first_chunk::<4>().ok_or(short)?;
        let (sha256, rest) = rest.split_first_chunk::<32>().ok_or(short)?;
        let (signature, rest) = rest.split_first_chunk::<64>().ok_or(short)?;
        let (counter, reserved) = rest.split_first_chunk::<4>().ok_or(short)?;

        if *magic != MAGIC {
            return Err(ReadError::Magic);
        }
        let image = u16::from_le_bytes(*version);
        if image > FORMAT_VERSION {
            return Err(ReadError::NewerFormat {
                image,
                firmware: FORMAT_VERSION,
            });
        }
        if image < OLDEST_FORMAT_VERSION {
            return Err(ReadError::UnknownFormat {
                image,
                firmware: FORMAT_VERSION,
            });
        }
        let flags = u16::from_le_bytes(*flags);
        let packing = Packing::from_flag(flags & !FLAG_SIGNED).ok_or(ReadError::Flags(flags))?;
        let total_length = u32::from_le_bytes(*total_length);
        let length = usize::try_from(total_length).unwrap_or(usize::MAX);
        if length > IMAGE_BYTES {
            return Err(ReadError::TooLong {
                length,
                limit: IMAGE_BYTES,
            });
        }
        if length <= HEADER_BYTES {
            return Err(ReadError::TooShort {
                length,
                minimum: HEADER_BYTES,
            });
        }
        let signed = flags & FLAG_SIGNED != 0;
        if signed == signature.iter().all(|&byte| byte == 0) {
            return Err(ReadError::Signature { signed });
        }
        let counter = u32::from_le_bytes(*counter);
        let without = image == OLDEST_FORMAT_VERSION && counter != 0;
        if without || reserved.iter().any(|&byte| byte != 0) {
            return Err(ReadError::Reserved);
        }
        Ok(Self {
            total_length,
            signed,
            packing,
            sha256: *sha256,
            signature,
            counter,
            bytes,
        })
    }

    /// What a signature is made of: the header with an empty signature slot. It holds the length and the hash of the body, and so stands
    /// for every byte of the image.
    #[must_use]
    pub fn signed_bytes(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = *self.bytes;
        for byte in bytes.iter_mut().skip(SIGNATURE_AT).take(64) {
            *byte = 0;
        }
        bytes
    }

    /// Bytes of header and body.
    #[must_use]
    pub fn length(&self) -> usize {
        usize::try_from(self.total_length).unwrap_or(usize::MAX)
    }
}

/// Reads the header, and returns it with the body once length and hash are right.
///
/// # Errors
/// As [`Header::read`]; bytes missing or left over; a body that is not the one hashed.
pub(crate) fn body(bytes: &[u8]) -> Result<(Header<'_>, &[u8]), ReadError> {
    let header = Header::read(bytes)?;
    if bytes.len() != header.length() {
        return Err(ReadError::Length {
            header: header.length(),
            actual: bytes.len(),
        });
    }
    let body = bytes.get(HEADER_BYTES..).unwrap_or(&[]);
    let hash: [u8; 32] = Sha256::digest(body).into();
    if hash != header.sha256 {
        return Err(ReadError::BodyHash);
    }
    Ok((header, body))
}

/// The header for `body`, without a signature.
///
/// `None` when the image would not fit into [`IMAGE_BYTES`].
#[cfg(feature = "write")]
pub(crate) fn unsigned(body: &[u8], packing: Packing, counter: u32) -> Option<[u8; HEADER_BYTES]> {
    let length = HEADER_BYTES
        .checked_add(body.len())
        .filter(|&length| length <= IMAGE_BYTES)?;
    let hash: [u8; 32] = Sha256::digest(body).into();
    let fields = MAGIC
        .into_iter()
        .chain(FORMAT_VERSION.to_le_bytes())
        .chain(packing.flag().to_le_bytes())
        .chain(u32::try_from(length).ok()?.to_le_bytes())
        .chain(hash)
        .chain([0; 64])
        .chain(counter.to_le_bytes());
    let mut header = [0; HEADER_BYTES];
    for (place, byte) in header.iter_mut().zip(fields) {
        *place = byte;
    }
    Some(header)
}

/// `image` with the signature that `sign` makes of the bytes it is given ([`Header::signed_bytes`]), in place of whatever was in the slot.
///
/// # Errors
/// As [`Header::read`]; also where `sign` gives nothing but zeros.
#[cfg(feature = "write")]
pub(crate) fn sign(
    image: &mut [u8],
    sign: impl FnOnce(&[u8; HEADER_BYTES]) -> [u8; 64],
) -> Result<(), ReadError> {
    let mut header = Header::read(image)?.signed_bytes();
    let flags = &mut header[10..12];
    flags[0] |= FLAG_SIGNED as u8;
    let signature = sign(&header);
    header[SIGNATURE_AT..SIGNATURE_AT + 64].copy_from_slice(&signature);
    Header::read(&header)?;
    image[..HEADER_BYTES].copy_from_slice(&header);
    Ok(())
}
