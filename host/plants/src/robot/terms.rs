//! Names in a robot's file, each with the key that it stands under.

use super::Named;

pub(super) fn named(name: &str, key: String) -> Named {
    Named {
        name: name.to_owned(),
        key,
    }
}

/// Names in a list, each with its key.
pub(super) fn list(names: &[String], key: &str) -> Vec<Named> {
    let entry = |(index, name): (usize, &String)| named(name, format!("{key}[{index}]"));
    names.iter().enumerate().map(entry).collect()
}
