//! From a checkpoint to the bytes of a verified image.
//!
//! The last steps are the point: the bytes are read back by the reader that boards use, the golden
//! trace is replayed by the policy that boards run, and nothing that fails either is returned.

use engram_firmware::policy::{Backend, GoldenDifference, LargestMemory, Memory};
use engram_image::write::{GoldenSpec, ImageSpec, MatrixSpec, WriteError, write};
use engram_image::{Contract, Image, InputScales, List, Provenance, ReadError};
use thiserror::Error;

use crate::calibrate::{Calibration, CalibrationError, Trial, with_outliers};
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::compare::{Errors, compare};
use crate::golden::{GoldenError, GoldenSource, golden_steps, record};
use crate::packed::PackedWeights;
use crate::places::{Place, places};
use crate::quantize::{IntegerMatrix, IntegerPolicy, Options, QuantizeError, quantize};

/// One trial in this many is kept out of the calibration, to measure the result on.
pub const CHECK_EVERY: usize = 8;

/// An image and what was measured on the way.
#[derive(Clone, Debug)]
pub struct Exported {
    /// The file.
    pub bytes: Vec<u8>,
    /// What was measured.
    pub report: Report,
}

/// What quantization did to the policy.
#[derive(Clone, Debug)]
pub struct Report {
    /// Working memories that ranges were taken from.
    pub calibration_steps: u64,
    /// Steps of the golden trace.
    pub golden_steps: usize,
    /// Every matrix in the order of computation.
    pub matrices: Vec<MatrixReport>,
    /// The integers against the f32 policy, open loop, on trials that ranges were not taken from (on all trials
    /// when there are fewer than [`CHECK_EVERY`]).
    pub errors: Errors,
    /// The same on the same trials [`with_outliers`].
    pub outlier_errors: Errors,
    /// Every int8 place whose channels move.
    pub places: Vec<Place>,
}

impl Report {
    /// Where the integers lose the most, in words that name the matrix or the channel: the place or the matrix with the
    /// least signal to noise. Empty for a policy in which nothing moves.
    #[must_use]
    pub fn coarsest(&self) -> String {
        let place = self
            .places
            .iter()
            .min_by(|a, b| a.snr_db.total_cmp(&b.snr_db));
        let matrix = self
            .matrices
            .iter()
            .filter(|matrix| matrix.weight_snr_db.is_finite())
            .min_by(|a, b| a.weight_snr_db.total_cmp(&b.weight_snr_db));
        match (place, matrix) {
            (Some(place), Some(matrix)) if matrix.weight_snr_db < place.snr_db => {
                matrix.to_string()
            }
            (Some(place), _) => place.to_string(),
            (None, Some(matrix)) => matrix.to_string(),
            (None, None) => String::new(),
        }
    }
}

/// What quantization did to one matrix.
#[derive(Clone, Debug)]
pub struct MatrixReport {
    /// Its name, for example `layers.0.qkv`.
    pub name: String,
    /// Outputs.
    pub rows: usize,
    /// Inputs.
    pub columns: usize,
    /// Signal to noise of its outputs, from rounding the weights alone, dB.
    pub weight_snr_db: f64,
    /// Largest magnitude that an accumulator can reach; below 2^31.
    pub accumulator_bound: u64,
}

impl core::fmt::Display for MatrixReport {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "the matrix {}, whose rounded weights leave its outputs {:.1} dB: single weights are far larger than the others \
             of their rows",
            self.name, self.weight_snr_db
        )
    }
}

/// Why a checkpoint could not become an image.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The policy and the contract have different channels.
    #[error("the policy has {policy} {what}, the contract {contract}")]
    Channels {
        /// `observations` or `actions`.
        what: &'static str,
        /// Of the policy.
        policy: usize,
        /// Of the contract.
        contract: usize,
    },
    /// The policy is of a kind that images cannot hold.
    #[error(transparent)]
    Checkpoint(CheckpointError),
    /// The trials cannot be calibrated on.
    #[error("calibration: {0}")]
    Calibration(CalibrationError),
    /// The policy cannot be represented in integers.
    #[error("quantization: {0}")]
    Quantize(QuantizeError),
    /// The writer refused the image.
    #[error("writing the image: {0}")]
    Write(WriteError),
    /// The reader refused the image that was just written.
    #[error("reading the image back: {0}")]
    Read(ReadError),
    /// No golden trace could be recorded.
    #[error("golden trace: {0}")]
    Golden(GoldenError),
    /// The firmware's policy does not reproduce the golden trace.
    #[error("the image does not verify: {0}")]
    Difference(GoldenDifference),
}

/// Calibrates, quantizes, records the golden trace, writes and verifies.
///
/// `trials` are what ranges are taken from; `golden` is put into closed loop with the finished integers
/// for [`golden_steps`] steps, and must end an episode on the way; `version` is that of this program.
///
/// # Errors
/// Whatever keeps the image from being one that a board accepts.
pub fn export(
    checkpoint: &Checkpoint,
    contract: &Contract<'_>,
    trials: &[Trial],
    golden: &mut dyn GoldenSource,
    options: &Options,
    version: &str,
) -> Result<Exported, ExportError> {
    let policy = checkpoint.transformer().map_err(ExportError::Checkpoint)?;
    let config = *policy.config();
    for (what, policy, contract) in [
        (
            "observations",
            config.observations,
            contract.observations.len(),
        ),
        ("actions", config.actions, contract.actions.len()),
    ] {
        if policy != contract {
            return Err(ExportError::Channels {
                what,
                policy,
                contract,
            });
        }
    }
    let (mut used, check) = split(trials);
    used.extend(with_outliers(&used, contract));
    let calibration = Calibration::measure(policy, &used).map_err(ExportError::Calibration)?;
    let integers =
        quantize(policy.parameters(), &calibration, options).map_err(ExportError::Quantize)?;
    let provenance = Provenance {
        plant: &checkpoint.plant,
        version,
        seed: checkpoint.seed,
        config_sha256: checkpoint.config_sha256(),
        training_return: checkpoint.training_return,
    };
    let mut spec = image_spec(&integers, contract, provenance);
    let draft = write(&spec).map_err(ExportError::Write)?;
    let image = Image::read(&draft).map_err(ExportError::Read)?;
    let errors = compare(policy, &integers, &image, &check);
    let check = with_outliers(&check, contract);
    let outlier_errors = compare(policy, &integers, &image, &check);
    let steps = golden_steps(&config);
    spec.golden = record(&image, golden, steps).map_err(ExportError::Golden)?;
    let bytes = write(&spec).map_err(ExportError::Write)?;
    verify(&bytes)?;
    let matrices = integers
        .weights
        .matrices()
        .map(|(name, matrix)| MatrixReport {
            name: name.to_string().replace('[', ".").replace(']', ""),
            rows: matrix.rows,
            columns: matrix.columns,
            weight_snr_db: matrix.weight_snr_db,
            accumulator_bound: matrix.bound.iter().copied().max().unwrap_or(0),
        })
        .collect();
    let calibration_steps = calibration.steps();
    let places = places(&integers.limits, &calibration);
    Ok(Exported {
        bytes,
        report: Report {
            calibration_steps,
            golden_steps: steps,
            matrices,
            errors,
            outlier_errors,
            places,
        },
    })
}

/// The trials that ranges are taken from, and those that the result is measured on.
fn split(trials: &[Trial]) -> (Vec<Trial>, Vec<Trial>) {
    if trials.len() < CHECK_EVERY {
        return (trials.to_vec(), trials.to_vec());
    }
    let checks = |index: &usize| index % CHECK_EVERY == CHECK_EVERY - 1;
    let (check, used): (Vec<_>, Vec<_>) = (0..trials.len()).partition(checks);
    let pick = |indices: Vec<usize>| {
        indices
            .into_iter()
            .map(|index| trials[index].clone())
            .collect()
    };
    (pick(used), pick(check))
}

/// Reads an image as a board would, and replays its golden trace on every path of this machine.
///
/// # Errors
/// [`ExportError::Read`] or [`ExportError::Difference`].
pub fn verify(bytes: &[u8]) -> Result<(), ExportError> {
    let image = Image::read(bytes).map_err(ExportError::Read)?;
    let mut memory: Box<Memory> = Box::<LargestMemory>::default();
    for path in Backend::ALL.into_iter().filter(|path| path.is_available()) {
        PackedWeights::on(path, &image)
            .policy(&image)
            .replay_golden(&image.golden, &mut memory)
            .map_err(ExportError::Difference)?;
    }
    Ok(())
}

/// The image's specification without a golden trace.
fn image_spec<'a>(
    integers: &IntegerPolicy,
    contract: &Contract<'a>,
    provenance: Provenance<'a>,
) -> ImageSpec<'a> {
    let weights = integers.weights.try_map(
        |_, integers| Some(matrix(integers)),
        |_, integers| Some(matrix(integers)),
        |layer| Some(layer.age_bias.clone()),
        |positions| Some(positions.clone()),
    );
    ImageSpec {
        counter: 0,
        config: integers.config,
        contract: *contract,
        input: InputScales {
            mean: List::from_slice(&integers.input_mean),
            inverse: List::from_slice(&integers.input_inverse),
        },
        residual_scale: integers.residual_scale,
        weights: weights.expect("as many layers as there are"),
        golden: GoldenSpec::blank(&integers.config),
        provenance,
    }
}

fn matrix(matrix: &IntegerMatrix) -> MatrixSpec {
    MatrixSpec {
        rows: matrix.rows,
        columns: matrix.columns,
        weight: matrix.weight.clone(),
        bias: matrix.bias.clone(),
        requant: matrix.factor.clone(),
    }
}
