//! One policy evaluated as `engram eval` does it: held-out tasks, comparisons, what integers cost.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use engram_image::Contract;
use engram_plants::quadrotor;
use engram_plants::robot::{self, RobotError};
use engram_plants::{PlantFactory, Plants, TaskSet, UnknownPlant};
use engram_train::Run;

use super::trace::names;
use super::{
    Agreement, Cascaded, Classic, Controller, Plan, Prepared, Random, Record, Results, Subject,
    SubjectError, Summary, TrialPlan, Zero, evaluate, paired_cost, read_tasks,
};

/// What is evaluated beside the policy itself, and on what.
#[derive(clap::Args, Clone, Debug)]
pub struct Options {
    /// Plant; by default the one that the policy was trained on.
    #[arg(long)]
    pub plant: Option<String>,
    /// Evaluate although the plant has other channels, ranges or another period than the policy was made for.
    #[arg(long)]
    pub other_contract: bool,
    /// Number of held-out tasks.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    pub tasks: u32,
    /// Tasks to fly on instead of drawn ones, in turn: a JSON array of objects, values of hidden parameters by name.
    #[arg(long, value_name = "FILE.json")]
    pub task_file: Option<PathBuf>,
    /// Seed that the held-out tasks are drawn with.
    #[arg(long, default_value_t = 0)]
    pub task_seed: u64,
    /// Change in the last episode; by default the plant's own.
    #[arg(long)]
    pub change: Option<String>,
    /// Empty the policy's memory before every step.
    #[arg(long)]
    pub wipe_memory: bool,
    /// Controllers on the same tasks: wiped, classical, random, zero, or the path of another run or image.
    #[arg(long, value_delimiter = ',', value_name = "LIST")]
    pub compare: Vec<String>,
    /// Run that an image was exported from: reports what its integers cost, with a 95 % interval.
    #[arg(long, value_name = "RUN")]
    pub quantization: Option<PathBuf>,
    /// Also evaluate on tasks outside the training ranges.
    #[arg(long)]
    pub ood: bool,
}

impl Default for Options {
    /// As the command without any.
    fn default() -> Self {
        Self {
            plant: None,
            other_contract: false,
            tasks: 256,
            task_file: None,
            task_seed: 0,
            change: None,
            wipe_memory: false,
            compare: Vec::new(),
            quantization: None,
            ood: false,
        }
    }
}

/// The trials and the plants of one evaluation.
struct Ground {
    agreement: Agreement,
    plant: PlantFactory,
    held_out: Plan,
}

impl Ground {
    fn fly<'a>(
        &self,
        plan: &Plan,
        controller: impl Fn(&TrialPlan) -> Box<dyn Controller + 'a> + Sync,
    ) -> anyhow::Result<Results> {
        Ok(evaluate(plan, &self.plant, controller)?)
    }
}

impl Subject {
    /// Evaluates the policy on held-out tasks, and whatever else is asked for on the same ones.
    ///
    /// ```
    /// use std::path::Path;
    ///
    /// use engram::evaluate::{Options, Subject};
    /// use engram_plants::Plants;
    ///
    /// let image = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images/pendulum.engram");
    /// let options = Options {
    ///     tasks: 4,
    ///     compare: vec!["random".to_owned()],
    ///     ..Options::default()
    /// };
    /// let record = Subject::load(&image)?.evaluate(&Plants::built_in(), &options)?;
    /// assert!(record.summary.return_episode_1 > record.compared["random"].return_episode_1);
    /// # Ok::<(), anyhow::Error>(())
    /// ```
    ///
    /// # Errors
    /// Names the plant, change or controller that does not exist or does not fit.
    pub fn evaluate(&self, plants: &Plants, options: &Options) -> anyhow::Result<Record> {
        one(self, plants, options)
    }
}

fn one(subject: &Subject, plants: &Plants, options: &Options) -> anyhow::Result<Record> {
    let reference = options.quantization.as_deref().map(Subject::load);
    let reference = reference.transpose()?;
    let name = plant_of(subject, reference.as_ref(), options);
    let plant = open(subject, plants, &name)?;
    let contract = plant.spec().contract();
    let agreement = if options.other_contract {
        Agreement::NotNeeded
    } else {
        Agreement::Needed
    };
    let prepared = prepare(subject, &contract, agreement)?;
    check_robot(subject, &plant, options)?;
    let change = options
        .change
        .clone()
        .unwrap_or_else(|| plant.spec().protocol.default_change.to_string());
    let tasks = options.tasks as usize;
    let plan = |set| Plan::new(&plant, set, tasks, &change, options.task_seed);
    let mut held_out = plan(TaskSet::HeldOut)?;
    if let Some(file) = &options.task_file {
        held_out = held_out.on(&read_tasks(file, plant.make().as_ref())?);
    }
    let outside = if options.ood {
        Some(plan(TaskSet::OutOfDistribution)?)
    } else {
        None
    };
    let ground = Ground {
        agreement,
        plant: plant.clone(),
        held_out,
    };

    let results = ground.fly(&ground.held_out, |_| {
        prepared.controller(options.wipe_memory)
    })?;
    let out_of_distribution = match &outside {
        Some(plan) => Some(
            ground
                .fly(plan, |_| prepared.controller(options.wipe_memory))?
                .summary,
        ),
        None => None,
    };
    let mut compared = BTreeMap::new();
    for other in &options.compare {
        let summary = compare(other, &ground, &prepared)?;
        let label = label(other);
        let key = if compared.contains_key(&label) {
            other.clone()
        } else {
            label
        };
        compared.insert(key, summary);
    }
    let quantization = match &reference {
        None => None,
        Some(reference) => {
            if !subject.is_image() || reference.is_image() {
                bail!(
                    "--quantization compares an image with the run it was exported from: engram eval IMAGE --quantization RUN"
                );
            }
            let run = reference;
            let reference = prepare(run, &contract, agreement)?;
            check_robot(run, &ground.plant, options)?;
            let float = ground.fly(&ground.held_out, |_| {
                reference.controller(options.wipe_memory)
            })?;
            let floor = ground.fly(&ground.held_out, |trial| Box::new(Random::new(trial.seed)))?;
            compared.insert("float".to_owned(), float.summary.clone());
            compared
                .entry("random".to_owned())
                .or_insert_with(|| floor.summary.clone());
            Some(paired_cost(
                &float.returns(),
                &results.returns(),
                &floor.returns(),
            ))
        }
    };
    Ok(Record {
        plant: name,
        policy: subject.path.display().to_string(),
        agent: subject.agent.to_string(),
        arithmetic: if subject.is_image() { "int8" } else { "f32" }.to_owned(),
        seed: subject.seed,
        trained_steps: subject.trained_steps,
        task_seed: options.task_seed,
        tasks,
        change,
        period_s: plant.spec().period_s(),
        memory_wiped: options.wipe_memory,
        summary: results.summary,
        weights_sha256: subject.weights_sha256.clone(),
        out_of_distribution,
        quantization,
        compared,
    })
}

/// The plant with this name or file, as the policy's agent sees it.
pub(super) fn open(subject: &Subject, plants: &Plants, name: &str) -> anyhow::Result<PlantFactory> {
    let plant = plants.open(name).map_err(|error| match error {
        UnknownPlant::Name { .. } if subject.is_image() && name == subject.plant => anyhow!(
            "{} was made for '{name}', which is no plant of this program; give a robot's file by --plant FILE.toml, and run the program \
             of a plant that somebody added",
            subject.path.display()
        ),
        error => anyhow::Error::from(error),
    })?;
    Ok(Run::new(plant, subject.agent, subject.seed).plant)
}

/// Makes a controller for the craft of a trial.
pub(super) type Make = fn(&Contract<'_>, &TrialPlan) -> Box<dyn Controller>;

/// The classical controller of this kind of plant, where there is one, with its name in legends.
pub(super) fn classical(contract: &Contract<'_>) -> Option<(&'static str, Make)> {
    if Classic::fits(contract) {
        Some((names::CLASSICAL, |contract, _| {
            Box::new(Classic::new(contract))
        }))
    } else if *contract == quadrotor::CONTRACT {
        Some((names::CASCADE, |_, trial| {
            Box::new(Cascaded::new(&trial.task))
        }))
    } else {
        None
    }
}

/// The plant to fly on. An image holds the name of its robot alone; the run that it was exported from knows the file.
fn plant_of(subject: &Subject, reference: Option<&Subject>, options: &Options) -> String {
    let of_reference = || {
        let file = &reference.filter(|run| robot::is_file(&run.plant))?.plant;
        let name = robot::load(file).ok()?.spec.name.to_string();
        (name == subject.plant).then(|| file.clone())
    };
    (options.plant.clone())
        .or_else(of_reference)
        .unwrap_or_else(|| subject.plant.clone())
}

/// [`Subject::prepare`], and how to evaluate all the same what it refuses.
fn prepare<'a>(
    subject: &'a Subject,
    contract: &Contract<'_>,
    agreement: Agreement,
) -> anyhow::Result<Prepared<'a>> {
    match subject.prepare(contract, agreement) {
        Err(error @ SubjectError::Contract { .. }) => {
            bail!("{error}; --other-contract evaluates it all the same")
        }
        other => Ok(other?),
    }
}

/// Refuses a run whose robot has changed since, though not its contract. Who names the robot wants the run evaluated on it
/// as it is, and so does who takes another contract; they are told.
fn check_robot(subject: &Subject, plant: &PlantFactory, options: &Options) -> anyhow::Result<()> {
    let run = subject.path.display();
    let named = options.plant.is_some() || options.other_contract;
    match engram_train::robot_files::check_unchanged(plant, &subject.robot) {
        Err(error @ RobotError::Changed { .. }) if named => {
            tracing::warn!("{run}: {error}");
            Ok(())
        }
        Err(error @ RobotError::Changed { .. }) => Err(error)
            .with_context(|| format!("{run} (--plant {} evaluates it all the same)", plant.name())),
        other => Ok(other?),
    }
}

/// The key of a controller in the result: its name, or the agent's for another policy.
fn label(other: &str) -> String {
    if matches!(other, "wiped" | "classical" | "random" | "zero") {
        return other.to_owned();
    }
    Subject::load(other.as_ref())
        .map_or_else(|_| other.to_owned(), |subject| subject.agent.to_string())
}

fn compare(other: &str, ground: &Ground, prepared: &Prepared<'_>) -> anyhow::Result<Summary> {
    let contract = ground.plant.spec().contract();
    let results = match other {
        "wiped" => ground.fly(&ground.held_out, |_| prepared.controller(true))?,
        "random" => ground.fly(&ground.held_out, |trial| Box::new(Random::new(trial.seed)))?,
        "zero" => ground.fly(&ground.held_out, |_| Box::new(Zero::new(&contract)))?,
        "classical" => match classical(&contract) {
            Some((_, make)) => ground.fly(&ground.held_out, |trial| make(&contract, trial))?,
            None => bail!(
                "there is no classical controller for plant '{}'",
                ground.plant.name()
            ),
        },
        path => {
            let words = "not one of wiped, classical, random, zero, and not the path of a policy";
            let subject = Subject::load(path.as_ref())
                .with_context(|| format!("--compare {path}: {words}"))?;
            // Whom a policy is compared with may have been trained on anything that fits.
            let prepared = prepare(&subject, &contract, ground.agreement)?;
            if let Err(error) =
                engram_train::robot_files::check_unchanged(&ground.plant, &subject.robot)
            {
                tracing::warn!("{path}: {error}");
            }
            ground.fly(&ground.held_out, |_| prepared.controller(false))?
        }
    };
    Ok(results.summary)
}
