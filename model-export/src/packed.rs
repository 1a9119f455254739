//! An image's weights packed for this machine, in memory of its own.

use engram_firmware::policy::{Backend, CacheLine, Packed, Policy};
use engram_image::Image;

/// Lines that hold the weights of one image for the fastest path of this machine.
pub struct PackedWeights {
    lines: Vec<CacheLine>,
    packed: Packed,
}

impl PackedWeights {
    /// Packs `image` for the fastest path of this machine.
    #[must_use]
    pub fn new(image: &Image<'_>) -> Self {
        Self::on(Backend::best(), image)
    }

    /// Packs `image` for `path`; [`Backend::pack`] says when it stays as it is.
    #[must_use]
    pub fn on(path: Backend, image: &Image<'_>) -> Self {
        let mut lines = vec![CacheLine::ZERO; path.lines(image)];
        let packed = path.pack(image, &mut lines);
        Self { lines, packed }
    }

    /// The policy of `image`, which must be the one that was packed. Cheap enough for every step.
    #[must_use]
    pub fn policy<'a>(&'a self, image: &'a Image<'a>) -> Policy<'a> {
        self.packed.policy(image, &self.lines)
    }

    /// What the weights were packed for, and the lines that hold them.
    #[must_use]
    pub fn parts(&self) -> (Packed, &[CacheLine]) {
        (self.packed, &self.lines)
    }
}
