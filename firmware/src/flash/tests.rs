//! The store on a model of a flash: every cut of power, up to three in a row, and worn flash.

extern crate std;

pub(crate) mod model;

use super::*;
use model::{Model, Torn};
use sha2::{Digest, Sha256};
use std::println;
use std::vec::Vec;

/// Bytes that stand for the image of that number.
fn image(number: u8) -> Vec<u8> {
    let bytes = 650 - 150 * usize::from(number);
    (0..bytes).map(|at| number ^ (at % 251) as u8).collect()
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Which images may fly: from the last one that was confirmed for certain to the newest that was checked.
#[derive(Debug, Clone, Default)]
struct Known {
    confirmed: Option<u8>,
    newest: u8,
}

impl Known {
    /// Whether a board may fly `number` after a start.
    fn admits(&self, number: Option<u8>) -> bool {
        match number {
            Some(number) => number >= self.confirmed.unwrap_or(0) && number <= self.newest,
            None => self.confirmed.is_none(),
        }
    }
}

/// What [`crate::slots::Slots`] does with a store, on bytes that stand for images.
struct Board<'f, const WORD: usize, const SECTOR: usize> {
    store: FlashStore<&'f mut Model<WORD, SECTOR>>,
    active: Option<(Slot, u8)>,
}

impl<'f, const WORD: usize, const SECTOR: usize> Board<'f, WORD, SECTOR> {
    /// Starts, and flies what it finds.
    fn start(flash: &'f mut Model<WORD, SECTOR>) -> Self {
        let store = FlashStore::new(flash).expect("large enough");
        let mut board = Self {
            store,
            active: None,
        };
        for _ in 0..2 {
            if let Some(found) = board.store.found()
                && board.check(found.slot, found.sha256).is_ok()
            {
                break;
            }
        }
        board
    }

    fn check(&mut self, slot: Slot, sha256: [u8; 32]) -> Result<(), StoreError> {
        if let Err(error) = self.store.mark(slot, Mark::Checking) {
            let _ = self.store.mark(slot, Mark::Refused);
            return Err(error);
        }
        let bytes = self.store.bytes(slot);
        self.store.flash.assert_readable(bytes);
        assert_eq!(digest(bytes), sha256, "a record of other bytes");
        let number = (0..3).find(|number| image(*number) == bytes);
        self.active = number.map(|number| (slot, number));
        // Nothing else becomes known of it while there is no power.
        self.store.mark(slot, Mark::Passed)
    }

    /// Uploads up to `end`, in pieces of `piece` bytes.
    fn upload(&mut self, number: u8, piece: usize, end: usize) -> Result<Slot, StoreError> {
        let image = image(number);
        let slot = match self.active {
            Some((slot, _)) => slot.other(),
            None => self.store.spare(),
        };
        let mut offset = self.store.begin(slot, image.len(), &digest(&image))?;
        while offset < end.min(image.len()) {
            let next = (offset + piece).min(image.len());
            self.store.write(slot, offset, &image[offset..next])?;
            offset = next;
        }
        Ok(slot)
    }

    /// Uploads all of it and activates it.
    fn install(&mut self, number: u8, known: &mut Known) -> Result<(), StoreError> {
        if let Some(slot) = self.store.on_trial() {
            let _ = self.store.mark(slot, Mark::Refused);
            let found = self.store.found().expect("the confirmed image");
            self.check(found.slot, found.sha256)?;
        }
        let slot = self.upload(number, 100, usize::MAX)?;
        known.newest = known.newest.max(number);
        let first = self.store.journal.confirmed().is_none();
        self.check(slot, digest(&image(number)))?;
        if first {
            known.confirmed = Some(number);
        }
        Ok(())
    }

    fn mark(&mut self, mark: Mark) -> Result<(), StoreError> {
        let (slot, _) = self.active.ok_or(StoreError::Bounds)?;
        self.store.mark(slot, mark)
    }

    /// Flies until the trial is over.
    fn prove(&mut self, known: &mut Known) -> Result<(), StoreError> {
        self.mark(Mark::Flying)?;
        self.mark(Mark::Proven)?;
        // What was found confirmed is certain once this start has recorded it anew, which a cut may have kept it from.
        if !self.store.flash.off {
            known.confirmed = self.active.map(|(_, number)| number);
        }
        Ok(())
    }

    fn number(&self) -> Option<u8> {
        self.active.map(|(_, number)| number)
    }
}

/// A first image; a second one, whose upload a reset interrupts; a third, which a reset in flight rolls back; the third again.
fn life<const WORD: usize, const SECTOR: usize>(
    flash: &mut Model<WORD, SECTOR>,
    known: &mut Known,
) -> Result<(), StoreError> {
    let mut board = Board::start(flash);
    board.install(0, known)?;
    assert_eq!(board.store.on_trial(), None);
    board.upload(1, 70, 400)?;
    let mut board = Board::start(flash);
    board.install(1, known)?;
    assert!(board.store.on_trial().is_some());
    board.prove(known)?;
    assert_eq!(board.store.on_trial(), None);
    board.install(2, known)?;
    board.mark(Mark::Flying)?;
    let mut board = Board::start(flash);
    assert!(board.number() == Some(1) || board.store.flash.off);
    board.install(2, known)?;
    let mut board = Board::start(flash);
    assert!(board.number() == Some(2) || board.store.flash.off);
    board.prove(known)
}

/// Starts after a cut; whatever was cut, the third image can be brought up to its confirmation.
fn recover<const WORD: usize, const SECTOR: usize>(
    flash: &mut Model<WORD, SECTOR>,
    known: &mut Known,
) -> Result<(), StoreError> {
    let mut board = Board::start(flash);
    let flies = board.number();
    assert!(
        known.admits(flies) || board.store.flash.off,
        "{flies:?} of {known:?}"
    );
    if flies != Some(2) {
        board.install(2, known)?;
    }
    board.prove(known)?;
    let board = Board::start(flash);
    assert!(board.number() == Some(2) || board.store.flash.off);
    Ok(())
}

/// Cuts a life at each operation, the recovery from that at each `stride`-th of its own, and the recovery from both at one of its own. Returns how many
/// cuts, pairs and threes of cuts there were.
fn sweep<const WORD: usize, const SECTOR: usize>(
    sectors: usize,
    torn: Torn,
    stride: usize,
) -> [u32; 3] {
    let [mut cuts, mut pairs, mut threes] = [0; 3];
    loop {
        let mut known = Known::default();
        let mut flash = Model::<WORD, SECTOR>::new(sectors, torn);
        flash.power(Some(cuts));
        let lived = life(&mut flash, &mut known);
        if !flash.off {
            assert_eq!(lived, Ok(()));
            return [cuts, pairs, threes];
        }
        cuts += 1;
        for second in (cuts % stride as u32..).step_by(stride) {
            let (mut flash, mut known) = (flash.clone(), known.clone());
            flash.power(Some(second));
            let recovered = recover(&mut flash, &mut known);
            if !flash.off {
                assert_eq!(recovered, Ok(()));
                break;
            }
            pairs += 1;
            // Anywhere in the twenty operations that a start takes, or in the upload behind them.
            flash.power(Some((7 * cuts + 5 * second) % 40));
            let recovered = recover(&mut flash, &mut known);
            if flash.off {
                threes += 1;
            } else {
                assert_eq!(recovered, Ok(()));
            }
            flash.power(None);
            assert_eq!(recover(&mut flash, &mut known), Ok(()));
        }
    }
}

#[test]
fn no_cut_of_power_and_no_second_or_third_one_loses_an_image() {
    println!("| word | sector | torn words | cuts | pairs of cuts | threes | images lost |");
    println!("|---|---|---|---|---|---|---|");
    for torn in Torn::ALL {
        for (word, sector, [cuts, pairs, threes]) in [
            // Just as many sectors as the journal and the two longest images take.
            (32, 256, sweep::<32, 256>(13, torn, 1)),
            (32, 2048, sweep::<32, 2048>(4, torn, 1)),
            (8, 256, sweep::<8, 256>(13, torn, 10)),
        ] {
            println!("| {word} | {sector} | {torn:?} | {cuts} | {pairs} | {threes} | 0 |");
            assert!(cuts > 100 && pairs > cuts && threes > cuts);
        }
    }
}

type Flash = Model<32, 256>;

/// With image 0 confirmed in slot A.
fn flown() -> Flash {
    let mut flash = Flash::new(14, Torn::Faults);
    let mut board = Board::start(&mut flash);
    assert_eq!(board.install(0, &mut Known::default()), Ok(()));
    flash
}

/// Where image 1 begins in slot B of that flash: it takes the last two sectors.
const SLOT_B: usize = (14 - 2) * 256;

#[test]
fn worn_flash_is_named_and_the_confirmed_image_flies_on() {
    let sector = StoreError::Erase(SLOT_B as u32);
    let word = StoreError::Program(SLOT_B as u32 + 64);
    for (worn, error) in [
        (&[SLOT_B][..], sector),
        (&[SLOT_B + 96], word),
        (&[0, 1024], StoreError::Erase(0)),
        (&[32, 1024 + 32], StoreError::Program(0)),
    ] {
        let mut flash = flown();
        flash.worn.extend(worn);
        for _ in 0..3 {
            let mut board = Board::start(&mut flash);
            assert_eq!(board.number(), Some(0), "{worn:?}");
            for _ in 0..2 {
                let failed = board.install(1, &mut Known::default());
                // Which half of the journal is next depends on what was done before.
                let [Err(got), Err(expected)] = [failed, Err::<(), _>(error)] else {
                    panic!("{worn:?}: {failed:?}");
                };
                let modulo = |error| match error {
                    StoreError::Erase(at) if at < 2048 => StoreError::Erase(at % 1024),
                    StoreError::Program(at) if at < 2048 => StoreError::Program(at % 1024),
                    error => error,
                };
                assert_eq!(modulo(got), expected, "{worn:?}");
                assert_eq!(board.number(), Some(0));
            }
        }
    }
}

#[test]
fn a_place_of_the_journal_that_fails_is_passed_over() {
    let mut flash = flown();
    let worn = [0, 1024].map(|half| half + 64 * 5);
    flash.worn.extend(worn);
    let mut known = Known::default();
    let mut board = Board::start(&mut flash);
    assert_eq!(board.install(1, &mut known), Ok(()));
    assert_eq!(board.prove(&mut known), Ok(()));
    assert_eq!(Board::start(&mut flash).number(), Some(1));
    assert!(worn.iter().any(|at| flash.bytes[*at] != 0xFF), "tried");
}

#[test]
fn an_upload_resumes_at_the_last_whole_sector() {
    for (arrived, there) in [(0, 0), (200, 0), (256, 256), (480, 256), (500, 500)] {
        let mut flash = flown();
        let slot = Board::start(&mut flash).upload(1, 10, arrived);
        let [right, other] = [1, 2].map(image);
        let mut store = FlashStore::new(&mut flash).expect("large enough");
        let resumed = store.begin(Slot::B, right.len(), &digest(&right));
        assert_eq!((slot, resumed), (Ok(Slot::B), Ok(there)));
        assert_eq!(store.bytes(Slot::B), []);
        let anew = store.begin(Slot::B, other.len(), &digest(&other));
        assert_eq!(anew, Ok(0));
    }
}

#[test]
fn a_large_image_leaves_less_room_for_the_next_and_a_sector_is_always_left() {
    let mut flash = Flash::new(14, Torn::Faults);
    let mut store = FlashStore::new(&mut flash).expect("large enough");
    // Six sectors for both slots.
    assert_eq!(store.capacity(), 5 * 256);
    let sha256 = [1; 32];
    let too_long = store.begin(Slot::A, 5 * 256 + 1, &sha256);
    assert_eq!(too_long, Err(StoreError::Bounds));
    assert_eq!(store.begin(Slot::A, 5 * 256, &sha256), Ok(0));
    assert_eq!(store.write(Slot::A, 0, &[7; 5 * 256]), Ok(()));
    for mark in [Mark::Checking, Mark::Passed] {
        assert_eq!(store.mark(Slot::A, mark), Ok(()));
    }
    assert_eq!(store.capacity(), 256);
    let too_long = store.begin(Slot::B, 257, &sha256);
    assert_eq!(too_long, Err(StoreError::Bounds));
    assert_eq!(store.begin(Slot::B, 256, &sha256), Ok(0));
    assert_eq!(store.write(Slot::B, 0, &[8; 256]), Ok(()));
    for mark in [Mark::Checking, Mark::Passed] {
        assert_eq!(store.mark(Slot::B, mark), Ok(()));
    }
    assert_eq!(store.bytes(Slot::A), [7; 5 * 256]);
    assert_eq!(store.bytes(Slot::B), [8; 256]);
}

#[test]
fn an_upload_that_another_one_may_have_written_over_does_not_resume() {
    let mut flash = Flash::new(14, Torn::Faults);
    let [sha256, other] = [[1; 32], [2; 32]];
    let mut store = FlashStore::new(&mut flash).expect("large enough");
    assert_eq!(store.begin(Slot::A, 1_000, &sha256), Ok(0));
    assert_eq!(store.write(Slot::A, 0, &[7; 900]), Ok(()));
    assert_eq!(store.begin(Slot::A, 1_000, &sha256), Ok(768));
    assert_eq!(store.begin(Slot::B, 1_000, &other), Ok(0));
    assert_eq!(store.write(Slot::B, 0, &[8; 900]), Ok(()));
    let mut store = FlashStore::new(&mut flash).expect("large enough");
    assert_eq!(store.begin(Slot::A, 1_000, &sha256), Ok(0));
    assert_eq!(store.write(Slot::A, 0, &[7; 1_000]), Ok(()));
}

/// A start that ends while the image that it found is checked.
fn ends_in_the_checks(flash: &mut Flash) -> Option<Slot> {
    let mut store = FlashStore::new(flash).expect("large enough");
    let found = store.found()?;
    assert_eq!(store.mark(found.slot, Mark::Checking), Ok(()));
    Some(found.slot)
}

#[test]
fn a_trial_ends_after_so_many_starts_in_its_checks_or_one_flight() {
    for flight in [false, true] {
        let mut flash = flown();
        let mut board = Board::start(&mut flash);
        assert_eq!(board.install(1, &mut Known::default()), Ok(()));
        // Checks that end begin the count anew.
        for _ in 0..=ATTEMPTS {
            assert_eq!(ends_in_the_checks(&mut flash), Some(Slot::B));
            assert_eq!(Board::start(&mut flash).number(), Some(1));
        }
        let mut board = Board::start(&mut flash);
        if flight {
            assert_eq!(board.mark(Mark::Flying), Ok(()));
        } else {
            for _ in 0..ATTEMPTS {
                assert_eq!(ends_in_the_checks(&mut flash), Some(Slot::B));
            }
        }
        // The trial's image goes when the confirmed one has passed, not before.
        for _ in 0..=ATTEMPTS {
            assert_eq!(ends_in_the_checks(&mut flash), Some(Slot::A));
            assert_eq!(
                FlashStore::new(&mut flash).expect("large").on_trial(),
                Some(Slot::B)
            );
        }
        for _ in 0..2 {
            let board = Board::start(&mut flash);
            assert_eq!((board.number(), board.store.on_trial()), (Some(0), None));
        }
    }
}

#[test]
fn the_only_image_is_tried_again_but_for_one_start_in_four() {
    let mut flash = Flash::new(14, Torn::Faults);
    let mut board = Board::start(&mut flash);
    let slot = board.upload(0, 100, usize::MAX).expect("room");
    assert_eq!(board.store.mark(slot, Mark::Checking), Ok(()));
    for _ in 0..3 {
        for _ in 0..ATTEMPTS {
            assert_eq!(ends_in_the_checks(&mut flash), Some(slot));
        }
        assert_eq!(ends_in_the_checks(&mut flash), None);
    }
    assert_eq!(Board::start(&mut flash).number(), Some(0));
}

#[test]
fn a_confirmed_image_that_fails_its_checks_holds_no_other_back() {
    let mut flash = flown();
    let mut store = FlashStore::new(&mut flash).expect("large enough");
    assert_eq!(store.mark(Slot::A, Mark::Refused), Ok(()));
    assert_eq!(store.found(), None);
    let mut board = Board {
        store,
        active: None,
    };
    assert_eq!(board.install(1, &mut Known::default()), Ok(()));
    assert_eq!(board.store.on_trial(), None);
    assert_eq!(board.mark(Mark::Flying), Ok(()));
    assert_eq!(Board::start(&mut flash).number(), Some(1));
}

#[test]
fn an_upload_that_cannot_be_read_back_is_begun_anew() {
    let mut flash = flown();
    let mut board = Board::start(&mut flash);
    let slot = board.upload(1, 100, usize::MAX).expect("room");
    board.store.flash.lose(SLOT_B + 64);
    let lost = board.check(slot, digest(&image(1)));
    assert_eq!(lost, Err(StoreError::Program(SLOT_B as u32 + 64)));
    assert_eq!(board.install(1, &mut Known::default()), Ok(()));
}

type Large = Model<32, 2048>;

/// The next places of the journal fail, and the other half cannot be erased.
fn wear_the_journal(board: &mut Board<'_, 32, 2048>) {
    let journal = &board.store.journal;
    let next = journal.next_place() as usize;
    let other = (next / 2048 + 1) % 2 * 2048;
    let words = (0..3).map(|place| next + place * 64 + 32);
    board.store.flash.worn.extend(words.chain([other]));
}

#[test]
fn a_confirmation_that_failed_and_reads_whole_later_loses_nothing() {
    let mut whole = 0;
    for seed in 0..40 {
        let mut flash = Large::new(6, Torn::Flickers);
        flash.seed(seed);
        let mut known = Known::default();
        let mut board = Board::start(&mut flash);
        assert_eq!(board.install(0, &mut known), Ok(()));
        assert_eq!(board.install(1, &mut known), Ok(()));
        assert_eq!(board.mark(Mark::Flying), Ok(()));
        wear_the_journal(&mut board);
        assert!(board.mark(Mark::Proven).is_err());
        board.store.flash.worn.clear();
        let slot = board.store.on_trial().expect("still");
        assert_eq!(board.store.mark(slot, Mark::Refused), Ok(()));
        let found = board.store.found().expect("the confirmed image");
        assert_eq!(board.check(found.slot, found.sha256), Ok(()));
        let number = Board::start(&mut flash).number();
        assert_eq!(number, Some(0), "seed {seed}");
        whole += 1;
    }
    assert_eq!(whole, 40);
}

#[test]
fn an_image_whose_confirmation_failed_gives_way_to_the_next() {
    let mut flash = Large::new(6, Torn::Faults);
    let mut board = Board::start(&mut flash);
    let slot = board.upload(0, 100, usize::MAX).expect("room");
    assert_eq!(board.store.mark(slot, Mark::Checking), Ok(()));
    wear_the_journal(&mut board);
    assert!(board.store.mark(slot, Mark::Passed).is_err());
    board.store.flash.worn.clear();
    board.active = Some((slot, 0));
    assert_eq!(board.install(1, &mut Known::default()), Ok(()));
    assert_eq!(Board::start(&mut flash).number(), Some(1));
}

#[test]
fn a_flight_finds_room_in_the_journal_after_any_number_of_records() {
    let mut flash = Large::new(8, Torn::Faults);
    let mut board = Board::start(&mut flash);
    assert_eq!(board.install(0, &mut Known::default()), Ok(()));
    for records in 0..40 {
        assert_eq!(board.install(1, &mut Known::default()), Ok(()));
        for _ in 0..records % 7 {
            // Disarmed and armed again, which nothing else is recorded between.
            assert_eq!(board.mark(Mark::Flying), Ok(()));
            assert_eq!(board.mark(Mark::Landed), Ok(()));
        }
        assert_eq!(board.mark(Mark::Flying), Ok(()), "after {records}");
        assert_eq!(board.mark(Mark::Proven), Ok(()), "after {records}");
        assert_eq!(board.store.on_trial(), None);
        // Back to two images: the first again, and confirmed.
        assert_eq!(board.install(0, &mut Known::default()), Ok(()));
        assert_eq!(board.mark(Mark::Flying), Ok(()));
        assert_eq!(board.mark(Mark::Proven), Ok(()));
    }
}

#[test]
fn what_does_not_belong_there_is_refused() {
    let mut flash = flown();
    let mut store = FlashStore::new(&mut flash).expect("large enough");
    let sha256 = [0; 32];
    assert_eq!(store.capacity(), 768);
    assert_eq!(store.spare(), Slot::B);
    let protected = StoreError::Protected(Slot::A);
    assert_eq!(store.begin(Slot::A, 1, &sha256), Err(protected));
    assert_eq!(store.begin(Slot::B, 769, &sha256), Err(StoreError::Bounds));
    assert_eq!(store.write(Slot::B, 0, &[1]), Err(StoreError::Bounds));
    for (slot, offset, length) in [(Slot::A, 0, 1), (Slot::B, 1, 1), (Slot::B, 0, 101)] {
        assert_eq!(store.begin(Slot::B, 100, &sha256), Ok(0));
        let misplaced = store.write(slot, offset, &[1; 101][..length]);
        assert_eq!(misplaced, Err(StoreError::Bounds));
    }
    assert_eq!(store.begin(Slot::B, 100, &sha256), Ok(0));
    assert_eq!(store.write(Slot::B, 0, &[1; 99]), Ok(()));
    assert_eq!(store.mark(Slot::B, Mark::Checking), Err(StoreError::Bounds));
    let mut small = Flash::new(9, Torn::Faults);
    let (bytes, least) = (9 * 256, 10 * 256);
    let refused = FlashStore::new(&mut small).err();
    assert_eq!(refused, Some(StoreError::Small { bytes, least }));
}

#[test]
fn an_image_with_a_lower_counter_than_the_confirmed_one_is_refused() {
    let mut flash = flown();
    let mut board = Board::start(&mut flash);
    let confirmed = board.store.journal.of(Slot::A);
    let raised = Record {
        counter: 5,
        ..confirmed
    };
    assert_eq!(board.store.append(raised, Erasing::Allowed), Ok(()));
    let mut board = Board::start(&mut flash);
    let older = StoreError::Older {
        counter: 0,
        least: 5,
    };
    let refused = board.install(1, &mut Known::default());
    assert_eq!((refused, board.number()), (Err(older), Some(0)));
}

#[test]
fn a_word_that_was_lost_is_refused_before_it_is_read_mapped() {
    let mut flash = flown();
    flash.lose(2048 + 320);
    assert_eq!(Board::start(&mut flash).number(), None);
}
