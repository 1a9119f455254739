//! The multiply-accumulates that a step really makes, against the bounds report.

use std::vec;

use engram_image::shapes::REFERENCE;
use engram_image::{HeadInput, ModelConfig};

use super::{AGE, SLOT, memory, random_image};
use crate::policy::{counted_macs, random_moments};

#[test]
fn a_step_makes_the_multiply_accumulates_of_the_report() {
    let mixed = ModelConfig {
        head_input: HeadInput::Mixed,
        ..AGE
    };
    let [_, (_, medium), _] = REFERENCE;
    for (config, seed) in [(AGE, 1), (SLOT, 2), (mixed, 3), (medium, 4)] {
        let image = random_image(&config, seed);
        let mut memory = memory();
        let mut words = vec![0; config.actions];
        for moment in random_moments(&config, seed, 2 * config.window + 1) {
            let macs = counted_macs(image, &mut memory, &moment.view(), &mut words).unwrap();
            assert_eq!(macs, image.bounds.macs_per_step, "{config:?}");
        }
    }
}
