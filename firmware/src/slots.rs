//! The two image slots: upload, verification, activation.
//!
//! One slot holds the active image, the other receives. An image becomes active only when its bytes
//! have the announced hash, the owner of the board's key has signed it (where the board has one), the reader accepts it, its contract is the board's own (where the board has one) and its golden
//! trace replays word for word on this board, packed for it where the store has lines for that; until then, and if any of it fails, the active image
//! stays as it is. The caller asks for that only while disarmed.

use crate::policy::{self, Backend, Memory, Packed, Policy};
use crate::signature::PublicKey;
use crate::store::{Found, ImageStore, Mark, Slot, StoreError};
use crate::text::cut;
use core::fmt::Display;
use engram_image::header::{HEADER_BYTES, Header};
use engram_image::{Contract, Image, InPlace, Layout, Packing};
use engram_kernels::CacheLine;
use engram_link::{ImageStage, Reason};
use sha2::{Digest, Sha256};

/// How much of an announced image has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Upload {
    /// Bytes that have arrived.
    pub offset: u32,
    /// Announced length, bytes.
    pub length: u32,
    /// Announced SHA-256 of the image file.
    pub sha256: [u8; 32],
}

/// The image that runs. The layout stands for the image, whose bytes stay in the slot.
#[derive(Debug)]
struct Active {
    slot: Slot,
    layout: Layout,
    lines: Lines,
}

/// What the lines of a slot hold.
#[derive(Debug, Clone, Copy)]
struct Lines {
    packed: Packed,
    count: usize,
    sha256: [u8; 32],
}

/// Two slots in a store.
#[derive(Debug)]
pub struct Slots<I> {
    store: I,
    /// Whose images are taken; without one everybody's.
    key: Option<PublicKey>,
    active: Option<Active>,
    upload: Option<Upload>,
    /// Where the upload goes.
    receiving: Slot,
}

impl<I: ImageStore> Slots<I> {
    /// Slots without an image.
    pub const fn new(store: I, key: Option<PublicKey>) -> Self {
        Self {
            store,
            key,
            active: None,
            upload: None,
            receiving: Slot::A,
        }
    }

    /// Whose images are taken.
    pub fn key(&self) -> Option<PublicKey> {
        self.key
    }

    /// Bytes that an image may have.
    pub fn capacity(&self) -> u32 {
        u32::try_from(self.store.capacity()).unwrap_or(u32::MAX)
    }

    /// SHA-256 of the active image's logical weights, as taken at its activation.
    pub fn weights_sha256(&self) -> Option<[u8; 32]> {
        self.active
            .as_ref()
            .map(|active| active.layout.weights_sha256)
    }

    /// The weights of the active image; cheap, see [`Layout::weights`].
    pub fn weights(&self) -> Option<InPlace<'_>> {
        let active = self.active.as_ref()?;
        active.layout.weights(self.store.bytes(active.slot))
    }

    /// The policy of the active image, whose weights [`Slots::weights`] gave; cheap.
    pub fn policy<'a>(&'a self, weights: &'a InPlace<'a>) -> Option<Policy<'a>> {
        let active = self.active.as_ref()?;
        let lines = self.store.lines(active.slot);
        let parameters = active.layout.parameters(weights);
        Some(active.lines.packed.policy(parameters, lines))
    }

    /// Hashes the bytes in use anew and returns the hash of the active image's weights; `None` if
    /// there is none, or if it is no longer what was activated, packed weights included: then there is none
    /// from now on.
    /// Takes as long as hashing an image.
    pub fn recheck(&mut self) -> Option<[u8; 32]> {
        let active = self.active.as_ref()?;
        let length = usize::try_from(active.layout.total_length).ok()?;
        let bytes = self.store.bytes(active.slot).get(..length)?;
        // The same hash is the same body, and so the same weights.
        let body: [u8; 32] = Sha256::digest(bytes.get(HEADER_BYTES..)?).into();
        let lines = self.store.lines(active.slot);
        let intact = body == active.layout.sha256
            && digest(lines, active.lines.count) == active.lines.sha256;
        if !intact {
            self.active = None;
        }
        self.weights_sha256()
    }

    /// The upload in progress.
    ///
    /// # Errors
    /// [`Reason::NoUpload`].
    pub fn status(&self) -> Result<Upload, Reason> {
        self.upload.ok_or(Reason::NoUpload)
    }

    /// The upload in progress, if it is of that image.
    pub fn resumed(&self, length: u32, sha256: &[u8; 32]) -> Option<Upload> {
        self.upload
            .filter(|upload| upload.length == length && upload.sha256 == *sha256)
    }

    /// Announces an image. The same announcement again takes up where the upload was, in a store that outlasts a reset also
    /// after one.
    ///
    /// # Errors
    /// [`Reason::ImageTooLong`], [`Reason::Store`], and [`Reason::Image`] where the store says why it takes none.
    pub fn begin(&mut self, length: u32, sha256: [u8; 32]) -> Result<Upload, Reason> {
        if let Some(upload) = self.resumed(length, &sha256) {
            return Ok(upload);
        }
        let most = self.capacity();
        let too_long = Reason::ImageTooLong { length, most };
        let bytes = usize::try_from(length).map_err(|_| too_long.clone())?;
        if length > most {
            return Err(too_long);
        }
        self.upload = None;
        self.receiving = self.spare();
        let there = self
            .store
            .begin(self.receiving, bytes, &sha256)
            .map_err(not_stored)?;
        let upload = Upload {
            offset: u32::try_from(there).unwrap_or(0),
            length,
            sha256,
        };
        self.upload = Some(upload);
        Ok(upload)
    }

    /// Takes a piece of the announced image. One that has arrived before is not written again.
    ///
    /// # Errors
    /// [`Reason::NoUpload`]; [`Reason::UploadOffset`] if bytes before it are missing or it runs past
    /// the announced length; as [`Slots::begin`] where the store fails, and then there is no upload any more.
    pub fn chunk(&mut self, offset: u32, data: &[u8]) -> Result<Upload, Reason> {
        let mut upload = self.status()?;
        let misplaced = Reason::UploadOffset {
            expected: upload.offset,
            got: offset,
        };
        let end = u32::try_from(data.len())
            .ok()
            .and_then(|length| offset.checked_add(length))
            .filter(|end| *end <= upload.length && offset <= upload.offset);
        let Some(end) = end else {
            return Err(misplaced);
        };
        if end <= upload.offset {
            return Ok(upload);
        }
        // A chunk that overlaps what has arrived would be written twice, which flash cannot do.
        if offset != upload.offset {
            return Err(misplaced);
        }
        let place = usize::try_from(offset).map_err(|_| misplaced)?;
        if let Err(error) = self.store.write(self.receiving, place, data) {
            // Some of it may be written, and nothing is written twice: to be announced anew.
            self.upload = None;
            return Err(not_stored(error));
        }
        upload.offset = end;
        self.upload = Some(upload);
        Ok(upload)
    }

    /// Verifies the uploaded image, replays its golden trace and makes it the active one. Its time
    /// grows with the image (seconds on a slow board); `memory` is left cleared. `contract` is the board's own; a board
    /// without one takes any, and `adopt` is given it.
    ///
    /// # Errors
    /// [`Reason::NoUpload`], [`Reason::UploadIncomplete`]: nothing changed. [`Reason::Image`]: the upload is
    /// forgotten, the active image stays.
    // Its own frame: kept out of the caller's, the stack holds it only while it runs.
    #[inline(never)]
    pub fn commit(
        &mut self,
        contract: Option<&Contract<'_>>,
        memory: &mut Memory,
        adopt: impl FnOnce(&mut Contract<'_>),
    ) -> Result<(), Reason> {
        let upload = self.status()?;
        if upload.offset != upload.length {
            return Err(Reason::UploadIncomplete {
                offset: upload.offset,
                length: upload.length,
            });
        }
        let slot = self.receiving;
        self.upload = None;
        if let Err(error) = self.store.mark(slot, Mark::Checking) {
            let _ = self.store.mark(slot, Mark::Refused);
            return Err(not_stored(error));
        }
        let (bytes, lines) = self.store.parts(slot);
        let bytes = usize::try_from(upload.length)
            .ok()
            .and_then(|length| bytes.get(..length))
            .ok_or(Reason::Store)?;
        let active = &mut self.active;
        // One after the other, so that their depths on the stack do not add.
        let verified = check_origin(bytes, &upload.sha256, self.key.as_ref())
            .and_then(|()| verify(active, slot, bytes, contract, lines, memory, adopt));
        memory.clear();
        // What the store fails to note, the checks after the next start find out again.
        let _ = self.store.mark(
            slot,
            match verified {
                Ok(()) => Mark::Passed,
                Err(_) => Mark::Refused,
            },
        );
        verified
    }

    /// Whether the active image is on trial, with another one to roll back to.
    pub fn on_trial(&self) -> bool {
        self.store.on_trial().is_some()
    }

    /// Whether announcing an image may take longer than a control period.
    pub fn begin_stalls(&self) -> bool {
        self.store.begin_stalls()
    }

    /// Whether taking bytes of one may.
    pub fn write_stalls(&self) -> bool {
        self.store.write_stalls()
    }

    /// Tells the store what becomes of the active image: [`Mark::Flying`] or [`Mark::Proven`].
    ///
    /// # Errors
    /// As [`Slots::begin`].
    pub fn mark(&mut self, mark: Mark) -> Result<(), Reason> {
        match &self.active {
            Some(active) => self.store.mark(active.slot, mark).map_err(not_stored),
            None => Ok(()),
        }
    }

    /// Ends the trial of an image: there is none until what [`Slots::find`] then finds is committed.
    pub fn end_trial(&mut self) {
        if let Some(slot) = self.store.on_trial() {
            // Where the store fails to note it, it does so for now, and after the next start the trial goes on.
            let _ = self.store.mark(slot, Mark::Refused);
            self.active = None;
        }
    }

    /// An image that lies in the store already: one that it has a record of, or that somebody has programmed.
    pub fn find(&mut self) -> Option<Found> {
        self.store.found()
    }

    /// Takes what was found for an upload that has arrived.
    pub fn take(&mut self, found: Found) {
        self.upload = Some(Upload {
            offset: found.length,
            length: found.length,
            sha256: found.sha256,
        });
        self.receiving = found.slot;
    }

    /// Uploads an image that the board has at hand.
    ///
    /// # Errors
    /// As [`Slots::begin`] and [`Slots::chunk`].
    pub fn upload(&mut self, image: &[u8]) -> Result<(), Reason> {
        let length = u32::try_from(image.len()).map_err(|_| Reason::ImageTooLong {
            length: u32::MAX,
            most: self.capacity(),
        })?;
        let upload = self.begin(length, Sha256::digest(image).into())?;
        let rest = usize::try_from(upload.offset)
            .ok()
            .and_then(|offset| image.get(offset..))
            .unwrap_or(&[]);
        self.chunk(upload.offset, rest).map(|_| ())
    }

    /// The slot that is not active.
    fn spare(&self) -> Slot {
        match &self.active {
            Some(active) => active.slot.other(),
            None => self.store.spare(),
        }
    }

    /// Drops the active image, as a check of it in flight does.
    #[cfg(test)]
    pub(crate) fn forget_active(&mut self) {
        self.active = None;
    }

    /// Flips one bit of the active image, as a failing memory would.
    #[cfg(test)]
    pub(crate) fn damage_active(&mut self) {
        let active = self.active.as_ref().expect("an active image");
        let byte = self.store.bytes(active.slot)[2000] ^ 1;
        self.store
            .write(active.slot, 2000, &[byte])
            .expect("a store in RAM");
    }
}

/// What is checked before anything of the body is parsed: that it is what was announced, and by whom it is.
// Its own frame: kept out of the caller's, the stack holds it only while it runs.
#[inline(never)]
fn check_origin(bytes: &[u8], sha256: &[u8; 32], key: Option<&PublicKey>) -> Result<(), Reason> {
    let got: [u8; 32] = Sha256::digest(bytes).into();
    if got != *sha256 {
        return Err(refused(
            ImageStage::Transfer,
            &"the bytes that arrived do not have the announced SHA-256",
        ));
    }
    let Some(key) = key else { return Ok(()) };
    // The reader holds length and body against this header.
    let header = Header::read(bytes).map_err(|error| refused(ImageStage::Read, &error))?;
    key.verify(&header)
        .map_err(|error| refused(ImageStage::Signature, &error))
}

/// All checks between origin and activation, in their order; then what is in `slot` is the active image.
// Its own frame, as that of `check_origin`.
#[inline(never)]
fn verify(
    active: &mut Option<Active>,
    slot: Slot,
    bytes: &[u8],
    contract: Option<&Contract<'_>>,
    lines: &mut [CacheLine],
    memory: &mut Memory,
    adopt: impl FnOnce(&mut Contract<'_>),
) -> Result<(), Reason> {
    let mut image = Image::EMPTY;
    (image.read_in_place(bytes)).map_err(|error| refused(ImageStage::Read, &error))?;
    if !policy::runs(image.packing) {
        return Err(not_for_this_board(image.packing));
    }
    if let Some(difference) = contract.and_then(|own| image.contract.difference(own)) {
        return Err(refused(ImageStage::Contract, &difference));
    }
    let packed = Backend::best().pack(&image, lines);
    let policy = packed.policy(&image, lines);
    let (needed, lent) = (policy.cache_bytes(), memory.cache_bytes());
    if needed > lent {
        return Err(refused(
            ImageStage::Memory,
            &format_args!("the policy takes {needed} bytes of cache, this board has {lent}"),
        ));
    }
    policy
        .replay_golden(&image.golden, memory)
        .map_err(|difference| refused(ImageStage::Golden, &difference))?;
    let count = policy.backend().lines(&image);
    let lines = Lines {
        packed,
        count,
        sha256: digest(lines, count),
    };
    activate(active, slot, &image, bytes, lines)?;
    if contract.is_none() {
        adopt(&mut image.contract);
    }
    Ok(())
}

// Its own frame, as that of `verify`.
#[inline(never)]
fn activate(
    active: &mut Option<Active>,
    slot: Slot,
    image: &Image<'_>,
    bytes: &[u8],
    lines: Lines,
) -> Result<(), Reason> {
    let layout = Layout::of(image, bytes).ok_or(Reason::Store)?;
    *active = Some(Active {
        slot,
        layout,
        lines,
    });
    Ok(())
}

/// SHA-256 of the first `count` lines.
fn digest(lines: &[CacheLine], count: usize) -> [u8; 32] {
    let mut hash = Sha256::new();
    for line in lines.iter().take(count) {
        hash.update(line.0);
    }
    hash.finalize().into()
}

/// Why a board of real sensors or actuators that was built without a contract takes no image.
pub(crate) fn no_contract() -> Reason {
    refused(
        ImageStage::Contract,
        &"this board moves or measures something and was built without a contract of its own",
    )
}

/// Why an image that is packed for kernels that this firmware does not have is not taken.
fn not_for_this_board(packing: Packing) -> Reason {
    let how = match packing {
        // Rows run everywhere: never refused.
        Packing::Rows => "",
        Packing::CortexM => " (export --for qemu-m7)",
    };
    refused(
        ImageStage::Read,
        &format_args!("packed for {packing}{how}; this board runs what is exported without --for"),
    )
}

/// Why the store did not take it.
// Its own frame, as that of `verify`: text is made in it.
#[inline(never)]
fn not_stored(error: StoreError) -> Reason {
    match error {
        StoreError::Bounds => Reason::Store,
        error => refused(ImageStage::Transfer, &error),
    }
}

/// `why` is cut to what a message has room for.
fn refused(stage: ImageStage, why: &dyn Display) -> Reason {
    let text = cut(why);
    Reason::Image { stage, text }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::policy::{LargestMemory, random_moments};
    use crate::store::RamStore;
    use crate::tests_support::{CONTRACT, image, key, signed_by};
    use engram_image::random::SplitMix64;
    use proptest::prelude::*;
    use std::boxed::Box;
    use std::format;
    use std::vec;
    use std::vec::Vec;

    fn memory() -> Box<Memory> {
        Box::<LargestMemory>::default()
    }

    fn room() -> [Vec<u8>; 2] {
        [vec![0; 20_000], vec![0; 20_000]]
    }

    #[test]
    fn an_image_that_lies_in_the_store_is_found_and_checked() {
        let good = image(1);
        let mut longer = good.clone();
        longer.extend([0xFF; 100]);
        let mut damaged = good.clone();
        damaged[2_000] ^= 1;
        for (bytes, found, flies) in [
            (&good[..], true, true),
            (&longer, true, true),
            (&damaged, true, false),
            (&good[..good.len() - 1], false, false),
            (&[0xFF; 200], false, false),
            (&[], false, false),
        ] {
            let mut slots = Slots::new(RamStore::new(bytes.to_vec(), vec![0; 20_000]), None);
            let image = slots.find();
            assert_eq!(image.is_some(), found);
            if let Some(image) = image {
                slots.take(image);
            }
            let taken = slots.commit(Some(&CONTRACT), &mut memory(), |_| ());
            assert_eq!(taken.is_ok(), flies, "{taken:?}");
            assert_eq!(slots.weights_sha256().is_some(), flies);
        }
    }

    #[test]
    fn bytes_that_changed_give_other_words_and_no_panic() {
        let bytes = image(1);
        let read = Image::read(&bytes).expect("a good image");
        let layout = Layout::of(&read, &bytes).expect("its own bytes");
        let mut memory = memory();
        let mut random = SplitMix64::new(7);
        for moment in random_moments(&read.config, 7, 200) {
            let garbage: Vec<u8> = (0..bytes.len()).map(|_| random.below(256) as u8).collect();
            let weights = layout.weights(&garbage).expect("as long as before");
            let parameters = layout.parameters(&weights);
            let policy = Backend::Portable
                .pack(&read, &mut [])
                .policy(parameters, &[]);
            let _ = policy.step(&mut memory, &moment.view(), &mut [0], &mut ());
        }
    }

    #[test]
    fn packed_weights_fly_and_are_rechecked() {
        let lines = || vec![CacheLine::ZERO; policy::LINES];
        let mut slots = Slots::new(RamStore::packed(room(), [lines(), lines()]), None);
        for seed in [1, 2] {
            slots.upload(&image(seed)).expect("it fits");
            let taken = slots.commit(Some(&CONTRACT), &mut memory(), |_| {
                panic!("the board has a contract of its own")
            });
            assert_eq!(taken, Ok(()));
        }
        let weights = slots.weights().expect("an active image");
        let policy = slots.policy(&weights).expect("an active image");
        assert_eq!(policy.backend(), Backend::best());
        let bytes = image(2);
        let read = Image::read(&bytes).expect("a good image");
        assert_eq!(policy.replay_golden(&read.golden, &mut memory()), Ok(()));
        let hash = Some(read.weights_sha256);
        assert_eq!(slots.recheck(), hash);
        if Backend::best() == Backend::Portable {
            return;
        }
        slots.store.parts(Slot::B).1[3].0[5] ^= 1;
        assert_eq!(slots.recheck(), None);
    }

    /// What became of `bytes` on a board that takes the images of signer 1.
    fn taken_by_a_board_with_a_key(bytes: &[u8]) -> Result<(), Reason> {
        let [a, b] = room();
        let mut slots = Slots::new(RamStore::new(a, b), Some(key(1)));
        slots.upload(bytes)?;
        let taken = slots.commit(Some(&CONTRACT), &mut memory(), |_| ());
        assert_eq!(slots.weights_sha256().is_some(), taken.is_ok());
        taken
    }

    #[test]
    fn eng_safe_19_a_board_with_a_key_takes_what_its_owner_has_signed() {
        let stage = |bytes: &[u8]| match taken_by_a_board_with_a_key(bytes) {
            Ok(()) => None,
            Err(Reason::Image { stage, .. }) => Some(stage),
            Err(other) => panic!("{other}"),
        };
        let signed = signed_by(1, image(1));
        assert_eq!(stage(&signed), None);
        let mut damaged = signed.clone();
        damaged[2_000] ^= 1;
        for (bytes, at) in [
            (image(1), ImageStage::Signature),
            (signed_by(2, image(1)), ImageStage::Signature),
            // The signature is of the header, which says what the body has to be.
            (damaged, ImageStage::Read),
            // Refused before any of the body is parsed.
            (
                [&image(1)[..128], &[0xFF; 300]].concat(),
                ImageStage::Signature,
            ),
            (std::vec![0; 300], ImageStage::Read),
        ] {
            assert_eq!(stage(&bytes), Some(at));
        }
        // A board without a key takes both.
        for bytes in [&signed, &image(1)] {
            let [a, b] = room();
            let mut slots = Slots::new(RamStore::new(a, b), None);
            slots.upload(bytes).expect("it fits");
            let taken = slots.commit(Some(&CONTRACT), &mut memory(), |_| ());
            assert_eq!(taken, Ok(()));
        }
    }

    proptest! {
        #[test]
        fn eng_safe_19_no_altered_image_passes_for_a_signed_one(
            changes in prop::collection::vec((any::<prop::sample::Index>(), 1..=255_u8), 1..4),
            cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
        ) {
            let signed = signed_by(1, image(1));
            let mut altered = signed.clone();
            for (at, with) in changes {
                altered[at.index(signed.len())] ^= with;
            }
            if let Some(length) = cut {
                altered.truncate(length.index(signed.len()));
            }
            prop_assume!(altered != signed);
            prop_assert!(taken_by_a_board_with_a_key(&altered).is_err());
        }
    }

    #[test]
    fn a_policy_that_needs_more_memory_than_there_is_is_refused_with_both_numbers() {
        let bytes = image(1);
        let needed = Policy::from(&Image::read(&bytes).expect("a good image")).cache_bytes();
        let mut small: Box<Memory> = Box::<Memory<[i8; 64]>>::default();
        let [a, b] = room();
        let mut slots = Slots::new(RamStore::new(a, b), None);
        slots.upload(&bytes).expect("it fits");
        let refusal = slots.commit(None, &mut small, |_| panic!("not taken"));
        let both = format!("the policy takes {needed} bytes of cache, this board has 64");
        assert_eq!(refusal, Err(refused(ImageStage::Memory, &both)));
        assert!(needed > 64);
        assert_eq!(slots.weights_sha256(), None);
    }
}
