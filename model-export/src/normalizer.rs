//! Scaling of working memories to zero mean and unit deviation.
//!
//! Frozen through a trial, and part of the image: what the policy was trained behind, it flies behind.

/// Per-entry mean and deviation of a working memory, with a symmetric clip.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalizer {
    /// Mean of every entry of the raw working memory (observation, action, reward, done).
    pub mean: Vec<f32>,
    /// Standard deviation of every entry; above 0.
    pub std: Vec<f32>,
    /// Normalised entries are clamped to `-clip..=clip`.
    pub clip: f32,
}

impl Normalizer {
    /// A normalizer that only clips: mean 0, deviation 1.
    #[must_use]
    pub fn identity(inputs: usize, clip: f32) -> Self {
        Self {
            mean: vec![0.0; inputs],
            std: vec![1.0; inputs],
            clip,
        }
    }

    /// Writes `clamp((raw - mean) / std, -clip, clip)` to `normalised`, entry by entry.
    ///
    /// Lengths are those of `mean`; what lies beyond the shorter slice is left alone.
    pub fn apply(&self, raw: &[f32], normalised: &mut [f32]) {
        for (((out, raw), mean), std) in normalised
            .iter_mut()
            .zip(raw)
            .zip(&self.mean)
            .zip(&self.std)
        {
            *out = ((raw - mean) / std).clamp(-self.clip, self.clip);
        }
    }
}
