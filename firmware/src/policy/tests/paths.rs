//! Every path that this machine has, against the portable one: the same words on random images and on extreme ones.

use std::vec;
use std::vec::Vec;

use engram_image::random::spec;
use engram_image::shapes::REFERENCE;
use engram_image::write::{write, write_packed};
use engram_image::{HeadInput, Image, ModelConfig, Packing, Positions};
use engram_kernels::CacheLine;
use proptest::prelude::*;

use super::extremes::{contrary_moments, extreme};
use super::{AGE, SLOT, memory, moments, plain_words, random_image, words};
use crate::policy::{Backend, LINES, LargestMemory, Memory, Moment, Policy, PolicyError};

/// Runs a trial on a random image, clears the memory and runs another, on every path and on the portable one.
fn compare(config: ModelConfig, seed: u64) {
    let bytes = write(&spec(&config, seed)).unwrap();
    compare_trials(&bytes, moments, seed);
}

/// The same on an image of which so many parts in eight are at the ends of what a reader admits.
fn compare_extreme(config: ModelConfig, seed: u64, parts: u64) {
    let bytes = write(&extreme(config, seed, parts)).unwrap();
    compare_trials(&bytes, contrary_moments, seed);
}

/// Compares two trials on an image, whose working memories `moments` makes.
fn compare_trials(bytes: &[u8], moments: fn(&ModelConfig, u64, usize) -> Vec<Moment>, seed: u64) {
    let image = Image::read(bytes).unwrap();
    let config = image.config;
    let trials = [seed, seed + 1].map(|seed| {
        let moments = moments(&config, seed, 2 * config.window + 3);
        let expected = plain_words(&image, &moments);
        (moments, expected)
    });
    for path in available().filter(|&path| path != Backend::Portable) {
        let mut lines = vec![CacheLine::ZERO; path.lines(&image)];
        let policy = Policy::new(path, &image, &mut lines);
        assert_eq!(policy.backend(), path, "{config:?}");
        let mut memory = memory();
        for (moments, expected) in &trials {
            memory.clear();
            let got = words(&policy, &mut memory, moments);
            assert_eq!(&got, expected, "{path} {config:?} {seed}");
        }
    }
}

fn available() -> impl Iterator<Item = Backend> {
    Backend::ALL.into_iter().filter(|path| path.is_available())
}

#[test]
fn the_reference_shapes_give_the_same_words() {
    for (_, config) in REFERENCE {
        compare(config, 1);
        compare_extreme(config, 1, 2);
        compare_extreme(config, 1, 8);
    }
}

proptest! {
    // Other machines than that of the developer run this in an emulator.
    #![proptest_config(ProptestConfig::with_cases(if cfg!(target_arch = "aarch64") { 16 } else { 48 }))]
    #[test]
    fn every_shape_gives_the_same_words(
        layers in 1_usize..4,
        heads in 1_usize..9,
        width in prop_oneof![Just(4_usize), Just(8), Just(12), Just(16), 1_usize..20],
        ff in 1_usize..70,
        window in prop_oneof![1_usize..20, 30_usize..70],
        hidden in [1_usize..70, 1_usize..70],
        io in (1_usize..20, 1_usize..9),
        slot in any::<bool>(),
        mixed in any::<bool>(),
        seed in any::<u32>(),
        parts in 1_u64..=8,
    ) {
        let config = ModelConfig {
            observations: io.0,
            actions: io.1,
            layers,
            heads,
            model: heads * width.min(128 / heads),
            ff,
            window,
            hidden,
            positions: if slot { Positions::Slot } else { Positions::Age },
            head_input: if mixed { HeadInput::Mixed } else { HeadInput::Encoder },
        };
        prop_assume!(config.validate().is_ok());
        compare(config, u64::from(seed));
        compare_extreme(config, u64::from(seed), parts);
    }
}

#[test]
fn an_image_for_a_board_is_not_packed_again() {
    let bytes = write_packed(&spec(&AGE, 4), Packing::CortexM).unwrap();
    let image = Image::read(&bytes).unwrap();
    for path in available() {
        let mut lines = vec![CacheLine::ZERO; path.lines(&image)];
        let policy = Policy::new(path, &image, &mut lines);
        let (moment, mut words) = (&moments(&AGE, 4, 1)[0], [0; 2]);
        let done = policy.step(
            &mut LargestMemory::new(),
            &moment.view(),
            &mut words,
            &mut (),
        );
        assert_eq!(done, Err(PolicyError::Packing(Packing::CortexM)));
    }
}

/// Heads and the width of each: groups of four heads that are full or not, of every number of quads of channels.
const HEADS: [[usize; 2]; 10] = [
    [4, 4],
    [4, 8],
    [4, 12],
    [4, 16],
    [4, 20],
    [4, 24],
    [4, 28],
    [4, 32],
    [3, 8],
    [5, 16],
];

#[test]
fn every_window_gives_the_same_words_with_every_width_of_a_head() {
    // An emulator takes a part of them.
    let step = if cfg!(target_arch = "aarch64") { 9 } else { 1 };
    for window in (1..=64).step_by(step) {
        for [heads, width] in HEADS {
            let config = ModelConfig {
                layers: 1,
                heads,
                model: heads * width,
                ff: 16,
                window,
                ..AGE
            };
            compare(config, window as u64);
        }
    }
}

#[test]
fn long_windows_give_the_same_words() {
    for window in [128, 200, 512] {
        compare(ModelConfig { window, ..AGE }, 3);
        compare_extreme(ModelConfig { window, ..AGE }, 3, 2);
    }
}

#[test]
fn the_largest_images_have_enough_lines() {
    let largest = ModelConfig {
        observations: 20,
        actions: 6,
        layers: 4,
        heads: 16,
        model: 128,
        ff: 512,
        window: 128,
        hidden: [128, 128],
        positions: Positions::Age,
        head_input: HeadInput::Mixed,
    };
    let deep = ModelConfig {
        layers: 8,
        model: 64,
        ..largest
    };
    let long = ModelConfig {
        layers: 8,
        model: 16,
        window: 512,
        ..largest
    };
    for path in available() {
        for config in [largest, deep, long] {
            let image = random_image(&config, 5);
            assert!(path.lines(image) <= LINES, "{path} {config:?}");
        }
    }
}

#[test]
fn lines_of_another_image_give_no_panic() {
    for path in available() {
        let one = random_image(&AGE, 6);
        let other = random_image(&ModelConfig { window: 7, ..AGE }, 7);
        let mut lines = vec![CacheLine::ZERO; LINES];
        let packed = path.pack(one, &mut lines);
        let mut memory = memory();
        let moments = moments(&AGE, 6, 20);
        let run = |image: &Image<'_>, lines: &[CacheLine], memory: &mut Memory| {
            words(&packed.policy(image, lines), memory, &moments)
        };
        let expected = run(one, &lines, &mut memory);
        memory.clear();
        let _ = run(other, &lines, &mut memory);
        for byte in 0..=255 {
            lines.fill(CacheLine([byte; 64]));
            let _ = run(one, &lines, &mut memory);
        }
        // Too few lines: the portable path.
        memory.clear();
        assert_eq!(run(one, &[], &mut memory), expected);
    }
}

#[test]
fn a_policy_writes_the_state_that_it_reports() {
    for path in available() {
        for window in [25, 64] {
            let config = ModelConfig {
                heads: 8,
                model: 64,
                window,
                ..AGE
            };
            let image = random_image(&config, 9);
            let mut lines = vec![CacheLine::ZERO; path.lines(image)];
            let policy = Policy::new(path, image, &mut lines);
            let mut memory = memory();
            words(&policy, &mut memory, &moments(&config, 9, 2 * window));
            let (written, state) = (memory.written_bytes(), policy.cache_bytes());
            // What fills up the last block of places may stay zero.
            assert!(
                written <= state && state < written + 512,
                "{path}: {written} of {state}"
            );
            assert!(state >= config.state_bytes());
        }
    }
}

#[test]
fn what_is_stored_of_many_policies_goes_on_in_one_memory_as_in_memories_of_their_own() {
    for config in [AGE, SLOT, REFERENCE[0].1] {
        let image = random_image(&config, 10);
        for path in available() {
            let mut lines = vec![CacheLine::ZERO; path.lines(image)];
            let policy = Policy::new(path, image, &mut lines);
            let trials = [1, 2, 3].map(|seed| moments(&config, seed, 2 * config.window + 3));
            let expected = trials
                .each_ref()
                .map(|moments| words(&policy, &mut memory(), moments));
            let mut memory = memory();
            let mut stored = vec![0; 3 * policy.stored_bytes()];
            assert_eq!(policy.stored_bytes(), policy.state_bytes() + 4);
            for step in 0..trials[0].len() {
                for (index, stored) in stored.chunks_mut(policy.stored_bytes()).enumerate() {
                    policy.load(stored, &mut memory);
                    let words = words(&policy, &mut memory, &trials[index][step..=step]);
                    policy.store(&mut memory, stored);
                    assert_eq!(words[0], expected[index][step], "{path} {config:?} {step}");
                }
            }
            // Too few bytes lose the memory, and nothing else.
            policy.store(&mut memory, &mut stored[..3]);
            policy.load(&stored[..3], &mut memory);
        }
    }
}
