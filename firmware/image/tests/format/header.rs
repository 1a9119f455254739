//! The header: alone, and with the body that it is to fit.

use engram_image::Image;
use engram_image::header::{HEADER_BYTES, Header, MAGIC};

use crate::sample;

/// The header of an image whose body has one byte.
fn header() -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8] = 1;
    bytes[12] = 129;
    bytes
}

#[test]
fn reads_its_own_fields_from_a_longer_slot() {
    let mut slot = [0xff; 512];
    slot[..HEADER_BYTES].copy_from_slice(&header());
    let read = Header::read(&slot).unwrap();
    let found = (read.total_length, read.length(), read.signed);
    assert_eq!(found, (129, 129, false));
}

#[test]
fn refuses_what_it_does_not_know() {
    let refused = |change: fn(&mut [u8]), says| {
        let mut bytes = header();
        change(&mut bytes);
        assert_eq!(Header::read(&bytes).unwrap_err().to_string(), says);
    };
    each! { refused:
        |b| b[6] = b'\n' => "not an Engram image: it does not begin with ENGRAM";
        |b| b[8..10].fill(7) =>
            "the image has format 1799, this firmware knows formats up to 1: update the firmware or export for it";
        |b| b[8] = 0 => "the image has format 0, which does not exist; this firmware knows format 1";
        |b| b[11] = 0x80 => "the header has unknown flags: 0x8000";
        |b| b[10] = 1 => "the header says signed, but the signature is empty";
        |b| b[111] = 1 => "the header says unsigned, but the signature is not zero";
        |b| b[127] = 1 => "the reserved bytes of the header are not zero";
        |b| b[12] = 128 => "the image has 128 bytes; an image has more than 128";
        |b| b[12..16].fill(0xff) => "the image has 4294967295 bytes; a slot holds 1048576";
    }
}

/// A board asks the header how much of a slot is image.
#[test]
fn an_image_in_a_longer_slot() {
    let [bytes, _] = sample::files();
    let mut slot = bytes.clone();
    slot.resize(8_192, 0xff);
    let length = Header::read(&slot).unwrap().length();
    assert_eq!(length, bytes.len());
    assert!(Image::read(&slot[..length]).is_ok());
    for actual in [8_192, HEADER_BYTES] {
        let says = format!("the header says {length} bytes, but there are {actual}");
        let error = Image::read(&slot[..actual]).unwrap_err();
        assert_eq!(error.to_string(), says);
    }
}

/// A signature is not the reader's to verify, but it must be where the flag says.
#[test]
fn a_signed_image() {
    let [mut bytes, _] = sample::files();
    bytes[10] = 1;
    assert!(Image::read(&bytes).is_err());
    bytes[48..112].fill(0x55);
    let image = Image::read(&bytes).unwrap();
    assert!(image.signed && image.signature == &[0x55; 64]);
}
