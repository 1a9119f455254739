//! Upload: resumable, bounded in flight, and refused without touching the running image.

use super::*;
use crate::tests_support::image_for;
use engram_image::Contract;
use engram_link::ImageStage;

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
fn misplaced_pieces_are_refused() {
    let mut rig = Rig::greeted();
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

#[test]
fn an_image_for_another_contract_is_refused() {
    let other = Contract {
        period_us: 10_000,
        ..CONTRACT
    };
    let mut rig = Rig::loaded();
    let before = rig.telemetry();
    rig.upload(&image_for(other, 2));
    match rig.refused(&ToBoard::UploadCommit) {
        Reason::Image { stage, text } => {
            assert_eq!(stage, ImageStage::Contract);
            assert!(text.contains("10000 us"), "{text}");
        }
        other => panic!("{other}"),
    }
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
