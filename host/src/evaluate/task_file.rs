//! Tasks from a file: robots that somebody measured, instead of tasks that are drawn.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use engram_plants::{Plant, Task};

/// A file of tasks that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TaskFileError {
    /// It cannot be read.
    #[error("{}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It is not what it should be.
    #[error(
        "{}: {error}; expected one JSON array of objects, each with values of hidden parameters by name: [{{\"mass\": 0.03}}]",
        path.display()
    )]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        error: serde_json::Error,
    },
    /// There is nothing in it.
    #[error("{}: no task; expected at least one object in the array", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A parameter that the plant has not.
    #[error("{}: task {number}: plant '{plant}' has no parameter '{name}'; it has: {known}", path.display())]
    Parameter {
        /// The file.
        path: PathBuf,
        /// Which task, from 1.
        number: usize,
        /// The plant.
        plant: String,
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
}

/// Reads tasks of `plant`. What an object does not name is as in a new plant.
///
/// # Errors
/// [`TaskFileError`] names the file, the task and the parameter.
pub fn read_tasks(path: &Path, plant: &dyn Plant) -> Result<Vec<Task>, TaskFileError> {
    let file = || path.to_owned();
    let text = std::fs::read_to_string(path).map_err(|error| TaskFileError::Read {
        path: file(),
        error,
    })?;
    let objects: Vec<BTreeMap<String, f32>> =
        serde_json::from_str(&text).map_err(|error| TaskFileError::Json {
            path: file(),
            error,
        })?;
    if objects.is_empty() {
        return Err(TaskFileError::Empty { path: file() });
    }
    let names: Vec<&str> = plant.spec().parameters.iter().map(|p| &*p.name).collect();
    let task = |(index, object): (usize, &BTreeMap<String, f32>)| {
        let mut task = plant.task();
        for (name, value) in object {
            let place = names.iter().position(|known| known == name);
            let entry = place.and_then(|place| task.values.get_mut(place));
            *entry.ok_or_else(|| TaskFileError::Parameter {
                path: file(),
                number: index + 1,
                plant: plant.spec().name.to_string(),
                name: name.clone(),
                known: names.join(", "),
            })? = *value;
        }
        Ok(task)
    };
    objects.iter().enumerate().map(task).collect()
}

#[cfg(test)]
mod tests {
    use engram_plants::by_name;

    use super::*;

    fn read(text: &str) -> Result<Vec<Task>, TaskFileError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tasks.json");
        std::fs::write(&path, text).unwrap();
        read_tasks(&path, by_name("pendulum").unwrap().as_ref())
    }

    #[test]
    fn named_parameters_replace_those_of_a_new_plant() {
        let usual = by_name("pendulum").unwrap().task();
        let tasks = read(r#"[{"length": 1.1, "polarity": -1}, {}]"#).unwrap();
        assert_eq!(tasks[0].values[1], 1.1);
        assert_eq!(tasks[0].values[4], -1.0);
        assert_eq!(tasks[0].values[0], usual.values[0]);
        assert_eq!(tasks[1], usual);
    }

    #[test]
    fn mistakes_say_what_is_expected() {
        for (text, words) in [
            (
                r#"[{"colour": 1}]"#,
                "task 1: plant 'pendulum' has no parameter 'colour'; it has: mass",
            ),
            ("[]", "at least one"),
            (r#"[{"mass": "heavy"}]"#, "expected one JSON array"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        let missing = read_tasks(
            "no/such.json".as_ref(),
            by_name("pendulum").unwrap().as_ref(),
        );
        assert!(missing.unwrap_err().to_string().contains("no/such.json"));
    }
}
