//! One line of a batch: what each row is given, read and checked.

use std::collections::TryReserveError;

use engram_image::{Contract, Reward};

use super::json::{Reader, Syntax, short};
use super::{LineError, reserved};

/// The fields that a line may have.
pub(super) const FIELDS: [&str; 5] = ["observation", "reward", "done", "reset", "applied_action"];
/// How far an applied action may lie outside its range, as a share of the range: rounding, no more.
const ACTION_TOLERANCE: f32 = 1e-4;
/// Bytes of a line that any batch may have.
const LINE_BYTES: usize = 1 << 20;
/// Bytes that a number takes in a line, with all that stands around it, at the most.
const NUMBER_BYTES: usize = 64;

/// A number of a row: what it is called, and where it may lie.
pub(super) struct Channel {
    pub(super) name: String,
    unit: String,
    pub(super) min: f32,
    pub(super) max: f32,
    tolerance: f32,
}

/// What the lines of a batch hold.
pub(super) struct Format {
    rows: usize,
    observations: Vec<Channel>,
    pub(super) actions: Vec<Channel>,
    reward: Reward,
}

impl Format {
    /// Observations may lie outside their ranges by `margin`, a share of the range.
    pub(super) fn new(contract: &Contract<'_>, margin: f32, rows: usize) -> Self {
        let observations = contract.observations.iter().map(|channel| {
            let margin = (channel.max - channel.min) * margin;
            Channel {
                name: channel.name.to_owned(),
                unit: channel.unit.to_owned(),
                min: channel.min - margin,
                max: channel.max + margin,
                tolerance: 0.0,
            }
        });
        let actions = contract.actions.iter().map(|channel| Channel {
            name: channel.name.to_owned(),
            unit: channel.unit.to_owned(),
            min: channel.min,
            max: channel.max,
            tolerance: (channel.max - channel.min) * ACTION_TOLERANCE,
        });
        Self {
            rows,
            observations: observations.collect(),
            actions: actions.collect(),
            reward: contract.reward,
        }
    }

    /// Bytes of a line beyond which it is no line for this batch.
    pub(super) fn longest_line(&self) -> usize {
        let channels = self.observations.iter().chain(&self.actions);
        let named: usize = channels
            .map(|channel| channel.name.len() + NUMBER_BYTES)
            .sum();
        // Reward, done and reset.
        let row = named + 3 * NUMBER_BYTES;
        LINE_BYTES.max(self.rows.saturating_mul(row))
    }
}

/// The rows of a line; those of a field one behind the other.
pub(super) struct Line {
    /// `[row][channel]`
    observations: Vec<f32>,
    /// Whether the row's observation came by channel name.
    named: Vec<bool>,
    rewards: Vec<f32>,
    dones: Vec<bool>,
    resets: Vec<bool>,
    /// `[row][channel]`
    applied: Vec<f32>,
}

/// One row of a line.
pub(super) struct Input<'l> {
    pub(super) observation: &'l [f32],
    pub(super) named: bool,
    pub(super) reward: Option<f32>,
    pub(super) done: bool,
    pub(super) reset: bool,
    pub(super) applied: Option<&'l [f32]>,
}

impl Line {
    /// Bytes of a row.
    pub(super) fn row_bytes(format: &Format) -> usize {
        let numbers = format.observations.len() + format.actions.len() + 1;
        numbers * size_of::<f32>() + 3 * size_of::<bool>()
    }

    /// Room for one line.
    pub(super) fn new(format: &Format) -> Result<Self, TryReserveError> {
        let rows = format.rows;
        Ok(Self {
            observations: reserved(rows * format.observations.len())?,
            named: reserved(rows)?,
            rewards: reserved(rows)?,
            dones: reserved(rows)?,
            resets: reserved(rows)?,
            applied: reserved(rows * format.actions.len())?,
        })
    }

    /// Reads and checks a line; after an error it holds a part of it, for nobody.
    pub(super) fn read(&mut self, text: &str, format: &Format) -> Result<(), LineError> {
        self.observations.clear();
        self.named.clear();
        self.rewards.clear();
        self.dones.clear();
        self.resets.clear();
        self.applied.clear();
        let mut reader = Reader::new(text);
        if !reader.take(b'{') {
            return Err(LineError::Json(format!("found {}", reader.found())));
        }
        let (mut first, mut given) = (true, [false; FIELDS.len()]);
        while reader.more(&mut first, b'}')? {
            let key = reader.key()?;
            let Some(index) = FIELDS.iter().position(|field| *field == key) else {
                let field = short(&key);
                return Err(LineError::Unknown { field });
            };
            let field = FIELDS[index];
            if std::mem::replace(&mut given[index], true) {
                return Err(LineError::Twice { field });
            }
            rows(&mut reader, field, format.rows, |reader, row| {
                match field {
                    "observation" => {
                        let channels = &format.observations;
                        let named = numbers(reader, row, field, channels, &mut self.observations)?;
                        self.named.push(named);
                    }
                    "reward" => self.rewards.push(finite(reader, row, || field.to_owned())?),
                    "done" => self.dones.push(truth(reader, row, field)?),
                    "reset" => self.resets.push(truth(reader, row, field)?),
                    _ => {
                        numbers(reader, row, field, &format.actions, &mut self.applied)?;
                    }
                }
                Ok(())
            })?;
        }
        if reader.peek().is_some() {
            return Err(reader.expected("the end of the line").into());
        }
        let [observation, reward, ..] = given;
        if !observation {
            let (field, why) = (FIELDS[0], "");
            return Err(LineError::Missing { field, why });
        }
        if !reward && format.reward == Reward::External {
            let why =
                ": this contract's reward is external, and there is no formula to compute it from";
            let field = FIELDS[1];
            return Err(LineError::Missing { field, why });
        }
        Ok(())
    }

    /// The rows of the line that was read.
    pub(super) fn inputs<'l>(&'l self, format: &Format) -> impl Iterator<Item = Input<'l>> {
        let actions = format.actions.len();
        let observations = self.observations.chunks_exact(format.observations.len());
        observations.enumerate().map(move |(row, observation)| {
            let flag = |flags: &[bool]| flags.get(row).copied().unwrap_or(false);
            Input {
                observation,
                named: flag(&self.named),
                reward: self.rewards.get(row).copied(),
                done: flag(&self.dones),
                reset: flag(&self.resets),
                applied: self.applied.get(row * actions..(row + 1) * actions),
            }
        })
    }
}

/// A list of one entry per row; `entry` reads one.
fn rows(
    reader: &mut Reader<'_>,
    field: &'static str,
    rows: usize,
    mut entry: impl FnMut(&mut Reader<'_>, usize) -> Result<(), LineError>,
) -> Result<(), LineError> {
    let wrong = |found| LineError::Rows { field, rows, found };
    if !reader.take(b'[') {
        return Err(wrong(reader.found()));
    }
    let (mut first, mut count) = (true, 0);
    while reader.more(&mut first, b']')? {
        if count < rows {
            entry(reader, count)?;
        } else {
            reader.skip()?;
        }
        count += 1;
    }
    if count == rows {
        Ok(())
    } else {
        Err(wrong(count.to_string()))
    }
}

/// One number per channel, as a list in their order or as an object by their names; says whether it was by names.
fn numbers(
    reader: &mut Reader<'_>,
    row: usize,
    field: &'static str,
    channels: &[Channel],
    values: &mut Vec<f32>,
) -> Result<bool, LineError> {
    let wrong = |expected: String, found: String| LineError::Type {
        row,
        place: field.to_owned(),
        expected,
        found,
    };
    let (mut first, length) = (true, channels.len());
    if reader.take(b'[') {
        let mut count = 0;
        while reader.more(&mut first, b']')? {
            match channels.get(count) {
                Some(channel) => {
                    let place = || format!("{field}[{count}] ({})", channel.name);
                    values.push(channel.value(reader, row, place)?);
                }
                None => reader.skip()?,
            }
            count += 1;
        }
        if count != length {
            let expected = format!("a list of {length} numbers");
            return Err(wrong(expected, format!("a list of {count}")));
        }
        return Ok(false);
    }
    if !reader.take(b'{') {
        let expected = format!("a list of {length} numbers, or an object of them by channel name");
        return Err(wrong(expected, reader.found()));
    }
    let start = values.len();
    // No value is NaN.
    values.resize(start + length, f32::NAN);
    while reader.more(&mut first, b'}')? {
        let key = reader.key()?;
        let Some(index) = channels.iter().position(|channel| channel.name == key) else {
            let names: Vec<_> = channels
                .iter()
                .map(|channel| channel.name.as_str())
                .collect();
            return Err(LineError::UnknownChannel {
                row,
                field,
                channel: short(&key),
                known: names.join(", "),
            });
        };
        let channel = &channels[index];
        let place = || format!("{field}.{}", channel.name);
        let value = channel.value(reader, row, place)?;
        if !std::mem::replace(&mut values[start + index], value).is_nan() {
            let channel = channel.name.clone();
            return Err(LineError::TwiceChannel {
                row,
                field,
                channel,
            });
        }
    }
    match values[start..].iter().position(|value| value.is_nan()) {
        None => Ok(true),
        Some(missing) => Err(LineError::MissingChannel {
            row,
            field,
            channel: channels[missing].name.clone(),
        }),
    }
}

impl Channel {
    /// A number within the channel's range.
    fn value(
        &self,
        reader: &mut Reader<'_>,
        row: usize,
        place: impl Fn() -> String,
    ) -> Result<f32, LineError> {
        let value = finite(reader, row, &place)?;
        if (self.min - self.tolerance..=self.max + self.tolerance).contains(&value) {
            return Ok(value);
        }
        Err(LineError::Range {
            row,
            place: place(),
            value,
            min: self.min,
            max: self.max,
            unit: self.unit.clone(),
        })
    }
}

/// A number that an f32 holds.
fn finite(
    reader: &mut Reader<'_>,
    row: usize,
    place: impl Fn() -> String,
) -> Result<f32, LineError> {
    let mut found = reader.found();
    let scalar = reader.scalar();
    // Rounded by way of f64, as by whoever reads JSON.
    let number = serde_json::from_str::<f64>(scalar).map(|number| number as f32);
    if let Ok(number) = number
        && number.is_finite()
    {
        return Ok(number);
    }
    match scalar.parse::<f64>() {
        Ok(_) if scalar.contains(['n', 'N', 'f', 'F']) => {
            found.push_str(", which no JSON has");
        }
        Ok(number) if number.abs() > f64::from(f32::MAX) => {
            found.push_str(", beyond the largest f32, 3.4e38");
        }
        _ => {}
    }
    Err(LineError::Type {
        row,
        place: place(),
        expected: "a finite number (f32)".to_owned(),
        found,
    })
}

/// `true`, `false`, 1 or 0.
fn truth(reader: &mut Reader<'_>, row: usize, field: &str) -> Result<bool, LineError> {
    let found = reader.found();
    let scalar = reader.scalar();
    match (scalar, serde_json::from_str::<f64>(scalar)) {
        ("true", _) | (_, Ok(1.0)) => Ok(true),
        ("false", _) | (_, Ok(0.0)) => Ok(false),
        _ => Err(LineError::Type {
            row,
            place: field.to_owned(),
            expected: "true, false, 1 or 0".to_owned(),
            found,
        }),
    }
}

impl From<Syntax> for LineError {
    fn from(Syntax(what): Syntax) -> Self {
        Self::Json(what)
    }
}
