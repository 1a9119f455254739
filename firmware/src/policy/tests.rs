//! The integer policy against an independent f64 version, and what must hold for every image.

mod extremes;
mod paths;
mod reference;

use std::boxed::Box;
use std::string::ToString;
use std::vec::Vec;

use engram_image::random::spec;
use engram_image::shapes::REFERENCE;
use engram_image::write::write;
use engram_image::{HeadInput, Image, ModelConfig, Positions};
use proptest::prelude::*;

use super::{random_moments as moments, *};
use crate::tests_support::with_golden;
use reference::Reference;

const AGE: ModelConfig = ModelConfig {
    observations: 3,
    actions: 2,
    layers: 2,
    heads: 2,
    model: 16,
    ff: 24,
    window: 7,
    hidden: [12, 10],
    positions: Positions::Age,
    head_input: HeadInput::Mixed,
};

const SLOT: ModelConfig = ModelConfig {
    window: 5,
    positions: Positions::Slot,
    head_input: HeadInput::Encoder,
    ..AGE
};

fn memory() -> Box<Memory> {
    Box::<LargestMemory>::default()
}

/// A random image, which outlives the test.
fn random_image(config: &ModelConfig, seed: u64) -> &'static Image<'static> {
    read(write(&spec(config, seed)).unwrap())
}

fn read(bytes: Vec<u8>) -> &'static Image<'static> {
    Box::leak(Box::new(Image::read(bytes.leak()).unwrap()))
}

/// The words of every moment, from the memory as it is.
fn words(policy: &Policy<'_>, memory: &mut Memory, moments: &[Moment]) -> Vec<Vec<i16>> {
    let run = |moment: &Moment| {
        let mut words = std::vec![0; moment.issued.len()];
        policy
            .step(memory, &moment.view(), &mut words, &mut ())
            .unwrap();
        words
    };
    moments.iter().map(run).collect()
}

/// The same from an empty memory, on the plain kernels of this program.
fn plain_words(image: &Image<'_>, moments: &[Moment]) -> Vec<Vec<i16>> {
    words(&Policy::from(image), &mut memory(), moments)
}

/// Both kinds of positions with both inputs of the head, and a window of 1.
fn configs() -> Vec<ModelConfig> {
    let mut configs = Vec::new();
    for base in [AGE, SLOT] {
        for head_input in [HeadInput::Encoder, HeadInput::Mixed] {
            configs.push(ModelConfig { head_input, ..base });
        }
        configs.push(ModelConfig {
            window: 1,
            layers: 1,
            ..base
        });
    }
    configs
}

/// Largest and root mean square difference in words from the reference over a trial of so many steps.
fn difference(config: ModelConfig, seed: u64, rounding: bool, steps: usize) -> (f64, f64) {
    let image = random_image(&config, seed);
    let moments = moments(&config, seed, steps);
    let integers = plain_words(image, &moments);
    let mut reference = Reference::new(image, rounding);
    let mut squares = Vec::new();
    for (moment, integers) in moments.iter().zip(&integers) {
        for (exact, &word) in reference.step(moment).iter().zip(integers) {
            squares.push((exact.clamp(-32_767.0, 32_767.0) - f64::from(word)).powi(2));
        }
    }
    let worst = squares.iter().copied().fold(0.0, f64::max).sqrt();
    (
        worst,
        (squares.iter().sum::<f64>() / squares.len() as f64).sqrt(),
    )
}

/// [`difference`] of four long trials of every configuration.
fn differences(rounding: bool, allowed: impl Fn(&ModelConfig) -> (f64, f64)) {
    for config in configs() {
        let (most, typical_most) = allowed(&config);
        for seed in 0..4 {
            let (worst, typical) = difference(config, seed, rounding, 5 * config.window + 30);
            assert!(
                worst <= most && typical <= typical_most,
                "{config:?} {seed}: {worst} {typical}"
            );
        }
    }
}

#[test]
fn words_follow_the_rounded_f64_policy() {
    // Only attention differs: its weights are off by 0.75 of 32767, which now and then moves
    // an int8 by one. With a window of 1 the only weight is exact.
    differences(true, |config| match config.window {
        1 => (0.0, 0.0),
        _ => (1_000.0, 150.0),
    });
}

#[test]
fn words_are_near_the_real_network() {
    differences(false, |_| (1_600.0, 400.0));
}

#[test]
fn the_largest_shapes_run_and_wrap() {
    let wide = ModelConfig {
        layers: 1,
        heads: 16,
        model: 128,
        ff: 512,
        hidden: [128, 128],
        ..AGE
    };
    for config in [
        ModelConfig {
            window: 512,
            ..wide
        },
        ModelConfig {
            layers: 8,
            model: 64,
            ff: 256,
            window: 128,
            ..wide
        },
        ModelConfig {
            layers: 4,
            window: 5,
            positions: Positions::Slot,
            ..wide
        },
    ] {
        let (_, typical) = difference(config, 1, false, config.window + 20);
        // Eight layers add up the roundings of eight.
        assert!(typical <= 1_000.0, "{config:?}: {typical}");
    }
}

#[test]
fn words_do_not_depend_on_the_phase_of_the_ring() {
    for config in configs() {
        let image = random_image(&config, 2);
        let moments = moments(&config, 2, 3 * config.window + 2);
        let expected = plain_words(image, &moments);
        for start in 0..config.window {
            let mut memory = memory();
            memory.next = start;
            let got = words(&image.into(), &mut memory, &moments);
            assert_eq!(got, expected, "{config:?} {start}");
        }
    }
}

#[test]
fn a_cleared_memory_is_a_new_memory() {
    for config in configs() {
        let image = random_image(&config, 3);
        let moments = moments(&config, 3, 2 * config.window + 3);
        let expected = plain_words(image, &moments);
        // Left behind by the same image, and by one of another shape.
        let other = ModelConfig {
            window: 11,
            model: 32,
            ..config
        };
        for used in [image, random_image(&other, 4)] {
            let mut memory = memory();
            words(&used.into(), &mut memory, &moments);
            memory.clear();
            assert_eq!(memory.filled(), 0);
            let got = words(&image.into(), &mut memory, &moments);
            assert_eq!(got, expected, "{config:?}");
        }
    }
}

#[test]
fn age_forgets_exactly_what_lies_beyond_the_receptive_field() {
    let policy = Policy::from(random_image(&AGE, 5));
    let field = AGE.receptive_field();
    let common = moments(&AGE, 5, field + 10);
    let after = |seed: u64, steps: usize| {
        let mut memory = memory();
        words(&policy, &mut memory, &moments(&AGE, seed, steps));
        words(&policy, &mut memory, &common)
    };
    let (one, other) = (after(6, 20), after(7, 33));
    assert_eq!(one[field - 1..], other[field - 1..]);
    assert_ne!(one[..field - 1], other[..field - 1]);
}

#[test]
fn slot_equals_its_window_computed_from_nothing() {
    for head_input in [HeadInput::Encoder, HeadInput::Mixed] {
        let config = ModelConfig { head_input, ..SLOT };
        let image = random_image(&config, 8);
        let moments = moments(&config, 8, 4 * config.window);
        let streamed = plain_words(image, &moments);
        for (end, expected) in streamed.iter().enumerate() {
            let window = &moments[(end + 1).saturating_sub(config.window)..=end];
            assert_eq!(plain_words(image, window).last(), Some(expected));
        }
    }
}

/// Counts calls, and keeps the shares of the newest step.
#[derive(Default)]
struct Counter {
    attention: usize,
    /// `[layer][head]` rows of `(weight, total)` by age, in the order of the calls.
    shares: Vec<(u32, u32)>,
}

impl AttentionHook for Counter {
    fn attention(&mut self, _layer: usize, _head: usize, age: usize, weight: u32, total: u32) {
        assert_eq!(age, self.shares.len() % AGE.window);
        self.attention += 1;
        self.shares.push((weight, total));
    }
}

#[test]
fn every_step_does_the_same_work_and_an_observer_changes_nothing() {
    for positions in [Positions::Age, Positions::Slot] {
        let config = ModelConfig { positions, ..AGE };
        let image = random_image(&config, 9);
        let moments = moments(&config, 9, 3 * config.window);
        let expected = plain_words(image, &moments);
        let mut watched = memory();
        for (step_index, (moment, expected)) in moments.iter().zip(&expected).enumerate() {
            let mut counter = Counter::default();
            let mut words = [0; 2];
            Policy::from(image)
                .step(&mut watched, &moment.view(), &mut words, &mut counter)
                .unwrap();
            assert_eq!(words[..], expected[..]);
            // Every age of every head of every layer, however full the window is.
            let heads = config.layers * config.heads;
            assert_eq!(counter.attention, heads * config.window);
            let filled = (step_index + 1).min(config.window);
            for row in counter.shares.chunks(config.window) {
                let (present, empty) = row.split_at(filled);
                assert!(empty.iter().all(|&(weight, _)| weight == 0));
                assert!(present.iter().any(|&(weight, _)| weight == 32_767));
                let total: u32 = row.iter().map(|&(weight, _)| weight).sum();
                assert!(row.iter().all(|&(_, reported)| reported == total));
            }
        }
    }
}

/// The multiply-accumulates that a step really makes, against the bounds report.
#[test]
fn a_step_makes_the_multiply_accumulates_of_the_report() {
    let [_, (_, medium), _] = REFERENCE;
    for (config, seed) in configs().into_iter().zip(1..).chain([(medium, 9)]) {
        let image = random_image(&config, seed);
        let mut memory = memory();
        let mut words = std::vec![0; config.actions];
        for moment in moments(&config, seed, 2 * config.window + 1) {
            let macs = counted_macs(image, &mut memory, &moment.view(), &mut words).unwrap();
            assert_eq!(macs, image.bounds.macs_per_step, "{config:?}");
        }
    }
}

#[test]
fn golden_replay_names_the_first_difference() {
    for config in [AGE, SLOT] {
        let image = read(with_golden(spec(&config, 10), 4 * config.window));
        let mut memory = memory();
        // From a memory that was used before.
        words(&image.into(), &mut memory, &moments(&config, 11, 9));
        let mut replay = |image: &Image<'_>| {
            let replayed = Policy::from(image).replay_golden(&image.golden, &mut memory);
            assert_eq!(memory.filled(), 0);
            replayed
        };
        assert_eq!(replay(image), Ok(()));

        let mut spec = engram_image::write::ImageSpec::from(image);
        let entry = 2 * 5 + 1;
        spec.golden.words[entry] ^= 1;
        spec.golden.words[entry + 4] ^= 1;
        let difference = GoldenDifference {
            step: 5,
            action: 1,
            expected: spec.golden.words[entry],
            got: spec.golden.words[entry] ^ 1,
        };
        assert_eq!(replay(read(write(&spec).unwrap())), Err(difference));
    }
}

#[test]
fn wrong_lengths_are_errors_and_touch_nothing() {
    let policy = Policy::from(random_image(&AGE, 12));
    let moment = &moments(&AGE, 12, 1)[0];
    let mut large = memory();
    let refused = |memory: &mut Memory, input: &WorkingMemory<'_>, places: usize, error: &str| {
        let mut words = [0; 8];
        let stepped = policy.step(memory, input, &mut words[..places], &mut ());
        assert_eq!(stepped.unwrap_err().to_string(), error);
        assert_eq!(memory.filled(), 0);
    };
    let observation = &moment.observation[1..];
    let short = WorkingMemory {
        observation,
        ..moment.view()
    };
    refused(&mut large, &short, 2, "2 observations for a policy of 3");
    let short = WorkingMemory {
        issued: &[],
        ..moment.view()
    };
    let error = "0 issued command words for a policy of 2";
    refused(&mut large, &short, 2, error);
    let error = "3 places for command words for a policy of 2";
    refused(&mut large, &moment.view(), 3, error);
    let error = std::format!("64 bytes of cache for a policy of {}", policy.cache_bytes());
    let small: &mut Memory = &mut Memory::<[i8; 64]>::new();
    refused(small, &moment.view(), 2, &error);
}

/// The words of fixed random images, committed: a change of the arithmetic cannot go unnoticed.
/// `ENGRAM_BLESS=1` writes them anew.
#[test]
fn words_are_those_committed() {
    let mut text = std::string::String::new();
    for config in configs() {
        let image = random_image(&config, 13);
        for words in plain_words(image, &moments(&config, 13, 2 * config.window + 4)) {
            text += &std::format!("{} {}\n", words[0], words[1]);
        }
        text.push('\n');
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/policy/tests/words.txt");
    if std::env::var_os("ENGRAM_BLESS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    assert!(
        std::fs::read_to_string(path).unwrap() == text,
        "the words differ from {path}"
    );
}

proptest! {
    /// An image that contradicts itself cannot come from the reader; even so nothing may panic.
    #[test]
    fn no_configuration_panics(
        dimensions in proptest::array::uniform9(prop_oneof![0_usize..40, 100_usize..700, Just(usize::MAX)]),
        slot in any::<bool>(),
        steps in 1_usize..5,
    ) {
        let base = if slot { SLOT } else { AGE };
        let mut image = *random_image(&base, 14);
        let [layers, heads, model, ff, window, first, second, index, filled] = dimensions;
        // The slots' loop runs over the window.
        let window = if slot { window.min(700) } else { window };
        image.config = ModelConfig { layers, heads, model, ff, window, hidden: [first, second], ..base };
        let mut memory = memory();
        memory.next = index;
        memory.filled = filled;
        for moment in moments(&base, 14, steps) {
            // Nothing is computed where no cache is large enough.
            let words = &mut std::vec![0; base.actions];
            let _ = Policy::from(&image).step(&mut memory, &moment.view(), words, &mut ());
        }
    }
}
