//! What benchmarks measure unless told otherwise: the images that ship, then the reference shapes with random weights.

use std::borrow::Cow;

use engram_image::write::{WriteError, write};
use engram_image::{Image, ModelConfig, random, shapes::REFERENCE};

/// The images that ship, by the plant that they were trained on.
const SHIPPED: [(&str, &[u8]); 2] = [
    (
        "pendulum",
        include_bytes!("../../../images/pendulum.engram"),
    ),
    (
        "half-cheetah-vel",
        include_bytes!("../../../images/half-cheetah-vel.engram"),
    ),
];

/// A policy's shape with its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// What it is called in tables.
    pub name: &'static str,
    /// Its dimensions.
    pub config: ModelConfig,
    /// The image that ships; None: a reference shape.
    shipped: Option<&'static [u8]>,
}

impl Shape {
    /// The image that ships, or one with random weights.
    ///
    /// # Errors
    /// [`WriteError`] cannot happen for the shapes of [`shapes`]; it is passed on all the same.
    pub fn image(&self) -> Result<Cow<'static, [u8]>, WriteError> {
        match self.shipped {
            Some(image) => Ok(Cow::Borrowed(image)),
            None => write(&random::spec(&self.config, 0)).map(Cow::Owned),
        }
    }
}

/// The images that ship and the reference shapes S, M and P (the paper's).
#[must_use]
pub fn shapes() -> Vec<Shape> {
    let shipped = SHIPPED.into_iter().filter_map(|(name, bytes)| {
        let config = Image::read(bytes).ok()?.config;
        Some(Shape {
            name,
            config,
            shipped: Some(bytes),
        })
    });
    let reference = REFERENCE.into_iter().map(|(name, config)| Shape {
        name,
        config,
        shipped: None,
    });
    shipped.chain(reference).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ships_comes_before_the_reference_shapes() {
        let shapes = shapes();
        let names: Vec<_> = shapes.iter().map(|shape| shape.name).collect();
        assert_eq!(names, ["pendulum", "half-cheetah-vel", "S", "M", "P"]);
        for shape in shapes {
            let bytes = shape.image().unwrap();
            let image = Image::read(&bytes).unwrap();
            assert_eq!(image.config, shape.config, "{}", shape.name);
            let trained = image.provenance.plant == shape.name;
            assert_eq!(trained, shape.shipped.is_some(), "{}", shape.name);
        }
    }
}
