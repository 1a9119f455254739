//! The shapes that benchmarks refer to.

use engram_image::{HeadInput, ModelConfig, Positions};

use crate::plant::{self, pendulum};
use crate::train::Settings;

/// A policy's shape with its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// What it is called in tables.
    pub name: &'static str,
    /// Its dimensions.
    pub config: ModelConfig,
}

/// The pendulum's preset and the reference shapes S, M and P (the paper's).
#[must_use]
pub fn shapes() -> Vec<Shape> {
    let small = ModelConfig {
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
    let medium = ModelConfig {
        heads: 8,
        model: 128,
        ff: 512,
        window: 50,
        ..small
    };
    let paper = ModelConfig {
        observations: 20,
        heads: 16,
        window: 5,
        positions: Positions::Slot,
        ..medium
    };
    let mut shapes = vec![
        Shape {
            name: "S",
            config: small,
        },
        Shape {
            name: "M",
            config: medium,
        },
        Shape {
            name: "P",
            config: paper,
        },
    ];
    if let (Ok(settings), Ok(plant)) = (
        Settings::preset(pendulum::NAME),
        plant::by_name(pendulum::NAME),
    ) {
        shapes.insert(
            0,
            Shape {
                name: pendulum::NAME,
                config: settings.model_config(plant.as_ref()),
            },
        );
    }
    shapes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_shapes_cost_what_they_should() {
        let macs = |name| {
            let shape = shapes()
                .into_iter()
                .find(|shape| shape.name == name)
                .unwrap();
            shape.config.validate().unwrap();
            shape.config.macs_per_step()
        };
        assert_eq!(macs("S"), 62_880);
        assert_eq!(macs("M"), 853_504);
        // The paper's shape computes five tokens a step.
        assert!(macs("P") > 5 * 4 * 128 * (4 * 128 + 2 * 512));
        assert!(macs("pendulum") > 10_000);
    }
}
