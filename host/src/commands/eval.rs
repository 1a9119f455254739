//! `engram eval`: held-out tasks, a change in mid-episode, and who copes with it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use engram_image::Contract;

pub(super) mod table;

use crate::evaluate::{
    Agreement, Classic, Controller, Plan, Prepared, Random, Record, Results, Subject, SubjectError,
    Summary, Zero, evaluate, paired_cost,
};
use crate::output::say;
use engram_plants::robot::{self, RobotError};
use engram_plants::{PlantFactory, TaskSet, UnknownPlant};
use engram_train::Run;

/// Evaluate policies on held-out tasks: return, how fast they adapt, recovery after a change.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  engram eval runs/pendulum --change polarity --compare wiped,classical,random
  engram eval policy.engram --quantization runs/pendulum --json
  engram eval runs/seed-*            a table with every seed and the median

Episode 1 of every trial has no change; in the last episode the change comes at a random time, and 'recovered'
means the goal is held from the allowed time after it to the end. The memory persists between the episodes.
Plants that are judged by a metric (speed, or its distance from the one asked for) get columns of their own:
'90 % after' is the number of control steps until the reward per step has gone 90 % of its way to the final one.")]
pub struct Args {
    /// Folders of training runs (f32 policy) or image files (the integer policy that boards run).
    #[arg(required = true, value_name = "RUN_OR_IMAGE")]
    policies: Vec<PathBuf>,
    /// Plant; by default the one that the policy was trained on.
    #[arg(long)]
    plant: Option<String>,
    /// Evaluate although the plant has other channels, ranges or another period than the policy was made for.
    #[arg(long)]
    other_contract: bool,
    /// Number of held-out tasks.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    tasks: u32,
    /// Seed that the held-out tasks are drawn with.
    #[arg(long, default_value_t = 0)]
    task_seed: u64,
    /// Change in the last episode; by default the plant's own.
    #[arg(long)]
    change: Option<String>,
    /// Empty the policy's memory before every step.
    #[arg(long)]
    wipe_memory: bool,
    /// Controllers on the same tasks: wiped, classical, random, zero, or the path of another run or image.
    #[arg(long, value_delimiter = ',', value_name = "LIST")]
    compare: Vec<String>,
    /// Run that an image was exported from: reports what its integers cost, with a 95 % interval.
    #[arg(long, value_name = "RUN")]
    quantization: Option<PathBuf>,
    /// Also evaluate on tasks outside the training ranges.
    #[arg(long)]
    ood: bool,
    /// Print one JSON object per policy, one per line.
    #[arg(long)]
    json: bool,
}

/// Evaluates and prints.
///
/// # Errors
/// Names the policy, plant, change or controller that does not exist or does not fit.
pub fn run(args: Args) -> anyhow::Result<()> {
    let mut records = Vec::new();
    for path in &args.policies {
        let subject = Subject::load(path)?;
        let record = one(&subject, &args)?;
        if args.json {
            say!("{}", serde_json::to_string(&record)?)?;
        }
        records.push(record);
    }
    if !args.json {
        say!("{}", table::of(&records).trim_end())?;
    }
    Ok(())
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
        controller: impl Fn(u64) -> Box<dyn Controller + 'a> + Sync,
    ) -> anyhow::Result<Results> {
        Ok(evaluate(plan, &self.plant, controller)?)
    }
}

fn one(subject: &Subject, args: &Args) -> anyhow::Result<Record> {
    let reference = args.quantization.as_deref().map(Subject::load);
    let reference = reference.transpose()?;
    let name = plant_of(subject, reference.as_ref(), args);
    let plant = PlantFactory::open(&name).map_err(|error| match error {
        UnknownPlant::Name { .. } if subject.is_image() && args.plant.is_none() => anyhow!(
            "{} was made for the robot '{name}'; an image does not hold its file: give it by --plant FILE.toml",
            subject.path.display()
        ),
        error => anyhow::Error::from(error),
    })?;
    let Run { plant, .. } = Run::new(plant, subject.agent, subject.seed);
    let contract = plant.spec().contract();
    let agreement = if args.other_contract {
        Agreement::NotNeeded
    } else {
        Agreement::Needed
    };
    let prepared = prepare(subject, &contract, agreement)?;
    check_robot(subject, &plant, args)?;
    let change = args
        .change
        .clone()
        .unwrap_or_else(|| plant.spec().protocol.default_change.to_string());
    let tasks = args.tasks as usize;
    let plan = |set| Plan::new(&plant, set, tasks, &change, args.task_seed);
    let held_out = plan(TaskSet::HeldOut)?;
    let outside = if args.ood {
        Some(plan(TaskSet::OutOfDistribution)?)
    } else {
        None
    };
    let ground = Ground {
        agreement,
        plant: plant.clone(),
        held_out,
    };

    let results = ground.fly(&ground.held_out, |_| prepared.controller(args.wipe_memory))?;
    let out_of_distribution = match &outside {
        Some(plan) => Some(
            ground
                .fly(plan, |_| prepared.controller(args.wipe_memory))?
                .summary,
        ),
        None => None,
    };
    let mut compared = BTreeMap::new();
    for other in &args.compare {
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
            check_robot(run, &ground.plant, args)?;
            let float = ground.fly(&ground.held_out, |_| reference.controller(args.wipe_memory))?;
            let floor = ground.fly(&ground.held_out, |seed| Box::new(Random::new(seed)))?;
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
        task_seed: args.task_seed,
        tasks,
        change,
        period_s: plant.spec().period_s(),
        memory_wiped: args.wipe_memory,
        summary: results.summary,
        weights_sha256: subject.weights_sha256.clone(),
        out_of_distribution,
        quantization,
        compared,
    })
}

/// The plant to fly on. An image holds the name of its robot alone; the run that it was exported from knows the file.
fn plant_of(subject: &Subject, reference: Option<&Subject>, args: &Args) -> String {
    let of_reference = || {
        let file = &reference.filter(|run| robot::is_file(&run.plant))?.plant;
        let name = robot::load(file).ok()?.spec.name.to_string();
        (name == subject.plant).then(|| file.clone())
    };
    (args.plant.clone())
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
fn check_robot(subject: &Subject, plant: &PlantFactory, args: &Args) -> anyhow::Result<()> {
    let run = subject.path.display();
    let named = args.plant.is_some() || args.other_contract;
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
        "random" => ground.fly(&ground.held_out, |seed| Box::new(Random::new(seed)))?,
        "zero" => ground.fly(&ground.held_out, |_| Box::new(Zero::new(&contract)))?,
        "classical" if Classic::fits(&contract) => {
            ground.fly(&ground.held_out, |_| Box::new(Classic::new(&contract)))?
        }
        "classical" => bail!(
            "there is no classical controller for plant '{}'",
            ground.plant.name()
        ),
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
