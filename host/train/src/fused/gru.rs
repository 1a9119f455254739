//! The recurrent half of a gated recurrent unit over whole sequences, in one operation.
//!
//! PyTorch's equations, gates in the order reset, update, new. What does not depend on the state, the product
//! of the inputs with their weights, is given for all steps at once; here remain one small product per step,
//! over all sequences together, and the gates. The backward pass computes the gates of all steps again from
//! the states instead of keeping them.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use engram_export::elementary::{exp, tanh};
use engram_export::float::Packed;
use pulp::{Arch, Simd, WithSimd};

use super::{on_cpu, slice, with_values};

/// How the rows of the gates are to be read: sequence after sequence, each from a state of zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequences {
    /// Sequences, none of which knows of another.
    pub count: usize,
    /// Steps of each.
    pub steps: usize,
}

/// States `[count * steps, width]` of a gated recurrent unit after every step. `gates`,
/// `[count * steps, 3 width]`, is the inputs' part of the gates with its bias; `weight`, `[3 width, width]`,
/// and `bias`, `[3 width]`, are the state's. All contiguous f32.
///
/// # Errors
/// When the shapes do not fit.
pub fn gru(gates: &Tensor, weight: &Tensor, bias: &Tensor, sequences: Sequences) -> Result<Tensor> {
    if on_cpu(gates) {
        gates.apply_op3(weight, bias, Gru(sequences))
    } else {
        gru_plain(gates, weight, bias, sequences)
    }
}

/// [`gru`] made of plain candle operations, for every device.
///
/// # Errors
/// When the shapes do not fit.
pub fn gru_plain(
    gates: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    sequences: Sequences,
) -> Result<Tensor> {
    let width = sequences.width(gates.shape(), weight.shape(), bias.shape())?;
    let Sequences { count, steps } = sequences;
    let gates = gates.reshape((count, steps, 3 * width))?;
    let sigmoid = |x: Tensor| ((x * 0.5)?.tanh()? + 1.0)? * 0.5;
    let mut state = Tensor::zeros((count, width), gates.dtype(), gates.device())?;
    let mut states = Vec::with_capacity(steps);
    for step in 0..steps {
        let inputs = gates.narrow(1, step, 1)?.squeeze(1)?;
        let own = state.matmul(&weight.t()?)?.broadcast_add(bias)?;
        let part = |of: &Tensor, gate: usize| of.narrow(1, gate * width, width);
        let reset = sigmoid((part(&inputs, 0)? + part(&own, 0)?)?)?;
        let update = sigmoid((part(&inputs, 1)? + part(&own, 1)?)?)?;
        let new = (part(&inputs, 2)? + (reset * part(&own, 2)?)?)?.tanh()?;
        state = (&new + (update * (state - &new)?)?)?;
        states.push(state.clone());
    }
    Tensor::stack(&states, 1)?.reshape((count * steps, width))
}

struct Gru(Sequences);

impl Sequences {
    fn width(&self, gates: &Shape, weight: &Shape, bias: &Shape) -> Result<usize> {
        let (rows, columns) = gates.dims2()?;
        let width = columns / 3;
        if rows != self.count * self.steps
            || rows == 0
            || columns != 3 * width
            || weight.dims2()? != (columns, width)
            || bias.dims1()? != columns
        {
            candle_core::bail!(
                "gru: gates are {gates:?}, weight {weight:?}, bias {bias:?}, {self:?}"
            );
        }
        Ok(width)
    }
}

impl CustomOp3 for Gru {
    fn name(&self) -> &'static str {
        "gru"
    }

    fn cpu_fwd(
        &self,
        gates: &CpuStorage,
        gates_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let Self(sequences) = *self;
        let width = sequences.width(
            gates_layout.shape(),
            weight_layout.shape(),
            bias_layout.shape(),
        )?;
        let weights = Packed::new(3 * width, width, slice(weight, weight_layout)?, &[]);
        let states = Arch::new().dispatch(Forward {
            sequences,
            width,
            weights: &weights,
            gates: slice(gates, gates_layout)?,
            bias: slice(bias, bias_layout)?,
        });
        let shape = Shape::from((sequences.count * sequences.steps, width));
        Ok((CpuStorage::F32(states), shape))
    }

    fn bwd(
        &self,
        gates: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let Self(sequences) = *self;
        let (rows, width) = result.dims2()?;
        let device = gates.device();
        let before = with_values(result, |states| {
            let mut before = vec![0.0; states.len()];
            let length = sequences.steps * width;
            let pairs = before
                .chunks_exact_mut(length)
                .zip(states.chunks_exact(length));
            pairs.for_each(|(before, states)| {
                before[width..].copy_from_slice(&states[..length - width]);
            });
            Tensor::from_vec(before, (rows, width), device)
        })?;
        let own = before.matmul(&weight.t()?)?.broadcast_add(bias)?;
        let weights = with_values(&weight.t()?, |weight| {
            Ok(Packed::new(width, 3 * width, weight, &[]))
        })?;
        let (of_gates, of_own) = with_values(gates, |gates| {
            with_values(&own, |own| {
                with_values(&before, |before| {
                    with_values(gradient, |gradient| {
                        Ok(Arch::new().dispatch(Backward {
                            sequences,
                            width,
                            weights: &weights,
                            gates,
                            own,
                            before,
                            gradient,
                        }))
                    })
                })
            })
        })?;
        let mut of_bias = vec![0.0f32; 3 * width];
        for row in of_own.chunks_exact(3 * width) {
            of_bias.iter_mut().zip(row).for_each(|(sum, g)| *sum += g);
        }
        let of_own = Tensor::from_vec(of_own, (rows, 3 * width), device)?;
        Ok((
            Some(Tensor::from_vec(of_gates, (rows, 3 * width), device)?),
            Some(of_own.t()?.matmul(&before)?),
            Some(Tensor::from_vec(of_bias, 3 * width, device)?),
        ))
    }
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The three gates' parts of a row.
#[inline(always)]
fn thirds(row: &[f32], width: usize) -> [&[f32]; 3] {
    [0, 1, 2].map(|gate| &row[gate * width..][..width])
}

struct Forward<'a> {
    sequences: Sequences,
    width: usize,
    weights: &'a Packed,
    gates: &'a [f32],
    bias: &'a [f32],
}

impl WithSimd for Forward<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Vec<f32> {
        let Self { width, weights, .. } = self;
        let Sequences { count, steps } = self.sequences;
        let mut states = vec![0.0; count * steps * width];
        let mut current = vec![0.0; count * width];
        let mut own = vec![0.0; count * 3 * width];
        let [reset_bias, update_bias, new_bias] = thirds(self.bias, width);
        for step in 0..steps {
            weights.apply_all(count, &current, &mut own);
            let own = own.chunks_exact(3 * width);
            for (sequence, (state, own)) in current.chunks_exact_mut(width).zip(own).enumerate() {
                let row = sequence * steps + step;
                let [reset, update, new] = thirds(&self.gates[row * 3 * width..], width);
                let [own_reset, own_update, own_new] = thirds(own, width);
                for i in 0..width {
                    let r = sigmoid(reset[i] + (own_reset[i] + reset_bias[i]));
                    let z = sigmoid(update[i] + (own_update[i] + update_bias[i]));
                    let n = tanh(new[i] + r * (own_new[i] + new_bias[i]));
                    state[i] = n + z * (state[i] - n);
                }
                states[row * width..][..width].copy_from_slice(state);
            }
        }
        states
    }
}

/// Gradients of the inputs' part of the gates and of the states' part.
struct Backward<'a> {
    sequences: Sequences,
    width: usize,
    weights: &'a Packed,
    gates: &'a [f32],
    /// The states' part of the gates with its bias.
    own: &'a [f32],
    /// The state before each step.
    before: &'a [f32],
    gradient: &'a [f32],
}

impl WithSimd for Backward<'_> {
    type Output = (Vec<f32>, Vec<f32>);

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Self::Output {
        let Self { width, weights, .. } = self;
        let Sequences { count, steps } = self.sequences;
        let mut of_gates = vec![0.0; self.gates.len()];
        let mut of_own = vec![0.0; self.gates.len()];
        // Of one step: gradients of the states' part of the gates, and what they say of the states before.
        let mut current = vec![0.0; count * 3 * width];
        let mut through = vec![0.0; count * width];
        // Gradient of each sequence's state by what came after the step.
        let mut later = vec![0.0; count * width];
        for step in (0..steps).rev() {
            for (sequence, later) in later.chunks_exact_mut(width).enumerate() {
                let row = sequence * steps + step;
                let [reset, update, new] = thirds(&self.gates[row * 3 * width..], width);
                let [own_reset, own_update, own_new] = thirds(&self.own[row * 3 * width..], width);
                let before = &self.before[row * width..][..width];
                let gradient = &self.gradient[row * width..][..width];
                let current = &mut current[sequence * 3 * width..][..3 * width];
                let (of_reset, rest) = current.split_at_mut(width);
                let (of_update, of_new) = rest.split_at_mut(width);
                let of_gates = &mut of_gates[row * 3 * width..][..3 * width];
                for i in 0..width {
                    let r = sigmoid(reset[i] + own_reset[i]);
                    let z = sigmoid(update[i] + own_update[i]);
                    let n = tanh(new[i] + r * own_new[i]);
                    let g = gradient[i] + later[i];
                    let inner = g * (1.0 - z) * (1.0 - n * n);
                    of_reset[i] = inner * own_new[i] * r * (1.0 - r);
                    of_update[i] = g * (before[i] - n) * z * (1.0 - z);
                    of_new[i] = inner * r;
                    of_gates[2 * width + i] = inner;
                    later[i] = g * z;
                }
                of_gates[..2 * width].copy_from_slice(&current[..2 * width]);
                of_own[row * 3 * width..][..3 * width].copy_from_slice(current);
            }
            weights.apply_all(count, &current, &mut through);
            let pairs = later.iter_mut().zip(&through);
            pairs.for_each(|(sum, g)| *sum += g);
        }
        (of_gates, of_own)
    }
}
