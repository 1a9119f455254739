//! What `engram eval --json` prints, and what a report reads back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Error, Value};

use super::Summary;
use super::statistics::PairedCost;

/// The evaluation of one policy.
///
/// What is flattened is read by [`Record::read`]: serde's `flatten` cannot read numbers where a crate of the program
/// (defmt-decoder) turns on serde_json's `arbitrary_precision`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The plant.
    pub plant: String,
    /// Path of the run or image.
    pub policy: String,
    /// The agent by its name.
    pub agent: String,
    /// `int8` for an image, `f32` for a run.
    pub arithmetic: String,
    /// Seed of its training run.
    pub seed: u64,
    /// Environment steps that it was trained for; an image does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trained_steps: Option<u64>,
    /// Seed that the tasks were drawn with.
    pub task_seed: u64,
    /// Number of tasks.
    pub tasks: usize,
    /// Name of the change.
    pub change: String,
    /// Control period, s.
    pub period_s: f64,
    /// Whether the memory was emptied before every step.
    pub memory_wiped: bool,
    /// The policy's numbers on held-out tasks.
    #[serde(flatten, skip_deserializing)]
    pub summary: Summary,
    /// Hash of the weights, hexadecimal.
    pub weights_sha256: String,
    /// The same policy on tasks outside the training ranges, where asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out_of_distribution: Option<Summary>,
    /// What the image's arithmetic costs against the run's, where asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantization: Option<PairedCost>,
    /// The other controllers on the same tasks, by name, where asked for.
    #[serde(flatten, skip_deserializing)]
    pub compared: BTreeMap<String, Summary>,
}

impl Record {
    /// Reads one record back from JSON.
    ///
    /// # Errors
    /// Names the key that is missing or has the wrong type.
    pub fn read(text: &str) -> Result<Self, Error> {
        let mut record: Self = serde_json::from_str(text)?;
        record.summary = serde_json::from_str(text)?;
        let values: BTreeMap<String, Value> = serde_json::from_str(text)?;
        // Whatever else has returns is another controller's.
        record.compared = values
            .into_iter()
            .filter(|(name, value)| {
                name != "out_of_distribution" && value.get("return_episode_1").is_some()
            })
            .map(|(name, value)| Ok((name, Summary::deserialize(value)?)))
            .collect::<Result<_, Error>>()?;
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::paired_cost;

    fn summary(success: f64) -> Summary {
        Summary {
            return_episode_1: 250.5,
            return_episode_2: 240.25,
            success: Some(success),
            recovered: Some(0.9),
            fell: 0.1,
            recovery_s_median: None,
            adaptation: vec![1.0, 0.5],
            ended_episode_1: 0.0,
            ended_episode_2: 0.25,
            diverged_steps: 3,
            steps_to_90_percent: Some(21),
            metrics: BTreeMap::from([("velocity_error_m_per_s".to_owned(), 0.125)]),
            reward_curve_1: vec![-1.5, -0.25],
            reward_curve_2: vec![-0.5, -0.25],
        }
    }

    #[test]
    fn a_record_reads_back_as_it_was_written() {
        let record = Record {
            plant: "pendulum".to_owned(),
            policy: "runs/a".to_owned(),
            agent: "trmrl".to_owned(),
            arithmetic: "int8".to_owned(),
            seed: u64::MAX,
            trained_steps: Some(6_004_800),
            task_seed: 0,
            tasks: 256,
            change: "polarity".to_owned(),
            period_s: 0.02,
            memory_wiped: false,
            summary: summary(0.953_125),
            weights_sha256: "ab".to_owned(),
            out_of_distribution: Some(summary(0.5)),
            quantization: Some(paired_cost(&[2.0, 3.0], &[2.0, 2.5], &[0.0, 0.0])),
            compared: BTreeMap::from([("wiped".to_owned(), summary(0.25))]),
        };
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(Record::read(&text).unwrap(), record);
        let without = text.replace("\"change\":\"polarity\",", "");
        assert!(
            Record::read(&without)
                .unwrap_err()
                .to_string()
                .contains("change")
        );
    }

    /// The notebook's results are read, and so are records of the first version, which had fewer numbers.
    #[test]
    fn the_notebooks_records_are_read_and_those_of_the_first_version() {
        let text = include_str!("../../../docs/results/pendulum-seeds.json");
        let mut records = 0;
        for (seed, line) in (0..).zip(text.lines()) {
            let mut first: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(line).unwrap();
            let later = [
                "ended_episode_1",
                "ended_episode_2",
                "diverged_steps",
                "steps_to_90_percent",
                "reward_curve_1",
                "reward_curve_2",
            ];
            for key in later {
                assert!(first.remove(key).is_some(), "{key} is missing");
                for part in ["out_of_distribution", "wiped"] {
                    assert!(first[part].as_object_mut().unwrap().remove(key).is_some());
                }
            }
            for text in [line, &serde_json::to_string(&first).unwrap()] {
                let record = Record::read(text).expect("a record");
                assert_eq!((record.seed, record.tasks), (seed, 256));
                assert_eq!(record.summary.success, first["success"].as_f64());
                assert!(record.summary.recovered > Some(0.9));
                assert!(record.out_of_distribution.is_some() && record.quantization.is_none());
                assert!(record.compared.keys().eq(["wiped"]));
                assert!(record.compared["wiped"].recovered < Some(0.1));
            }
            records += 1;
        }
        assert_eq!(records, 5);
    }
}
