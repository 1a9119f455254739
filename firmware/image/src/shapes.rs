//! The shapes that benchmarks, tests and documents refer to by a letter.

use crate::{HeadInput, ModelConfig, Positions};

/// S: a small policy with positions by age.
pub const SMALL: ModelConfig = ModelConfig {
    observations: 17,
    actions: 6,
    layers: 4,
    heads: 4,
    model: 32,
    ff: 128,
    window: 25,
    hidden: [64, 64],
    positions: Positions::Age,
    head_input: HeadInput::Encoder,
};

/// M: as wide as the paper's, with positions by age and a window ten times as long.
pub const MEDIUM: ModelConfig = ModelConfig {
    heads: 8,
    model: 128,
    ff: 512,
    window: 50,
    ..SMALL
};

/// P: the paper's, which computes all five slots of its window anew in every step.
pub const PAPER: ModelConfig = ModelConfig {
    observations: 20,
    heads: 16,
    window: 5,
    positions: Positions::Slot,
    ..MEDIUM
};

/// All of them, with the letters.
pub const REFERENCE: [(&str, ModelConfig); 3] = [("S", SMALL), ("M", MEDIUM), ("P", PAPER)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_shapes_cost_what_documents_say() {
        let macs = REFERENCE.map(|(_, config)| {
            config.validate().unwrap();
            config.macs_per_step()
        });
        assert_eq!(macs[..2], [62_880, 853_504]);
        // Five tokens a step.
        assert!(macs[2] > 5 * 4 * 128 * (4 * 128 + 2 * 512));
    }

    #[test]
    fn the_paper_s_shape_leaves_the_older_tokens_of_its_last_layer_out() {
        let least = REFERENCE.map(|(_, config)| config.least_macs_per_step());
        let [d, ff, window, layers] = [128, 512, 5, 4];
        let token = 4 * d * d + 2 * d * ff + 2 * window * d;
        let last = window * 2 * d * d + 2 * d * d + 2 * d * ff + 2 * window * d;
        let ends = d * PAPER.inputs() as u64 + 64 * d + 64 * 64 + 64 * PAPER.actions as u64;
        assert_eq!(
            least,
            [62_880, 853_504, (layers - 1) * window * token + last + ends]
        );
    }
}
