//! Damaged files: every truncation and every flipped bit, with the old hash and with a new one.

use engram_image::write::{ImageSpec, write_packed};
use engram_image::{Image, ReadError};

use crate::sample;
use crate::tree::rehash;

/// Whatever is accepted must be what the writer writes for it.
pub(crate) fn refused_or_canonical(bytes: &[u8]) -> Option<ReadError> {
    match Image::read(bytes) {
        Err(error) => Some(error),
        Ok(image) => {
            let again = write_packed(&ImageSpec::from(&image), image.packing);
            let again = again.expect("what was read can be written");
            // The header differs by the signature alone; flags are part of what was read.
            assert!(again[128..] == bytes[128..], "accepted, but not canonical");
            None
        }
    }
}

#[test]
fn every_truncation_is_refused() {
    for file in sample::files() {
        for length in 0..file.len() {
            assert!(Image::read(&file[..length]).is_err(), "{length}");
            let mut shorter = file[..length].to_vec();
            rehash(&mut shorter);
            assert!(Image::read(&shorter).is_err(), "{length}, with its hash");
        }
        let mut longer = file.clone();
        longer.push(0);
        assert!(Image::read(&longer).is_err());
        rehash(&mut longer);
        let offset = u32::try_from(file.len()).unwrap();
        assert_eq!(Image::read(&longer), Err(ReadError::Trailing { offset }));
    }
}

/// But for those of the counter, which is a number like any other: a signature covers it, and so does the hash of an upload.
#[test]
fn every_flipped_bit_is_refused() {
    for mut file in sample::files() {
        for bit in 0..8 * file.len() {
            let counter = (8 * 112..8 * 116).contains(&bit);
            file[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Image::read(&file).is_ok(), counter, "bit {bit}");
            file[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn every_flipped_bit_with_a_new_hash_is_refused_or_canonical() {
    for file in sample::files() {
        let mut accepted = 0;
        for bit in 8 * 128..8 * file.len() {
            let mut flipped = file.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            rehash(&mut flipped);
            accepted += usize::from(refused_or_canonical(&flipped).is_none());
        }
        // Bits of weights, biases, golden values and names may change; the others may not.
        assert!(
            accepted > 8 * file.len() / 20 && accepted < 8 * file.len() * 3 / 4,
            "{accepted}"
        );
    }
}

#[test]
fn every_byte_value_at_every_place_of_the_structure() {
    let [_, file] = sample::files();
    // What is no tensor: keys, headers, numbers.
    for place in 128..file.len() {
        for value in [
            0x00, 0x18, 0x1b, 0x3b, 0x40, 0x5f, 0x60, 0x7f, 0x80, 0x9f, 0xa0, 0xbf, 0xc0, 0xf6,
            0xf9, 0xfb, 0xff,
        ] {
            let mut changed = file.clone();
            changed[place] = value;
            rehash(&mut changed);
            refused_or_canonical(&changed);
        }
    }
}
