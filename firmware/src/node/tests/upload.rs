//! Upload: resumable, bounded in flight, and refused without touching the running image.

use super::*;
use crate::tests_support::{image_for, image_with_false_golden};
use engram_image::Contract;
use engram_link::ImageStage;

fn refused_at(rig: &mut Rig, stage: ImageStage, words: &str) {
    let reason = rig.refused(&ToBoard::UploadCommit);
    match &reason {
        Reason::Image { stage: got, text } => {
            assert_eq!(*got, stage, "{reason}");
            assert!(text.contains(words), "{reason}");
        }
        other => panic!("{other}"),
    }
}

#[test]
fn an_uploaded_image_flies() {
    let mut rig = Rig::greeted();
    rig.upload(&image(3));
    assert_eq!(rig.telemetry().weights_sha256, None);
    rig.done(&ToBoard::UploadCommit);
    let mut other = Rig::greeted();
    other.node.install(&image(3)).expect("a good image");
    for rig in [&mut rig, &mut other] {
        rig.done(&ToBoard::Arm);
    }
    for _ in 0..20 {
        assert_eq!(rig.good_step().words, other.good_step().words);
    }
}

#[test]
fn an_upload_resumes_where_it_was() {
    let mut rig = Rig::greeted();
    let image = image(1);
    rig.progress(&begin(&image));
    rig.progress(&chunk(&image, 0));
    rig.progress(&chunk(&image, 512));
    // A new host on the same board.
    rig.to_board = Encoder::new();
    rig.hello(Pace::LockStep);
    assert_eq!(rig.progress(&ToBoard::UploadStatus).offset, 1024);
    let progress = rig.progress(&begin(&image));
    assert_eq!(progress.offset, 1024);
    assert_eq!(progress.sha256, <[u8; 32]>::from(Sha256::digest(&image)));
    // A chunk that came before is not written again; one too far ahead is refused.
    assert_eq!(rig.progress(&chunk(&image, 512)).offset, 1024);
    assert_eq!(
        rig.refused(&chunk(&image, 1536)),
        Reason::UploadOffset {
            expected: 1024,
            got: 1536
        }
    );
    assert_eq!(
        rig.refused(&ToBoard::UploadCommit),
        Reason::UploadIncomplete {
            offset: 1024,
            length: u32::try_from(image.len()).expect("short")
        }
    );
    rig.upload(&image);
    rig.done(&ToBoard::UploadCommit);
}

#[test]
fn another_image_starts_from_nothing() {
    let mut rig = Rig::greeted();
    rig.progress(&begin(&image(1)));
    rig.progress(&chunk(&image(1), 0));
    assert_eq!(rig.progress(&begin(&image(2))).offset, 0);
}

#[test]
fn too_long_and_misplaced_pieces_are_refused() {
    let mut rig = Rig::greeted();
    let too_long = ToBoard::UploadBegin {
        length: 20_001,
        sha256: [0; 32],
    };
    assert_eq!(
        rig.refused(&too_long),
        Reason::ImageTooLong {
            length: 20_001,
            most: 20_000
        }
    );
    assert_eq!(rig.refused(&chunk(&image(1), 0)), Reason::NoUpload);
    rig.progress(&ToBoard::UploadBegin {
        length: 100,
        sha256: [0; 32],
    });
    assert_eq!(
        rig.refused(&chunk(&image(1), 0)),
        Reason::UploadOffset {
            expected: 0,
            got: 0
        }
    );
    let overlong = ToBoard::UploadChunk(UploadChunk {
        offset: u32::MAX,
        data: heapless::Vec::from_slice(&[1; 512]).expect("fits"),
    });
    assert_eq!(
        rig.refused(&overlong),
        Reason::UploadOffset {
            expected: 0,
            got: u32::MAX
        }
    );
}

#[test]
fn in_flight_an_upload_gets_its_share_and_no_activation() {
    let mut rig = Rig::flying();
    let next = image(2);
    rig.progress(&begin(&next));
    let mut offset = 0;
    let mut steps = 0;
    while offset < next.len() {
        for _ in 0..2 {
            if offset < next.len() {
                offset = rig.progress(&chunk(&next, offset)).offset as usize;
            }
        }
        if offset < next.len() {
            assert_eq!(
                rig.refused(&chunk(&next, offset)),
                Reason::UploadShare {
                    bytes_per_period: 1024
                }
            );
        }
        assert_eq!(rig.good_step().state, State::Armed);
        steps += 1;
    }
    assert!(steps > 2);
    assert_eq!(
        rig.refused(&ToBoard::UploadCommit),
        Reason::NotDisarmed(State::Armed)
    );
    assert_eq!(rig.node.faults(), Faults::NONE);
    let before = rig.telemetry().weights_sha256;
    rig.done(&ToBoard::Disarm);
    rig.done(&ToBoard::UploadCommit);
    assert_ne!(rig.telemetry().weights_sha256, before);
}

/// Commits `bad` on a board that has image 1, and checks that image 1 flies as if nothing had been.
fn leaves_the_old_image_flying(bad: &[u8], stage: ImageStage, words: &str) {
    let mut rig = Rig::loaded();
    let before = rig.telemetry();
    rig.upload(bad);
    refused_at(&mut rig, stage, words);
    assert_eq!(rig.refused(&ToBoard::UploadStatus), Reason::NoUpload);
    let after = rig.telemetry();
    assert!(after.weights_checked);
    assert_eq!(after.weights_sha256, before.weights_sha256);
    let mut fresh = Rig::loaded();
    for rig in [&mut rig, &mut fresh] {
        rig.done(&ToBoard::Arm);
    }
    for _ in 0..20 {
        let fresh = fresh.good_step();
        // The two rigs' hosts count their frames differently.
        let request = rig.to_board.next_sequence();
        assert_eq!(rig.good_step(), Action { request, ..fresh });
    }
}

#[test]
fn a_damaged_image_is_refused() {
    let mut rig = Rig::loaded();
    let mut bad = image(2);
    rig.progress(&begin(&bad));
    bad[1000] ^= 1;
    for offset in (0..bad.len()).step_by(512) {
        rig.progress(&chunk(&bad, offset));
    }
    refused_at(&mut rig, ImageStage::Transfer, "SHA-256");
}

#[test]
fn an_image_that_was_damaged_before_is_refused() {
    let mut bad = image(2);
    bad[1000] ^= 1;
    leaves_the_old_image_flying(&bad, ImageStage::Read, "");
    leaves_the_old_image_flying(&bad[..500], ImageStage::Read, "");
}

#[test]
fn an_image_for_another_contract_is_refused() {
    let other = Contract {
        period_us: 10_000,
        ..CONTRACT
    };
    leaves_the_old_image_flying(&image_for(other, 2), ImageStage::Contract, "10000 us");
}

#[test]
fn an_image_with_a_false_golden_trace_is_refused() {
    leaves_the_old_image_flying(&image_with_false_golden(2), ImageStage::Golden, "");
}

#[test]
fn uploads_alternate_between_the_slots() {
    let mut rig = Rig::greeted();
    let mut hashes = Vec::new();
    for seed in 1..6 {
        rig.upload(&image(seed));
        rig.done(&ToBoard::UploadCommit);
        let telemetry = rig.telemetry();
        assert!(telemetry.weights_checked);
        hashes.push(telemetry.weights_sha256);
    }
    hashes.dedup();
    assert_eq!(hashes.len(), 5);
}
