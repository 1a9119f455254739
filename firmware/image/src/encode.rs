//! The canonical encoder: shortest integers, f32 floats, definite lengths, keys in their order.
//!
//! One encoder serves the contract's digest (on the board as well) and the writer.

use ciborium_ll::{Encoder, Header};
use engram_kernels::Requant;
use sha2::{Digest, Sha256};

use crate::config::ModelConfig;
use crate::contract::{Contract, Reward};
use crate::image::Image;
use crate::limits::MAX_COLUMNS;

/// First byte of an f32 in CBOR: major type 7, four bytes follow.
pub(crate) const FLOAT32: u8 = 0xfa;

/// Where encoded bytes go; nothing that takes them here can fail.
pub(crate) trait Sink {
    /// Takes the next bytes.
    fn put(&mut self, bytes: &[u8]);
}

/// A sink that hashes with SHA-256.
#[derive(Default)]
pub(crate) struct Hash(Sha256);

impl Hash {
    /// The digest of what was put.
    pub(crate) fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

impl Sink for Hash {
    fn put(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}

/// The shortest encoding of a header that is not a float.
pub(crate) struct Shortest {
    bytes: [u8; 9],
    length: usize,
}

impl Shortest {
    /// Encodes `header`.
    pub(crate) fn new(header: Header) -> Self {
        let mut bytes = [0; 9];
        let mut rest = &mut bytes[..];
        // Nine bytes hold every header.
        let _ = Encoder::from(&mut rest).push(header);
        let length = 9_usize.saturating_sub(rest.len());
        Self { bytes, length }
    }

    /// The encoded bytes.
    pub(crate) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&[])
    }
}

/// Puts a header; floats go through [`float`].
pub(crate) fn header(sink: &mut impl Sink, header: Header) {
    sink.put(Shortest::new(header).as_slice());
}

/// Puts the header of a map of `entries` keys.
pub(crate) fn map(sink: &mut impl Sink, entries: usize) {
    header(sink, Header::Map(Some(entries)));
}

/// Puts the header of an array of `items`.
pub(crate) fn array(sink: &mut impl Sink, items: usize) {
    header(sink, Header::Array(Some(items)));
}

/// Puts a text: a key or a value.
pub(crate) fn text(sink: &mut impl Sink, text: &str) {
    header(sink, Header::Text(Some(text.len())));
    sink.put(text.as_bytes());
}

/// Puts an unsigned integer.
pub(crate) fn unsigned(sink: &mut impl Sink, value: u64) {
    header(sink, Header::Positive(value));
}

/// Puts a dimension.
pub(crate) fn size(sink: &mut impl Sink, value: usize) {
    unsigned(sink, u64::try_from(value).unwrap_or(u64::MAX));
}

/// Puts an f32, always in four bytes.
pub(crate) fn float(sink: &mut impl Sink, value: f32) {
    sink.put(&[FLOAT32]);
    sink.put(&value.to_bits().to_be_bytes());
}

/// Puts an array of f32.
pub(crate) fn floats(sink: &mut impl Sink, values: &[f32]) {
    array(sink, values.len());
    for value in values {
        float(sink, *value);
    }
}

/// Puts the map `config`.
pub(crate) fn config(sink: &mut impl Sink, config: &ModelConfig) {
    map(sink, 10);
    text(sink, "ff");
    size(sink, config.ff);
    text(sink, "heads");
    size(sink, config.heads);
    text(sink, "model");
    size(sink, config.model);
    text(sink, "hidden");
    array(sink, config.hidden.len());
    for width in config.hidden {
        size(sink, width);
    }
    text(sink, "layers");
    size(sink, config.layers);
    text(sink, "window");
    size(sink, config.window);
    text(sink, "actions");
    size(sink, config.actions);
    text(sink, "positions");
    text(sink, config.positions.name());
    text(sink, "head_input");
    text(sink, config.head_input.name());
    text(sink, "observations");
    size(sink, config.observations);
}

/// Puts the map `contract`.
pub(crate) fn contract(sink: &mut impl Sink, contract: &Contract<'_>) {
    map(sink, 4);
    text(sink, "reward");
    match &contract.reward {
        Reward::External => text(sink, "external"),
        Reward::Formula(reward) => {
            map(sink, 4);
            text(sink, "linear");
            floats(sink, &reward.linear);
            text(sink, "constant");
            float(sink, reward.constant);
            text(sink, "quadratic");
            floats(sink, &reward.quadratic);
            text(sink, "action_quadratic");
            floats(sink, &reward.action_quadratic);
        }
    }
    text(sink, "actions");
    array(sink, contract.actions.len());
    for channel in &contract.actions {
        map(sink, 6);
        text(sink, "max");
        float(sink, channel.max);
        text(sink, "min");
        float(sink, channel.min);
        text(sink, "name");
        text(sink, channel.name);
        text(sink, "safe");
        float(sink, channel.safe);
        text(sink, "unit");
        text(sink, channel.unit);
        text(sink, "slew_per_s");
        float(sink, channel.slew_per_s);
    }
    text(sink, "period_us");
    unsigned(sink, u64::from(contract.period_us));
    text(sink, "observations");
    array(sink, contract.observations.len());
    for channel in &contract.observations {
        map(sink, 4);
        text(sink, "max");
        float(sink, channel.max);
        text(sink, "min");
        float(sink, channel.min);
        text(sink, "name");
        text(sink, channel.name);
        text(sink, "unit");
        text(sink, channel.unit);
    }
}

/// SHA-256 of the logical weights, the same for every packing of one policy.
///
/// It covers the map `config` (which fixes every length that follows), then the f32 of the scales,
/// then for every factor and matrix its numbers, all little endian, in the order of
/// [`Image::matrices`] with a layer's own factors before its matrices.
pub(crate) fn weights_digest(image: &Image<'_>) -> [u8; 32] {
    let Image { input, weights, .. } = image;
    let mut hash = Hash::default();
    config(&mut hash, &image.config);
    let scales = input.mean.iter().chain(&input.inverse);
    for value in scales.chain(&[image.residual_scale]) {
        hash.put(&value.to_le_bytes());
    }
    hash.put(weights.positions.as_flattened());
    for layer in weights.layers() {
        for factor in [
            layer.attention_input,
            layer.logit,
            layer.attention_output,
            layer.ff_input,
        ] {
            requant(&mut hash, factor);
        }
        hash.put(layer.age_bias.as_flattened());
    }
    requant(&mut hash, weights.head.input);
    for matrix in image.matrices() {
        let mut room = [0; MAX_COLUMNS];
        for row in 0..matrix.rows.rows {
            if let Some(row) = matrix.row(row, &mut room) {
                hash.put(bytemuck::must_cast_slice(row.weight));
            }
        }
        hash.put(matrix.rows.bias.as_flattened());
        hash.put(matrix.rows.multiplier.as_flattened());
        hash.put(matrix.rows.shift);
    }
    hash.finish()
}

fn requant(hash: &mut Hash, factor: Requant) {
    hash.put(&factor.multiplier.to_le_bytes());
    hash.put(&[factor.shift]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_shortest() {
        for (value, length) in [
            (0, 1),
            (23, 1),
            (24, 2),
            (255, 2),
            (256, 3),
            (65_536, 5),
            (u64::MAX, 9),
        ] {
            assert_eq!(
                Shortest::new(Header::Positive(value)).as_slice().len(),
                length,
                "{value}"
            );
        }
    }
}
