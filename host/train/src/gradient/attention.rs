//! One step's attention of every craft of a block: the window is a row of neighbouring columns, so that a register holds
//! one channel of neighbouring craft, and queries, sums and gradients stay in registers.

use pulp::{Arch, Simd, WithSimd};

use super::LANES;
use crate::fused::functions::exp;
use crate::fused::product::Matrix;

/// Which columns one step reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// Heads, and channels of each.
    pub(super) heads: usize,
    pub(super) width: usize,
    /// Memories that a layer attends to at most, and does at this step.
    pub(super) window: usize,
    pub(super) filled: usize,
    /// Of the newest memory.
    pub(super) column: usize,
}

impl Step {
    /// Numbers that [`Forward::weights`] has of one step.
    pub(super) const fn weights(&self) -> usize {
        self.heads * self.window * LANES
    }
}

/// Leaves attention probabilities `[heads][age][LANES]` and the weighted means of the values.
pub(super) struct Forward<'a> {
    pub(super) step: Step,
    /// `[heads][window]`.
    pub(super) bias: &'a [f32],
    /// Rows: queries, keys, values.
    pub(super) qkv: &'a Matrix,
    pub(super) weights: &'a mut [f32],
    pub(super) attended: &'a mut Matrix,
}

impl Forward<'_> {
    pub(super) fn run(self) {
        Arch::new().dispatch(self);
    }
}

/// The row's `count` memories up to `column`, newest last.
#[inline(always)]
fn memories(matrix: &Matrix, row: usize, column: usize, count: usize) -> &[f32] {
    &matrix.row(row)[column + LANES - count * LANES..][..count * LANES]
}

#[inline(always)]
fn load<S: Simd>(values: &[f32], start: usize) -> S::f32s {
    S::as_simd_f32s(&values[start..start + S::F32_LANES]).0[0]
}

#[inline(always)]
fn store<S: Simd>(values: &mut [f32], start: usize, value: S::f32s) {
    S::as_mut_simd_f32s(&mut values[start..start + S::F32_LANES]).0[0] = value;
}

/// Channels of a head that are computed at once: their factors stay in registers.
const CHANNELS: usize = 8;

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Step {
            heads,
            width,
            window,
            filled,
            column,
        } = self.step;
        let d = heads * width;
        let scale = simd.splat_f32s(1.0 / (width as f32).sqrt());
        for head in 0..heads {
            let weights = &mut self.weights[head * window * LANES..][..filled * LANES];
            let bias = &self.bias[head * window..][..filled];
            for lane in (0..LANES).step_by(S::F32_LANES) {
                let mut highest = simd.splat_f32s(f32::NEG_INFINITY);
                for first in (0..width).step_by(CHANNELS) {
                    let mut query = [simd.splat_f32s(0.0); CHANNELS];
                    let mut keys: [&[f32]; CHANNELS] = [&[]; CHANNELS];
                    let count = CHANNELS.min(width - first);
                    for c in 0..CHANNELS {
                        // Channels that are not there count with factor 0.
                        let row = head * width + first + c.min(count - 1);
                        keys[c] = memories(self.qkv, d + row, column, filled);
                        if c < count {
                            query[c] =
                                simd.mul_f32s(self.qkv.load::<S>(row, column + lane, 0), scale);
                        }
                    }
                    for (age, bias) in bias.iter().enumerate() {
                        let mut sum = if first == 0 {
                            simd.splat_f32s(*bias)
                        } else {
                            load::<S>(weights, age * LANES + lane)
                        };
                        let mut other = simd.splat_f32s(0.0);
                        let place = (filled - 1 - age) * LANES + lane;
                        for c in (0..CHANNELS).step_by(2) {
                            sum = simd.mul_add_e_f32s(query[c], load::<S>(keys[c], place), sum);
                            other = simd.mul_add_e_f32s(
                                query[c + 1],
                                load::<S>(keys[c + 1], place),
                                other,
                            );
                        }
                        sum = simd.add_f32s(sum, other);
                        store::<S>(weights, age * LANES + lane, sum);
                        if first + CHANNELS >= width {
                            highest = simd.max_f32s(highest, sum);
                        }
                    }
                }
                let mut total = simd.splat_f32s(0.0);
                for age in 0..filled {
                    let place = age * LANES + lane;
                    let weight = exp(simd, simd.sub_f32s(load::<S>(weights, place), highest));
                    total = simd.add_f32s(total, weight);
                    store::<S>(weights, place, weight);
                }
                let inverse = simd.div_f32s(simd.splat_f32s(1.0), total);
                for age in 0..filled {
                    let place = age * LANES + lane;
                    let weight = simd.mul_f32s(load::<S>(weights, place), inverse);
                    store::<S>(weights, place, weight);
                }
                for first in (0..width).step_by(CHANNELS) {
                    let count = CHANNELS.min(width - first);
                    let mut values: [&[f32]; CHANNELS] = [&[]; CHANNELS];
                    for (c, values) in values.iter_mut().enumerate() {
                        let row = 2 * d + head * width + first + c.min(count - 1);
                        *values = memories(self.qkv, row, column, filled);
                    }
                    let mut sums = [simd.splat_f32s(0.0); CHANNELS];
                    for age in 0..filled {
                        let weight = load::<S>(weights, age * LANES + lane);
                        let place = (filled - 1 - age) * LANES + lane;
                        for (sum, values) in sums.iter_mut().zip(&values) {
                            *sum = simd.mul_add_e_f32s(weight, load::<S>(values, place), *sum);
                        }
                    }
                    for (c, sum) in sums.iter().take(count).enumerate() {
                        let row = head * width + first + c;
                        self.attended.store::<S>(row, column + lane, *sum);
                    }
                }
            }
        }
    }
}

/// From the gradient of the weighted means to those of queries, keys, values and biases. What this step makes of the keys
/// and values of earlier steps is added to what later steps made of them.
pub(super) struct Backward<'a> {
    pub(super) step: Step,
    pub(super) qkv: &'a Matrix,
    /// As [`Forward`] left them.
    pub(super) weights: &'a [f32],
    /// Gradient of the weighted means.
    pub(super) attended: &'a Matrix,
    pub(super) qkv_gradient: &'a mut Matrix,
    /// `[heads][window][LANES]`, added to.
    pub(super) bias_gradient: &'a mut [f32],
    /// As many as `window * LANES`.
    pub(super) scratch: &'a mut [f32],
}

impl Backward<'_> {
    pub(super) fn run(self) {
        Arch::new().dispatch(self);
    }
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Step {
            heads,
            width,
            window,
            filled,
            column,
        } = self.step;
        let d = heads * width;
        let scale = simd.splat_f32s(1.0 / (width as f32).sqrt());
        let oldest = column + LANES - filled * LANES;
        for head in 0..heads {
            let weights = &self.weights[head * window * LANES..][..filled * LANES];
            let bias = &mut self.bias_gradient[head * window * LANES..][..filled * LANES];
            let slopes = &mut self.scratch[..filled * LANES];
            for lane in (0..LANES).step_by(S::F32_LANES) {
                // Gradient of the probabilities, and of the values.
                let mut mean = simd.splat_f32s(0.0);
                for first in (0..width).step_by(CHANNELS) {
                    let count = CHANNELS.min(width - first);
                    let mut gradient = [simd.splat_f32s(0.0); CHANNELS];
                    for (c, gradient) in gradient.iter_mut().take(count).enumerate() {
                        let row = head * width + first + c;
                        *gradient = self.attended.load::<S>(row, column + lane, 0);
                    }
                    let mut values: [&[f32]; CHANNELS] = [&[]; CHANNELS];
                    for (c, values) in values.iter_mut().enumerate() {
                        let row = 2 * d + head * width + first + c.min(count - 1);
                        *values = memories(self.qkv, row, column, filled);
                    }
                    for age in 0..filled {
                        let place = (filled - 1 - age) * LANES + lane;
                        let mut sum = if first == 0 {
                            simd.splat_f32s(0.0)
                        } else {
                            load::<S>(slopes, age * LANES + lane)
                        };
                        let mut other = simd.splat_f32s(0.0);
                        for c in (0..CHANNELS).step_by(2) {
                            sum =
                                simd.mul_add_e_f32s(gradient[c], load::<S>(values[c], place), sum);
                            other = simd.mul_add_e_f32s(
                                gradient[c + 1],
                                load::<S>(values[c + 1], place),
                                other,
                            );
                        }
                        sum = simd.add_f32s(sum, other);
                        store::<S>(slopes, age * LANES + lane, sum);
                        if first + CHANNELS >= width {
                            let weight = load::<S>(weights, age * LANES + lane);
                            mean = simd.mul_add_e_f32s(weight, sum, mean);
                        }
                    }
                    for (c, gradient) in gradient.iter().take(count).enumerate() {
                        let row = 2 * d + head * width + first + c;
                        let out = &mut self.qkv_gradient.row_mut(row)[oldest..][..filled * LANES];
                        for age in 0..filled {
                            let place = (filled - 1 - age) * LANES + lane;
                            let weight = load::<S>(weights, age * LANES + lane);
                            let sum = simd.mul_add_e_f32s(weight, *gradient, load::<S>(out, place));
                            store::<S>(out, place, sum);
                        }
                    }
                }
                for age in 0..filled {
                    let place = age * LANES + lane;
                    let slope = simd.sub_f32s(load::<S>(slopes, place), mean);
                    let slope = simd.mul_f32s(load::<S>(weights, place), slope);
                    store::<S>(slopes, place, simd.mul_f32s(slope, scale));
                    let sum = simd.add_f32s(load::<S>(bias, place), slope);
                    store::<S>(bias, place, sum);
                }
                for c in 0..width {
                    let row = head * width + c;
                    let query = self.qkv.load::<S>(row, column + lane, 0);
                    let keys = memories(self.qkv, d + row, column, filled);
                    let mut sum = simd.splat_f32s(0.0);
                    let out = &mut self.qkv_gradient.row_mut(d + row)[oldest..][..filled * LANES];
                    for age in 0..filled {
                        let place = (filled - 1 - age) * LANES + lane;
                        let slope = load::<S>(slopes, age * LANES + lane);
                        sum = simd.mul_add_e_f32s(slope, load::<S>(keys, place), sum);
                        let key = simd.mul_add_e_f32s(slope, query, load::<S>(out, place));
                        store::<S>(out, place, key);
                    }
                    self.qkv_gradient.store::<S>(row, column + lane, sum);
                }
            }
        }
    }
}
