//! Numbers of a flight log that read back bit for bit, and stay numbers.
//!
//! JSON prints the shortest digits that read back as the same f32. It knows no infinity and no NaN: such a number is
//! written as its 32 bits times 2^600, which is far beyond any f32.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// 2^600.
const BEYOND: f64 = f64::from_bits((1023 + 600) << 52);

/// One f32 that reads back bit for bit.
#[derive(Clone, Copy)]
pub(super) struct Exact(pub(super) f32);

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.0.is_finite() {
            to.serialize_f32(self.0)
        } else {
            to.serialize_f64(f64::from(self.0.to_bits()) * BEYOND)
        }
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        // Through a value: an untagged enum cannot take numbers when another crate of the program
        // switches serde_json to arbitrary precision.
        let value = serde_json::Value::deserialize(from)?;
        let read = match &value {
            serde_json::Value::Number(number) => match number.as_f64() {
                Some(beyond) if beyond >= BEYOND => Some(f32::from_bits((beyond / BEYOND) as u32)),
                _ => number.to_string().parse().ok(),
            },
            // Logs of format 1 hold the bits in hexadecimal.
            serde_json::Value::String(text) => text
                .strip_prefix("0x")
                .and_then(|digits| u32::from_str_radix(digits, 16).ok())
                .map(f32::from_bits),
            _ => None,
        };
        read.map(Self)
            .ok_or_else(|| D::Error::custom(format_args!("{value} is no f32")))
    }
}

/// For a field of many.
pub(super) mod many {
    use super::{Deserialize, Deserializer, Exact, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(
        values: &[f32],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(values.iter().map(|value| Exact(*value)))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<f32>, D::Error> {
        let read = Vec::<Exact>::deserialize(from)?;
        Ok(read.into_iter().map(|exact| exact.0).collect())
    }
}

/// For a field of one.
pub(super) mod one {
    use super::{Deserialize, Deserializer, Exact, Serialize, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(
        value: &f32,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        Exact(*value).serialize(to)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<f32, D::Error> {
        Ok(Exact::deserialize(from)?.0)
    }
}

/// For a field that may be absent.
pub(super) mod option {
    use super::{Deserialize, Deserializer, Exact, Serialize, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(
        value: &Option<f32>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(Exact).serialize(to)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<f32>, D::Error> {
        Ok(Option::<Exact>::deserialize(from)?.map(|exact| exact.0))
    }
}

/// For rows: an array of objects, because viewers read no arrays of arrays.
pub(super) mod rows {
    use super::{Deserialize, Deserializer, Exact, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Row {
        shares: Vec<Exact>,
    }

    /// Logs of format 1 hold bare arrays.
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum AnyRow {
        Named(Row),
        Bare(Vec<Exact>),
    }

    pub(in super::super) fn serialize<S: Serializer>(
        rows: &[Vec<f32>],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(rows.iter().map(|row| Row {
            shares: row.iter().copied().map(Exact).collect(),
        }))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Vec<f32>>, D::Error> {
        let rows = Vec::<AnyRow>::deserialize(from)?;
        let values = |row: AnyRow| match row {
            AnyRow::Named(Row { shares }) | AnyRow::Bare(shares) => {
                shares.into_iter().map(|exact| exact.0).collect()
            }
        };
        Ok(rows.into_iter().map(values).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::Exact;

    #[test]
    fn every_f32_reads_back_bit_for_bit_and_is_a_number() {
        let mut bits = 1_u32;
        let special = [
            f32::NAN,
            f32::INFINITY,
            f32::NEG_INFINITY,
            -0.0,
            f32::MAX,
            f32::MIN_POSITIVE,
        ];
        let drawn = (0..20_000).map(|_| {
            bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f32::from_bits(bits)
        });
        for value in special.into_iter().chain(drawn) {
            let text = serde_json::to_string(&Exact(value)).expect("it serialises");
            let number: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            assert!(number.is_number(), "{text}");
            let back: Exact = serde_json::from_str(&text).expect("it parses");
            assert_eq!(back.0.to_bits(), value.to_bits(), "{text}");
        }
    }

    #[test]
    fn bits_of_older_logs_are_read_and_words_are_refused() {
        let back: Exact = serde_json::from_str("\"0x7fc00001\"").expect("bits");
        assert_eq!(back.0.to_bits(), 0x7fc0_0001);
        for bad in ["\"zero\"", "null", "true", "[1]"] {
            assert!(serde_json::from_str::<Exact>(bad).is_err(), "{bad}");
        }
    }
}
