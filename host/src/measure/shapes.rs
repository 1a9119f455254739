//! The shapes that benchmarks refer to.

use engram_image::{ModelConfig, shapes::REFERENCE};

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
    let mut shapes: Vec<Shape> = REFERENCE
        .into_iter()
        .map(|(name, config)| Shape { name, config })
        .collect();
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
    fn the_preset_comes_before_the_reference_shapes() {
        let names: Vec<_> = shapes().iter().map(|shape| shape.name).collect();
        assert_eq!(names, ["pendulum", "S", "M", "P"]);
        assert!(shapes()[0].config.macs_per_step() > 10_000);
    }
}
