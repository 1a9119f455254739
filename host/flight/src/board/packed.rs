//! Weights packed on their way to a board whose kernels read them in an order of their own.

use std::borrow::Cow;

use engram_firmware::signature::{PublicKey, SignatureError};
use engram_image::header::Header;
use engram_image::write::{ImageSpec, write_packed};
use engram_image::{Image, Packing};
use engram_link::HelloReply;

/// Why a board would refuse an image that cannot be changed on the way to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotForBoard {
    /// The board has a key, and its owner has not signed the image.
    #[error("the board refuses this image: {0}")]
    Signature(SignatureError),
    /// Its weights lie in an order that the board's kernels cannot read.
    #[error(
        "the image is signed and packed for {image}, and this board reads {board}: sign it for the board (engram sign FILE.engram --for BOARD --key KEY.pem -o NEW.engram)"
    )]
    Packing {
        /// The image's packing.
        image: Packing,
        /// The board's.
        board: Packing,
    },
}

/// What is sent of `image` to the board that said `hello`: [`packed_for`] it where it is unsigned, otherwise as it is.
///
/// # Errors
/// [`NotForBoard`], which the board would say after the upload.
pub fn file_for<'a>(hello: &HelloReply, image: &'a [u8]) -> Result<Cow<'a, [u8]>, NotForBoard> {
    let Ok(header) = Header::read(image) else {
        return Ok(Cow::Borrowed(image));
    };
    if let Some(signer) = hello.signer {
        let key = PublicKey(signer);
        key.verify(&header).map_err(NotForBoard::Signature)?;
    }
    let (image_packing, board) = (header.packing, Packing::from_flag(hello.packing));
    match board {
        Some(board) if header.signed && image_packing != board => {
            if image_packing != Packing::Rows {
                let image = image_packing;
                return Err(NotForBoard::Packing { image, board });
            }
            tracing::warn!(
                "the image is signed in rows and goes to the board as it is, whose kernels read {board}: it flies in plain Rust, in about four times the \
                 instructions (engram sign FILE.engram --for BOARD --key KEY.pem -o NEW.engram)"
            );
        }
        _ => {}
    }
    Ok(packed_for(hello.packing, image))
}

/// `image` packed as the board's hello wants it ([`HelloReply::packing`](engram_link::HelloReply::packing)), which is as `engram
/// export --for` writes it. As it is: what is packed or signed already (a signature covers every byte), what the packing
/// cannot hold, what is no image, and everything for a board that wants what this host does not know.
#[must_use]
pub fn packed_for(packing: u16, image: &[u8]) -> Cow<'_, [u8]> {
    let packing = Packing::from_flag(packing).unwrap_or_default();
    match Image::read(image) {
        Ok(read) if packing != Packing::Rows && read.packing == Packing::Rows && !read.signed => {
            write_packed(&ImageSpec::from(&read), packing).map_or(Cow::Borrowed(image), Cow::Owned)
        }
        _ => Cow::Borrowed(image),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::{Client, Loopback, Patience};
    use crate::shipped_image;
    use crate::signer::Signer;
    use engram_link::RequestedPace;

    /// What a board of this process says hello with.
    fn hello(key: Option<PublicKey>, packing: Packing) -> HelloReply {
        let board = Box::new(Loopback::new(key));
        let (_, hello) =
            Client::connect(board, RequestedPace::Unchanged, Patience::default()).expect("a board");
        HelloReply {
            packing: packing.flag(),
            ..hello
        }
    }

    #[test]
    fn a_signed_image_is_sent_as_it_is_or_not_at_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let signer = Signer::create(&folder.path().join("key.pem")).expect("a new file");
        let rows = shipped_image("pendulum").expect("one ships").to_vec();
        let packed = packed_for(Packing::CortexM.flag(), &rows).into_owned();
        let [rows, packed] =
            [rows, packed].map(|file| (signer.sign(file.clone()).expect("an image"), file));
        let (for_rows, for_packed) = (hello(None, Packing::Rows), hello(None, Packing::CortexM));
        assert_eq!(
            file_for(&for_packed, &packed.0),
            Ok(Cow::Borrowed(&packed.0[..]))
        );
        assert_eq!(
            file_for(&for_packed, &rows.0),
            Ok(Cow::Borrowed(&rows.0[..])),
            "slow, with a warning"
        );
        assert_eq!(file_for(&for_packed, &rows.1).as_deref(), Ok(&packed.1[..]));
        let packing = NotForBoard::Packing {
            image: Packing::CortexM,
            board: Packing::Rows,
        };
        assert_eq!(file_for(&for_rows, &packed.0), Err(packing));
        let own = signer.public();
        let with_key = hello(Some(own), Packing::Rows);
        assert_eq!(file_for(&with_key, &rows.0), Ok(Cow::Borrowed(&rows.0[..])));
        let unsigned = NotForBoard::Signature(SignatureError::Unsigned(own));
        assert_eq!(file_for(&with_key, &rows.1), Err(unsigned));
        // What is no image the board refuses by itself.
        assert_eq!(
            file_for(&with_key, b"ENGRAM").as_deref(),
            Ok(&b"ENGRAM"[..])
        );
    }

    #[test]
    fn weights_are_packed_for_the_board_that_wants_it() {
        let rows = shipped_image("pendulum").expect("one ships").to_vec();
        let plain = Image::read(&rows).expect("an image");
        let wanted = Packing::CortexM.flag();
        let packed = packed_for(wanted, &rows);
        let read = Image::read(&packed).expect("an image");
        assert_eq!(
            (read.packing, read.weights_sha256),
            (Packing::CortexM, plain.weights_sha256)
        );
        assert!(matches!(packed_for(wanted, &packed), Cow::Borrowed(_)));
        let unknown = 0x8000;
        for packing in [Packing::Rows.flag(), unknown] {
            assert!(matches!(packed_for(packing, &rows), Cow::Borrowed(_)));
        }
        assert_eq!(*packed_for(wanted, b"ENGRAM"), *b"ENGRAM");
    }
}
