//! The driver on a model of the part: its two controllers, the codes of its words, cuts of power; and the largest reference shape in that flash.

mod medium;
mod part;

use super::*;
use part::{BYTES, Part};

#[test]
fn memory_x_says_the_same() {
    let script = include_str!("../../memory.x");
    let line = |name: &str| {
        let line = script.lines().find(|line| line.trim().starts_with(name));
        line.expect("a region")
            .split_once("ORIGIN")
            .expect("where")
            .1
    };
    let firmware = FIRMWARE_SECTORS * SECTOR_BYTES;
    let images = 0x0800_0000 + firmware;
    assert_eq!(
        line("FLASH"),
        format!(" = 0x08000000, LENGTH = {}K", firmware / 1024)
    );
    assert_eq!(
        line("IMAGES"),
        format!(
            " = 0x{images:08x}, LENGTH = {}K",
            IMAGE_SECTORS * SECTOR_BYTES / 1024
        )
    );
}

#[test]
fn the_watchdog_outlasts_the_erasing_for_the_largest_image() {
    // As the vendor says in its forum, at 32 bits at a time; to be held against the data sheet.
    const LONGEST_SECTOR_MS: u32 = 2_200;
    let image = engram_image::limits::IMAGE_BYTES.div_ceil(SECTOR_BYTES);
    // Two halves of the journal at most beside it; and an oscillator that is a tenth too fast.
    let erasing_ms = (image as u32 + 2) * LONGEST_SECTOR_MS;
    assert!(erasing_ms < engram_cortex_m::iwdg::LONGEST_MS / 11 * 10);
}

#[test]
fn each_bank_gets_its_own_sectors_and_words_and_is_locked_again() {
    let mut part = Part::new();
    let mut flash = Flash::new(&mut part);
    assert_eq!(flash.capacity(), IMAGE_SECTORS * SECTOR_BYTES);
    let second = BANK_BYTES - START;
    flash
        .erase(second - SECTOR_BYTES as u32, second + SECTOR_BYTES as u32)
        .expect("two sectors");
    let data: Vec<u8> = (0..96).collect();
    flash.write(second - 32, &data).expect("three words");
    let mut read = [0; 128];
    flash.read(second - 32, &mut read).expect("whole and blank");
    assert_eq!((&read[..96], &read[96..]), (&data[..], &[0xFF; 32][..]));
    assert_eq!(flash.bytes()[second as usize - 32..][..96], data);
    // All of it is within bounds, and whole sectors and words.
    for refused in [
        flash.erase(0, 1),
        flash.erase(0, (BYTES - SECTOR_BYTES) as u32),
        flash.write(0, &[0; 31]),
        flash.write((IMAGE_SECTORS * SECTOR_BYTES) as u32, &[0; 32]),
        flash.read(1, &mut [0; 32]),
    ] {
        assert!(refused.is_err());
    }
    let (last, first) = (BANK_BYTES - 32, BANK_BYTES);
    let asked = [
        (Bank::One, 7),
        (Bank::Two, 0),
        (Bank::One, last),
        (Bank::Two, first),
        (Bank::Two, first + 32),
    ];
    assert_eq!(part.asked, asked);
    assert!(part.sides.borrow().iter().all(|side| !side.unlocked));
    let sector = SECTOR_BYTES as u32;
    let dropped = [
        (first - sector, SECTOR_BYTES),
        (first, SECTOR_BYTES),
        (last, 32),
        (first, 32),
        (first + 32, 32),
    ];
    assert_eq!(part.dropped, dropped);
}

#[test]
fn what_the_controller_refuses_is_an_error_and_the_next_operation_is_not() {
    let mut part = Part::new();
    part.refuses = Some(1);
    let mut flash = Flash::new(&mut part);
    flash.write(0, &[1; 32]).expect("the first");
    assert_eq!(flash.write(32, &[2; 32]), Err(NorFlashErrorKind::Other));
    flash.write(64, &[3; 32]).expect("the third");
    assert!(part.sides.borrow().iter().all(|side| !side.unlocked));
}

#[test]
fn a_controller_that_stays_locked_is_an_error_and_asked_for_nothing() {
    let mut part = Part::new();
    part.stays_locked = true;
    let mut flash = Flash::new(&mut part);
    let locked = Err(NorFlashErrorKind::Other);
    assert_eq!(flash.erase(0, SECTOR_BYTES as u32), locked);
    assert_eq!(flash.write(0, &[1; 32]), locked);
    assert!(part.asked.is_empty());
}

#[test]
fn a_controller_that_never_ends_is_waited_for_no_longer_than_a_word_takes() {
    let mut part = Part::new();
    part.hangs = true;
    let mut flash = Flash::new(&mut part);
    assert_eq!(flash.write(0, &[1; 32]), Err(NorFlashErrorKind::Other));
    // It is still at it: nothing is asked of it.
    assert_eq!(flash.write(32, &[1; 32]), Err(NorFlashErrorKind::Other));
    assert_eq!(part.asked.len(), 1);
}

#[test]
fn a_word_that_was_cut_is_an_error_and_its_neighbours_are_not() {
    let mut part = Part::new();
    part.cut = Some(1);
    let mut flash = Flash::new(&mut part);
    for word in 0..2 {
        flash.write(word * 32, &[7; 32]).expect("told so");
    }
    let broken = Err(NorFlashErrorKind::Other);
    let mut word = [0; 32];
    assert_eq!(flash.read(0, &mut word), Ok(()));
    assert_eq!(flash.read(32, &mut word), broken);
    assert_eq!(flash.read(0, &mut [0; 96]), broken);
    // A word that the core looks at ahead of time is not the one that is read.
    part.ahead = Some(START + 32);
    let mut flash = Flash::new(&mut part);
    assert_eq!(flash.read(0, &mut word), Ok(()));
    assert_eq!(flash.read(32, &mut word), broken);
    assert_eq!(flash.read(64, &mut word), Ok(()));
}
