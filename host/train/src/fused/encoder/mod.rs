//! The whole encoder, every layer of it, as one operation.
//!
//! It works through blocks of tokens that fit the cache, one trial or some windows at a time, and keeps what the
//! backward pass needs in memory that is taken once and used again by every later update. Blocks are computed in
//! their order by the thread that calls. Nothing here knows what tokens mean.

mod attention;
mod parameters;
mod pass;
mod plan;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use super::{Kept, Pool, slice, with_values};
use pass::Workspace;
pub use plan::{Tokens, Window};

/// Dimensions of an encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncoderShape {
    /// Layers.
    pub layers: usize,
    /// Attention heads; divides `model`.
    pub heads: usize,
    /// Width of the residual stream.
    pub model: usize,
    /// Width of the feed-forward blocks.
    pub ff: usize,
    /// Tokens that one layer attends to.
    pub window: usize,
    /// Whether logits get a learned bias by age.
    pub age_bias: bool,
}

/// An encoder and the memory that its passes use again and again.
#[derive(Clone, Debug)]
pub struct Encoder {
    shape: EncoderShape,
    idle: Arc<Pool<Workspace>>,
}

impl Encoder {
    /// An encoder that holds no memory yet.
    #[must_use]
    pub fn new(shape: EncoderShape) -> Self {
        Self {
            shape,
            idle: Arc::default(),
        }
    }

    /// Numbers in all parameters together.
    #[must_use]
    pub fn count(&self) -> usize {
        parameters::count(&self.shape)
    }

    /// What the layers make of `x`, `[tokens, model]`: of trials `[tokens, model]`, of windows `[windows, model]`.
    ///
    /// `parameters` holds, layer after layer, weight and bias of `in_proj`, `out_proj`, `linear1` and `linear2`,
    /// then the age bias `[heads, window]` if there is one, all in PyTorch's order. f32 in CPU memory.
    ///
    /// # Errors
    /// When the shapes do not fit, or windows reach over the tokens.
    pub fn forward(&self, x: &Tensor, parameters: &Tensor, tokens: Tokens) -> Result<Tensor> {
        x.apply_op2(
            parameters,
            Pass {
                shape: self.shape,
                tokens,
                kept: Kept::new(self.idle.clone()),
            },
        )
    }
}

/// One use of the encoder, which keeps what its backward pass needs.
struct Pass {
    shape: EncoderShape,
    tokens: Tokens,
    kept: Kept<Workspace>,
}

impl CustomOp2 for Pass {
    fn name(&self) -> &'static str {
        "encoder"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        parameters: &CpuStorage,
        parameters_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let model = self.shape.model;
        let (tokens, columns) = x_layout.shape().dims2()?;
        let (x, parameters) = (slice(x, x_layout)?, slice(parameters, parameters_layout)?);
        if columns != model || parameters.len() != parameters::count(&self.shape) {
            candle_core::bail!(
                "encoder: x is [{tokens}, {columns}], {} parameters, shape {:?}",
                parameters.len(),
                self.shape
            );
        }
        self.tokens.check(tokens, self.shape.window)?;
        let rows = self.tokens.results();
        let mut out = vec![0.0; rows * model];
        (self.kept).forward(|workspace| {
            workspace.forward(&self.shape, &self.tokens, x, parameters, &mut out);
        });
        Ok((CpuStorage::F32(out), Shape::from((rows, model))))
    }

    fn bwd(
        &self,
        x: &Tensor,
        parameters: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let mut x_gradient = vec![0.0; x.elem_count()];
        let mut sums = vec![0.0; parameters.elem_count()];
        self.kept.backward(|workspace| {
            with_values(parameters, |parameters| {
                with_values(gradient, |gradient| {
                    workspace.backward(
                        &self.shape,
                        parameters,
                        gradient,
                        &mut x_gradient,
                        &mut sums,
                    );
                    Ok(())
                })
            })
        })?;
        Ok((
            Some(Tensor::from_vec(x_gradient, x.shape(), x.device())?),
            Some(Tensor::from_vec(
                sums,
                parameters.shape(),
                parameters.device(),
            )?),
        ))
    }
}
