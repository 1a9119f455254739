//! Encodes the body: borrows a specification as an image, and walks that.

use alloc::vec::Vec;

use engram_kernels::portable::Rows;

use super::each;
use super::spec::{ImageSpec, MatrixSpec};
use crate::bounds::Bounds;
use crate::codec::Sink;
use crate::header::HEADER_BYTES;
use crate::image::{Golden, Image};
use crate::packing::Packing;
use crate::walk;
use crate::weights::MatrixName;

/// The body of the image that `spec` describes, whether a reader accepts it or not.
pub(super) fn encode(spec: &ImageSpec<'_>, packing: Packing) -> Vec<u8> {
    let matrix = |name, matrix: &MatrixSpec| Some(MatrixBytes::of(name, matrix, packing));
    let weights = spec.weights.try_map(
        matrix,
        matrix,
        |layer| Some(each(&layer.age_bias, i32::to_le_bytes)),
        |positions| Some(each(positions, i16::to_le_bytes)),
    );
    let weights = weights.as_ref().and_then(|weights| {
        weights.try_map(
            |_, matrix| Some(matrix.rows()),
            |_, matrix| Some(matrix.rows()),
            |layer| Some(&layer.age_bias[..]),
            |positions| Some(&positions[..]),
        )
    });
    let golden = &spec.golden;
    let mut image = Image {
        packing,
        config: spec.config,
        contract: spec.contract,
        input: spec.input,
        residual_scale: spec.residual_scale,
        weights: weights.expect("as many layers as there are"),
        golden: Golden {
            done: &each(&golden.done, u8::from),
            words: &each(&golden.words, i16::to_le_bytes),
            issued: &each(&golden.issued, i16::to_le_bytes),
            reward: &each(&golden.reward, f32::to_le_bytes),
            observation: &each(&golden.observation, f32::to_le_bytes),
            ..Golden::EMPTY
        },
        provenance: spec.provenance,
        ..Image::EMPTY
    };
    image.bounds = Bounds::of(&image);
    let mut body = Body(Vec::new());
    walk::body(&mut body, &mut image).expect("a writer that cannot fail");
    body.0
}

/// A matrix as it will lie in the file.
struct MatrixBytes {
    rows: usize,
    weight: Vec<i8>,
    bias: Vec<[u8; 4]>,
    multiplier: Vec<[u8; 4]>,
    shift: Vec<u8>,
}

impl MatrixBytes {
    fn of(name: MatrixName, matrix: &MatrixSpec, packing: Packing) -> Self {
        // A matrix of the wrong shape was refused before.
        let weight = packing.pack(&matrix.weight, name.is_wide(), matrix.columns);
        Self {
            rows: matrix.rows,
            weight: weight.unwrap_or_default(),
            bias: each(&matrix.bias, i32::to_le_bytes),
            multiplier: each(&matrix.requant, |factor| factor.multiplier.to_le_bytes()),
            shift: each(&matrix.requant, |factor| factor.shift),
        }
    }

    fn rows(&self) -> Rows<'_> {
        Rows {
            rows: self.rows,
            weight: &self.weight,
            bias: &self.bias,
            multiplier: &self.multiplier,
            shift: &self.shift,
        }
    }
}

/// The body so far.
struct Body(Vec<u8>);

impl Sink for Body {
    fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn place(&self) -> usize {
        HEADER_BYTES + self.0.len()
    }
}
