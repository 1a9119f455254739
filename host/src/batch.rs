//! Many memories of one integer policy, stepped by JSON lines: a policy for any language.
//!
//! A line is taken as a whole or not at all: nothing is stepped before every row has been checked. No
//! envelope stands here; what a script does with an action, it reports back as `applied_action`.

use engram_firmware::policy::{Memory, Policy, WorkingMemory};
use engram_firmware::safety::Settings;
use engram_image::{Contract, Reward};
use engram_kernels::{command_from_word, word_from_command};
use serde_json::{Map, Value, json};

/// The fields that a line may have.
const FIELDS: [&str; 5] = ["observation", "reward", "done", "reset", "applied_action"];
/// How far an applied action may lie outside its range, as a share of the range: rounding, no more.
const ACTION_TOLERANCE: f32 = 1e-4;

/// Why a line was refused; nothing has been stepped.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LineError {
    /// The line is not JSON, or not an object.
    #[error("not a JSON object: {0}")]
    Json(String),
    /// A field that does not exist.
    #[error("unknown field `{field}`; there are {}", FIELDS.join(", "))]
    Unknown {
        /// Its name.
        field: String,
    },
    /// A field that must be there is not.
    #[error("field `{field}` is missing{why}")]
    Missing {
        /// Its name.
        field: &'static str,
        /// Why it must be there.
        why: &'static str,
    },
    /// A field is not a list of one entry per row.
    #[error("field `{field}` must be a list of {rows} rows; found {found}")]
    Rows {
        /// Its name.
        field: &'static str,
        /// Rows of the batch.
        rows: usize,
        /// What was found.
        found: String,
    },
    /// An entry has the wrong type or size.
    #[error("row {row}, {place}: expected {expected}; found {found}")]
    Type {
        /// The row.
        row: usize,
        /// Field and entry.
        place: String,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A number lies outside its range.
    #[error("row {row}, {place}: {value} is outside {min}..={max} {unit}")]
    Range {
        /// The row.
        row: usize,
        /// Field and entry.
        place: String,
        /// The number.
        value: f64,
        /// Smallest value allowed.
        min: f32,
        /// Largest value allowed.
        max: f32,
        /// Its unit.
        unit: String,
    },
}

struct Row {
    memory: Box<Memory>,
    /// Words of the command that the next working memory carries.
    issued: Vec<i16>,
    /// No step has been made since the memory was last empty.
    fresh: bool,
}

/// One row of a line, checked.
struct Input {
    observation: Vec<f32>,
    reward: Option<f32>,
    done: bool,
    reset: bool,
    applied: Option<Vec<i16>>,
}

/// The memories of a batch.
pub struct Batch<'a> {
    policy: Policy<'a>,
    margin: f32,
    rows: Vec<Row>,
}

impl<'a> Batch<'a> {
    /// `rows` empty memories of `policy`. An image alone runs on the portable path.
    #[must_use]
    pub fn new(policy: impl Into<Policy<'a>>, rows: usize) -> Self {
        let policy = policy.into();
        let image = policy.image();
        let row = || Row {
            memory: Box::new(Memory::new()),
            issued: safe(&image.contract),
            fresh: true,
        };
        let margin = Settings::for_period(image.contract.period_us).range_margin;
        Self {
            margin,
            rows: (0..rows).map(|_| row()).collect(),
            policy,
        }
    }

    /// Takes one line and answers `{"action": [[...], ...]}` in the contract's units.
    ///
    /// # Errors
    /// The first thing in the line that cannot be used; the memories are then as before.
    pub fn answer(&mut self, line: &str) -> Result<Value, LineError> {
        let fields = match serde_json::from_str(line) {
            Ok(Value::Object(fields)) => fields,
            Ok(other) => return Err(LineError::Json(format!("found {}", short(&other)))),
            Err(error) => return Err(LineError::Json(error.to_string())),
        };
        let inputs = self.check(&fields)?;
        let policy = &self.policy;
        let actions: Vec<Value> = self
            .rows
            .iter_mut()
            .zip(inputs)
            .map(|(row, input)| json!(row.step(policy, input)))
            .collect();
        Ok(json!({ "action": actions }))
    }

    fn check(&self, fields: &Map<String, Value>) -> Result<Vec<Input>, LineError> {
        if let Some(field) = fields
            .keys()
            .find(|field| !FIELDS.contains(&field.as_str()))
        {
            return Err(LineError::Unknown {
                field: field.clone(),
            });
        }
        let Some(observations) = self.column(fields, "observation")? else {
            return Err(LineError::Missing {
                field: "observation",
                why: "",
            });
        };
        let rewards = self.column(fields, "reward")?;
        if rewards.is_none() && self.policy.image().contract.reward == Reward::External {
            let why =
                ": this contract's reward is external, and there is no formula to compute it from";
            return Err(LineError::Missing {
                field: "reward",
                why,
            });
        }
        let dones = self.column(fields, "done")?;
        let resets = self.column(fields, "reset")?;
        let applied = self.column(fields, "applied_action")?;
        (0..self.rows.len())
            .map(|row| {
                let flag = |field, column: Option<&[Value]>| {
                    column.map_or(Ok(false), |c| truth(row, field, &c[row]))
                };
                Ok(Input {
                    observation: self.observation(row, &observations[row])?,
                    reward: rewards
                        .map(|column| number(row, "reward".to_owned(), &column[row]))
                        .transpose()?,
                    done: flag("done", dones)?,
                    reset: flag("reset", resets)?,
                    applied: applied
                        .map(|column| self.applied(row, &column[row]))
                        .transpose()?,
                })
            })
            .collect()
    }

    /// A field's entries, one per row.
    fn column<'v>(
        &self,
        fields: &'v Map<String, Value>,
        field: &'static str,
    ) -> Result<Option<&'v [Value]>, LineError> {
        let rows = self.rows.len();
        match fields.get(field) {
            None => Ok(None),
            Some(Value::Array(entries)) if entries.len() == rows => Ok(Some(entries)),
            Some(Value::Array(entries)) => Err(LineError::Rows {
                field,
                rows,
                found: entries.len().to_string(),
            }),
            Some(other) => Err(LineError::Rows {
                field,
                rows,
                found: short(other),
            }),
        }
    }

    fn observation(&self, row: usize, value: &Value) -> Result<Vec<f32>, LineError> {
        let channels = &self.policy.image().contract.observations;
        let entries = list(row, "observation", value, channels.len())?;
        let checked = channels
            .iter()
            .zip(entries)
            .enumerate()
            .map(|(index, (channel, value))| {
                let place = format!("observation[{index}] ({})", channel.name);
                let value = number(row, place.clone(), value)?;
                let margin = (channel.max - channel.min) * self.margin;
                within(
                    row,
                    place,
                    value,
                    (channel.min - margin, channel.max + margin),
                    channel.unit,
                )
            });
        checked.collect()
    }

    fn applied(&self, row: usize, value: &Value) -> Result<Vec<i16>, LineError> {
        let channels = &self.policy.image().contract.actions;
        let entries = list(row, "applied_action", value, channels.len())?;
        let checked = channels
            .iter()
            .zip(entries)
            .enumerate()
            .map(|(index, (channel, value))| {
                let place = format!("applied_action[{index}] ({})", channel.name);
                let value = number(row, place.clone(), value)?;
                let tolerance = (channel.max - channel.min) * ACTION_TOLERANCE;
                if value < channel.min - tolerance || value > channel.max + tolerance {
                    within(row, place, value, (channel.min, channel.max), channel.unit)?;
                }
                Ok(word_from_command(value, channel.min, channel.max))
            });
        checked.collect()
    }
}

impl Row {
    fn step(&mut self, policy: &Policy<'_>, input: Input) -> Vec<f32> {
        let contract = &policy.image().contract;
        if input.reset {
            self.memory.clear();
            self.issued = safe(contract);
            self.fresh = true;
        }
        if let Some(applied) = input.applied {
            self.issued = applied;
        }
        let reward = match (input.reward, &contract.reward) {
            (Some(reward), _) => reward,
            (None, Reward::Formula(formula)) if !self.fresh => {
                formula.evaluate(&input.observation, &commands(contract, &self.issued))
            }
            // The first working memory of a trial; an external reward is never absent here.
            (None, _) => 0.0,
        };
        let moment = WorkingMemory {
            observation: &input.observation,
            issued: &self.issued,
            reward,
            done: input.done,
        };
        let mut words = vec![0; self.issued.len()];
        let done = policy.step(&mut self.memory, &moment, &mut words, &mut ());
        // Only wrong lengths are an error, and every length was checked against the contract.
        debug_assert!(done.is_ok(), "{done:?}");
        self.fresh = false;
        self.issued = words;
        commands(contract, &self.issued)
    }
}

fn safe(contract: &Contract<'_>) -> Vec<i16> {
    contract
        .actions
        .iter()
        .map(|channel| word_from_command(channel.safe, channel.min, channel.max))
        .collect()
}

fn commands(contract: &Contract<'_>, words: &[i16]) -> Vec<f32> {
    let channels = contract.actions.iter().zip(words);
    channels
        .map(|(channel, word)| command_from_word(*word, channel.min, channel.max))
        .collect()
}

fn list<'v>(
    row: usize,
    field: &str,
    value: &'v Value,
    length: usize,
) -> Result<&'v [Value], LineError> {
    match value {
        Value::Array(entries) if entries.len() == length => Ok(entries),
        other => Err(LineError::Type {
            row,
            place: field.to_owned(),
            expected: format!("a list of {length} numbers"),
            found: match other {
                Value::Array(entries) => format!("a list of {}", entries.len()),
                other => short(other),
            },
        }),
    }
}

fn number(row: usize, place: String, value: &Value) -> Result<f32, LineError> {
    match value.as_f64().map(|value| value as f32) {
        Some(number) if number.is_finite() => Ok(number),
        _ => Err(LineError::Type {
            row,
            place,
            expected: "a finite number (f32)".to_owned(),
            found: short(value),
        }),
    }
}

/// `true`, `false`, 1 or 0.
fn truth(row: usize, field: &str, value: &Value) -> Result<bool, LineError> {
    match (value.as_bool(), value.as_f64()) {
        (Some(truth), _) => Ok(truth),
        (None, Some(1.0)) => Ok(true),
        (None, Some(0.0)) => Ok(false),
        _ => Err(LineError::Type {
            row,
            place: field.to_owned(),
            expected: "true, false, 1 or 0".to_owned(),
            found: short(value),
        }),
    }
}

fn within(
    row: usize,
    place: String,
    value: f32,
    (min, max): (f32, f32),
    unit: &str,
) -> Result<f32, LineError> {
    if (min..=max).contains(&value) {
        return Ok(value);
    }
    Err(LineError::Range {
        row,
        place,
        value: f64::from(value),
        min,
        max,
        unit: unit.to_owned(),
    })
}

/// A value as it may stand in a message.
fn short(value: &Value) -> String {
    let text = value.to_string();
    let short: String = text.chars().take(40).collect();
    if short.len() < text.len() {
        format!("{short}...")
    } else {
        short
    }
}

#[cfg(test)]
mod tests {
    use engram_image::Image;

    use super::*;
    use crate::calibration::tests::image as image_bytes;

    fn action(answer: &Value, row: usize) -> f32 {
        answer["action"][row][0].as_f64().expect("a number") as f32
    }

    #[test]
    fn rows_are_policies_side_by_side_with_formula_reward_and_issued_command() {
        let bytes = image_bytes();
        let image = Image::read(&bytes).expect("an image");
        let mut batch = Batch::new(&image, 2);
        let mut memory = Memory::new();
        let mut words = [0_i16];
        for step in 0..20 {
            let rate = 0.3 * f64::from(step) - 2.0;
            let line = format!(r#"{{"observation": [[-1.0, 0.0, {rate}], [1, 0, 0]]}}"#);
            let answer = batch.answer(&line).expect("an answer");
            let observation = [-1.0, 0.0, rate as f32];
            let issued = words;
            let Reward::Formula(formula) = &image.contract.reward else {
                panic!("a formula")
            };
            let command = command_from_word(issued[0], -12.0, 12.0);
            let reward = if step == 0 {
                0.0
            } else {
                formula.evaluate(&observation, &[command])
            };
            let moment = WorkingMemory {
                observation: &observation,
                issued: &issued,
                reward,
                done: false,
            };
            engram_firmware::policy::step(&image, &mut memory, &moment, &mut words, &mut ())
                .expect("a step");
            assert_eq!(
                action(&answer, 0),
                command_from_word(words[0], -12.0, 12.0),
                "step {step}"
            );
        }
    }

    #[test]
    fn a_reset_row_is_a_new_one_and_what_was_applied_counts() {
        let bytes = image_bytes();
        let image = Image::read(&bytes).expect("an image");
        let first = r#"{"observation": [[0.5, 0.5, 1.0], [0.5, 0.5, 1.0]]}"#;
        let fresh = action(&Batch::new(&image, 2).answer(first).expect("an answer"), 0);
        let mut batch = Batch::new(&image, 2);
        for _ in 0..5 {
            batch
                .answer(r#"{"observation": [[-1, 0, 9], [-1, 0, 9]], "done": [0, true]}"#)
                .expect("an answer");
        }
        let line = r#"{"observation": [[0.5, 0.5, 1.0], [0.5, 0.5, 1.0]], "reset": [true, false]}"#;
        let answer = batch.answer(line).expect("an answer");
        assert_eq!(action(&answer, 0), fresh);
        assert_ne!(action(&answer, 1), fresh);
        let applied = |torque: f32| {
            let mut batch = Batch::new(&image, 2);
            batch.answer(first).expect("an answer");
            let line = format!(
                r#"{{"observation": [[0.5, 0.5, 1.0], [0.5, 0.5, 1.0]], "applied_action": [[{torque}], [{torque}]]}}"#
            );
            action(&batch.answer(&line).expect("an answer"), 0)
        };
        assert_ne!(applied(12.0), applied(-12.0));
    }

    #[test]
    fn refusals_name_row_field_and_bound_and_change_nothing() {
        let bytes = image_bytes();
        let image = Image::read(&bytes).expect("an image");
        let mut batch = Batch::new(&image, 2);
        let good = r#"{"observation": [[0.5, 0.5, 1.0], [0.5, 0.5, 1.0]], "reset": [1, 1]}"#;
        let before = batch.answer(good).expect("an answer");
        for (line, expected) in [
            ("[1]", "not a JSON object: found [1]"),
            ("{", "not a JSON object: EOF"),
            (r#"{"reward": [0, 0]}"#, "field `observation` is missing"),
            (
                r#"{"observations": []}"#,
                "unknown field `observations`; there are observation, reward",
            ),
            (
                r#"{"observation": [[0,0,0]]}"#,
                "field `observation` must be a list of 2 rows; found 1",
            ),
            (
                r#"{"observation": 3}"#,
                "field `observation` must be a list of 2 rows; found 3",
            ),
            (
                r#"{"observation": [[0,0,0],[0,0]]}"#,
                "row 1, observation: expected a list of 3 numbers; found a list of 2",
            ),
            (
                r#"{"observation": [[0,0,0],[0,0,"x"]]}"#,
                "row 1, observation[2] (rate): expected a finite number (f32); found \"x\"",
            ),
            (
                r#"{"observation": [[0,0,0],[0,0,1e200]]}"#,
                "row 1, observation[2] (rate): expected a finite number",
            ),
            (
                r#"{"observation": [[0,0,90],[0,0,0]]}"#,
                "row 0, observation[2] (rate): 90 is outside -48..=48 rad/s",
            ),
            (
                r#"{"observation": [[0,0,0],[0,0,0]], "applied_action": [[0],[12.5]]}"#,
                "row 1, applied_action[0] (torque): 12.5 is outside -12..=12 Nm",
            ),
            (
                r#"{"observation": [[0,0,0],[0,0,0]], "done": [0, 2]}"#,
                "row 1, done: expected true, false, 1 or 0; found 2",
            ),
            (
                r#"{"observation": [[0,0,0],[0,0,0]], "reward": [null, 0]}"#,
                "row 0, reward: expected a finite number (f32); found null",
            ),
        ] {
            let said = batch.answer(line).expect_err(line).to_string();
            assert!(said.contains(expected), "{line}: {said}");
        }
        // The second step of a batch that met errors is the second step of one that did not.
        let next = r#"{"observation": [[0.1, 0.5, 1.0], [0.5, 0.5, 1.0]]}"#;
        let mut clean = Batch::new(&image, 2);
        assert_eq!(clean.answer(good).expect("an answer"), before);
        assert_eq!(clean.answer(next), batch.answer(next));
    }

    #[test]
    fn an_external_reward_may_not_be_absent() {
        let bytes = image_bytes();
        let mut image = Image::read(&bytes).expect("an image");
        image.contract.reward = Reward::External;
        let mut batch = Batch::new(&image, 1);
        let said = batch
            .answer(r#"{"observation": [[0, 0, 0]]}"#)
            .expect_err("a refusal")
            .to_string();
        assert!(
            said.starts_with("field `reward` is missing: this contract's reward is external"),
            "{said}"
        );
        batch
            .answer(r#"{"observation": [[0, 0, 0]], "reward": [0.5]}"#)
            .expect("an answer");
    }
}
