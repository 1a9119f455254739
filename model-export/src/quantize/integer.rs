//! The integer network as plain values: an image without contract and golden trace.

use engram_image::{Layer, ModelConfig, Weights};

use super::IntegerMatrix;
use crate::float::Site;

/// One layer in integers.
pub type IntegerLayer = Layer<IntegerMatrix, Vec<i32>>;

/// The policy in integers, without contract and golden trace.
#[derive(Clone, Debug)]
pub struct IntegerPolicy {
    /// Dimensions and variants.
    pub config: ModelConfig,
    /// Mean of every entry of the raw working memory.
    pub input_mean: Vec<f32>,
    /// Integer steps per unit of every entry.
    pub input_inverse: Vec<f32>,
    /// Geometric mean of the residual stream's scales; the channels' own are folded into the matrices.
    pub residual_scale: f32,
    /// Largest magnitude that every int8 activation can hold, per channel, in real units (for reports; not in
    /// the image).
    pub limits: Vec<(Site, Vec<f64>)>,
    /// The network.
    pub weights: Weights<IntegerMatrix, Vec<i32>, Vec<i16>>,
}
