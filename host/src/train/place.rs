//! Where in a TOML text a key stands, for errors about values that are of the right type and still impossible.

use toml::de::{DeTable, DeValue};

/// A text with the name of its file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// The file, as errors call it.
    pub(super) origin: &'a str,
    /// Its content.
    pub(super) text: &'a str,
}

impl Place<'_> {
    /// `FILE:LINE` of `section.key`; of the section where the key is missing, of the file where that is.
    pub(super) fn of(&self, key: &str) -> String {
        self.line(key).map_or_else(
            || self.origin.to_owned(),
            |line| format!("{}:{line}", self.origin),
        )
    }

    fn line(&self, key: &str) -> Option<usize> {
        let root = DeTable::parse(self.text).ok()?;
        let mut table = root.get_ref();
        let mut start = None;
        for part in key.split('.') {
            let Some((name, value)) = table.iter().find(|(name, _)| name.get_ref() == part) else {
                break;
            };
            start = Some(name.span().start);
            match value.get_ref() {
                DeValue::Table(inner) => table = inner,
                _ => break,
            }
        }
        let before = self.text.get(..start?)?;
        Some(1 + before.bytes().filter(|byte| *byte == b'\n').count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_however_they_are_written() {
        let text = "# first\n[ppo]\n\n\"gamma\" = 3 # gamma = 4\nclip = 1\n[trial]\nsteps = 2\n";
        let place = Place {
            origin: "my.toml",
            text,
        };
        assert_eq!(place.of("ppo.gamma"), "my.toml:4");
        assert_eq!(place.of("trial.steps"), "my.toml:7");
        assert_eq!(place.of("trial.trials"), "my.toml:6");
        assert_eq!(place.of("belief.weight"), "my.toml");
        let dotted = Place {
            origin: "x",
            text: "a = 1\nppo.gamma = 2\ntrial = { steps = 3 }",
        };
        assert_eq!(dotted.of("ppo.gamma"), "x:2");
        assert_eq!(dotted.of("trial.steps"), "x:3");
    }
}
