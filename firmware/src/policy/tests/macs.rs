//! The multiply-accumulates that a step really makes, against the bounds report.

use std::boxed::Box;
use std::vec;

use engram_image::random::spec;
use engram_image::write::write;
use engram_image::{HeadInput, Image, ModelConfig, Positions};

use super::{AGE, SLOT};
use crate::policy::{LargestMemory, Memory, counted_macs, random_moments};

#[test]
fn a_step_makes_the_multiply_accumulates_of_the_report() {
    let mixed = ModelConfig {
        head_input: HeadInput::Mixed,
        ..AGE
    };
    let medium = ModelConfig {
        observations: 17,
        actions: 6,
        layers: 4,
        heads: 8,
        model: 128,
        ff: 512,
        window: 50,
        hidden: [64, 64],
        positions: Positions::Age,
        head_input: HeadInput::Encoder,
    };
    for (config, seed) in [(AGE, 1), (SLOT, 2), (mixed, 3), (medium, 4)] {
        let bytes = write(&spec(&config, seed)).unwrap();
        let image = Image::read(&bytes).unwrap();
        let mut memory: Box<Memory> = Box::<LargestMemory>::default();
        let mut words = vec![0; config.actions];
        for moment in random_moments(&config, seed, 2 * config.window + 1) {
            let macs = counted_macs(&image, &mut memory, &moment.view(), &mut words).unwrap();
            assert_eq!(macs, image.bounds.macs_per_step, "{config:?}");
        }
    }
}
