//! Weights packed on their way to a board whose kernels read them in an order of their own.

use std::borrow::Cow;

use engram_image::write::{ImageSpec, write_packed};
use engram_image::{Image, Packing};

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
    use crate::calibration::tests::image;

    #[test]
    fn weights_are_packed_for_the_board_that_wants_it() {
        let rows = image();
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
