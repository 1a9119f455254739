//! Matrix products of the learner, on matrices that lie feature by feature.
//!
//! A [`Matrix`] has one row per feature and one column per token, so that a vector register holds one feature
//! of neighbouring tokens: sums over features need no reduction across registers, weights are broadcast, and
//! bias, activation and residual are applied before a result leaves its register. The widest vector
//! instructions that the processor has are found at run time; they differ in the order of sums and in fused
//! multiply-adds, so results are the same from run to run and for any number of threads, but not across
//! kinds of processors. Nothing here allocates after the first call with a shape.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::functions::{select, tanh};

/// Columns of a matrix come in multiples of this, a multiple of every register's lanes.
pub(crate) const GROUP: usize = 16;
/// Weights are packed in panels of so many rows.
const PANEL: usize = 8;

/// Rows of features, columns of tokens. Each row begins with some columns of zeros, which nothing writes, and the
/// last row is followed by as many, so that reading so far before or after a row is defined.
#[derive(Clone, Debug, Default)]
pub(crate) struct Matrix {
    values: Vec<f32>,
    stride: usize,
    /// Where column 0 of row 0 is: at the start of a cache line.
    origin: usize,
}

impl Matrix {
    /// Zeros. `pad`, the columns before a row, and `columns` are multiples of [`GROUP`].
    pub(crate) fn new(rows: usize, pad: usize, columns: usize) -> Self {
        // An odd number of cache lines, so that the rows of one column do not compete for the same ones.
        let lines = (pad + columns) / GROUP;
        let stride = (lines + (lines + 1) % 2) * GROUP;
        let values = vec![0.0; rows * stride + pad + GROUP];
        // A register that lies in two lines costs two loads. Where a line starts is a matter of speed alone.
        let place = values.as_ptr().addr() / size_of::<f32>();
        Self {
            values,
            stride,
            origin: pad + place.next_multiple_of(GROUP) - place,
        }
    }

    /// One register of row `row` from `column - back` on, which may lie in the columns before the row.
    #[inline(always)]
    pub(crate) fn load<S: Simd>(&self, row: usize, column: usize, back: usize) -> S::f32s {
        let start = row * self.stride + self.origin + column - back;
        S::as_simd_f32s(&self.values[start..start + S::F32_LANES]).0[0]
    }

    /// Writes one register into row `row` from `column` on.
    #[inline(always)]
    pub(crate) fn store<S: Simd>(&mut self, row: usize, column: usize, value: S::f32s) {
        let start = row * self.stride + self.origin + column;
        S::as_mut_simd_f32s(&mut self.values[start..start + S::F32_LANES]).0[0] = value;
    }

    /// Row `row` from column 0 on, to the end of the matrix.
    #[inline(always)]
    pub(crate) fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.stride + self.origin..]
    }

    /// Takes tokens, `[tokens][width]`, as columns from 0 on; those up to the next multiple of [`GROUP`] become 0.
    pub(crate) fn set_rows(&mut self, x: &[f32], width: usize) {
        for (group, x) in x.chunks(GROUP * width).enumerate() {
            for first in (0..width).step_by(GROUP) {
                let count = GROUP.min(width - first);
                let mut block = [[0.0; GROUP]; GROUP];
                for (block, x) in block.iter_mut().zip(x.chunks_exact(width)) {
                    block[..count].copy_from_slice(&x[first..first + count]);
                }
                for feature in 0..count {
                    let out = &mut self.row_mut(first + feature)[group * GROUP..][..GROUP];
                    for (out, block) in out.iter_mut().zip(&block) {
                        *out = block[feature];
                    }
                }
            }
        }
    }

    /// The inverse of [`set_rows`](Self::set_rows).
    pub(crate) fn rows(&self, x: &mut [f32], width: usize) {
        for (group, x) in x.chunks_mut(GROUP * width).enumerate() {
            for first in (0..width).step_by(GROUP) {
                let count = GROUP.min(width - first);
                let mut block = [[0.0; GROUP]; GROUP];
                for (feature, block) in block.iter_mut().take(count).enumerate() {
                    block.copy_from_slice(&self.row(first + feature)[group * GROUP..][..GROUP]);
                }
                for (t, x) in x.chunks_exact_mut(width).enumerate() {
                    for (x, block) in x[first..first + count].iter_mut().zip(&block) {
                        *x = block[t];
                    }
                }
            }
        }
    }

    /// [`row`](Self::row), to be written.
    #[inline(always)]
    pub(crate) fn row_mut(&mut self, row: usize) -> &mut [f32] {
        &mut self.values[row * self.stride + self.origin..]
    }
}

/// A weight matrix in the order in which `product` reads it: `[rows / PANEL][depth][PANEL]`, with zeros below.
#[derive(Clone, Debug, Default)]
pub(crate) struct Weights {
    rows: usize,
    values: Vec<[f32; PANEL]>,
    depth: usize,
}

impl Weights {
    /// Takes `weight`, `[rows][depth]`.
    pub(crate) fn set(&mut self, weight: &[f32], rows: usize, depth: usize) {
        self.resize(rows, depth);
        let panels = self.values.chunks_exact_mut(depth);
        for (panel, weight) in panels.zip(weight.chunks(PANEL * depth)) {
            for (i, weight) in weight.chunks_exact(depth).enumerate() {
                for (panel, weight) in panel.iter_mut().zip(weight) {
                    panel[i] = *weight;
                }
            }
        }
    }

    /// Takes the transposed of `weight`, which is `[depth][rows]`.
    pub(crate) fn set_transposed(&mut self, weight: &[f32], rows: usize, depth: usize) {
        self.resize(rows, depth);
        for (number, panel) in self.values.chunks_exact_mut(depth).enumerate() {
            let count = PANEL.min(rows - number * PANEL);
            for (panel, weight) in panel.iter_mut().zip(weight.chunks_exact(rows)) {
                panel[..count].copy_from_slice(&weight[number * PANEL..][..count]);
            }
        }
    }

    /// Makes room; rows beyond the last are zeros and stay so.
    fn resize(&mut self, rows: usize, depth: usize) {
        if (self.rows, self.depth) != (rows, depth) {
            (self.rows, self.depth) = (rows, depth);
            self.values.clear();
            let panels = rows.div_ceil(PANEL);
            self.values.resize(panels * depth, [0.0; PANEL]);
        }
    }
}

/// What happens to a product before it is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) enum After<'a> {
    /// Nothing.
    Store,
    /// `max(x, 0)`; what is no number stays so.
    Relu,
    /// Rows of this matrix are added.
    Add(&'a Matrix),
    /// It is added to what the result held.
    Accumulate,
    /// It becomes 0 where this matrix is not positive: the gradient before a ReLU whose result that was.
    Where(&'a Matrix),
    /// `tanh(x)`.
    Tanh,
    /// It is multiplied by `1 - y * y`: the gradient before a tangent whose result `y` was.
    TanhGradient(&'a Matrix),
}

/// `out[first + r][c] = after(sum_k weights[r][k] x[from + k][c] + bias[r])` for the columns `c` of `columns`, whose ends are
/// multiples of [`GROUP`].
pub(crate) struct Product<'a> {
    pub(crate) weights: &'a Weights,
    /// One for each row, or none at all.
    pub(crate) bias: &'a [f32],
    pub(crate) x: &'a Matrix,
    /// First row of `x`.
    pub(crate) from: usize,
    pub(crate) columns: Range<usize>,
    pub(crate) after: After<'a>,
    pub(crate) out: &'a mut Matrix,
    /// First row of `out` (and of the matrix in `after`).
    pub(crate) first: usize,
}

impl Product<'_> {
    pub(crate) fn run(self) {
        Arch::new().dispatch(self);
    }

    /// All rows of `V` registers' columns from `column` on, `M` rows at a time.
    #[inline(always)]
    fn columns<S: Simd, const M: usize, const V: usize>(&mut self, simd: S, column: usize) {
        let width = V * S::F32_LANES;
        let (stride, depth, rows) = (self.x.stride, self.weights.depth, self.weights.rows);
        let x = &self.x.row(self.from)[column..];
        for (number, panel) in self.weights.values.chunks_exact(depth).enumerate() {
            for half in 0..PANEL / M {
                let row = number * PANEL + half * M;
                if row >= rows {
                    continue;
                }
                let mut sums = [[simd.splat_f32s(0.0); V]; M];
                for (sums, bias) in sums.iter_mut().zip(self.bias.iter().skip(row)) {
                    *sums = [simd.splat_f32s(*bias); V];
                }
                for (k, weights) in panel.iter().enumerate() {
                    let x = &S::as_simd_f32s(&x[k * stride..][..width]).0[..V];
                    let weights = &weights.as_chunks::<M>().0[half];
                    for (sums, weight) in sums.iter_mut().zip(weights) {
                        let weight = simd.splat_f32s(*weight);
                        for (sum, x) in sums.iter_mut().zip(x) {
                            *sum = simd.mul_add_e_f32s(weight, *x, *sum);
                        }
                    }
                }
                for (i, sums) in sums.iter().take(rows - row).enumerate() {
                    self.store(simd, row + i, column, sums);
                }
            }
        }
    }

    #[inline(always)]
    fn store<S: Simd, const V: usize>(
        &mut self,
        simd: S,
        row: usize,
        column: usize,
        sums: &[S::f32s; V],
    ) {
        let width = V * S::F32_LANES;
        let row = self.first + row;
        let out = S::as_mut_simd_f32s(&mut self.out.row_mut(row)[column..][..width]).0;
        let pairs = out.iter_mut().zip(sums);
        let zero = simd.splat_f32s(0.0);
        match self.after {
            After::Store => pairs.for_each(|(out, sum)| *out = *sum),
            After::Relu => pairs.for_each(|(out, sum)| *out = simd.max_f32s(zero, *sum)),
            After::Tanh => pairs.for_each(|(out, sum)| *out = tanh(simd, *sum)),
            After::TanhGradient(other) => {
                let other = S::as_simd_f32s(&other.row(row)[column..][..width]).0;
                for ((out, sum), other) in pairs.zip(other) {
                    let square = simd.mul_f32s(*other, *other);
                    let slope = simd.sub_f32s(simd.splat_f32s(1.0), square);
                    *out = simd.mul_f32s(*sum, slope);
                }
            }
            After::Accumulate => pairs.for_each(|(out, sum)| *out = simd.add_f32s(*out, *sum)),
            After::Add(other) => {
                let other = S::as_simd_f32s(&other.row(row)[column..][..width]).0;
                for ((out, sum), other) in pairs.zip(other) {
                    *out = simd.add_f32s(*sum, *other);
                }
            }
            After::Where(other) => {
                let other = S::as_simd_f32s(&other.row(row)[column..][..width]).0;
                for ((out, sum), other) in pairs.zip(other) {
                    let positive = simd.greater_than_f32s(*other, zero);
                    *out = select(simd, positive, *sum, zero);
                }
            }
        }
    }
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let Range { start, end } = self.columns;
        match S::F32_LANES {
            16 => {
                let pairs = (end - start) / (2 * GROUP) * (2 * GROUP);
                for column in (start..start + pairs).step_by(2 * GROUP) {
                    self.columns::<S, 8, 2>(simd, column);
                }
                if start + pairs < end {
                    self.columns::<S, 8, 1>(simd, start + pairs);
                }
            }
            8 => {
                for column in (start..end).step_by(GROUP) {
                    self.columns::<S, 4, 2>(simd, column);
                }
            }
            4 => {
                for column in (start..end).step_by(GROUP) {
                    self.columns::<S, 4, 4>(simd, column);
                }
            }
            _ => {
                for column in (start..end).step_by(4 * S::F32_LANES) {
                    self.columns::<S, 4, 4>(simd, column);
                }
            }
        }
    }
}

/// A cache line's worth of numbers.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Line([f32; GROUP]);

/// Rows of a matrix as columns: `[rows / GROUP][tokens][GROUP]`, with zeros beyond the last row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transposed {
    values: Vec<Line>,
    panels: usize,
    tokens: usize,
    pub(crate) columns: Range<usize>,
}

impl Transposed {
    /// Takes `rows` rows of `x` from row `from` on, in `columns`.
    pub(crate) fn set(&mut self, x: &Matrix, from: usize, rows: usize, columns: Range<usize>) {
        self.panels = rows.div_ceil(GROUP);
        self.tokens = columns.len();
        self.columns = columns.clone();
        let length = self.panels * self.tokens;
        self.values.resize(length, Line([0.0; GROUP]));
        for (panel, values) in self.values.chunks_exact_mut(self.tokens).enumerate() {
            let count = GROUP.min(rows - panel * GROUP);
            for (group, values) in values.as_chunks_mut::<GROUP>().0.iter_mut().enumerate() {
                let mut block = [[0.0; GROUP]; GROUP];
                for (i, block) in block.iter_mut().take(count).enumerate() {
                    let x = &x.row(from + panel * GROUP + i)[columns.start + group * GROUP..];
                    block.copy_from_slice(&x[..GROUP]);
                }
                for (t, values) in values.iter_mut().enumerate() {
                    for (value, block) in values.0.iter_mut().zip(&block) {
                        *value = block[t];
                    }
                }
            }
        }
    }
}

/// `sums[r][n] += sum_t y[from + r][t] x[n][t]` over the columns that `x` was made from: the gradient of weights.
///
/// A row of `sums` is as long as `x` has rows, rounded up to a multiple of [`GROUP`].
pub(crate) struct Outer<'a> {
    pub(crate) y: &'a Matrix,
    pub(crate) from: usize,
    pub(crate) rows: usize,
    /// First column of `y`.
    pub(crate) column: usize,
    pub(crate) x: &'a Transposed,
    pub(crate) sums: &'a mut [f32],
}

impl Outer<'_> {
    pub(crate) fn run(self) {
        Arch::new().dispatch(self);
    }

    /// `M` rows from `row` on, `P` panels from `panel` on; `V` registers hold a panel.
    #[inline(always)]
    fn tile<S: Simd, const M: usize, const P: usize, const V: usize>(
        &mut self,
        simd: S,
        row: usize,
        panel: usize,
    ) {
        let tokens = self.x.tokens;
        let mut sums = [[[simd.splat_f32s(0.0); V]; P]; M];
        let mut y: [&[f32]; M] = [&[]; M];
        for (i, y) in y.iter_mut().enumerate() {
            *y = &self.y.row(self.from + row + i)[self.column..][..tokens];
        }
        let mut x: [&[Line]; P] = [&[]; P];
        for (p, x) in x.iter_mut().enumerate() {
            *x = &self.x.values[(panel + p) * tokens..][..tokens];
        }
        for t in 0..tokens {
            for (sums, y) in sums.iter_mut().zip(&y) {
                let y = simd.splat_f32s(y[t]);
                for (sums, x) in sums.iter_mut().zip(&x) {
                    let x = &S::as_simd_f32s(&x[t].0).0[..V];
                    for (sum, x) in sums.iter_mut().zip(x) {
                        *sum = simd.mul_add_e_f32s(y, *x, *sum);
                    }
                }
            }
        }
        let width = self.x.panels * GROUP;
        for (i, sums) in sums.iter().enumerate() {
            let out = &mut self.sums[(row + i) * width + panel * GROUP..][..P * GROUP];
            let out = S::as_mut_simd_f32s(out).0;
            for (out, sum) in out.iter_mut().zip(sums.as_flattened()) {
                *out = simd.add_f32s(*out, *sum);
            }
        }
    }

    #[inline(always)]
    fn rows<S: Simd, const M: usize, const P: usize, const V: usize>(
        &mut self,
        simd: S,
        panel: usize,
    ) {
        let whole = self.rows / M * M;
        for row in (0..whole).step_by(M) {
            self.tile::<S, M, P, V>(simd, row, panel);
        }
        for row in whole..self.rows {
            self.tile::<S, 1, P, V>(simd, row, panel);
        }
    }
}

impl WithSimd for Outer<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let panels = self.x.panels;
        match S::F32_LANES {
            16 => {
                for panel in (0..panels / 2 * 2).step_by(2) {
                    self.rows::<S, 8, 2, 1>(simd, panel);
                }
                if panels % 2 == 1 {
                    self.rows::<S, 8, 1, 1>(simd, panels - 1);
                }
            }
            8 => (0..panels).for_each(|panel| self.rows::<S, 4, 1, 2>(simd, panel)),
            4 => (0..panels).for_each(|panel| self.rows::<S, 4, 1, 4>(simd, panel)),
            _ => (0..panels).for_each(|panel| self.rows::<S, 1, 1, 16>(simd, panel)),
        }
    }
}

/// `sums[r] += sum_t y[from + r][t]` over `columns`.
pub(crate) struct RowSums<'a> {
    pub(crate) y: &'a Matrix,
    pub(crate) from: usize,
    pub(crate) columns: Range<usize>,
    pub(crate) sums: &'a mut [f32],
}

impl RowSums<'_> {
    pub(crate) fn run(self) {
        Arch::new().dispatch(self);
    }
}

impl WithSimd for RowSums<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (row, sum) in self.sums.iter_mut().enumerate() {
            let y = &self.y.row(self.from + row)[self.columns.clone()];
            let mut total = simd.splat_f32s(0.0);
            for y in S::as_simd_f32s(y).0 {
                total = simd.add_f32s(total, *y);
            }
            *sum += simd.reduce_sum_f32s(total);
        }
    }
}
