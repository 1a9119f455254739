//! Images on trial, on a model of a flash: what the node confirms and what it rolls back, and every cut of power with real images.

use super::*;
use crate::flash::FlashStore;
use crate::flash::tests::model::{Model, Torn};
use crate::tests_support::{counted, key, signed_by};
use engram_link::Fault;
use std::println;

type Flash = Model<32, 1024>;
type FlashRig<'f> = Rig<ReportedActuators, FlashStore<&'f mut Flash>>;

/// A signed image; higher numbers have higher counters.
fn image(seed: u64) -> Vec<u8> {
    let image = crate::tests_support::image(seed);
    signed_by(1, counted(seed as u32, &image))
}

fn blank(torn: Torn) -> Flash {
    Flash::new(14, torn)
}

/// A node that has just started, greeted; and what became of the image in its flash.
fn start(flash: &mut Flash, pace: Pace) -> (FlashRig<'_>, Result<(), Reason>) {
    let store = FlashStore::new(flash).expect("large enough");
    let mut rig = Rig::over(OWN, pace, ReportedActuators, store, Some(key(1)));
    assert_eq!(rig.hello(pace).signer, Some(key(1).0));
    let found = rig.node.install_found();
    (rig, found)
}

/// Its flash has image 1 confirmed and image 2 on trial.
fn on_trial(flash: &mut Flash, pace: Pace) -> FlashRig<'_> {
    let (mut rig, found) = start(flash, pace);
    assert_eq!(found, Err(Reason::NoImage));
    assert_eq!(rig.node.install(&image(1)), Ok(()));
    assert!(!rig.node.slots.on_trial(), "nothing to roll back to");
    rig.upload(&image(2));
    rig.done(&ToBoard::UploadCommit);
    assert_eq!(rig.flies(), Some(2));
    assert!(rig.node.slots.on_trial());
    rig
}

impl FlashRig<'_> {
    /// Which image is active.
    fn flies(&self) -> Option<u64> {
        let active = self.node.slots.weights_sha256()?;
        (1..4).find(|seed| {
            let bytes = image(*seed);
            engram_image::Image::read(&bytes)
                .expect("good")
                .weights_sha256
                == active
        })
    }
}

#[test]
fn a_long_flight_without_a_fault_confirms() {
    let mut flash = blank(Torn::Faults);
    let mut rig = on_trial(&mut flash, Pace::LockStep);
    rig.done(&ToBoard::Arm);
    for _ in 1..TRIAL_STEPS {
        rig.good_step();
    }
    assert!(rig.node.slots.on_trial());
    rig.good_step();
    assert!(!rig.node.slots.on_trial());
    let (rig, found) = start(&mut flash, Pace::LockStep);
    assert_eq!((found, rig.flies()), (Ok(()), Some(2)));
}

/// After a confirmed image of counter 2 one of counter 1 is refused with both numbers, whoever signed it; equal ones are not.
#[test]
fn an_older_image_than_the_confirmed_one_is_refused() {
    let mut flash = blank(Torn::Faults);
    let (mut rig, _) = start(&mut flash, Pace::LockStep);
    assert_eq!(rig.node.install(&image(2)), Ok(()));
    let refused = rig.node.install(&image(1));
    let Err(Reason::Image { stage, text }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(stage, engram_link::ImageStage::Transfer);
    let both = "the image's counter is 1, and the confirmed image's is 2";
    assert_eq!(text, both);
    assert_eq!(rig.flies(), Some(2));
    let equal = signed_by(1, counted(2, &image(3)));
    assert_eq!(rig.node.install(&equal), Ok(()));
    // A raised counter counts from the moment at which its image is confirmed.
    assert!(rig.node.slots.on_trial());
    let raised = signed_by(1, counted(9, &image(3)));
    assert_eq!(rig.node.install(&raised), Ok(()));
    assert_eq!(rig.node.roll_back(), Ok(()));
    assert_eq!(rig.node.install(&equal), Ok(()));
    assert_eq!(rig.node.roll_back(), Ok(()));
    assert_eq!(rig.node.install(&raised), Ok(()));
    assert_eq!(rig.node.slots.mark(Mark::Proven), Ok(()));
    assert!(rig.node.install(&equal).is_err());
    let (mut rig, found) = start(&mut flash, Pace::LockStep);
    assert_eq!(found, Ok(()));
    assert!(rig.node.install(&equal).is_err(), "after a start, too");
}

#[test]
fn a_reset_in_flight_rolls_back() {
    let mut flash = blank(Torn::Faults);
    let mut rig = on_trial(&mut flash, Pace::LockStep);
    rig.done(&ToBoard::Arm);
    rig.good_step();
    let (rig, found) = start(&mut flash, Pace::LockStep);
    assert_eq!((found, rig.flies()), (Ok(()), Some(1)));
}

#[test]
fn an_image_on_trial_that_fails_its_checks_after_a_start_is_rolled_back() {
    let mut flash = blank(Torn::Faults);
    let slot = on_trial(&mut flash, Pace::LockStep).node.slots.capacity();
    let middle = 2 * 1024 + slot as usize + 3_000;
    flash.bytes[middle] ^= 1;
    let (rig, found) = start(&mut flash, Pace::LockStep);
    assert_eq!((found, rig.flies()), (Ok(()), Some(1)));
    assert!(!rig.node.slots.on_trial());
}

#[test]
fn missed_deadlines_roll_back_once_nothing_moves() {
    let mut flash = blank(Torn::Faults);
    let mut rig = on_trial(&mut flash, Pace::RealTime);
    rig.done(&ToBoard::Arm);
    rig.node.platform().look_us = 16_000;
    while rig.node.faults().is_empty() {
        rig.sample();
        rig.tick();
    }
    assert_eq!(rig.node.faults(), Fault::DeadlineMisses.into());
    rig.node.platform().look_us = 0;
    rig.tick();
    assert_eq!(rig.flies(), Some(2), "not in flight");
    rig.done(&ToBoard::Disarm);
    for _ in 0..10 {
        rig.tick();
    }
    assert_eq!(rig.flies(), Some(1));
    assert!(!rig.node.slots.on_trial());
}

#[test]
fn an_upload_is_begun_only_where_nothing_moves_and_ends_a_trial() {
    let mut flash = blank(Torn::Faults);
    let mut rig = on_trial(&mut flash, Pace::LockStep);
    rig.done(&ToBoard::Arm);
    rig.good_step();
    let refused = rig.refused(&begin(&image(3)));
    assert_eq!(refused, Reason::NotDisarmed(State::Armed));
    rig.done(&ToBoard::Disarm);
    let mut long = std::vec![0; 6_145];
    assert!(matches!(
        rig.refused(&begin(&long)),
        Reason::ImageTooLong { .. }
    ));
    assert_eq!(rig.flies(), Some(2));
    long.truncate(100);
    assert_eq!(rig.progress(&begin(&long)).offset, 0);
    assert_eq!(rig.flies(), Some(1));
    // What was begun goes on in flight.
    rig.upload(&image(3)[..2_000]);
    rig.done(&ToBoard::Arm);
    rig.good_step();
    assert_eq!(rig.progress(&begin(&image(3)[..2_000])).offset, 2_000);
}

#[test]
fn an_upload_resumes_after_a_reset() {
    let image = image(1);
    let mut flash = blank(Torn::Faults);
    let (mut rig, _) = start(&mut flash, Pace::LockStep);
    let mut offset = rig.progress(&begin(&image)).offset;
    while offset < 2_100 {
        offset = rig.progress(&chunk(&image, offset as usize)).offset;
    }
    let (mut rig, found) = start(&mut flash, Pace::LockStep);
    assert_eq!(found, Err(Reason::NoImage));
    assert_eq!(rig.refused(&ToBoard::UploadStatus), Reason::NoUpload);
    assert_eq!(rig.progress(&begin(&image)).offset, 2_048);
    rig.upload(&image);
    rig.done(&ToBoard::UploadCommit);
    assert_eq!(rig.flies(), Some(1));
}

/// Brings image 2 up over image 1, with a reset in mid-upload; says what was confirmed for certain.
fn life(flash: &mut Flash) -> u64 {
    let (mut rig, _) = start(flash, Pace::LockStep);
    if rig.node.install(&image(1)).is_err() {
        return 0;
    }
    let length = image(2).len() as u32;
    let sha256 = Sha256::digest(image(2)).into();
    let _ = rig.node.slots.begin(length, sha256);
    let _ = rig.node.slots.chunk(0, &image(2)[..3_000]);
    let (mut rig, _) = start(flash, Pace::LockStep);
    u64::from(recover(&mut rig).is_ok()) + 1
}

/// Confirms image 2.
fn recover(rig: &mut FlashRig<'_>) -> Result<(), Reason> {
    if rig.flies() != Some(2) {
        rig.node.install(&image(2))?;
    }
    rig.node.arm()?;
    rig.node.slots.mark(Mark::Proven)
}

#[test]
fn no_cut_of_power_loses_a_real_image() {
    let mut uncut = blank(Torn::Faults);
    assert_eq!(life(&mut uncut), 2);
    let mut cuts = 0;
    for (cut, torn) in (0..uncut.operations).flat_map(|cut| Torn::ALL.map(|torn| (cut, torn))) {
        let mut flash = blank(torn);
        flash.power(Some(cut));
        let confirmed = life(&mut flash);
        assert!(flash.off);
        flash.power(None);
        let (mut rig, _) = start(&mut flash, Pace::LockStep);
        let flies = rig.flies().unwrap_or(0);
        assert!(flies >= confirmed, "cut {cut}: {flies} for {confirmed}");
        assert_eq!(recover(&mut rig), Ok(()), "cut {cut}");
        let (rig, _) = start(&mut flash, Pace::LockStep);
        assert_eq!(rig.flies(), Some(2), "cut {cut}");
        cuts += 1;
    }
    println!("cuts of power with real images: {cuts}, images lost: 0");
    assert!(cuts > 1_000);
}
