//! Causal attention within a window, on matrices that lie feature by feature.
//!
//! A register holds one feature of neighbouring tokens, so that logits, softmax and weighted sums of so many tokens are computed
//! side by side without a reduction. The memory of age `a` of the token in column `c` is in column
//! `c - a * step`: of trials `step` is 1, of windows it is the number of windows that lie side by side.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::super::functions::{exp, select};
use super::super::product::Matrix;

/// How tokens lie in the columns of a block, and who sees whom.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    pub(super) heads: usize,
    /// Features of one head.
    pub(super) size: usize,
    pub(super) window: usize,
    pub(super) columns: usize,
    /// Columns between a token and the one before it.
    pub(super) step: usize,
    /// Windows: columns of one slot. Trials: 0, and every token may be preceded by any number.
    pub(super) slot: usize,
    /// Columns that attend and whose result is wanted; a multiple of `slot`.
    pub(super) active: Range<usize>,
}

impl Layout {
    pub(super) fn width(&self) -> usize {
        self.heads * self.size
    }

    /// Ages that some token in `lanes` columns from `column` on may have in its window.
    #[inline(always)]
    fn ages(&self, column: usize, lanes: usize) -> usize {
        let before = match self.slot {
            0 => column + lanes,
            slot => column / slot + 1,
        };
        self.window.min(before)
    }

    /// Ages at which tokens in `lanes` columns from `column` on may be seen by active tokens.
    #[inline(always)]
    fn seen_at(&self, column: usize) -> Range<usize> {
        match self.slot {
            0 => 0..self.window,
            slot => {
                let (own, first) = (column / slot, self.active.start / slot);
                first.saturating_sub(own)..self.window - own
            }
        }
    }
}

/// From queries, keys and values (`qkv`, one above the other) to attention weights (`[heads * window]` rows)
/// and attended values, in the active columns.
pub(super) struct Forward<'a> {
    pub(super) layout: &'a Layout,
    pub(super) qkv: &'a Matrix,
    /// Added to the logits, `[heads][window]` by age.
    pub(super) bias: &'a [f32],
    /// For each column, how many memories its window holds.
    pub(super) present: &'a [f32],
    pub(super) weights: &'a mut Matrix,
    pub(super) attended: &'a mut Matrix,
}

impl Forward<'_> {
    pub(super) fn run(self) {
        Arch::new().dispatch(self);
    }

    /// Logits of `A` ages from `age` on; returns the highest of them and `highest`.
    #[inline(always)]
    fn logits<S: Simd, const A: usize>(
        &mut self,
        simd: S,
        (head, column): (usize, usize),
        age: usize,
        highest: S::f32s,
    ) -> S::f32s {
        let Layout {
            size, window, step, ..
        } = *self.layout;
        let width = self.layout.width();
        let mut sums = [simd.splat_f32s(0.0); A];
        for i in head * size..(head + 1) * size {
            let query = self.qkv.load::<S>(i, column, 0);
            for (a, sum) in sums.iter_mut().enumerate() {
                let key = self.qkv.load::<S>(width + i, column, (age + a) * step);
                *sum = simd.mul_add_e_f32s(query, key, *sum);
            }
        }
        let scale = simd.splat_f32s(1.0 / (size as f32).sqrt());
        let present = S::as_simd_f32s(&self.present[column..column + S::F32_LANES]).0[0];
        let mut highest = highest;
        for (a, sum) in sums.into_iter().enumerate() {
            let row = head * window + age + a;
            let logit = simd.mul_add_e_f32s(scale, sum, simd.splat_f32s(self.bias[row]));
            let absent =
                simd.greater_than_or_equal_f32s(simd.splat_f32s((age + a) as f32), present);
            // A weight of 1e-38 is one that no sum notices.
            let logit = select(simd, absent, simd.splat_f32s(-1e9), logit);
            highest = simd.max_f32s(highest, logit);
            self.weights.store::<S>(row, column, logit);
        }
        highest
    }

    /// `I` features of the attended values from `feature` on.
    #[inline(always)]
    fn mean<S: Simd, const I: usize>(
        &mut self,
        simd: S,
        (head, column): (usize, usize),
        feature: usize,
        ages: usize,
    ) {
        let values = 2 * self.layout.width() + feature;
        let mut sums = [simd.splat_f32s(0.0); I];
        for age in 0..ages {
            let weight = self
                .weights
                .load::<S>(head * self.layout.window + age, column, 0);
            for (i, sum) in sums.iter_mut().enumerate() {
                let value = self
                    .qkv
                    .load::<S>(values + i, column, age * self.layout.step);
                *sum = simd.mul_add_e_f32s(weight, value, *sum);
            }
        }
        for (i, sum) in sums.into_iter().enumerate() {
            self.attended.store::<S>(feature + i, column, sum);
        }
    }
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let Layout { size, window, .. } = *self.layout;
        for head in 0..self.layout.heads {
            for column in self.layout.active.clone().step_by(S::F32_LANES) {
                let place = (head, column);
                let ages = self.layout.ages(column, S::F32_LANES);
                let mut highest = simd.splat_f32s(f32::NEG_INFINITY);
                for age in (0..ages / 4 * 4).step_by(4) {
                    highest = self.logits::<S, 4>(simd, place, age, highest);
                }
                for age in ages / 4 * 4..ages {
                    highest = self.logits::<S, 1>(simd, place, age, highest);
                }
                let mut total = simd.splat_f32s(0.0);
                for row in head * window..head * window + ages {
                    let logit = self.weights.load::<S>(row, column, 0);
                    let weight = exp(simd, simd.sub_f32s(logit, highest));
                    total = simd.add_f32s(total, weight);
                    self.weights.store::<S>(row, column, weight);
                }
                let inverse = simd.div_f32s(simd.splat_f32s(1.0), total);
                for row in head * window..head * window + ages {
                    let weight = self.weights.load::<S>(row, column, 0);
                    self.weights
                        .store::<S>(row, column, simd.mul_f32s(weight, inverse));
                }
                for feature in (head * size..head * size + size / 4 * 4).step_by(4) {
                    self.mean::<S, 4>(simd, place, feature, ages);
                }
                for feature in head * size + size / 4 * 4..(head + 1) * size {
                    self.mean::<S, 1>(simd, place, feature, ages);
                }
            }
        }
    }
}

/// From the gradient of the attended values to that of queries (in the active columns), keys, values and bias.
pub(super) struct Backward<'a> {
    pub(super) layout: &'a Layout,
    pub(super) qkv: &'a Matrix,
    pub(super) weights: &'a Matrix,
    pub(super) gradient: &'a Matrix,
    /// Gradients of one head's logits, `[window]` rows.
    pub(super) logits: &'a mut Matrix,
    pub(super) qkv_gradient: &'a mut Matrix,
    /// Added to, `[heads][window]`.
    pub(super) bias_gradient: &'a mut [f32],
    /// `window` registers' worth of numbers.
    pub(super) by_age: &'a mut [f32],
}

impl Backward<'_> {
    pub(super) fn run(self) {
        Arch::new().dispatch(self);
    }

    /// Gradients of `A` weights from `age` on; returns their weighted sum, with `mean` added.
    #[inline(always)]
    fn weights<S: Simd, const A: usize>(
        &mut self,
        simd: S,
        (head, column): (usize, usize),
        age: usize,
        mean: S::f32s,
    ) -> S::f32s {
        let Layout {
            size, window, step, ..
        } = *self.layout;
        let values = 2 * self.layout.width();
        let mut sums = [simd.splat_f32s(0.0); A];
        for i in head * size..(head + 1) * size {
            let gradient = self.gradient.load::<S>(i, column, 0);
            for (a, sum) in sums.iter_mut().enumerate() {
                let value = self.qkv.load::<S>(values + i, column, (age + a) * step);
                *sum = simd.mul_add_e_f32s(gradient, value, *sum);
            }
        }
        let mut mean = mean;
        for (a, sum) in sums.into_iter().enumerate() {
            let weight = self.weights.load::<S>(head * window + age + a, column, 0);
            mean = simd.mul_add_e_f32s(weight, sum, mean);
            self.logits.store::<S>(age + a, column, sum);
        }
        mean
    }

    /// From the gradients of the weights to those of the logits.
    #[inline(always)]
    fn softmax<S: Simd>(
        &mut self,
        simd: S,
        (head, column): (usize, usize),
        ages: usize,
        mean: S::f32s,
    ) {
        let by_age = S::as_mut_simd_f32s(self.by_age).0;
        for (age, by_age) in by_age.iter_mut().enumerate().take(ages) {
            let weight = self
                .weights
                .load::<S>(head * self.layout.window + age, column, 0);
            let gradient = simd.sub_f32s(self.logits.load::<S>(age, column, 0), mean);
            let gradient = simd.mul_f32s(weight, gradient);
            *by_age = simd.add_f32s(*by_age, gradient);
            self.logits.store::<S>(age, column, gradient);
        }
    }

    /// Gradients of `I` features of the queries from `feature` on.
    #[inline(always)]
    fn queries<S: Simd, const I: usize>(
        &mut self,
        simd: S,
        column: usize,
        feature: usize,
        ages: usize,
    ) {
        let width = self.layout.width();
        let mut sums = [simd.splat_f32s(0.0); I];
        for age in 0..ages {
            let logit = self.logits.load::<S>(age, column, 0);
            for (i, sum) in sums.iter_mut().enumerate() {
                let key = self
                    .qkv
                    .load::<S>(width + feature + i, column, age * self.layout.step);
                *sum = simd.mul_add_e_f32s(logit, key, *sum);
            }
        }
        let scale = simd.splat_f32s(1.0 / (self.layout.size as f32).sqrt());
        for (i, sum) in sums.into_iter().enumerate() {
            let sum = simd.mul_f32s(sum, scale);
            self.qkv_gradient.store::<S>(feature + i, column, sum);
        }
    }

    /// Gradients of `I` features of keys and values from `feature` on, collected from the tokens that saw them.
    #[inline(always)]
    fn keys_and_values<S: Simd, const I: usize>(
        &mut self,
        simd: S,
        (head, column): (usize, usize),
        feature: usize,
    ) {
        let width = self.layout.width();
        let mut sums = [[simd.splat_f32s(0.0); I]; 2];
        let [keys, values] = &mut sums;
        for age in self.layout.seen_at(column) {
            let at = column + age * self.layout.step;
            let logit = self.logits.load::<S>(age, at, 0);
            let weight = self
                .weights
                .load::<S>(head * self.layout.window + age, at, 0);
            for (i, (key, value)) in keys.iter_mut().zip(values.iter_mut()).enumerate() {
                let query = self.qkv.load::<S>(feature + i, at, 0);
                *key = simd.mul_add_e_f32s(logit, query, *key);
                let gradient = self.gradient.load::<S>(feature + i, at, 0);
                *value = simd.mul_add_e_f32s(weight, gradient, *value);
            }
        }
        let scale = simd.splat_f32s(1.0 / (self.layout.size as f32).sqrt());
        for (i, (key, value)) in keys.iter().zip(values.iter()).enumerate() {
            let key = simd.mul_f32s(*key, scale);
            self.qkv_gradient
                .store::<S>(width + feature + i, column, key);
            self.qkv_gradient
                .store::<S>(2 * width + feature + i, column, *value);
        }
    }
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let Layout {
            size,
            window,
            columns,
            ..
        } = *self.layout;
        for head in 0..self.layout.heads {
            let (first, whole) = (head * size, head * size + size / 4 * 4);
            self.by_age.fill(0.0);
            for column in self.layout.active.clone().step_by(S::F32_LANES) {
                let place = (head, column);
                let ages = self.layout.ages(column, S::F32_LANES);
                let mut mean = simd.splat_f32s(0.0);
                for age in (0..ages / 4 * 4).step_by(4) {
                    mean = self.weights::<S, 4>(simd, place, age, mean);
                }
                for age in ages / 4 * 4..ages {
                    mean = self.weights::<S, 1>(simd, place, age, mean);
                }
                self.softmax(simd, place, ages, mean);
                for feature in (first..whole).step_by(4) {
                    self.queries::<S, 4>(simd, column, feature, ages);
                }
                for feature in whole..first + size {
                    self.queries::<S, 1>(simd, column, feature, ages);
                }
            }
            for column in (0..columns).step_by(S::F32_LANES) {
                for feature in (first..whole).step_by(4) {
                    self.keys_and_values::<S, 4>(simd, (head, column), feature);
                }
                for feature in whole..first + size {
                    self.keys_and_values::<S, 1>(simd, (head, column), feature);
                }
            }
            let by_age = S::as_simd_f32s(self.by_age).0;
            let total = &mut self.bias_gradient[head * window..(head + 1) * window];
            for (total, by_age) in total.iter_mut().zip(by_age) {
                *total += simd.reduce_sum_f32s(*by_age);
            }
        }
    }
}
