//! Images on trial, on a model of a flash: what the node confirms and what it rolls back, and every cut of power with real images.

use super::*;
use crate::flash::tests::model::{Model, Torn};
use crate::flash::{ATTEMPTS, FlashStore};
use crate::store::Slot;
use crate::tests_support::{counted, key, signed_by};
use embedded_storage::nor_flash::NorFlash as _;
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
fn a_reset_after_landing_does_not() {
    let mut flash = blank(Torn::Faults);
    let mut rig = on_trial(&mut flash, Pace::RealTime);
    rig.done(&ToBoard::Arm);
    for _ in 0..5 {
        rig.sample();
        rig.tick();
    }
    rig.done(&ToBoard::Disarm);
    for _ in 0..10 {
        rig.tick();
    }
    for flight in [true, false] {
        let (mut rig, found) = start(&mut flash, Pace::RealTime);
        assert_eq!((found, rig.flies()), (Ok(()), Some(2)));
        assert!(rig.node.slots.on_trial());
        if flight {
            rig.done(&ToBoard::Arm);
            rig.done(&ToBoard::Disarm);
            for _ in 0..10 {
                rig.tick();
            }
        }
    }
}

#[test]
fn an_image_on_trial_that_fails_its_checks_after_a_start_is_rolled_back() {
    let mut flash = blank(Torn::Faults);
    let slot = on_trial(&mut flash, Pace::LockStep).node.slots.capacity();
    for place in [0, 13, 3_000] {
        let mut flash = flash.clone();
        flash.bytes[2 * 1024 + slot as usize + place] ^= 1;
        for _ in 0..2 {
            let (rig, found) = start(&mut flash, Pace::LockStep);
            assert_eq!((found, rig.flies()), (Ok(()), Some(1)), "byte {place}");
            assert!(!rig.node.slots.on_trial());
        }
    }
}

#[test]
fn where_the_confirmed_image_fails_its_checks_the_next_one_is_confirmed() {
    let mut flash = blank(Torn::Faults);
    let (mut rig, _) = start(&mut flash, Pace::LockStep);
    assert_eq!(rig.node.install(&image(1)), Ok(()));
    flash.bytes[2 * 1024 + 3_000] ^= 1;
    let (mut rig, found) = start(&mut flash, Pace::LockStep);
    assert!(matches!(found, Err(Reason::Image { .. })), "{found:?}");
    assert_eq!(rig.node.install(&image(2)), Ok(()));
    rig.done(&ToBoard::Arm);
    rig.good_step();
    let (rig, _) = start(&mut flash, Pace::LockStep);
    assert_eq!(rig.flies(), Some(2));
}

#[test]
fn starts_without_a_flight_leave_a_trial_as_it_is() {
    let mut flash = blank(Torn::Faults);
    drop(on_trial(&mut flash, Pace::LockStep));
    for _ in 0..5 {
        let (rig, found) = start(&mut flash, Pace::LockStep);
        assert_eq!((found, rig.flies()), (Ok(()), Some(2)));
        assert!(rig.node.slots.on_trial());
    }
}

#[test]
fn the_trial_ends_whatever_became_of_the_active_image() {
    let mut flash = blank(Torn::Faults);
    let mut rig = on_trial(&mut flash, Pace::LockStep);
    rig.node.slots.forget_active();
    assert_eq!(rig.progress(&begin(&image(3))).offset, 0);
    assert_eq!(rig.flies(), Some(1));
}

#[test]
fn an_image_that_is_too_long_ends_no_trial() {
    let mut flash = blank(Torn::Faults);
    let mut rig = on_trial(&mut flash, Pace::LockStep);
    let most = rig.node.slots.capacity() as usize;
    let refused = rig.node.install(&std::vec![0; most + 1]);
    assert!(matches!(refused, Err(Reason::ImageTooLong { .. })));
    assert_eq!(rig.flies(), Some(2));
}

#[test]
fn a_failed_write_ends_the_upload() {
    let mut flash = blank(Torn::Faults);
    let (mut rig, _) = start(&mut flash, Pace::LockStep);
    assert_eq!(rig.node.install(&image(1)), Ok(()));
    let slot_b = 2 * 1024 + rig.node.slots.capacity() as usize;
    drop(rig);
    flash.worn.insert(slot_b + 640);
    let (mut rig, _) = start(&mut flash, Pace::LockStep);
    rig.progress(&begin(&image(2)));
    rig.progress(&chunk(&image(2), 0));
    let Reason::Image { text, .. } = rig.refused(&chunk(&image(2), 512)) else {
        panic!("not for the flash");
    };
    assert!(
        text.contains(&std::format!("byte {}", slot_b + 640)),
        "{text}"
    );
    assert_eq!(rig.refused(&ToBoard::UploadStatus), Reason::NoUpload);
    assert_eq!(rig.flies(), Some(1));
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
fn nothing_stalls_on_the_way_to_the_safe_command() {
    let mut flash = blank(Torn::Faults);
    let mut rig = on_trial(&mut flash, Pace::RealTime);
    rig.done(&ToBoard::Arm);
    for _ in 0..5 {
        rig.sample();
        rig.tick();
    }
    rig.done(&ToBoard::Disarm);
    assert_eq!(rig.refused(&begin(&image(3))), Reason::NotSettled);
    assert_eq!(rig.node.roll_back(), Err(Reason::NotSettled));
    for _ in 0..10 {
        rig.tick();
    }
    assert_eq!(rig.progress(&begin(&image(3))).offset, 0);
}

#[test]
fn a_fault_or_a_missed_deadline_begins_the_count_of_good_steps_anew() {
    let mut flash = blank(Torn::Faults);
    let mut rig = on_trial(&mut flash, Pace::RealTime);
    rig.done(&ToBoard::Arm);
    let fly = |rig: &mut FlashRig<'_>, steps| {
        for _ in 0..steps {
            rig.sample();
            rig.tick();
        }
    };
    fly(&mut rig, TRIAL_STEPS - 1);
    rig.node.platform().look_us = 16_000;
    fly(&mut rig, 1);
    rig.node.platform().look_us = 0;
    fly(&mut rig, TRIAL_STEPS - 1);
    assert!(rig.node.faults().is_empty() && rig.node.slots.on_trial());
    fly(&mut rig, 2);
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
    let most = rig.node.slots.capacity() as usize;
    let mut long = std::vec![0; most + 1];
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

/// A part that somebody programmed firmware and image into.
#[test]
fn an_image_programmed_beside_a_blank_journal_flies_and_is_confirmed() {
    for (damaged, expected) in [(false, Some(1)), (true, None)] {
        let mut flash = blank(Torn::Faults);
        let mut bytes = image(1);
        bytes[3_000] ^= u8::from(damaged);
        bytes.resize(bytes.len().next_multiple_of(32), 0xFF);
        flash.write(2 * 1024, &bytes).expect("a blank slot");
        let (mut rig, found) = start(&mut flash, Pace::LockStep);
        assert_eq!((found.is_ok(), rig.flies()), (!damaged, expected));
        // The next one goes to the other slot, and has this one behind it.
        rig.upload(&image(2));
        rig.done(&ToBoard::UploadCommit);
        assert_eq!(
            (rig.flies(), rig.node.slots.on_trial()),
            (Some(2), !damaged)
        );
        rig.done(&ToBoard::Arm);
        rig.good_step();
        let (rig, _) = start(&mut flash, Pace::LockStep);
        assert_eq!(rig.flies(), Some(if damaged { 2 } else { 1 }));
    }
}

#[test]
fn where_writing_stalls_an_upload_waits_for_the_landing() {
    let mut flash = Model::<32, 1024, true>::new(14, Torn::Faults);
    let store = FlashStore::new(&mut flash).expect("large enough");
    let mut rig = Rig::over(OWN, Pace::LockStep, ReportedActuators, store, Some(key(1)));
    rig.hello(Pace::LockStep);
    rig.node.install(&image(1)).expect("good");
    rig.progress(&begin(&image(2)));
    rig.done(&ToBoard::Arm);
    rig.good_step();
    let refused = rig.refused(&chunk(&image(2), 0));
    assert_eq!(refused, Reason::NotDisarmed(State::Armed));
    rig.done(&ToBoard::Disarm);
    rig.upload(&image(2));
    rig.done(&ToBoard::UploadCommit);
}

/// Where nothing is behind an image whose checks never end, every fourth start leaves it alone, so that an upload can come.
#[test]
fn a_start_goes_without_the_only_image_after_three_that_ended_in_its_checks() {
    let mut flash = blank(Torn::Faults);
    let bytes = image(1);
    let mut store = FlashStore::new(&mut flash).expect("large enough");
    let sha256 = Sha256::digest(&bytes).into();
    assert_eq!(store.begin(Slot::A, bytes.len(), &sha256), Ok(0));
    assert_eq!(store.write(Slot::A, 0, &bytes), Ok(()));
    assert_eq!(store.mark(Slot::A, Mark::Checking), Ok(()));
    for _ in 0..ATTEMPTS {
        let mut store = FlashStore::new(&mut flash).expect("large enough");
        assert!(store.found().is_some());
        assert_eq!(store.mark(Slot::A, Mark::Checking), Ok(()));
    }
    let (rig, found) = start(&mut flash, Pace::LockStep);
    assert_eq!((found, rig.flies()), (Err(Reason::NoImage), None));
    let (rig, found) = start(&mut flash, Pace::LockStep);
    assert_eq!((found, rig.flies()), (Ok(()), Some(1)));
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
