//! Many memories of one integer policy, stepped by JSON lines: a policy for any language.
//!
//! A line is taken as a whole or not at all: nothing is stepped before every row has been checked. No
//! envelope stands here; what a script does with an action, it reports back as `applied_action`.

mod json;
mod line;
mod lines;

use std::collections::TryReserveError;

use engram_firmware::policy::{LargestMemory, Memory, Policy, WorkingMemory};
use engram_firmware::safety::Settings;
use engram_image::{Contract, Image, Reward};
use engram_kernels::{command_from_word, word_from_command};

use line::{FIELDS, Format, Input, Line};
pub(crate) use lines::Lines;

/// Why a line was refused; nothing has been stepped.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum LineError {
    /// The input starts as UTF-16 does.
    #[error("this is UTF-16, by the byte order mark that the input starts with; send UTF-8")]
    Utf16,
    /// A byte that no JSON in UTF-8 has.
    #[error("byte {at} is 0x{byte:02x}: {why}; a line is JSON in UTF-8")]
    Byte {
        /// Where in the line, from 1.
        at: usize,
        /// Its value.
        byte: u8,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Longer than any line for this batch.
    #[error("a line of {bytes} bytes; one for this batch has at most {longest}")]
    Long {
        /// Its length.
        bytes: usize,
        /// The longest allowed.
        longest: usize,
    },
    /// The line is not JSON, or not an object.
    #[error("not a JSON object: {0}")]
    Json(String),
    /// A field that does not exist.
    #[error("unknown field `{field}`; there are {}", FIELDS.join(", "))]
    Unknown {
        /// Its name.
        field: String,
    },
    /// A field stands in the line more than once.
    #[error("field `{field}` is given twice")]
    Twice {
        /// Its name.
        field: &'static str,
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
    /// A channel that does not exist.
    #[error("row {row}, {field}: unknown channel `{channel}`; there are {known}")]
    UnknownChannel {
        /// The row.
        row: usize,
        /// The field.
        field: &'static str,
        /// Its name.
        channel: String,
        /// The names that there are.
        known: String,
    },
    /// A channel stands in a row more than once.
    #[error("row {row}, {field}: channel `{channel}` is given twice")]
    TwiceChannel {
        /// The row.
        row: usize,
        /// The field.
        field: &'static str,
        /// Its name.
        channel: String,
    },
    /// A channel that must be there is not.
    #[error("row {row}, {field}: channel `{channel}` is missing")]
    MissingChannel {
        /// The row.
        row: usize,
        /// The field.
        field: &'static str,
        /// Its name.
        channel: String,
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
        value: f32,
        /// Smallest value allowed.
        min: f32,
        /// Largest value allowed.
        max: f32,
        /// Its unit.
        unit: String,
    },
}

/// A batch that this machine has no memory for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{rows} rows of {row_bytes} bytes each take {} MiB of memory, and {}; ask for fewer rows",
    rows.saturating_mul(*row_bytes) >> 20,
    match available { Some(bytes) => format!("{} MiB are free", bytes >> 20), None => "the system gives less".to_owned() }
)]
pub(crate) struct NoRoom {
    /// Rows asked for.
    pub rows: usize,
    /// Bytes that one takes.
    pub row_bytes: usize,
    /// Bytes that the system has free, where that is the reason; else a limit of this process is.
    pub available: Option<usize>,
}

/// The memories of a batch.
pub(crate) struct Batch<'a> {
    policy: Policy<'a>,
    contract: &'a Contract<'a>,
    format: Format,
    /// Where every row is computed; what it keeps is stored in between.
    memory: Box<Memory>,
    /// `[row]`: what the policy keeps, [`Policy::stored_bytes`] each.
    stored: Vec<u8>,
    /// `[row][action]`: words of the command that the next working memory carries.
    issued: Vec<i16>,
    /// `[row]`: no step has been made since the memory was last empty.
    fresh: Vec<bool>,
    line: Line,
    answer: Vec<u8>,
}

impl<'a> Batch<'a> {
    /// `rows` empty memories of `policy`, which is that of `image`.
    ///
    /// # Errors
    /// They do not fit into the memory of this machine.
    pub(crate) fn new(
        image: &'a Image<'a>,
        policy: Policy<'a>,
        rows: usize,
    ) -> Result<Self, NoRoom> {
        let contract = &image.contract;
        let margin = Settings::for_period(contract.period_us).range_margin;
        let format = Format::new(contract, margin, rows);
        let safe = safe(contract);
        let names = format.actions.iter().map(|channel| channel.name.len());
        // `{"name":-1.2345678e-12}` and its comma.
        let answer_bytes = 4 + names.map(|name| name + 24).sum::<usize>();
        let row_bytes = policy.stored_bytes()
            + size_of_val(safe.as_slice())
            + size_of::<bool>()
            + Line::row_bytes(&format)
            + answer_bytes;
        let no_room = |available| NoRoom {
            rows,
            row_bytes,
            available,
        };
        let free = free_bytes().unwrap_or(usize::MAX);
        if rows.saturating_mul(row_bytes) > free {
            return Err(no_room(Some(free)));
        }
        let reserve = || -> Result<_, TryReserveError> {
            let mut stored = reserved(rows * policy.stored_bytes())?;
            // Zeros are an empty memory; written now, so that the system gives the pages now.
            stored.resize(rows * policy.stored_bytes(), 0);
            let mut issued = reserved(rows * safe.len())?;
            (0..rows).for_each(|_| issued.extend_from_slice(&safe));
            let mut fresh = reserved(rows)?;
            fresh.resize(rows, true);
            let answer = reserved(rows * answer_bytes + 16)?;
            Ok((stored, issued, fresh, Line::new(&format)?, answer))
        };
        let (stored, issued, fresh, line, answer) = reserve().map_err(|_| no_room(None))?;
        Ok(Self {
            format,
            memory: Box::<LargestMemory>::default(),
            stored,
            issued,
            fresh,
            line,
            answer,
            policy,
            contract,
        })
    }

    /// Bytes of a line beyond which it is refused.
    #[must_use]
    pub(crate) fn longest_line(&self) -> usize {
        self.format.longest_line()
    }

    /// Takes one line and answers `{"action":[[...],...]}` in the contract's units; a row whose observation came by channel
    /// name is answered by channel name.
    ///
    /// # Errors
    /// The first thing in the line that cannot be used; the memories are then as before.
    pub(crate) fn answer(&mut self, line: &str) -> Result<&[u8], LineError> {
        self.line.read(line, &self.format)?;
        self.answer.clear();
        self.answer.extend_from_slice(br#"{"action":["#);
        let stored = self.stored.chunks_exact_mut(self.policy.stored_bytes());
        let issued = self.issued.chunks_exact_mut(self.format.actions.len());
        let rows = stored.zip(issued).zip(&mut self.fresh);
        for (((stored, issued), fresh), input) in rows.zip(self.line.inputs(&self.format)) {
            let named = input.named;
            let row = Row {
                stored,
                issued,
                fresh,
            };
            let actions = row.step((&self.policy, self.contract), &mut self.memory, &input);
            write_row(&mut self.answer, &self.format, &actions, named);
            self.answer.push(b',');
        }
        // The last comma.
        self.answer.pop();
        self.answer.extend_from_slice(b"]}");
        Ok(&self.answer)
    }
}

/// What a batch keeps of a row.
struct Row<'r> {
    stored: &'r mut [u8],
    issued: &'r mut [i16],
    fresh: &'r mut bool,
}

impl Row<'_> {
    /// One step in `memory`; the commands.
    fn step(
        self,
        (policy, contract): (&Policy<'_>, &Contract<'_>),
        memory: &mut Memory,
        input: &Input<'_>,
    ) -> Vec<f32> {
        if input.reset {
            memory.clear();
            self.issued.copy_from_slice(&safe(contract));
            *self.fresh = true;
        } else {
            policy.load(self.stored, memory);
        }
        if let Some(applied) = input.applied {
            let channels = contract.actions.iter().zip(applied);
            for (word, (channel, &value)) in self.issued.iter_mut().zip(channels) {
                *word = word_from_command(value, channel.min, channel.max);
            }
        }
        let reward = match (input.reward, &contract.reward) {
            (Some(reward), _) => reward,
            (None, Reward::Formula(formula)) if !*self.fresh => {
                formula.evaluate(input.observation, &commands(contract, self.issued))
            }
            // The first working memory of a trial; an external reward is never absent here.
            (None, _) => 0.0,
        };
        let moment = WorkingMemory {
            observation: input.observation,
            issued: self.issued,
            reward,
            done: input.done,
        };
        let mut words = vec![0; self.issued.len()];
        let done = policy.step(memory, &moment, &mut words, &mut ());
        // Only wrong lengths are an error, and every length was checked against the contract.
        debug_assert!(done.is_ok(), "{done:?}");
        policy.store(memory, self.stored);
        *self.fresh = false;
        self.issued.copy_from_slice(&words);
        commands(contract, self.issued)
    }
}

/// A row of the answer: a list, or an object by channel name.
fn write_row(answer: &mut Vec<u8>, format: &Format, actions: &[f32], named: bool) {
    let [open, close] = if named { *b"{}" } else { *b"[]" };
    answer.push(open);
    for (index, (channel, action)) in format.actions.iter().zip(actions).enumerate() {
        if index > 0 {
            answer.push(b',');
        }
        // Into a Vec, no text and no finite number fails.
        if named {
            let _ = serde_json::to_writer(&mut *answer, &channel.name);
            answer.push(b':');
        }
        let _ = serde_json::to_writer(&mut *answer, action);
    }
    answer.push(close);
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

/// An empty vector with room for `length` entries and no more.
fn reserved<T>(length: usize) -> Result<Vec<T>, TryReserveError> {
    let mut vector = Vec::new();
    vector.try_reserve_exact(length)?;
    Ok(vector)
}

/// Bytes that this machine has free for programs, where it says so.
fn free_bytes() -> Option<usize> {
    let said = std::fs::read_to_string("/proc/meminfo").ok()?;
    let kib = said.lines().find_map(|line| {
        let free = line.strip_prefix("MemAvailable:")?;
        free.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()
    })?;
    Some(kib.saturating_mul(1024))
}

#[cfg(test)]
mod tests;
