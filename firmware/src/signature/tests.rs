//! Signatures that pass, and everything else that does not.

extern crate std;

use super::*;
use crate::tests_support::{counted, image, key, signed_by, signer};
use ed25519_dalek::{Signature, Signer as _, VerifyingKey};
use proptest::prelude::*;
use std::format;
use std::string::ToString as _;
use std::vec::Vec;

/// The order of the group, little endian: added to a response, it gives another encoding of the same number.
const ORDER: [u8; 32] = {
    let mut order = [0; 32];
    let low = 0x14de_f9de_a2f7_9cd6_5812_631a_5cf5_d3ed_u128.to_le_bytes();
    let mut at = 0;
    while at < 16 {
        order[at] = low[at];
        at += 1;
    }
    order[31] = 0x10;
    order
};

fn verify(key: PublicKey, image: &[u8]) -> Result<(), SignatureError> {
    key.verify(&Header::read(image).expect("a header"))
}

/// A signed image of this crate's small robot, with a counter.
fn signed() -> Vec<u8> {
    signed_by(1, counted(3, &image(1)))
}

fn with_signature(signature: [u8; 64]) -> Vec<u8> {
    let mut bytes = signed();
    bytes[48..112].copy_from_slice(&signature);
    bytes
}

#[test]
fn the_owner_of_the_key_has_signed() {
    let bytes = signed();
    assert_eq!(verify(key(1), &bytes), Ok(()));
    assert_eq!(verify(key(2), &bytes), Err(SignatureError::Wrong(key(2))));
    let unsigned = Err(SignatureError::Unsigned(key(1)));
    assert_eq!(verify(key(1), &image(1)), unsigned);
    // What was signed with another counter is another image.
    let other = Header::read(&signed_by(1, counted(4, &image(1))))
        .map(|header| *header.signature)
        .expect("a header");
    assert!(verify(key(1), &with_signature(other)).is_err());
}

#[test]
fn another_encoding_of_the_same_signature_is_refused() {
    let bytes = signed();
    let signature = *Header::read(&bytes).expect("a header").signature;
    let mut carry = 0;
    let mut again = signature;
    for (byte, order) in again[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    assert_eq!(carry, 0, "it fits, and a lax check would take it");
    assert!(verify(key(1), &with_signature(again)).is_err());
}

/// Under a key of small order almost anything is a signature of everything; such a key signs nothing.
#[test]
fn keys_and_signatures_of_small_order_are_refused() {
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut order_two = [0xff; 32];
    (order_two[0], order_two[31]) = (0xec, 0x7f);
    let not_a_point = {
        let mut bytes = [0; 32];
        bytes[0] = 2;
        bytes
    };
    let mut forged = [0; 64];
    forged[..32].copy_from_slice(&neutral);
    let bytes = with_signature(forged);
    for small in [neutral, order_two, [0; 32], not_a_point] {
        let small = PublicKey(small);
        assert!(!small.is_valid());
        assert_eq!(verify(small, &bytes), Err(SignatureError::Key(small)));
    }
    assert!(key(1).is_valid());
    assert!(verify(key(1), &bytes).is_err());
    // For the neutral element as a key, the equation itself holds.
    let lax = VerifyingKey::from_bytes(&neutral).expect("a point");
    let message = Header::read(&bytes).expect("a header").signed_bytes();
    let signature = Signature::from_bytes(&forged);
    assert!(ed25519_dalek::Verifier::verify(&lax, &message, &signature).is_ok());
}

/// The vectors of RFC 8032, section 7.1, of an empty message and of one byte.
#[test]
fn vectors_of_the_standard() {
    for (public, message, signature) in [
        (
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            &[][..],
            [
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155",
                "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
            ],
        ),
        (
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            &[0x72],
            [
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da",
                "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
            ],
        ),
    ] {
        let public: PublicKey = public.parse().expect("a key");
        let halves = signature.map(|half| half.parse::<PublicKey>().expect("32 bytes").0);
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&halves[0]);
        signature[32..].copy_from_slice(&halves[1]);
        let point = public.point().expect("a point");
        assert_eq!(public.has_signed(point, message, &signature), Some(()));
        assert_eq!(public.has_signed(point, b"other", &signature), None);
    }
}

#[test]
fn keys_are_written_as_64_digits() {
    let text = key(1).to_string();
    assert_eq!(text.len(), 64);
    assert_eq!(text.parse(), Ok(key(1)));
    assert_eq!(format!(" {}\n", text.to_uppercase()).parse(), Ok(key(1)));
    assert_eq!(PublicKey::of_build(Some(&text)), Some(key(1)));
    assert_eq!(PublicKey::of_build(Some("")), None);
    assert_eq!(PublicKey::of_build(None), None);
    for wrong in ["", &text[1..], &format!("{text}0"), &text.replace('8', "g")] {
        assert_eq!(wrong.parse::<PublicKey>(), Err(NotAKey));
    }
    assert_eq!(format!("{:.12}", key(1)), text[..12]);
    // Each reason fits into a refusal of the link.
    for reason in [
        SignatureError::Unsigned(key(1)),
        SignatureError::Wrong(key(1)),
        SignatureError::Key(key(1)),
    ] {
        let text = reason.to_string();
        assert!(text.len() <= engram_link::limits::REASON_BYTES, "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Every header but the signed one is refused, by the reader or by the signature, whatever was changed in it.
    #[test]
    fn no_altered_header_passes(changes in prop::collection::vec((0..128_usize, 1..=255_u8), 1..4)) {
        let bytes = signed();
        let mut altered = bytes.clone();
        for (at, with) in changes {
            altered[at] ^= with;
        }
        prop_assume!(altered != bytes);
        let passes = Header::read(&altered).is_ok_and(|header| key(1).verify(&header).is_ok());
        prop_assert!(!passes);
    }

    /// The equation here gives what `ed25519-dalek`'s strict check gives: on good signatures, damaged ones, and on any bytes.
    #[test]
    fn as_strict_as_ed25519_dalek(
        number in 1..5_u8,
        other in 1..5_u8,
        message in prop::collection::vec(any::<u8>(), 0..200),
        flip in prop::option::of(0..512_usize),
        random in prop::option::weighted(0.2, any::<([u8; 32], [u8; 32])>()),
    ) {
        let mut signature = signer(number).sign(&message).to_bytes();
        if let Some((low, high)) = random {
            signature[..32].copy_from_slice(&low);
            signature[32..].copy_from_slice(&high);
        }
        if let Some(bit) = flip {
            signature[bit / 8] ^= 1 << (bit % 8);
        }
        let key = key(other);
        let theirs = signer(other)
            .verifying_key()
            .verify_strict(&message, &Signature::from_bytes(&signature));
        let point = key.point().expect("a point");
        let ours = key.has_signed(point, &message, &signature);
        prop_assert_eq!(ours.is_some(), theirs.is_ok());
        let good = number == other && flip.is_none() && random.is_none();
        prop_assert_eq!(ours.is_some(), good);
    }
}
