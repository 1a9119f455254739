//! Control steps of the image's policy: into an empty, a filling and a full window, and after a reset.
//!
//! What counts instructions on Linux has this module, too (board-jetson).

use core::cell::Cell;
use core::hint::black_box;

use engram_firmware::policy::{Memory, WorkingMemory, counted_macs};
use engram_image::limits::{MAX_ACTIONS, MAX_OBSERVATIONS};
use engram_image::{Image, Packing, Positions};

use crate::console::say;
use crate::region;

/// Names the words' hash, so that two builds can be seen to compute the same.
///
/// `step` takes a working memory and writes the command words, or refuses to.
pub(crate) fn count(
    image: &Image<'_>,
    memory: &mut Memory,
    step: impl Fn(&mut Memory, &WorkingMemory<'_>, &mut [i16]) -> bool,
) {
    let config = &image.config;
    let macs = image.bounds.macs_per_step as usize;
    let mut policy = Policy {
        image,
        memory,
        step,
        words: [0; MAX_ACTIONS],
        seed: 1,
        hash: 0xcbf2_9ce4_8422_2325,
    };
    policy.memory.clear();
    region("step_empty", macs, || policy.step());
    for _ in 1..config.window / 2 {
        policy.step();
    }
    region("step_filling", macs, || policy.step());
    for _ in 0..config.window + 3 {
        policy.step();
    }
    region("step_full", macs, || policy.step());
    let [keys, values, slots] = policy.memory.addresses();
    // The keys and values of a `slot` policy last for a step only.
    let rings = match config.positions {
        Positions::Age => &[keys, values][..],
        Positions::Slot => &[slots],
    };
    for ring in rings {
        say(format_args!("ring {:x} {:x}", ring.start, ring.end));
    }
    policy.memory.clear();
    region("step_after_reset", macs, || policy.step());
    say(format_args!("fact words_hash {}", policy.hash));
    if image.packing == Packing::Rows {
        count_macs(image, policy.memory);
    }
}

/// Names the multiply-accumulates that a step really makes in plain Rust.
fn count_macs(image: &Image<'_>, memory: &mut Memory) {
    let macs = Cell::new(0);
    memory.clear();
    let mut policy = Policy {
        image,
        memory,
        step: |memory: &mut Memory, input: &WorkingMemory<'_>, words: &mut [i16]| {
            let counted = counted_macs(image, memory, input, words);
            counted.map(|count| macs.set(count)).is_ok()
        },
        words: [0; MAX_ACTIONS],
        seed: 1,
        hash: 0,
    };
    policy.step();
    say(format_args!("fact counted_macs {}", macs.get()));
}

struct Policy<'a, S> {
    image: &'a Image<'a>,
    memory: &'a mut Memory,
    step: S,
    words: [i16; MAX_ACTIONS],
    seed: u32,
    hash: u64,
}

impl<S: Fn(&mut Memory, &WorkingMemory<'_>, &mut [i16]) -> bool> Policy<'_, S> {
    /// One step on random observations in `[-1, 1)`.
    #[inline(never)]
    fn step(&mut self) {
        let config = &self.image.config;
        let mut observation = [0.0; MAX_OBSERVATIONS];
        for value in &mut observation {
            self.seed = self
                .seed
                .wrapping_mul(1_664_525)
                .wrapping_add(1_013_904_223);
            *value = (self.seed >> 8) as f32 / 8_388_608.0 - 1.0;
        }
        let issued = self.words;
        let input = WorkingMemory {
            observation: &observation[..config.observations],
            issued: &issued[..config.actions],
            reward: 0.5,
            done: false,
        };
        let words = &mut self.words[..config.actions];
        if !(self.step)(self.memory, black_box(&input), words) {
            say(format_args!("error the step was refused"));
        }
        for &word in &*words {
            self.hash = (self.hash ^ u64::from(word as u16)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
