//! `activation(x W^T + b)` in one operation.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use engram_export::elementary;

use super::{on_cpu, slice, with_values};

/// What follows the affine map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    None,
    /// `max(x, 0)`.
    Relu,
    /// Hyperbolic tangent.
    Tanh,
}

/// `activation(x W^T + b)`: `x` is `[rows, inputs]`, `weight` `[outputs, inputs]`, `bias` `[outputs]`; the
/// result is `[rows, outputs]`. All contiguous f32.
///
/// # Errors
/// When the shapes do not fit.
pub fn linear(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    activation: Activation,
) -> Result<Tensor> {
    if on_cpu(x) {
        x.apply_op3(weight, bias, Linear { activation })
    } else {
        linear_plain(x, weight, bias, activation)
    }
}

/// [`linear`] made of plain candle operations, for every device.
///
/// # Errors
/// When the shapes do not fit.
pub fn linear_plain(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    activation: Activation,
) -> Result<Tensor> {
    let sum = x.contiguous()?.matmul(&weight.t()?)?.broadcast_add(bias)?;
    match activation {
        Activation::None => Ok(sum),
        Activation::Relu => sum.relu(),
        Activation::Tanh => sum.tanh(),
    }
}

struct Linear {
    activation: Activation,
}

/// Adds the bias to every row and applies the activation.
struct Activate<'a>(Activation, &'a mut [f32], &'a [f32]);

impl pulp::WithSimd for Activate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Self(activation, values, bias) = self;
        for row in values.chunks_exact_mut(bias.len()) {
            match activation {
                Activation::None => row.iter_mut().zip(bias).for_each(|(y, b)| *y += b),
                Activation::Relu => row.iter_mut().zip(bias).for_each(|(y, b)| {
                    let sum = *y + b;
                    *y = if sum > 0.0 { sum } else { 0.0 };
                }),
                Activation::Tanh => row
                    .iter_mut()
                    .zip(bias)
                    .for_each(|(y, b)| *y = elementary::tanh(*y + b)),
            }
        }
    }
}

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (rows, inputs) = x_layout.shape().dims2()?;
        let (outputs, columns) = weight_layout.shape().dims2()?;
        let bias = slice(bias, bias_layout)?;
        if columns != inputs || bias.len() != outputs {
            candle_core::bail!(
                "linear: x is [{rows}, {inputs}], weight [{outputs}, {columns}], bias [{}]",
                bias.len()
            );
        }
        let product = x.matmul(
            weight,
            (1, rows, outputs, inputs),
            x_layout,
            &weight_layout.transpose(0, 1)?,
        )?;
        let CpuStorage::F32(mut values) = product else {
            candle_core::bail!("linear: only f32 is supported");
        };
        pulp::Arch::new().dispatch(Activate(self.activation, &mut values, bias));
        Ok((CpuStorage::F32(values), Shape::from((rows, outputs))))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _bias: &Tensor,
        result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (rows, outputs) = result.dims2()?;
        let mut bias_gradient = vec![0.0f32; outputs];
        // Gradient before the activation; both derivatives follow from the result alone.
        let inner = with_values(gradient, |gradient| {
            let mut inner = gradient.to_vec();
            if self.activation != Activation::None {
                with_values(result, |result| {
                    let pairs = inner.iter_mut().zip(result);
                    match self.activation {
                        Activation::Tanh => pairs.for_each(|(g, y)| *g *= 1.0 - y * y),
                        _ => pairs.for_each(|(g, y)| *g = if *y > 0.0 { *g } else { 0.0 }),
                    }
                    Ok(())
                })?;
            }
            for row in inner.chunks_exact(outputs) {
                bias_gradient
                    .iter_mut()
                    .zip(row)
                    .for_each(|(sum, g)| *sum += g);
            }
            Tensor::from_vec(inner, (rows, outputs), x.device())
        })?;
        let x_gradient = if x.track_op() {
            Some(inner.matmul(weight)?)
        } else {
            None
        };
        let weight_gradient = inner.t()?.matmul(x)?;
        let bias_gradient = Tensor::from_vec(bias_gradient, outputs, x.device())?;
        Ok((x_gradient, Some(weight_gradient), Some(bias_gradient)))
    }
}
