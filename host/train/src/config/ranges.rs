//! The range of a number in a file of settings, and the error that names it.

use super::{ConfigError, Initial};
use engram_plants::toml_place::Document;

/// Counts are below this: what they multiply to can be counted, and be paid for in steps if not in memory.
pub(crate) const MAX_COUNT: usize = 1_000_000;

/// A key, its value, the range in words, and whether the value lies in it.
pub(crate) type Check = (&'static str, f64, &'static str, bool);

pub(crate) fn positive(key: &'static str, value: f64) -> Check {
    (key, value, "above 0", value > 0.0 && value.is_finite())
}

pub(crate) fn not_negative(key: &'static str, value: f64) -> Check {
    (key, value, "0 or above", value >= 0.0 && value.is_finite())
}

pub(crate) fn share(key: &'static str, value: f64) -> Check {
    (key, value, "from 0 to 1", (0.0..=1.0).contains(&value))
}

/// Mean steps between two of what comes by chance.
pub(crate) fn every(key: &'static str, value: f64) -> Check {
    let good = value == 0.0 || value >= 1.0;
    (key, value, "0 (never) or at least 1", good)
}

pub(crate) fn count(key: &'static str, value: usize) -> Check {
    let good = (1..=MAX_COUNT).contains(&value);
    (key, value as f64, "from 1 to 1000000", good)
}

/// Environment steps of a training.
pub(crate) fn steps(key: &'static str, value: u64) -> Check {
    (key, value as f64, "at least 1", value >= 1)
}

/// First weights, of which each learner has these.
pub(crate) fn initial(initial: &Initial) -> [Check; 4] {
    let or_1 = |value: Option<f64>| value.unwrap_or(1.0);
    [
        not_negative("initial.age_bias", initial.age_bias),
        positive("initial.embedding_gain", or_1(initial.embedding_gain)),
        positive("initial.embedding_std", or_1(initial.embedding_std)),
        positive("initial.last_layer_gain", initial.last_layer_gain),
    ]
}

/// Refuses the first value that lies outside; `file` is where the settings stand.
pub(crate) fn check(checks: &[Check], file: Document<'_>) -> Result<(), ConfigError> {
    match checks.iter().find(|(.., good)| !good) {
        None => Ok(()),
        Some(&(key, value, range, _)) => Err(ConfigError::Range {
            place: file.find(key).place,
            key,
            value,
            range,
        }),
    }
}
