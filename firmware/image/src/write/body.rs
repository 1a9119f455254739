//! Encodes the body; the only place that knows offsets while writing.

use alloc::vec::Vec;
use core::iter;

use ciborium_ll::Header;
use engram_kernels::Requant;

use super::spec::{GoldenSpec, HeadSpec, ImageSpec, LayerSpec, MatrixSpec, WeightsSpec};
use crate::bounds::accumulator_bound;
use crate::encode::{self, Shortest, Sink};
use crate::header::HEADER_BYTES;
use crate::image::Provenance;
use crate::packing::Packing;

/// The body so far, and in which order weights go there.
struct Body(Vec<u8>, Packing);

impl Sink for Body {
    fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

/// The body of the image that `spec` describes, whether a reader accepts it or not.
pub(super) fn encode(spec: &ImageSpec<'_>, packing: Packing) -> Vec<u8> {
    let mut body = Body(Vec::new(), packing);
    let sink = &mut body;
    encode::map(sink, 7);
    encode::text(sink, "bounds");
    bounds(sink, spec);
    encode::text(sink, "config");
    encode::config(sink, &spec.config);
    encode::text(sink, "golden");
    golden(sink, &spec.golden);
    encode::text(sink, "scales");
    scales(sink, spec);
    encode::text(sink, "weights");
    weights(sink, &spec.weights);
    encode::text(sink, "contract");
    encode::contract(sink, &spec.contract);
    encode::text(sink, "provenance");
    provenance(sink, &spec.provenance);
    body.0
}

fn bounds(body: &mut Body, spec: &ImageSpec<'_>) {
    encode::map(body, 3);
    encode::text(body, "accumulator");
    encode::array(body, spec.weights.matrices().count());
    for (name, matrix) in spec.weights.matrices() {
        let biases = matrix.bias.iter().copied().chain(iter::repeat(0));
        let rows = matrix.weight.chunks(matrix.columns.max(1)).zip(biases);
        encode::unsigned(body, accumulator_bound(name, rows).into());
    }
    encode::text(body, "state_bytes");
    encode::size(body, spec.config.state_bytes());
    encode::text(body, "macs_per_step");
    encode::unsigned(body, spec.config.macs_per_step());
}

fn golden(body: &mut Body, golden: &GoldenSpec) {
    let done: Vec<u8> = golden.done.iter().map(|&done| done.into()).collect();
    encode::map(body, 5);
    encode::text(body, "done");
    bytes(body, &done);
    encode::text(body, "words");
    elements(body, golden.words.iter().map(|value| value.to_le_bytes()));
    encode::text(body, "issued");
    elements(body, golden.issued.iter().map(|value| value.to_le_bytes()));
    encode::text(body, "reward");
    elements(body, golden.reward.iter().map(|value| value.to_le_bytes()));
    encode::text(body, "observation");
    elements(
        body,
        golden.observation.iter().map(|value| value.to_le_bytes()),
    );
}

fn scales(body: &mut Body, spec: &ImageSpec<'_>) {
    encode::map(body, 3);
    encode::text(body, "mean");
    encode::floats(body, &spec.input.mean);
    encode::text(body, "inverse");
    encode::floats(body, &spec.input.inverse);
    encode::text(body, "residual");
    encode::float(body, spec.residual_scale);
}

fn weights(body: &mut Body, weights: &WeightsSpec) {
    let positions = !weights.positions.is_empty();
    encode::map(body, 3 + usize::from(positions));
    encode::text(body, "head");
    head(body, &weights.head);
    encode::text(body, "embed");
    matrix(body, &weights.embed, true);
    encode::text(body, "layers");
    encode::array(body, weights.layers().count());
    for one in weights.layers() {
        layer(body, one);
    }
    if positions {
        encode::text(body, "positions");
        elements(
            body,
            weights.positions.iter().map(|value| value.to_le_bytes()),
        );
    }
}

fn head(body: &mut Body, head: &HeadSpec) {
    encode::map(body, 4 + usize::from(head.raw.is_some()));
    if let Some(raw) = &head.raw {
        encode::text(body, "raw");
        matrix(body, raw, true);
    }
    encode::text(body, "first");
    matrix(body, &head.first, false);
    encode::text(body, "input");
    factor(body, head.input);
    encode::text(body, "third");
    matrix(body, &head.third, false);
    encode::text(body, "second");
    matrix(body, &head.second, false);
}

fn layer(body: &mut Body, layer: &LayerSpec) {
    let ages = !layer.age_bias.is_empty();
    encode::map(body, 8 + usize::from(ages));
    encode::text(body, "ff1");
    matrix(body, &layer.ff1, false);
    encode::text(body, "ff2");
    matrix(body, &layer.ff2, false);
    encode::text(body, "out");
    matrix(body, &layer.out, false);
    encode::text(body, "qkv");
    matrix(body, &layer.qkv, false);
    encode::text(body, "logit");
    factor(body, layer.logit);
    if ages {
        encode::text(body, "age_bias");
        elements(body, layer.age_bias.iter().map(|value| value.to_le_bytes()));
    }
    encode::text(body, "ff_input");
    factor(body, layer.ff_input);
    encode::text(body, "attention_input");
    factor(body, layer.attention_input);
    encode::text(body, "attention_output");
    factor(body, layer.attention_output);
}

fn matrix(body: &mut Body, matrix: &MatrixSpec, wide: bool) {
    // A matrix of the wrong shape was refused before.
    let weight = body.1.pack(&matrix.weight, wide, matrix.columns);
    let weight = weight.unwrap_or_default();
    let shift: Vec<u8> = matrix.requant.iter().map(|factor| factor.shift).collect();
    encode::map(body, 4);
    encode::text(body, "bias");
    elements(body, matrix.bias.iter().map(|value| value.to_le_bytes()));
    encode::text(body, "shift");
    aligned(body, 4, &shift);
    encode::text(body, "weight");
    aligned(body, 16, &weight);
    encode::text(body, "multiplier");
    elements(
        body,
        matrix
            .requant
            .iter()
            .map(|factor| factor.multiplier.to_le_bytes()),
    );
}

fn factor(body: &mut Body, factor: Requant) {
    encode::array(body, 2);
    // A negative multiplier becomes a large one: the reader refuses both.
    encode::unsigned(body, factor.multiplier.cast_unsigned().into());
    encode::unsigned(body, factor.shift.into());
}

fn provenance(body: &mut Body, provenance: &Provenance<'_>) {
    encode::map(body, 5);
    encode::text(body, "seed");
    encode::unsigned(body, provenance.seed);
    encode::text(body, "plant");
    encode::text(body, provenance.plant);
    encode::text(body, "version");
    encode::text(body, provenance.version);
    encode::text(body, "config_sha256");
    bytes(body, &provenance.config_sha256);
    encode::text(body, "training_return");
    encode::float(body, provenance.training_return);
}

fn bytes(body: &mut Body, bytes: &[u8]) {
    encode::header(body, Header::Bytes(Some(bytes.len())));
    body.put(bytes);
}

fn elements<const N: usize>(body: &mut Body, values: impl Iterator<Item = [u8; N]>) {
    let flat: Vec<u8> = values.flatten().collect();
    aligned(body, 4, &flat);
}

/// `[pad, bytes]`, the bytes on a multiple of `align` from the start of the file.
fn aligned(body: &mut Body, align: usize, data: &[u8]) {
    encode::array(body, 2);
    let header = Shortest::new(Header::Bytes(Some(data.len())));
    // The pad's own header takes one byte: a pad is shorter than 16.
    let unpadded = HEADER_BYTES + body.0.len() + 1 + header.as_slice().len();
    let pad = [0; 16];
    bytes(body, &pad[..unpadded.next_multiple_of(align) - unpadded]);
    bytes(body, data);
}
