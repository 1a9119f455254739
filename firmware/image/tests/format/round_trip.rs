//! Writing, reading and writing again.

use engram_image::limits::MAX_COLUMNS;
use engram_image::write::{ImageSpec, LayerSpec, WriteError, write};
use engram_image::{Bounds, Image, List};
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
        let bytes = written(change).unwrap();
        Image::read(&bytes).unwrap().weights_sha256
    };
    let original = digest(|_| ());
    let same = |change, same| assert_eq!(digest(change) == original, same);
    each! { same:
        |spec| spec.golden.words[1] ^= 1 => true;
        |spec| spec.provenance.plant = "pendulum-with-a-longer-name" => true;
        |spec| second(spec).ff2.weight[3] ^= 1 => false;
        |spec| second(spec).age_bias[3] ^= 1 => false;
        |spec| spec.weights.head.input.shift ^= 1 => false;
        |spec| spec.residual_scale *= 2.0 => false;
    }
}

/// The first sample with a change, written.
fn written(change: impl FnOnce(&mut ImageSpec<'static>)) -> Result<Vec<u8>, WriteError> {
    let mut spec = sample::age();
    change(&mut spec);
    write(&spec)
}

#[test]
fn the_writer_refuses_what_the_reader_would() {
    let refused = |change: fn(&mut ImageSpec<'static>), says| {
        let error = written(change).unwrap_err().to_string();
        let text = error.trim_start_matches("the reader would refuse the image: ");
        assert_eq!(text, says);
    };
    each! { refused:
        |spec| second(spec).ff1.rows = 4 => "layers[1].ff1 has 4 rows of 4, the config makes it 5 rows of 4";
        |spec| second(spec).ff1.columns = 5 => "layers[1].ff1 has 5 rows of 5, the config makes it 5 rows of 4";
        |spec| spec.weights.embed.weight[0] = -128 => "embed, row 0: a weight is -128";
        |spec| spec.weights.embed.bias = vec![0; 4] => "bias has 16 entries instead of 0";
        |spec| spec.weights.layers[1] = None => "layers has 1 entries instead of 2";
        |spec| second(spec).logit.shift = 0 => "logit is 0, but must be in 1..=62";
        |spec| spec.weights.head.raw = Some(spec.weights.head.first.clone()) =>
            "byte 566: the key first is due (unknown, duplicate, missing or misplaced key)";
        |spec| spec.golden.done.truncate(3) => "done is 3, but must be in 4..=4096";
        |spec| spec.contract.period_us = 0 => "period_us is 0, but must be in 1..=4294967295";
        |spec| spec.contract.actions = List::EMPTY => "actions has 0 entries instead of 1";
        // A row that is not zero altogether may not have the factor 0.
        |spec| (second(spec).ff1.requant[1], second(spec).ff1.bias[1]) = (ZERO, 0) =>
            "layers[1].ff1, row 1: the factor 0 >> 1 is not normalised";
        |spec| zero_row(spec, 1) => "layers[1].ff1, row 1: the factor 0 >> 1 is not normalised";
        |spec| third_bias(spec, -i32::MAX + 127 * 128 - 1) =>
            "head.third: an accumulator may reach 2147483648, which overflows 31 bits";
        |spec| third_bias(spec, i32::MIN) => "head.third: an accumulator may reach 2147499904, which overflows 31 bits";
        |spec| no_slot_holds(spec) => "the image would have 1202732 bytes; a slot holds 1048576";
    }
    assert!(written(|spec| zero_row(spec, 0)).is_ok());
    assert!(written(|spec| third_bias(spec, i32::MAX - 127 * 128)).is_ok());
}

const ZERO: Requant = Requant {
    multiplier: 0,
    shift: 1,
};

/// A row whose weights and factor are 0.
fn zero_row(spec: &mut ImageSpec<'_>, bias: i32) {
    let ff1 = &mut second(spec).ff1;
    (ff1.requant[1], ff1.bias[1]) = (ZERO, bias);
    ff1.weight[4..8].fill(0);
}

fn third_bias(spec: &mut ImageSpec<'_>, bias: i32) {
    let third = &mut spec.weights.head.third;
    third.weight.copy_from_slice(&[100, -27]);
    third.bias[0] = bias;
}

fn no_slot_holds(spec: &mut ImageSpec<'_>) {
    spec.config.window = 512;
    spec.golden.observation = vec![0.0; 300_000];
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
