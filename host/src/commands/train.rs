//! `engram train`: meta-training, from scratch or from where it stopped.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail};
use candle_core::Device;

use crate::evaluate::{Float, Plan, evaluate};
use crate::plant::{self, TaskSet};
use crate::train::config::PositionsName;
use crate::train::device::{self, DeviceName};
use crate::train::{Agent, Progress, Run, Settings, Trainer, threads};

/// Iterations between two saves.
const SAVE_EVERY: u64 = 20;
/// Tasks that the return at the end of training is measured on.
const RETURN_TASKS: usize = 64;

/// Meta-train a policy on a distribution of hidden dynamics.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  engram train pendulum --out runs/pendulum
  engram train pendulum --out runs/pendulum --resume          go on after Ctrl-C
  engram train pendulum --out runs/one-step --agent one-step  the same without memory
  engram train pendulum --out runs/mine --config mine.toml --seed 3 --json

The built-in settings of a plant are in host/presets/PLANT.toml, with every key explained. Ctrl-C saves and stops.")]
pub struct Args {
    /// The plant to train on.
    plant: String,
    /// Folder for checkpoint and curve.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Settings instead of the plant's built-in ones.
    #[arg(long, value_name = "FILE.toml", conflicts_with = "resume")]
    config: Option<PathBuf>,
    /// Seed of everything random.
    #[arg(long, default_value_t = 0, conflicts_with = "resume")]
    seed: u64,
    /// Environment steps of the whole training, instead of the settings' number.
    #[arg(long)]
    steps: Option<u64>,
    /// Go on with the run in the folder, to the same curve as if it had never stopped.
    #[arg(long)]
    resume: bool,
    /// Replace a run that the folder already holds.
    #[arg(long, conflicts_with = "resume")]
    overwrite: bool,
    /// Which policy: the transformer, or a reference that shows what its memory is worth.
    #[arg(long, value_enum, default_value_t = Agent::Trmrl, conflicts_with = "resume")]
    agent: Agent,
    /// How the policy knows when a memory happened, instead of the settings' way.
    #[arg(long, value_enum, conflicts_with = "resume")]
    positions: Option<PositionsName>,
    /// Device of the learner; trials are always collected on the processor.
    #[arg(long, value_enum, default_value_t = DeviceName::Auto)]
    device: DeviceName,
    /// Print the result as one JSON object.
    #[arg(long)]
    json: bool,
}

/// What a finished run tells a machine.
#[derive(serde::Serialize)]
struct Report {
    plant: String,
    agent: String,
    seed: u64,
    steps: u64,
    seconds: f64,
    steps_per_s: f64,
    device: String,
    training_return: f32,
    out: PathBuf,
}

/// Trains, saves and reports.
///
/// # Errors
/// When the settings are wrong, the folder is taken or cannot be written, training diverges, or Ctrl-C
/// interrupts it (after saving).
pub fn run(args: Args) -> anyhow::Result<()> {
    threads::arrange();
    let (device, device_name) = device::choose(args.device);
    let mut trainer = trainer(&args, &device)?;
    let (plant, agent, seed) = {
        let run = trainer.run();
        (run.plant.clone(), run.agent.clone(), run.seed)
    };
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed))
        .context("cannot listen for Ctrl-C")?;

    let begun = std::time::Instant::now();
    let first = trainer.steps();
    let mut progress = Progress::new(
        &format!("{plant} {agent}"),
        first,
        trainer.total_steps(),
        args.json,
    );
    while !trainer.finished() && !interrupted.load(Ordering::Relaxed) {
        let point = trainer.iterate()?;
        progress.tell(&point);
        if point.iteration.is_multiple_of(SAVE_EVERY) {
            trainer.save(&args.out)?;
        }
    }
    progress.finish();
    let seconds = begun.elapsed().as_secs_f64();
    let training_return = training_return(&trainer)?;
    trainer.set_training_return(training_return);
    trainer.save(&args.out)?;
    let out = args.out;
    if !trainer.finished() {
        bail!(
            "interrupted after {} of {} steps; saved. Go on with: engram train {plant} --out {} --resume",
            trainer.steps(),
            trainer.total_steps(),
            out.display()
        );
    }
    let steps = trainer.steps();
    let steps_per_s = (steps - first) as f64 / seconds.max(1e-9);
    if args.json {
        let report = Report {
            plant,
            agent,
            seed,
            steps,
            seconds,
            steps_per_s,
            device: device_name,
            training_return,
            out,
        };
        println!("{}", serde_json::to_string(&report)?);
    } else {
        println!(
            "trained {agent} on {plant}, seed {seed}: {steps} steps in {seconds:.0} s ({steps_per_s:.0} steps/s)"
        );
        println!(
            "return of an undisturbed episode on {RETURN_TASKS} training tasks: {training_return:.1}"
        );
        println!("saved in {}; next: engram eval {0}", out.display());
    }
    Ok(())
}

fn trainer(args: &Args, device: &Device) -> anyhow::Result<Trainer> {
    let taken = args.out.join(engram_export::checkpoint::RUN_FILE).exists();
    if args.resume {
        let trainer = Trainer::resume(&args.out, args.steps, device)?;
        if trainer.run().plant != args.plant {
            bail!(
                "{} holds a run on plant '{}', not '{}'",
                args.out.display(),
                trainer.run().plant,
                args.plant
            );
        }
        return Ok(trainer);
    }
    if taken && !args.overwrite {
        bail!(
            "{} already holds a run; give --resume to go on with it, --overwrite to replace it, or another folder",
            args.out.display()
        );
    }
    // Before the settings: an unknown plant should be called that, and not a plant without preset.
    plant::by_name(&args.plant)?;
    let mut settings = match &args.config {
        None => Settings::preset(&args.plant)?,
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            Settings::from_toml(&text, &path.display().to_string())?
        }
    };
    if let Some(steps) = args.steps {
        settings.ppo.steps = steps;
    }
    if let Some(positions) = args.positions {
        if args.agent == Agent::Rl2 {
            bail!("--positions is about the transformer's window; agent rl2 has none");
        }
        settings.model.positions = positions;
    }
    if matches!(args.agent, Agent::OneStep | Agent::Markov) {
        settings = settings.one_step();
    }
    let run = Run {
        plant: args.plant.clone(),
        agent: args.agent.name().to_owned(),
        seed: args.seed,
    };
    Ok(Trainer::new(run, settings, device)?)
}

/// Mean return of an undisturbed episode under the deterministic policy, on tasks of the training set.
fn training_return(trainer: &Trainer) -> anyhow::Result<f32> {
    let policy = trainer.policy()?;
    let run = trainer.run();
    let mut plant = plant::for_agent(&run.plant, &run.agent)?;
    let plan = Plan::new(
        plant.as_mut(),
        TaskSet::Training,
        RETURN_TASKS,
        "none",
        run.seed,
    )?;
    // The name is known by now; a worker that cannot make its plant has no plant to fly.
    let make = || plant::for_agent(&run.plant, &run.agent).expect("checked before");
    let results = evaluate(&plan, make, |_| Box::new(Float::new(&policy, false)))?;
    Ok(results.summary.return_episode_1 as f32)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn parse(words: &[&str]) -> Result<Args, clap::Error> {
        Line::try_parse_from([&["train"], words].concat()).map(|line| line.args)
    }

    fn refused(words: &[&str]) -> String {
        let args = parse(words).unwrap();
        format!(
            "{:#}",
            trainer(&args, &Device::Cpu).err().expect("a refusal")
        )
    }

    #[test]
    fn a_taken_folder_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().to_str().unwrap();
        let args = parse(&[
            "pendulum", "--out", out, "--steps", "1", "--agent", "one-step", "--seed", "9",
        ])
        .unwrap();
        let first = trainer(&args, &Device::Cpu).unwrap();
        assert_eq!(first.settings().model.window, 1);
        first.save(folder.path()).unwrap();
        assert!(refused(&["pendulum", "--out", out]).contains("--resume"));
        assert!(
            trainer(
                &parse(&["pendulum", "--out", out, "--overwrite"]).unwrap(),
                &Device::Cpu
            )
            .is_ok()
        );
        let again = trainer(
            &parse(&["pendulum", "--out", out, "--resume"]).unwrap(),
            &Device::Cpu,
        )
        .unwrap();
        assert_eq!(
            (again.run().agent.as_str(), again.run().seed, again.steps()),
            ("one-step", 9, 0)
        );
    }

    #[test]
    fn mistakes_are_told_before_anything_runs() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().to_str().unwrap();
        assert!(refused(&["unicycle", "--out", out]).contains("pendulum"));
        assert!(refused(&["pendulum", "--out", out, "--resume"]).contains("run.toml"));
        assert!(refused(&["pendulum", "--out", out, "--config", "no.toml"]).contains("no.toml"));
        assert!(parse(&["pendulum", "--out", out, "--resume", "--seed", "1"]).is_err());
    }
}
