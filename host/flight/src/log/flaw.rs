//! What keeps a flight log from being whole, by name.

use serde::Serialize;

/// The most flaws that one sentence names.
const NAMED: usize = 3;

/// What kind of flaw it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlawKind {
    /// A part is not there.
    Missing,
    /// A part is there more than once.
    Doubled,
    /// A part is not where it was written.
    Reordered,
    /// A part is there that the log's end does not count.
    Surplus,
    /// A part is not what was written.
    Damaged,
    /// Steps of the board before this one did not arrive in flight: the log never had them.
    Lost,
    /// The records are compressed, and not read.
    Compressed,
    /// The log ends before its end.
    CutShort,
    /// The log is of a format that says nothing of its end: it may be whole or not.
    NoProof,
}

/// One thing that is wrong with a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flaw {
    /// What kind of flaw it is.
    pub kind: FlawKind,
    /// The part: a topic (`/step`), a record by its name (`engram.summary`), or `file`.
    pub part: String,
    /// First and last step (or running number in its topic) concerned, where that is known.
    pub numbers: Option<(u64, u64)>,
    /// In words.
    pub text: String,
}

impl Flaw {
    /// A flaw of a part as a whole.
    pub(super) fn of(kind: FlawKind, part: &str, text: impl Into<String>) -> Self {
        Self {
            kind,
            part: part.to_owned(),
            numbers: None,
            text: text.into(),
        }
    }
}

impl std::fmt::Display for Flaw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// Flaws in one sentence; the first few of many.
pub(super) fn list(flaws: &[Flaw]) -> String {
    let mut text = flaws
        .iter()
        .take(NAMED)
        .map(|flaw| flaw.text.as_str())
        .collect::<Vec<_>>()
        .join("; ");
    if flaws.len() > NAMED {
        text.push_str(&format!("; and {} more", flaws.len() - NAMED));
    }
    text
}
