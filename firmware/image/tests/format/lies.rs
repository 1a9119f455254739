//! Well-formed bodies that say something wrong, and what the reader says of them.

use engram_image::Image;

use crate::sample;
use crate::tree::{Item, PadLie, Value};
use Value::{Float, Negative, Raw, Unsigned};

/// The item at `path` of the first sample is another.
#[track_caller]
fn lie(path: &str, value: Value, says: &str) {
    change(path, |item| *item = value, says);
}

/// The bytes of the string or tensor at `path` of the first sample are others.
#[track_caller]
fn bytes(path: &str, of_bytes: impl FnOnce(&mut Vec<u8>), says: &str) {
    change(path, |item| of_bytes(item.bytes().unwrap()), says);
}

#[track_caller]
fn change(path: &str, change: impl FnOnce(&mut Value), says: &str) {
    let mut tree = Item::parse(&sample::files()[0]);
    change(&mut tree.at(path).value);
    refused(&tree, path, says);
}

/// The end of the error's text, behind the place in the file.
#[track_caller]
fn refused(tree: &Item, what: &str, says: &str) {
    let error = Image::read(&tree.file()).unwrap_err().to_string();
    let text = match error.split_once(": ") {
        Some((place, text)) if place.starts_with("byte ") => text,
        _ => &error,
    };
    assert_eq!(text, says, "{what}");
}

fn text(text: &str) -> Value {
    Value::text(text)
}

fn put<const N: usize>(place: usize, new: [u8; N]) -> impl FnOnce(&mut Vec<u8>) {
    move |bytes| bytes[place..place + N].copy_from_slice(&new)
}

#[test]
fn dimensions() {
    for (key, limit) in [
        ("ff", 512),
        ("model", 128),
        ("layers", 8),
        ("window", 512),
        ("actions", 32),
        ("observations", 128),
        ("heads", 16),
        ("hidden.0", 128),
        ("hidden.1", 128),
    ] {
        let path = format!("config.{key}");
        let (thing, name) = match key.split_once('.') {
            Some((thing, index)) => (thing, format!("{thing}[{index}]")),
            None => (key, key.into()),
        };
        for value in [0, limit + 1] {
            let says = format!("config: {name} is {value}, but must be in 1..={limit}");
            lie(&path, Unsigned(value), &says);
        }
        let says = format!("{thing} is 4294967296, but must be in 0..=4294967295");
        lie(&path, Unsigned(1 << 32), &says);
        // One more is in range, but what follows has other sizes.
        let mut tree = Item::parse(&sample::files()[0]);
        let Unsigned(value) = &mut tree.at(&path).value else {
            panic!("{key} is not a number");
        };
        *value += 1;
        assert!(Image::read(&tree.file()).is_err(), "{key}");
    }
    each! { lie:
        "config.heads", Unsigned(3) => "config: model is 4, not a multiple of the 3 heads";
        "config.positions", text("clock") => "positions is not an allowed text";
        // The weights are there for the other kind of positions, and for the other head.
        "config.positions", text("slot") => "the key ff_input is due (unknown, duplicate, missing or misplaced key)";
        "config.head_input", text("mixed") => "the key raw is due (unknown, duplicate, missing or misplaced key)";
    }
}

#[test]
fn scales() {
    each! { lie:
        "scales.residual", Float(0.0) => "residual holds 0, but must be positive";
        "scales.residual", Float(-0.0) => "residual holds -0, but must be positive";
        "scales.inverse.4", Float(-1.0) => "inverse holds -1, but must be positive";
        "scales.inverse.4", Float(f32::MIN_POSITIVE * -0.5) => "inverse holds -5.877472e-39, but must be positive";
        "scales.mean.0", Float(f32::NAN) => "mean holds NaN, but must be finite";
        "scales.residual", Float(f32::INFINITY) => "residual holds inf, but must be finite";
    }
}

/// What is no canonical CBOR, or another item than the one that is due.
#[test]
fn items() {
    each! { lie:
        "scales.residual", Unsigned(1) => "not the expected f32";
        "scales.residual", Raw(vec![0xf9, 0x3c, 0]) => "a float that is not an f32";
        "scales.residual", Raw(vec![0x1c]) => "not an item of CBOR";
        "scales.residual", Raw(vec![0x5f]) => "an indefinite length";
        "scales.residual", Raw(vec![0x18, 1]) => "an integer or length is not in its shortest form";
        "provenance.training_return", Raw(vec![0xfa, 0, 0]) => "the file ends inside an item";
        "weights.layers.0.logit.0", Negative(5) => "not the expected unsigned integer";
        "contract.reward", Unsigned(0) => "not the expected map";
    }
    let pad = |item: &mut Value| match item {
        Value::Aligned { pad, .. } => *pad = PadLie::TooLong,
        other => panic!("{other:?}"),
    };
    change("weights.embed.weight", pad, "not the shortest pad of zeros");
}

#[test]
fn weights_and_factors() {
    let [weight, shift, multiplier] =
        ["weight", "shift", "multiplier"].map(|key| format!("weights.layers.1.ff1.{key}"));
    let [logit, logit_shift] = [0, 1].map(|index| format!("weights.layers.0.logit.{index}"));
    each! { bytes:
        &weight, put(5, [0x80]) => "layers[1].ff1, row 1: a weight is -128";
        &shift, put(4, [0]) => "layers[1].ff1, row 4: the factor 2029033208 >> 0 is not normalised";
        &shift, put(4, [63]) => "layers[1].ff1, row 4: the factor 2029033208 >> 63 is not normalised";
        &shift, put(4, [255]) => "layers[1].ff1, row 4: the factor 2029033208 >> 255 is not normalised";
        &multiplier, put(0, 0_i32.to_le_bytes()) => "layers[1].ff1, row 0: the factor 0 >> 38 is not normalised";
        &multiplier, put(0, 1_i32.to_le_bytes()) => "layers[1].ff1, row 0: the factor 1 >> 38 is not normalised";
        &multiplier, put(0, ((1 << 30) - 1_i32).to_le_bytes()) =>
            "layers[1].ff1, row 0: the factor 1073741823 >> 38 is not normalised";
        &multiplier, put(0, (-1_i32).to_le_bytes()) => "layers[1].ff1, row 0: the factor -1 >> 38 is not normalised";
        &multiplier, put(0, i32::MIN.to_le_bytes()) =>
            "layers[1].ff1, row 0: the factor -2147483648 >> 38 is not normalised";
        "weights.head.third.bias", put(0, i32::MIN.to_le_bytes()) =>
            "head.third: an accumulator may reach 2147499136, which overflows 31 bits";
    }
    each! { lie:
        &logit, Unsigned(0) => "logit is 0, but must be in 1073741824..=2147483647";
        &logit, Unsigned((1 << 30) - 1) => "logit is 1073741823, but must be in 1073741824..=2147483647";
        &logit, Unsigned(1 << 31) => "logit is 2147483648, but must be in 1073741824..=2147483647";
        &logit_shift, Unsigned(0) => "logit is 0, but must be in 1..=62";
        &logit_shift, Unsigned(63) => "logit is 63, but must be in 1..=62";
    }
}

#[test]
fn bounds() {
    let zeros = |count| Value::Array(vec![Item::new(Unsigned(0)); count]);
    each! { lie:
        "bounds.state_bytes", Unsigned(1) => "bounds: state_bytes is stated as 1, but is 48";
        "bounds.macs_per_step", Unsigned(1) => "bounds: macs_per_step is stated as 1, but is 296";
        "bounds.accumulator.3", Unsigned(1) => "bounds: accumulator is stated as 1, but is 52212";
        "bounds.accumulator.0", Unsigned(1 << 32) => "accumulator is 4294967296, but must be in 0..=4294967295";
        "bounds.accumulator", zeros(3) => "accumulator has 3 entries instead of 12";
        "bounds.accumulator", zeros(38) => "accumulator has 38 entries instead of 37";
    }
}

#[test]
fn golden_trace() {
    each! { bytes:
        "golden.done", put(1, [2]) => "done is 2, but must be in 0..=1";
        "golden.reward", put(4, f32::NAN.to_le_bytes()) => "reward holds NaN, but must be finite";
        "golden.observation", put(4, f32::NAN.to_le_bytes()) => "observation holds NaN, but must be finite";
    }
    // As long as the window: no wrap.
    let mut tree = Item::parse(&sample::files()[0]);
    for key in ["done", "words", "issued", "reward", "observation"] {
        let bytes = tree.at(&format!("golden.{key}")).value.bytes().unwrap();
        bytes.truncate(bytes.len() / 4 * 3);
    }
    refused(&tree, "done", "done is 3, but must be in 4..=4096");
}

#[test]
fn contract_and_provenance() {
    let [name, unit, safe] =
        ["name", "unit", "safe"].map(|key| format!("contract.actions.0.{key}"));
    each! { lie:
        &name, text("") => "name is not an allowed text";
        &name, text("tor\u{fc}") => "name is not an allowed text";
        &name, Value::Text(vec![b'a', 0xff, 0xfe]) => "name is not an allowed text";
        &unit, text("furlong/fortnight") => "unit is not an allowed text";
        &safe, Float(9.0) => "contract: the safe of action 0 is 9, but must be within the range";
        "contract.observations.1.name", text("angle") => "contract: observation 1 has the name of an earlier observation";
        "contract.period_us", Unsigned(0) => "period_us is 0, but must be in 1..=4294967295";
        "contract.reward", text("internal") => "reward is not an allowed text";
        "provenance.plant", text("") => "plant is not an allowed text";
        "provenance.version", text(&"1".repeat(33)) => "version is not an allowed text";
        "provenance.config_sha256", Value::Bytes(vec![0; 31]) => "config_sha256 has 31 entries instead of 32";
    }
}
