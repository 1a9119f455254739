//! From a run's folder to a verified image: calibration and golden trace in closed loop, and what integers cost in return.

mod calibration;

use std::fmt;
use std::path::Path;

use anyhow::{Context, bail};
use engram_export::{Checkpoint, Exported, export, golden_steps};
use engram_image::{Contract, Image};
use engram_plants::{Plants, TaskSet};

use crate::evaluate::{
    EpisodeMemory, Float, Integer, PairedCost, Plan, Random, contract_of, evaluate, paired_cost,
};
#[cfg(test)]
pub(crate) use calibration::tests::image as test_image;
pub use calibration::{GoldenLoop, trials};

/// How an image is made of a run.
#[derive(clap::Args, Clone, Debug)]
pub struct Options {
    /// Plant; by default the one that the policy was trained on. For a robot's file that was moved.
    #[arg(long)]
    pub plant: Option<String>,
    /// Trials that ranges are taken from.
    #[arg(long, default_value_t = 48, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub calibration_trials: u32,
    /// Held-out tasks that the return is measured on before and after; 0 leaves it out.
    #[arg(long, default_value_t = 256)]
    pub tasks: u32,
}

impl Default for Options {
    /// As the command without any.
    fn default() -> Self {
        Self {
            plant: None,
            calibration_trials: 48,
            tasks: 256,
        }
    }
}

/// What an export is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Ranges are taken from so many trials.
    Calibrating(u32),
    /// Weights become integers, and the golden trace is recorded.
    Quantizing,
    /// The return is measured on so many tasks.
    Measuring(u32),
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Calibrating(trials) => write!(f, "calibrating on {trials} trials"),
            Self::Quantizing => f.write_str("quantizing and recording the golden trace"),
            Self::Measuring(tasks) => write!(f, "measuring the return on {tasks} held-out tasks"),
        }
    }
}

/// An image, and what it is worth.
#[derive(Debug)]
pub struct Export {
    /// The image, which its own policy reproduces, with the report on its integers.
    pub exported: Exported,
    /// What quantization costs; `None` where no task was asked for.
    pub cost: Option<PairedCost>,
}

/// Calibrates, quantizes and verifies the policy of the run in the folder `run`.
///
/// ```
/// use std::path::Path;
///
/// use engram::export::{self, Options};
/// use engram_plants::Plants;
///
/// let run = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images/pendulum");
/// let options = Options {
///     calibration_trials: 4,
///     tasks: 0,
///     ..Options::default()
/// };
/// let export = export::from_run(&run, &Plants::built_in(), &options, |stage| println!("{stage}"))?;
/// assert!(engram_image::Image::read(&export.exported.bytes).is_ok());
/// # Ok::<(), anyhow::Error>(())
/// ```
///
/// # Errors
/// Names the file, tensor, channel or step that is at fault.
pub fn from_run(
    run: &Path,
    plants: &Plants,
    options: &Options,
    mut progress: impl FnMut(Stage),
) -> anyhow::Result<Export> {
    let mut checkpoint = Checkpoint::load(run).with_context(|| {
        format!(
            "{} is not a training run; `engram train PLANT --out DIR` makes one",
            run.display()
        )
    })?;
    checkpoint
        .transformer()
        .with_context(|| run.display().to_string())?;
    if EpisodeMemory::of(&checkpoint.training) == EpisodeMemory::Cleared {
        tracing::warn!(
            "this policy was trained with a memory that is emptied at every episode (trial.clear_memory); a controller's \
             memory persists: clear it at every reset (arming does)"
        );
    }
    let from = options.plant.as_ref().unwrap_or(&checkpoint.plant).clone();
    let plant = plants.open(&from)?;
    let trained_with = contract_of(
        checkpoint.contract.clone(),
        &checkpoint.plant,
        checkpoint.agent,
        &checkpoint.robot,
    );
    // An image names the robot; the path of its file may be longer than an image's texts, and differs from machine to machine.
    checkpoint.plant = plant.spec().name.to_string();
    let contract = plant.spec().contract();
    if let Some(trained_with) = trained_with {
        check_contract(run, &trained_with.contract(), &from, &contract)?;
    }
    // A channel says more of what changed than a file does.
    engram_train::robot_files::check_unchanged(&plant, &checkpoint.robot)?;
    let policy = checkpoint.transformer()?;

    progress(Stage::Calibrating(options.calibration_trials));
    let calibration = trials(
        policy,
        &plant,
        checkpoint.seed,
        options.calibration_trials as usize,
    )?;
    progress(Stage::Quantizing);
    let mut golden = GoldenLoop::new(&plant, checkpoint.seed, golden_steps(policy.config()) / 2);
    let exported = export(
        &checkpoint,
        &contract,
        &calibration,
        &mut golden,
        &engram_export::Options::default(),
        env!("CARGO_PKG_VERSION"),
    )
    .with_context(|| format!("{} was not exported", run.display()))?;
    let image = Image::read(&exported.bytes).context("reading the image back")?;

    let cost = if options.tasks == 0 {
        None
    } else {
        progress(Stage::Measuring(options.tasks));
        let change = &plant.spec().protocol.default_change;
        let plan = Plan::new(&plant, TaskSet::HeldOut, options.tasks as usize, change, 0)?;
        let before = evaluate(&plan, &plant, |_| {
            Box::new(Float::new(&checkpoint.network, false))
        })?;
        let after = evaluate(&plan, &plant, |_| Box::new(Integer::new(&image, false)))?;
        let floor = evaluate(&plan, &plant, |trial| Box::new(Random::new(trial.seed)))?;
        Some(paired_cost(
            &before.returns(),
            &after.returns(),
            &floor.returns(),
        ))
    };
    Ok(Export { exported, cost })
}

/// Refuses a plant whose channels are not those that the policy was trained with.
fn check_contract(
    run: &Path,
    own: &Contract<'_>,
    plant: &str,
    contract: &Contract<'_>,
) -> anyhow::Result<()> {
    let channels = own.channels_in_words(contract);
    if let Some(difference) = channels.or_else(|| own.difference_in_words(contract)) {
        bail!(
            "{} was trained with another contract than '{plant}' has (policy against plant): {difference}; train it for \
             this plant",
            run.display()
        );
    }
    Ok(())
}
