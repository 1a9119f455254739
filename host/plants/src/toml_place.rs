//! Where a key stands in a TOML text: its line, and its value as it is written. For errors only: what is wrong is
//! decided elsewhere.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

/// A text with the name of its file.
#[derive(Clone, Copy, Debug)]
pub struct Document<'a> {
    /// The file, as errors call it.
    pub origin: &'a str,
    /// Its content; empty where there is none to point at.
    pub text: &'a str,
}

/// A key's place and value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// `FILE:LINE`; for a key that is absent, of what should hold it; the file alone where that is absent too.
    pub place: String,
    /// The value as written.
    pub value: Option<String>,
}

impl Document<'_> {
    /// Finds the key at `path`, such as `ppo.gamma` or `reward[2].velocity.body`.
    pub fn find(&self, path: &str) -> Found {
        let (span, value) = self.span(path);
        let place = match span.and_then(|span| self.text.get(..span.start)) {
            None => self.origin.to_owned(),
            Some(before) => {
                let line = 1 + before.bytes().filter(|byte| *byte == b'\n').count();
                format!("{}:{line}", self.origin)
            }
        };
        Found { place, value }
    }

    /// The bytes of the last part of `path` that is there, and its value if that is all of it.
    fn span(&self, path: &str) -> (Option<Range<usize>>, Option<String>) {
        let Ok(document) = DeTable::parse(self.text) else {
            return (None, None);
        };
        let mut at = None;
        let mut table = Some(document.get_ref());
        let mut item: Option<&DeValue<'_>> = None;
        for part in parts(path) {
            let found = match part {
                Part::Key(key) => table
                    .and_then(|table| table.iter().find(|(known, _)| known.get_ref() == key))
                    .map(|(known, value)| (known.span().start..value.span().end, value)),
                Part::Index(index) => match item {
                    Some(DeValue::Array(entries)) => {
                        entries.get(index).map(|value| (value.span(), value))
                    }
                    _ => None,
                },
            };
            let Some((span, value)) = found else {
                return (at, None);
            };
            table = match value.get_ref() {
                DeValue::Table(table) => Some(table),
                DeValue::Array(_) => None,
                // Nothing lies below: what is left of the path is about this value.
                _ => return (Some(span), self.text.get(value.span()).map(str::to_owned)),
            };
            at = Some(span);
            item = Some(value.get_ref());
        }
        let value = match item {
            Some(DeValue::Array(_)) => at
                .clone()
                .and_then(|span| self.text.get(span)?.split_once('='))
                .map(|(_, value)| value.trim().to_owned()),
            _ => None,
        };
        (at, value)
    }
}

enum Part<'a> {
    Key(&'a str),
    Index(usize),
}

/// `a[2].b` as its parts.
fn parts(path: &str) -> impl Iterator<Item = Part<'_>> {
    path.split('.').flat_map(|part| {
        let (key, index) = part.split_once('[').unwrap_or((part, ""));
        let index = index.trim_end_matches(']').parse().ok().map(Part::Index);
        [Some(Part::Key(key)), index].into_iter().flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROBOT: &str = "name = \"a\"\n\n[[reward]]\nweight = 1\n\n[[reward]]\nweight = 2.5\nheight = { body = \"b\" }\nends = [1, 2]\n";

    fn find(text: &str, path: &str) -> (String, Option<String>) {
        let origin = "my.toml";
        let found = Document { origin, text }.find(path);
        (found.place, found.value)
    }

    fn at(line: usize, value: &str) -> (String, Option<String>) {
        (format!("my.toml:{line}"), Some(value.to_owned()))
    }

    #[test]
    fn keys_are_found_where_they_stand() {
        assert_eq!(find(ROBOT, "name"), at(1, "\"a\""));
        assert_eq!(find(ROBOT, "reward[1].weight"), at(7, "2.5"));
        assert_eq!(find(ROBOT, "reward[1].height.body"), at(8, "\"b\""));
        assert_eq!(find(ROBOT, "reward[1].ends"), at(9, "[1, 2]"));
        assert_eq!(find(ROBOT, "reward[1].ends[1]"), at(9, "2"));
    }

    #[test]
    fn keys_are_found_however_they_are_written() {
        let text = "# first\n[ppo]\n\n\"gamma\" = 3 # gamma = 4\nclip = 1\n[trial]\nsteps = 2\n";
        assert_eq!(find(text, "ppo.gamma"), at(4, "3"));
        assert_eq!(find(text, "trial.steps"), at(7, "2"));
        let dotted = "a = 1\nppo.gamma = 2\ntrial = { steps = 3 }";
        assert_eq!(find(dotted, "ppo.gamma"), at(2, "2"));
        assert_eq!(find(dotted, "trial.steps"), at(3, "3"));
    }

    #[test]
    fn what_is_absent_is_told_by_its_section() {
        assert_eq!(
            find(ROBOT, "reward[1].velocity"),
            ("my.toml:6".to_owned(), None)
        );
        assert_eq!(find(ROBOT, "period_us"), ("my.toml".to_owned(), None));
        assert_eq!(find("= no TOML", "a"), ("my.toml".to_owned(), None));
    }
}
