//! Writing, reading and writing again.

use engram_image::limits::MAX_COLUMNS;
use engram_image::write::{ImageSpec, LayerSpec, MatrixSpec, WriteError, write};
use engram_image::{Bounds, Image, MatrixName, ReadError};
use engram_kernels::Requant;
use proptest::prelude::*;

use crate::sample;

fn second<'s>(spec: &'s mut ImageSpec<'_>) -> &'s mut LayerSpec {
    spec.weights.layers[1].as_mut().unwrap()
}

#[test]
fn what_is_written_is_read_back() {
    for spec in [sample::age(), sample::slot()] {
        let bytes = write(&spec).unwrap();
        let image = Image::read(&bytes).unwrap();
        assert_eq!(ImageSpec::from(&image), spec);
        assert_eq!(image.bounds, Bounds::of(&image));
        assert_eq!(usize::try_from(image.total_length).unwrap(), bytes.len());
        assert!(!image.signed);
        let embed = image.matrices().next().unwrap();
        let mut room = [0; MAX_COLUMNS];
        let rows: Vec<i8> = (0..embed.rows.rows)
            .flat_map(|row| embed.row(row, &mut room).unwrap().weight.to_vec())
            .collect();
        assert_eq!(rows, spec.weights.embed.weight);
        let steps: Vec<_> = image.golden.iter().collect();
        assert_eq!((steps.len(), image.golden.steps), (4, 4));
        assert!(steps[2].done && !steps[3].done && steps[1].reward == -0.75);
        assert_eq!(i16::from_le_bytes(steps[3].issued[0]), -32_767);
        assert_eq!(f32::from_le_bytes(steps[1].observation[1]), 0.0);
    }
}

/// Tensors lie aligned in the file.
#[test]
fn tensors_are_aligned() {
    for bytes in sample::files() {
        let image = Image::read(&bytes).unwrap();
        let offset = |slice: *const u8| slice as usize - bytes.as_ptr() as usize;
        for (name, matrix) in image.weights.matrices() {
            assert_eq!(offset(matrix.weight.as_ptr().cast()) % 16, 0, "{name}");
            assert_eq!(offset(matrix.multiplier.as_ptr().cast()) % 4, 0, "{name}");
            assert_eq!(offset(matrix.bias.as_ptr().cast()) % 4, 0, "{name}");
            assert_eq!(offset(matrix.shift.as_ptr()) % 4, 0, "{name}");
        }
        assert_eq!(offset(image.golden.observation.as_ptr().cast()) % 4, 0);
        assert_eq!(offset(image.golden.words.as_ptr().cast()) % 4, 0);
    }
}

/// The hash of the logical weights depends on the weights, and not on the rest of the file.
#[test]
fn weights_digest() {
    let digest = |change: fn(&mut ImageSpec<'static>)| {
        let mut spec = sample::age();
        change(&mut spec);
        Image::read(&write(&spec).unwrap()).unwrap().weights_sha256
    };
    let original = digest(|_| ());
    assert_eq!(digest(|spec| spec.golden.words[1] ^= 1), original);
    assert_eq!(
        digest(|spec| spec.provenance.plant = "pendulum-with-a-longer-name"),
        original
    );
    assert_ne!(digest(|spec| second(spec).ff2.weight[3] ^= 1), original);
    assert_ne!(digest(|spec| second(spec).age_bias[3] ^= 1), original);
    assert_ne!(digest(|spec| spec.weights.head.input.shift ^= 1), original);
    assert_ne!(digest(|spec| spec.residual_scale *= 2.0), original);
}

#[test]
fn the_writer_refuses_what_the_reader_would() {
    let refused = |change: fn(&mut ImageSpec<'static>)| {
        let mut spec = sample::age();
        change(&mut spec);
        write(&spec).unwrap_err()
    };
    let shape = refused(|spec| {
        let ff1 = &mut second(spec).ff1;
        (ff1.rows, ff1.columns) = (ff1.columns, ff1.rows);
    });
    assert_eq!(
        shape,
        WriteError::Shape {
            matrix: MatrixName::Ff1(1),
            found: (4, 5),
            expected: (5, 4)
        }
    );
    assert_eq!(
        refused(|spec| spec.weights.embed.weight[0] = -128),
        WriteError::Refused(ReadError::Weight {
            matrix: MatrixName::Embed,
            row: 0
        })
    );
    assert_eq!(
        refused(|spec| spec.weights.embed.bias = vec![0; 4]),
        WriteError::Refused(ReadError::Count {
            thing: "bias",
            found: 16,
            expected: 0
        })
    );
    assert_eq!(
        refused(|spec| spec.weights.layers[1] = None),
        WriteError::Refused(ReadError::Count {
            thing: "layers",
            found: 1,
            expected: 2
        })
    );
    assert!(matches!(
        refused(|spec| second(spec).logit.shift = 0),
        WriteError::Refused(ReadError::Integer {
            thing: "logit",
            value: 0,
            min: 1,
            max: 62
        })
    ));
    assert!(matches!(
        refused(|spec| spec.weights.head.raw = Some(spec.weights.head.first.clone())),
        WriteError::Refused(ReadError::Key {
            expected: "first",
            ..
        })
    ));
    assert!(matches!(
        refused(|spec| spec.golden.done.truncate(3)),
        WriteError::Refused(ReadError::Integer {
            thing: "done",
            value: 3,
            min: 4,
            max: 4_096
        })
    ));
    assert!(matches!(
        refused(|spec| spec.contract.period_us = 0),
        WriteError::Refused(ReadError::Integer { .. })
    ));
    assert!(matches!(
        refused(|spec| spec.contract.actions = engram_image::List::EMPTY),
        WriteError::Refused(ReadError::Count {
            thing: "actions",
            found: 0,
            expected: 1
        })
    ));
}

#[test]
fn an_image_that_no_slot_holds() {
    let mut spec = sample::age();
    spec.config.window = 512;
    spec.golden.observation = vec![0.0; 300_000];
    assert!(matches!(
        write(&spec),
        Err(WriteError::TooLong {
            limit: 1_048_576,
            ..
        })
    ));
}

/// A row that is zero altogether may have the factor 0, another may not.
#[test]
fn zero_rows() {
    let zero = Requant {
        multiplier: 0,
        shift: 1,
    };
    let write_with = |change: &dyn Fn(&mut MatrixSpec)| {
        let mut spec = sample::age();
        change(&mut second(&mut spec).ff1);
        write(&spec)
    };
    assert!(write_with(&|ff1| (ff1.requant[1], ff1.bias[1]) = (zero, 0)).is_err());
    assert!(
        write_with(&|ff1| {
            (ff1.requant[1], ff1.bias[1]) = (zero, 0);
            ff1.weight[4..8].fill(0);
        })
        .is_ok()
    );
    assert!(
        write_with(&|ff1| {
            (ff1.requant[1], ff1.bias[1]) = (zero, 1);
            ff1.weight[4..8].fill(0);
        })
        .is_err()
    );
}

#[test]
fn accumulators_must_not_overflow() {
    let with_bias = |bias| {
        let mut spec = sample::age();
        let third = &mut spec.weights.head.third;
        third.weight.copy_from_slice(&[100, -27]);
        third.bias[0] = bias;
        write(&spec)
    };
    assert!(with_bias(i32::MAX - 127 * 128).is_ok());
    assert_eq!(
        with_bias(-i32::MAX + 127 * 128 - 1).unwrap_err(),
        WriteError::Refused(ReadError::Accumulator {
            matrix: MatrixName::Third,
            bound: 1 << 31
        })
    );
    assert!(with_bias(i32::MIN).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any float that is allowed survives with its bits, any other is refused.
    #[test]
    fn floats_survive(bits: u32, inverse: u32) {
        let mut spec = sample::age();
        let value = f32::from_bits(bits);
        spec.provenance.training_return = value;
        spec.residual_scale = f32::from_bits(inverse);
        match write(&spec) {
            Ok(bytes) => {
                let image = Image::read(&bytes).unwrap();
                prop_assert_eq!(image.provenance.training_return.to_bits(), bits);
                prop_assert_eq!(image.residual_scale.to_bits(), inverse);
            }
            Err(_) => prop_assert!(!value.is_finite() || !spec.residual_scale.is_finite() || spec.residual_scale <= 0.0),
        }
    }

    /// Every seed and state of the counters is encoded in its shortest form.
    #[test]
    fn integers_survive(shift in 0_u32..64, seed: u64, period_us in 1..=u32::MAX) {
        let mut spec = sample::slot();
        spec.provenance.seed = seed >> shift;
        spec.contract.period_us = period_us;
        let bytes = write(&spec).unwrap();
        prop_assert_eq!(ImageSpec::from(&Image::read(&bytes).unwrap()), spec);
    }
}
