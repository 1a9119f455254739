//! The policy as ONNX graphs, written from the same parameters that Engram runs.
//!
//! Two functions, each in several precisions: [`window`] computes a window of working memories from nothing,
//! [`token`] one working memory on the keys and values of earlier ones. Weights are transposed and scaled here,
//! where it costs nothing later. No file is kept: the bytes go to the engine.

mod attention;
mod builder;
mod linear;
mod protobuf;
mod standard;
mod token;
mod window;

pub(crate) use attention::projection;
pub(crate) use linear::{Precision, transposed};
pub(crate) use token::{CACHE_OUT, Cache, bias_name, bias_shape, cache_name, cache_shapes, token};
pub(crate) use window::{window, window_biases};

/// How attention is put into operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Those of ONNX alone.
    Plain,
    /// ONNX Runtime's own `MultiHeadAttention`.
    Fused,
}

impl Style {
    /// What the tables call it.
    #[cfg(feature = "onnxruntime")]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Fused => ", MultiHeadAttention",
        }
    }
}

/// The working memory or memories.
pub(crate) const INPUT: &str = "input";
/// The action mean, `[1, actions]`.
pub(crate) const MEAN: &str = "mean";
