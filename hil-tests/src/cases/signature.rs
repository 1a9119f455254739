//! Boards with a public key, and signed images on boards without one.

use anyhow::{Result, bail, ensure};
use ed25519_dalek::{Signer as _, SigningKey};
use engram_firmware::signature::{PublicKey, SignatureError};
use engram_flight::board::{self, BoardName, Client, NotForBoard, file_for, packed_for};
use engram_image::Image;
use engram_image::write::{ImageSpec, signed, write_packed};
use engram_link::{HelloReply, ImageStage, Reason};

use crate::sample_image::{AGE, USUAL, sample_image};
use crate::{Case, Flyer, Rig, Target, refusal};

pub(super) const CASES: &[Case] = cases![
    eng_safe_19_a_board_with_a_key_flies_what_its_owner_signed_and_nothing_else,
    the_host_says_before_an_upload_that_a_board_wants_another_signature,
    a_board_without_a_key_flies_signed_images_too,
];

/// The owner of the key that boards are given here. Not a secret.
fn owner() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

fn public(key: &SigningKey) -> PublicKey {
    PublicKey(key.verifying_key().to_bytes())
}

fn sign(key: &SigningKey, image: &[u8]) -> Result<Vec<u8>> {
    Ok(signed(image.to_vec(), |bytes| key.sign(bytes).to_bytes())?)
}

/// A board that holds the owner's public key. A program is given it at its start; any other board must have been built with it.
fn with_key(rig: &Rig) -> Result<Option<(Client, HelloReply)>> {
    let key = public(&owner());
    let transport = match rig.target() {
        Target::Board(board @ (BoardName::Loopback | BoardName::Linux | BoardName::QemuLinux)) => {
            board::open_with_key(*board, key)?
        }
        _ => rig.transport()?,
    };
    let (client, hello) = Rig::client_over(transport)?;
    if hello.signer != Some(key.0) {
        let why = format!("its firmware was not built with ENGRAM_PUBLIC_KEY={key}");
        rig.not_tried("a key", &why);
        return Ok(None);
    }
    Ok(Some((client, hello)))
}

fn eng_safe_19_a_board_with_a_key_flies_what_its_owner_signed_and_nothing_else(
    rig: &Rig,
) -> Result<()> {
    let Some((client, hello)) = with_key(rig)? else {
        return Ok(());
    };
    let unsigned = packed_for(hello.packing, &USUAL).into_owned();
    let good = sign(&owner(), &unsigned)?;
    let altered = |at: usize| {
        let mut image = good.clone();
        image[at] ^= 1;
        image
    };
    let mut flyer = Flyer::arm_with(client, &USUAL, &good)?;
    flyer.cruise(20)?;
    let stranger = SigningKey::from_bytes(&[2; 32]);
    let refused = [
        ("unsigned", unsigned.clone(), ImageStage::Signature),
        (
            "a stranger's",
            sign(&stranger, &unsigned)?,
            ImageStage::Signature,
        ),
        ("another counter", altered(112), ImageStage::Signature),
        (
            "another hash of the body",
            altered(16),
            ImageStage::Signature,
        ),
        (
            "the point of the signature",
            altered(48),
            ImageStage::Signature,
        ),
        (
            "the number of the signature",
            altered(80),
            ImageStage::Signature,
        ),
        ("another body", altered(good.len() - 1), ImageStage::Read),
    ];
    for (what, bad, stage) in refused {
        flyer.client.disarm()?;
        flyer.client.upload(&bad, |_| {}, |_| Ok(()))?;
        match refusal(flyer.client.commit())? {
            Reason::Image { stage: at, text } => {
                ensure!(at == stage, "{what}: refused at {at}: {text}");
            }
            other => bail!("{what}: {other:?}"),
        }
        // The one before flies on.
        flyer.rearm()?;
        flyer.cruise(5)?;
    }
    // Another image of the owner's takes its place.
    flyer.client.disarm()?;
    let next = sample_image(3, &AGE)?;
    let image = Image::read(&next)?;
    let mut spec = ImageSpec::from(&image);
    spec.counter = 7;
    let packing = engram_image::Packing::from_flag(hello.packing).unwrap_or_default();
    let file = sign(&owner(), &write_packed(&spec, packing)?)?;
    Flyer::arm_with(flyer.client, &next, &file)?.cruise(20)?;
    Ok(())
}

fn the_host_says_before_an_upload_that_a_board_wants_another_signature(rig: &Rig) -> Result<()> {
    let Some((_, hello)) = with_key(rig)? else {
        return Ok(());
    };
    let key = public(&owner());
    let stranger = SigningKey::from_bytes(&[2; 32]);
    let why = file_for(&hello, &USUAL).err();
    ensure!(why == Some(NotForBoard::Signature(SignatureError::Unsigned(key))));
    let other = sign(&stranger, &USUAL)?;
    let why = file_for(&hello, &other).err();
    ensure!(why == Some(NotForBoard::Signature(SignatureError::Wrong(key))));
    let good = sign(&owner(), &USUAL)?;
    ensure!(*file_for(&hello, &good)? == *good, "not as it is");
    Ok(())
}

fn a_board_without_a_key_flies_signed_images_too(rig: &Rig) -> Result<()> {
    let (client, hello) = rig.client()?;
    if hello.signer.is_some() {
        rig.not_tried("images of a stranger", "its firmware was built with a key");
        return Ok(());
    }
    let file = sign(&owner(), &packed_for(hello.packing, &USUAL))?;
    Flyer::arm_with(client, &USUAL, &file)?.cruise(20)?;
    Ok(())
}
