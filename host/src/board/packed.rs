//! Weights packed on their way to a board whose kernels read them in an order of their own.

use std::borrow::Cow;

use engram_image::write::{ImageSpec, write_packed};
use engram_image::{Image, Packing};

use super::BoardName;

/// `image` packed for the board that says hello as `board`, as `engram export --for` writes it. As it is: what that
/// board reads in rows, what is packed or signed already (a signature covers every byte), what the packing
/// cannot hold, what is no image, and whatever is for a board of another name.
#[must_use]
pub fn packed_for<'a>(board: &str, image: &'a [u8]) -> Cow<'a, [u8]> {
    let packing = board.parse().map_or(Packing::Rows, BoardName::packing);
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
    use crate::calibration::tests::image;

    #[test]
    fn weights_are_packed_for_the_board_that_wants_it() {
        let rows = image();
        let plain = Image::read(&rows).expect("an image");
        let packed = packed_for("qemu-m7", &rows);
        let read = Image::read(&packed).expect("an image");
        assert_eq!(
            (read.packing, read.weights_sha256),
            (Packing::CortexM, plain.weights_sha256)
        );
        assert!(matches!(packed_for("qemu-m7", &packed), Cow::Borrowed(_)));
        for board in ["qemu-m55", "loopback", "a robot of the user's own"] {
            assert!(matches!(packed_for(board, &rows), Cow::Borrowed(_)));
        }
        assert_eq!(*packed_for("qemu-m7", b"ENGRAM"), *b"ENGRAM");
    }
}
