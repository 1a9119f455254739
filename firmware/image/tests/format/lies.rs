//! Well-formed bodies that say something wrong.

use engram_image::{ConfigError, ContractError, Image, MatrixName, ReadError};

use crate::sample;
use crate::tree::{Item, Value};

fn lie(path: &[&str], value: Value) -> ReadError {
    lie_in(&sample::files()[0], path, value)
}

fn lie_in(file: &[u8], path: &[&str], value: Value) -> ReadError {
    let mut tree = Item::parse(file);
    tree.at(path).value = value;
    Image::read(&tree.file()).unwrap_err()
}

fn float(value: f32) -> Value {
    Value::Float(value.to_be_bytes().to_vec())
}

fn text(text: &str) -> Value {
    Value::Text(text.as_bytes().to_vec())
}

/// Changes the bytes of the tensor at `path`.
fn tensor(path: &[&str], change: impl FnOnce(&mut Vec<u8>)) -> ReadError {
    let mut tree = Item::parse(&sample::files()[0]);
    match &mut tree.at(path).value {
        Value::Aligned { bytes, .. } | Value::Bytes(bytes) => change(bytes),
        other => panic!("{other:?}"),
    }
    Image::read(&tree.file()).unwrap_err()
}

#[test]
fn dimensions() {
    for key in [
        "ff",
        "model",
        "layers",
        "window",
        "actions",
        "observations",
        "heads",
    ] {
        let range = |value| match lie(&["config", key], Value::Unsigned(value)) {
            ReadError::Config(ConfigError::Range { name, .. }) => name == key,
            _ => false,
        };
        assert!(range(0), "{key}");
        assert!(range(5_000), "{key}");
        let too_much = lie(&["config", key], Value::Unsigned(1 << 32));
        assert!(
            matches!(too_much, ReadError::Integer { thing, .. } if thing == key),
            "{too_much:?}"
        );
        // One more is in range, but what follows has other sizes.
        let mut tree = Item::parse(&sample::files()[0]);
        let Value::Unsigned(value) = tree.at(&["config", key]).value else {
            panic!("{key} is not a number");
        };
        lie(&["config", key], Value::Unsigned(value + 1));
    }
    assert_eq!(
        lie(&["config", "heads"], Value::Unsigned(3)),
        ReadError::Config(ConfigError::Heads { model: 4, heads: 3 })
    );
    assert!(matches!(
        lie(&["config", "positions"], text("clock")),
        ReadError::Text {
            thing: "positions",
            ..
        }
    ));
    // The weights are there for the other kind of positions.
    assert!(matches!(
        lie(&["config", "positions"], text("slot")),
        ReadError::Key {
            expected: "ff_input",
            ..
        }
    ));
    assert!(matches!(
        lie(&["config", "head_input"], text("mixed")),
        ReadError::Key {
            expected: "raw",
            ..
        }
    ));
}

#[test]
fn scales() {
    for value in [0.0, -0.0, -1.0, f32::MIN_POSITIVE * -0.5] {
        let expected = |thing| ReadError::Float {
            thing,
            value,
            must: "positive",
        };
        assert_eq!(
            lie(&["scales", "residual"], float(value)),
            expected("residual")
        );
        assert_eq!(
            lie(&["scales", "inverse", "4"], float(value)),
            expected("inverse")
        );
    }
    let nan = lie(&["scales", "mean", "0"], float(f32::NAN));
    assert!(matches!(
        nan,
        ReadError::Float {
            thing: "mean",
            must: "finite",
            ..
        }
    ));
}

#[test]
fn weights_and_factors() {
    let ff1 = |key| ["weights", "layers", "1", "ff1", key];
    assert_eq!(
        tensor(&ff1("weight"), |bytes| bytes[5] = 0x80),
        ReadError::Weight {
            matrix: MatrixName::Ff1(1),
            row: 1
        }
    );
    for shift in [0, 63, 255] {
        let error = tensor(&ff1("shift"), |bytes| bytes[4] = shift);
        let expected = matches!(error, ReadError::RowFactor { matrix: MatrixName::Ff1(1), row: 4, shift: s, .. } if s == shift);
        assert!(expected, "{error:?}");
    }
    for multiplier in [0, 1, (1 << 30) - 1, -1, i32::MIN] {
        let error = tensor(&ff1("multiplier"), |bytes| {
            bytes[..4].copy_from_slice(&multiplier.to_le_bytes())
        });
        assert!(
            matches!(error, ReadError::RowFactor { row: 0, multiplier: m, .. } if m == multiplier),
            "{error:?}"
        );
    }
    let logit = |index| ["weights", "layers", "0", "logit", index];
    for value in [0, (1 << 30) - 1, 1 << 31] {
        assert!(matches!(
            lie(&logit("0"), Value::Unsigned(value)),
            ReadError::Integer { thing: "logit", .. }
        ));
    }
    assert!(matches!(
        lie(&logit("0"), Value::Negative(5)),
        ReadError::Cbor { .. }
    ));
    for value in [0, 63] {
        assert!(matches!(
            lie(&logit("1"), Value::Unsigned(value)),
            ReadError::Integer { thing: "logit", .. }
        ));
    }
    let error = tensor(&["weights", "head", "third", "bias"], |bytes| {
        bytes.copy_from_slice(&i32::MIN.to_le_bytes());
    });
    assert!(matches!(
        error,
        ReadError::Accumulator {
            matrix: MatrixName::Third,
            ..
        }
    ));
}

#[test]
fn bounds() {
    for key in ["state_bytes", "macs_per_step"] {
        let error = lie(&["bounds", key], Value::Unsigned(1));
        assert!(
            matches!(error, ReadError::Bounds { thing, stated: 1, .. } if thing == key),
            "{error:?}"
        );
    }
    let error = lie(&["bounds", "accumulator", "3"], Value::Unsigned(1));
    assert!(
        matches!(
            error,
            ReadError::Bounds {
                thing: "accumulator",
                stated: 1,
                ..
            }
        ),
        "{error:?}"
    );
    let zeros = |count| Value::Array(vec![Item::new(Value::Unsigned(0)); count]);
    assert_eq!(
        lie(&["bounds", "accumulator"], zeros(3)),
        ReadError::Count {
            thing: "accumulator",
            found: 3,
            expected: 12
        }
    );
    assert_eq!(
        lie(&["bounds", "accumulator"], zeros(38)),
        ReadError::Count {
            thing: "accumulator",
            found: 38,
            expected: 37
        }
    );
    let error = lie(&["bounds", "accumulator", "0"], Value::Unsigned(1 << 32));
    assert!(matches!(
        error,
        ReadError::Integer {
            thing: "accumulator",
            ..
        }
    ));
}

#[test]
fn golden_trace() {
    let error = tensor(&["golden", "done"], |bytes| bytes[1] = 2);
    assert_eq!(
        error,
        ReadError::Integer {
            thing: "done",
            value: 2,
            min: 0,
            max: 1
        }
    );
    for thing in ["reward", "observation"] {
        let error = tensor(&["golden", thing], |bytes| {
            bytes[4..8].copy_from_slice(&f32::NAN.to_le_bytes())
        });
        assert!(
            matches!(error, ReadError::Float { thing: t, must: "finite", .. } if t == thing),
            "{error:?}"
        );
    }
    // As long as the window: no wrap.
    let mut tree = Item::parse(&sample::files()[0]);
    for key in ["done", "words", "issued", "reward", "observation"] {
        match &mut tree.at(&["golden", key]).value {
            Value::Aligned { bytes, .. } | Value::Bytes(bytes) => {
                bytes.truncate(bytes.len() / 4 * 3)
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(
        Image::read(&tree.file()),
        Err(ReadError::Integer {
            thing: "done",
            value: 3,
            min: 4,
            max: 4_096
        })
    );
}

#[test]
fn contract() {
    let torque = |key| ["contract", "actions", "0", key];
    assert!(matches!(
        lie(&torque("name"), text("")),
        ReadError::Text { thing: "name", .. }
    ));
    assert!(matches!(
        lie(&torque("name"), text("tor\u{fc}")),
        ReadError::Text { thing: "name", .. }
    ));
    assert!(matches!(
        lie(&torque("name"), Value::Text(vec![b'a', 0xff, 0xfe])),
        ReadError::Text { thing: "name", .. }
    ));
    assert!(matches!(
        lie(&torque("unit"), text("furlong/fortnight")),
        ReadError::Text { thing: "unit", .. }
    ));
    assert!(matches!(
        lie(&torque("safe"), float(9.0)),
        ReadError::Contract(ContractError::Number {
            field: "safe",
            index: 0,
            ..
        })
    ));
    assert!(matches!(
        lie(&["contract", "observations", "1", "name"], text("angle")),
        ReadError::Contract(ContractError::Duplicate { index: 1, .. })
    ));
    assert!(matches!(
        lie(&["contract", "period_us"], Value::Unsigned(0)),
        ReadError::Integer {
            thing: "period_us",
            ..
        }
    ));
    assert!(matches!(
        lie(&["contract", "reward"], text("internal")),
        ReadError::Text {
            thing: "reward",
            ..
        }
    ));
    let files = sample::files();
    assert!(matches!(
        lie_in(&files[1], &["contract", "reward"], Value::Unsigned(0)),
        ReadError::Cbor { .. }
    ));
}

#[test]
fn provenance() {
    assert!(matches!(
        lie(&["provenance", "plant"], text("")),
        ReadError::Text { thing: "plant", .. }
    ));
    assert!(matches!(
        lie(&["provenance", "version"], text(&"1".repeat(33))),
        ReadError::Text { .. }
    ));
    assert_eq!(
        lie(&["provenance", "config_sha256"], Value::Bytes(vec![0; 31])),
        ReadError::Count {
            thing: "config_sha256",
            found: 31,
            expected: 32
        }
    );
}

#[test]
fn a_newer_format_is_named_with_ours() {
    let mut file = sample::files()[0].clone();
    file[8..10].copy_from_slice(&258_u16.to_le_bytes());
    let error = Image::read(&file).unwrap_err();
    assert_eq!(
        error,
        ReadError::NewerFormat {
            image: 258,
            firmware: 1
        }
    );
    let message = error.to_string();
    assert!(
        message.contains("258") && message.contains('1'),
        "{message}"
    );
}
