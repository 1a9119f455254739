//! Where a key stands in a TOML text: its line, and its value as it is written. For errors only.

use toml::de::{DeTable, DeValue};

/// The line (from 1) of the key at `path`, such as `reward[2].velocity.body`, and its value as written; for a key
/// that is absent the line of what should hold it, and no value.
pub(super) fn find(text: &str, path: &str) -> (usize, Option<String>) {
    let Ok(document) = DeTable::parse(text) else {
        return (1, None);
    };
    let mut at = 0..0;
    let mut table = Some(document.get_ref());
    let mut item: Option<&DeValue<'_>> = None;
    for part in parts(path) {
        let found = match part {
            Part::Key(key) => table
                .and_then(|table| table.iter().find(|(known, _)| known.get_ref() == key))
                .map(|(known, value)| {
                    let start = known.span().start;
                    (start..value.span().end, value)
                }),
            Part::Index(index) => match item {
                Some(DeValue::Array(entries)) => {
                    entries.get(index).map(|value| (value.span(), value))
                }
                _ => None,
            },
        };
        let Some((span, value)) = found else {
            return (line(text, at.start), None);
        };
        at = span;
        item = Some(value.get_ref());
        table = match value.get_ref() {
            DeValue::Table(table) => Some(table),
            _ => None,
        };
        if let DeValue::String(_) | DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) =
            value.get_ref()
        {
            let written = text.get(value.span()).map(str::to_owned);
            return (line(text, at.start), written);
        }
    }
    let written = match item {
        Some(DeValue::Array(_)) => text
            .get(at.clone())
            .and_then(|text| text.split_once('='))
            .map(|(_, value)| value.trim().to_owned()),
        _ => None,
    };
    (line(text, at.start), written)
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

fn line(text: &str, offset: usize) -> usize {
    1 + text
        .bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "name = \"a\"\n\n[[reward]]\nweight = 1\n\n[[reward]]\nweight = 2.5\nheight = { body = \"b\" }\nends = [1, 2]\n";

    #[test]
    fn keys_are_found_where_they_stand() {
        assert_eq!(find(TEXT, "name"), (1, Some("\"a\"".to_owned())));
        assert_eq!(find(TEXT, "reward[1].weight"), (7, Some("2.5".to_owned())));
        assert_eq!(
            find(TEXT, "reward[1].height.body"),
            (8, Some("\"b\"".to_owned()))
        );
        assert_eq!(find(TEXT, "reward[1].ends"), (9, Some("[1, 2]".to_owned())));
        assert_eq!(find(TEXT, "reward[1].ends[1]"), (9, Some("2".to_owned())));
    }

    #[test]
    fn what_is_absent_is_told_by_its_section() {
        assert_eq!(find(TEXT, "reward[1].velocity"), (6, None));
        assert_eq!(find(TEXT, "period_us").1, None);
    }
}
