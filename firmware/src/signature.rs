//! Signatures of images (ed25519): what a board that holds a public key checks before it parses anything.
//!
//! The group and its numbers are those of `curve25519-dalek`; the equation stands here, since the panic that `ed25519-dalek`'s own has (a table
//! that is indexed by digits of the signature) would be reachable. A test holds both to the same answers.

#[cfg(test)]
mod tests;

use core::fmt;
use core::str::FromStr;
use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use engram_image::header::Header;
use sha2::{Digest, Sha512};
use thiserror::Error;

/// Hexadecimal digits of a key.
const DIGITS: usize = 64;

/// An ed25519 public key, written as 64 hexadecimal digits: that of the one whose images a board takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(pub [u8; 32]);

/// A text is no public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a public key is 64 hexadecimal digits, as `engram keygen` prints them")]
pub struct NotAKey;

/// Why an image is not taken for one of a key's owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// It carries no signature.
    #[error("not signed, and only images signed by key {0:.12} are taken: engram sign")]
    Unsigned(PublicKey),
    /// The signature is not one that the key's owner made of this image.
    #[error("not signed by key {0:.12}, or altered since: engram sign with the board's own key")]
    Wrong(PublicKey),
    /// The key is no point of the curve, or one that everything is signed by.
    #[error("key {0:.12} is no ed25519 public key: nothing can be signed by it")]
    Key(PublicKey),
}

impl PublicKey {
    /// The key that a firmware is built with, from `option_env!("ENGRAM_PUBLIC_KEY")`; none where that is not set, or empty.
    ///
    /// # Panics
    /// Where the text is no key: in a constant, the build fails.
    #[must_use]
    pub const fn of_build(text: Option<&str>) -> Option<Self> {
        match text {
            None => None,
            Some(text) if text.is_empty() => None,
            Some(text) => match Self::from_hexadecimal(text) {
                Some(key) => Some(key),
                None => {
                    panic!("ENGRAM_PUBLIC_KEY is not the 64 hexadecimal digits of a public key")
                }
            },
        }
    }

    const fn from_hexadecimal(text: &str) -> Option<Self> {
        let mut key = [0; DIGITS / 2];
        let mut digits = text.as_bytes();
        let mut rest = key.as_mut_slice();
        while let ([high, low, later @ ..], [byte, others @ ..]) = (digits, rest) {
            *byte = match (nibble(*high), nibble(*low)) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => return None,
            };
            (digits, rest) = (later, others);
        }
        if text.len() == DIGITS {
            Some(Self(key))
        } else {
            None
        }
    }

    /// Checks that the owner of this key has signed the image with this header, and so its body, whose hash the header states.
    ///
    /// Takes as strictly as anybody: no other encoding of the signature passes, and no key or signature of small order.
    ///
    /// # Errors
    /// [`SignatureError`].
    // Its own frame: kept out of the caller's, the stack holds it only while it runs.
    #[inline(never)]
    pub fn verify(&self, header: &Header<'_>) -> Result<(), SignatureError> {
        if !header.signed {
            return Err(SignatureError::Unsigned(*self));
        }
        let key = self.point().ok_or(SignatureError::Key(*self))?;
        let signed = self.has_signed(key, &header.signed_bytes(), header.signature);
        signed.ok_or(SignatureError::Wrong(*self))
    }

    /// Whether anything can be signed by it.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.point().is_some()
    }

    fn point(&self) -> Option<EdwardsPoint> {
        let point = CompressedEdwardsY(self.0).decompress()?;
        (!point.is_small_order()).then_some(point)
    }

    fn has_signed(&self, key: EdwardsPoint, message: &[u8], signature: &[u8; 64]) -> Option<()> {
        let (commitment, response) = signature.split_first_chunk::<32>()?;
        let response = Scalar::from_canonical_bytes(*response.first_chunk()?).into_option()?;
        let commitment = CompressedEdwardsY(*commitment);
        if commitment.decompress()?.is_small_order() {
            return None;
        }
        let mut hash = Sha512::new();
        hash.update(commitment.0);
        hash.update(self.0);
        hash.update(message);
        let challenge = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
        let expected = ED25519_BASEPOINT_POINT * response - key * challenge;
        (expected.compress() == commitment).then_some(())
    }
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

impl FromStr for PublicKey {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        Self::from_hexadecimal(text.trim()).ok_or(NotAKey)
    }
}

impl fmt::Display for PublicKey {
    /// With a precision its first digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(DIGITS);
        for (index, byte) in self.0.iter().enumerate() {
            for (place, nibble) in [(2 * index, byte >> 4), (2 * index + 1, byte & 15)] {
                if place < digits {
                    write!(f, "{nibble:x}")?;
                }
            }
        }
        Ok(())
    }
}
