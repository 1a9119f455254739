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
const SHIPPED: &[(&str, &[u8])] = &[];
