//! The header: alone, and with the body that it is to fit.

use engram_image::Image;
use engram_image::header::{HEADER_BYTES, Header, MAGIC};
use engram_image::write::{ImageSpec, in_rows, signed, write};

use crate::sample;

/// The header of an image whose body has one byte.
fn header() -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8] = 2;
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
            "the image has format 1799, this firmware knows formats 1 to 2: update the firmware or export for it";
        |b| b[8] = 0 => "the image has format 0, which does not exist; this firmware knows formats 1 to 2";
        |b| b[11] = 0x80 => "the header has unknown flags: 0x8000";
        |b| b[10] = 1 => "the header says signed, but the signature is empty";
        |b| b[111] = 1 => "the header says unsigned, but the signature is not zero";
        |b| b[116] = 1 => "the reserved bytes of the header are not zero";
        |b| b[127] = 1 => "the reserved bytes of the header are not zero";
        |b| (b[8], b[115]) = (1, 1) => "the reserved bytes of the header are not zero";
        |b| b[12] = 128 => "the image has 128 bytes; an image has more than 128";
        |b| b[12..16].fill(0xff) => "the image has 4294967295 bytes; a slot holds 1048576";
    }
}

/// Images of version 1 are read as those of version 2 whose counter is 0.
#[test]
fn the_counter_of_both_versions() {
    for (version, bytes, counter) in [(1, [0; 4], 0), (2, [0; 4], 0), (2, [1, 2, 0, 0], 513)] {
        let mut header = header();
        header[8] = version;
        header[112..116].copy_from_slice(&bytes);
        assert_eq!(Header::read(&header).unwrap().counter, counter);
    }
    let [bytes, _] = sample::files();
    let mut first = bytes.clone();
    first[8] = 1;
    let (image, old) = (Image::read(&bytes).unwrap(), Image::read(&first).unwrap());
    assert_eq!(image, old);
    let counted = ImageSpec {
        counter: 7,
        ..ImageSpec::from(&image)
    };
    let counted = write(&counted).unwrap();
    assert_eq!(Image::read(&counted).unwrap().counter, 7);
    assert_eq!(counted[HEADER_BYTES..], bytes[HEADER_BYTES..]);
    assert_eq!(in_rows(counted.clone()).unwrap(), counted);
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

/// What is signed is the header with an empty slot, and signing anew gives the same for the same signer.
#[test]
fn signing_fills_the_slot_and_the_flag() {
    let [bytes, _] = sample::files();
    let mut message = [0; HEADER_BYTES];
    let once = signed(bytes.clone(), |signed| {
        message = *signed;
        [0x55; 64]
    })
    .unwrap();
    assert_eq!(message[..10], bytes[..10]);
    assert_eq!(message[10..12], [1, 0]);
    assert_eq!(message[12..], bytes[12..HEADER_BYTES]);
    let read = Header::read(&once).unwrap();
    assert!(read.signed && read.signed_bytes() == message);
    assert_eq!(read.signature, &[0x55; 64]);
    assert_eq!(once[HEADER_BYTES..], bytes[HEADER_BYTES..]);
    let twice = signed(once.clone(), |signed| {
        assert_eq!(*signed, message);
        [0x66; 64]
    });
    assert_eq!(
        Header::read(&twice.unwrap()).unwrap().signature,
        &[0x66; 64]
    );
    assert!(signed(once, |_| [0; 64]).is_err(), "no signature");
    assert!(signed(vec![0; 200], |_| [1; 64]).is_err(), "no image");
}
