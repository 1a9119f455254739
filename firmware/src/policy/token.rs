//! One token through all encoder layers: `h = x + out(attention(x))`, `x' = h + ff2(relu(ff1(h)))`.

use engram_image::{Image, Matrix};
use engram_kernels::add_saturating;

use super::attention::{self, Buffers, Rings};
use super::dense::{factor, product_i8};
use super::memory::{MAX_ROWS, Memory, Place, Scratch};
use super::observer::Observer;

/// Takes `scratch.residual` through all layers and leaves the token's keys and values at `place`.
pub(super) fn run(
    image: &Image<'_>,
    memory: &mut Memory,
    place: Place,
    mut observer: Option<&mut dyn Observer>,
) {
    let config = &image.config;
    let ring = config.window.saturating_mul(config.model).max(1);
    // Not zipped: the length of two zipped chunk iterators is a division, checked when not inlined.
    let mut keys = memory.keys.chunks_exact_mut(ring);
    let mut values = memory.values.chunks_exact_mut(ring);
    let Scratch {
        sums,
        residual,
        narrow,
        qkv,
        weights,
        wide,
        ..
    } = &mut memory.scratch;
    // The reader keeps both below the buffers' sizes.
    let (Some(narrow), Some(wide)) = (narrow.get_mut(..config.model), wide.get_mut(..config.ff))
    else {
        return;
    };
    for (index, layer) in image.weights.layers().iter().enumerate() {
        let (Some(keys), Some(values)) = (keys.next(), values.next()) else {
            return;
        };
        to_narrow(residual, layer.attention_input, narrow);
        let rows = product_i8(&layer.qkv, narrow, sums);
        for (out, (factor, sum)) in qkv.iter_mut().zip(rows) {
            *out = factor.to_i8(sum);
        }
        let buffers = Buffers {
            qkv,
            sums,
            weights,
            means: narrow,
        };
        let observer: Option<(usize, &mut dyn Observer)> = match &mut observer {
            Some(observer) => Some((index, *observer)),
            None => None,
        };
        attention::run(
            config,
            layer,
            Rings { keys, values },
            place,
            buffers,
            observer,
        );
        add_product(&layer.out, narrow, sums, residual);

        to_narrow(residual, layer.ff_input, narrow);
        let rows = product_i8(&layer.ff1, narrow, sums);
        for (out, (factor, sum)) in wide.iter_mut().zip(rows) {
            *out = factor.to_relu_i8(sum);
        }
        add_product(&layer.ff2, wide, sums, residual);
    }
}

/// The residual as the int8 input of a product.
fn to_narrow(residual: &[i16], requant: engram_image::Requant, narrow: &mut [i8]) {
    let factor = factor(requant);
    for (narrow, &residual) in narrow.iter_mut().zip(residual) {
        *narrow = factor.to_i8(i32::from(residual));
    }
}

/// `residual += matrix * input`, saturating.
fn add_product(
    matrix: &Matrix<'_>,
    input: &[i8],
    sums: &mut [i32; MAX_ROWS],
    residual: &mut [i16],
) {
    let rows = product_i8(matrix, input, sums);
    for (residual, (factor, sum)) in residual.iter_mut().zip(rows) {
        *residual = add_saturating(*residual, factor.to_i16(sum));
    }
}
