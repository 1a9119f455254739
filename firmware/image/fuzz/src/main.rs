//! Fuzz target: the image reader behind the hash.
//!
//! Length and hash are put right before every call; otherwise no input would pass them and the
//! parser would never run. What the reader accepts must be canonical: writing it again gives the
//! same body.
#![no_main]

use engram_image::Image;
use engram_image::header::HEADER_BYTES;
use engram_image::write::{ImageSpec, write};
use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};

fuzz_target!(|input: &[u8]| {
    let mut file = input.to_vec();
    if let Some((header, body)) = file.split_at_mut_checked(HEADER_BYTES) {
        let length = (header.len() + body.len()) as u32;
        header[12..16].copy_from_slice(&length.to_le_bytes());
        header[16..48].copy_from_slice(&Sha256::digest(body));
    }
    if let Ok(image) = Image::read(&file) {
        let again = write(&ImageSpec::from(&image)).expect("what was read can be written");
        assert!(
            again[HEADER_BYTES..] == file[HEADER_BYTES..],
            "accepted, but not canonical"
        );
    }
});
