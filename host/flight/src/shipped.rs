//! The trained images that come with the program.

/// The policy that ships for a plant, if one does.
#[must_use]
pub fn shipped_image(plant: &str) -> Option<&'static [u8]> {
    SHIPPED
        .iter()
        .find(|(name, _)| *name == plant)
        .map(|(_, image)| *image)
}

/// Plant and image file.
const SHIPPED: &[(&str, &[u8])] = &[
    (
        "pendulum",
        include_bytes!("../../../images/pendulum.engram"),
    ),
    (
        "quadrotor",
        include_bytes!("../../../images/quadrotor.engram"),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ships_fits_its_plant() {
        for (plant, bytes) in SHIPPED {
            let image = engram_image::Image::read(bytes).expect("a valid image");
            let known = engram_plants::by_name(plant).expect("a known plant");
            let contract = known.spec().contract();
            assert_eq!(image.contract.difference(&contract), None, "{plant}");
            assert_eq!(image.provenance.plant, *plant);
        }
    }
}
