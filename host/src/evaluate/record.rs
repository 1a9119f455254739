//! What `engram eval --json` prints, and what a report reads back.

use serde::{Deserialize, Serialize};

use super::Summary;
use super::statistics::PairedCost;

/// The evaluation of one policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The plant.
    pub plant: String,
    /// Path of the run or image.
    pub policy: String,
    /// `trmrl` or `markov`.
    pub agent: String,
    /// `int8` for an image, `f32` for a run.
    pub arithmetic: String,
    /// Seed of its training run.
    pub seed: u64,
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
    #[serde(flatten)]
    pub summary: Summary,
    /// Hash of the weights, hexadecimal.
    pub weights_sha256: String,
    /// The same policy on tasks outside the training ranges, where asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub out_of_distribution: Option<Summary>,
    /// What the image's arithmetic costs against the run's, where asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub quantization: Option<PairedCost>,
    /// The other controllers on the same tasks, by name, where asked for.
    #[serde(flatten)]
    pub compared: std::collections::BTreeMap<String, Summary>,
}
