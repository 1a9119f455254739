//! `engram train`: meta-training, from scratch or from where it stopped.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use engram_export::Checkpoint;
use engram_export::checkpoint::{RUN_FILE, folder};
use engram_image::Reward;

use super::choice::choice;
use crate::evaluate::{Float, Plan, evaluate};
use crate::interrupt;
use crate::output::say;
use engram_export::checkpoint::Agent;
use engram_image::Positions;
use engram_plants::Plants;
use engram_plants::TaskSet;
use engram_plants::bounded_file;
use engram_train::device::{self, Device, DeviceName};
use engram_train::fused::with_plain;
use engram_train::{
    Episodes, EventLog, Preset, Progress, Run, Settings, TrainError, Trainer, Training, achieved,
    gradient::{self, GradientSettings},
    threads, timing,
};

/// File whose lock says that somebody trains in a folder.
const LOCK_FILE: &str = ".lock";
/// Tasks that the return at the end of training is measured on.
const RETURN_TASKS: usize = 64;

/// Largest number that `run.toml` can hold.
const MAX_NUMBER: u64 = i64::MAX as u64;

/// Meta-train a policy on a distribution of hidden dynamics.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  engram train pendulum --out runs/pendulum
  engram train pendulum --out runs/pendulum --resume          go on after Ctrl-C, kill -9 or a power cut
  engram train pendulum --out runs/pendulum --save-every-minutes 0.5
  engram train pendulum --out runs/one-step --agent one-step  the same without memory
  engram train pendulum --out runs/mine --config mine.toml --seed 3 --json
  engram train quadrotor --out runs/quadrotor --learner gradient    along the gradient through the plant's equations
  engram train half-cheetah-vel --out runs/paper --preset paper     needs MuJoCo
  engram train examples/robots/balancer.toml --out runs/balancer    your own robot, from a file

The built-in settings of a plant are in host/train/presets/engram/PLANT.toml (gradient/PLANT.toml), with every key explained. Ctrl-C saves and stops.
Watch it with: tensorboard --logdir runs     Afterwards: engram report runs/pendulum")]
pub struct Args {
    /// The plant to train on.
    plant: String,
    /// Folder for checkpoint and curve.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Settings instead of the plant's built-in ones.
    #[arg(long, value_name = "FILE.toml", conflicts_with_all = ["resume", "preset"])]
    config: Option<PathBuf>,
    /// Which of the built-in settings: ours, or the published ones of the paper.
    #[arg(long, value_parser = choice::<Preset>(), default_value_t = Preset::Engram, conflicts_with = "resume")]
    preset: Preset,
    /// Seed of everything random.
    #[arg(long, default_value_t = 0, conflicts_with = "resume", value_parser = clap::value_parser!(u64).range(..=MAX_NUMBER))]
    seed: u64,
    /// Environment steps of the whole training, instead of the settings' number.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=MAX_NUMBER))]
    steps: Option<u64>,
    /// Go on with the run in the folder, to the same curve as if it had never stopped.
    #[arg(long)]
    resume: bool,
    /// Replace a run that the folder already holds.
    #[arg(long, conflicts_with = "resume")]
    overwrite: bool,
    /// Minutes between two saves; 0 saves after every iteration. The end and Ctrl-C save as well.
    #[arg(long, value_name = "MINUTES", default_value = "2", value_parser = minutes)]
    save_every_minutes: Duration,
    /// Which policy: the transformer, or a reference that shows what its memory is worth.
    #[arg(long, value_parser = choice::<Agent>(), default_value_t = Agent::Trmrl, conflicts_with = "resume")]
    agent: Agent,
    /// How it learns: from what trials earn, or along the gradient through the plant's equations.
    #[arg(long, value_parser = choice::<Learner>(), default_value_t = Learner::Ppo, conflicts_with_all = ["resume", "preset"])]
    learner: Learner,
    /// How the policy knows when a memory happened, instead of the settings' way.
    #[arg(long, value_parser = choice::<Positions>(), conflicts_with = "resume")]
    positions: Option<Positions>,
    /// Device of the learner; trials are always collected on the processor.
    #[arg(long, value_parser = choice::<DeviceName>(), default_value_t = DeviceName::Auto)]
    device: DeviceName,
    /// Print the result as one JSON object.
    #[arg(long)]
    json: bool,
}

/// How a policy learns.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    strum::Display,
    strum::EnumIter,
    strum::EnumMessage,
    strum::IntoStaticStr,
)]
#[strum(serialize_all = "lowercase")]
enum Learner {
    /// Proximal policy optimisation: for every plant.
    Ppo,
    /// Back-propagation through plant and policy: for plants whose equations can be differentiated.
    Gradient,
}

/// A run that is to begin.
enum Asked {
    Ppo(Run, Settings),
    Gradient(Run, GradientSettings),
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
    rollout_steps_per_s: f64,
    learner_steps_per_s: f64,
    training_return: f32,
    /// Of the last iteration, exploration included.
    undisturbed_return: Option<f64>,
    /// Likewise.
    falls_per_episode: Option<f64>,
    /// Of all iterations.
    diverged_steps: u64,
    out: PathBuf,
}

/// Trains, saves and reports.
///
/// # Errors
/// When the settings are wrong, the folder is taken or cannot be written, training diverges, or Ctrl-C
/// interrupts it (after saving).
pub fn run(args: Args, plants: &Plants) -> anyhow::Result<()> {
    threads::arrange();
    let asked = asked(&args, plants)?;
    let (device, device_name) = device::choose(args.device);
    let (mut trainer, _lock) = begin(asked, &args, plants, &device)?;
    let interrupted = interrupt::listen().context("cannot listen for Ctrl-C")?;
    tell_of_reward(&*trainer);

    let begun = Instant::now();
    let first = trainer.steps();
    let plain = args.device == DeviceName::CpuPlain;
    with_plain(plain, || go_on(&mut *trainer, &args, &interrupted))?;
    let seconds = begun.elapsed().as_secs_f64();
    // The return takes a moment, and who waits for Ctrl-C may lose patience.
    trainer.save(&args.out)?;
    let training_return = training_return(&*trainer)?;
    trainer.set_training_return(training_return);
    trainer.save(&args.out)?;
    if !trainer.finished() {
        bail!(
            "interrupted after {} of {} steps; saved. Go on with: engram train {} --out {} --resume",
            trainer.steps(),
            trainer.total_steps(),
            trainer.run().plant.name(),
            args.out.display()
        );
    }
    let done = Done {
        device: device_name,
        steps: trainer.steps() - first,
        seconds,
        training_return,
    };
    tell(&*trainer, &args, done)
}

/// Says what a robot in the field owes this policy.
fn tell_of_reward(trainer: &dyn Training) {
    match trainer.run().plant.spec().contract().reward {
        Reward::External => tracing::warn!(
            "the policy is told its reward, which no board can compute: who flies it must send one with every sample (a robot's file: \
             reward_input = \"none\" trains without, \"formula\" lets the board compute it)"
        ),
        Reward::Formula(formula) if formula.is_zero() => {
            tracing::info!("the policy is told nothing of its reward");
        }
        Reward::Formula(_) => {
            tracing::info!("the board computes the reward that the policy is told");
        }
    }
}

/// Iterates and saves until all is done or somebody interrupts.
fn go_on(trainer: &mut dyn Training, args: &Args, interrupted: &AtomicBool) -> anyhow::Result<()> {
    let out = &args.out;
    if !args.resume {
        // From now on the folder can be resumed, and nothing of an older run is left in it.
        trainer.save(out)?;
    }
    let mut saved = (Instant::now(), trainer.steps());
    let mut events = EventLog::begin(out, trainer.curve(), trainer.laps())
        .context("cannot write TensorBoard's events")?;
    let run = trainer.run();
    let label = format!("{} {}", run.plant.name(), run.agent);
    let mut progress = Progress::new(&label, trainer.steps(), trainer.total_steps(), args.json);
    while !trainer.finished() && !interrupted.load(Ordering::Relaxed) {
        let point = match trainer.iterate() {
            Err(error @ TrainError::Diverged { .. }) => {
                progress.finish();
                bail!(
                    "{error}\nthe last good checkpoint is {} with {} steps; it was left as it was",
                    out.display(),
                    saved.1
                );
            }
            other => other?,
        };
        progress.tell(&point, trainer.laps());
        if let Some(lap) = trainer.laps().last() {
            events.add(&point, lap);
        }
        if saved.0.elapsed() >= args.save_every_minutes {
            trainer.save(out)?;
            saved = (Instant::now(), trainer.steps());
        }
    }
    progress.finish();
    Ok(())
}

/// What this process did.
struct Done {
    device: String,
    steps: u64,
    seconds: f64,
    training_return: f32,
}

fn tell(trainer: &dyn Training, args: &Args, done: Done) -> anyhow::Result<()> {
    let Run { plant, agent, seed } = trainer.run();
    let (plant, agent, seed) = (plant.name().to_owned(), agent.to_string(), *seed);
    let Done {
        device,
        steps: steps_now,
        seconds,
        training_return,
    } = done;
    let (steps, out) = (trainer.steps(), args.out.clone());
    let steps_per_s = steps_now as f64 / seconds.max(1e-9);
    let rates = timing::rates(trainer.laps());
    let last = trainer.curve().last();
    if args.json {
        let known = || trainer.curve().iter().filter_map(|point| point.episodes);
        let episodes: Option<Episodes> = last.and_then(|point| point.episodes);
        let report = Report {
            plant,
            agent,
            seed,
            steps,
            seconds,
            steps_per_s,
            device,
            rollout_steps_per_s: rates.rollout,
            learner_steps_per_s: rates.learner,
            training_return,
            undisturbed_return: episodes.map(|episodes| episodes.undisturbed_return),
            falls_per_episode: episodes.map(|episodes| episodes.falls),
            diverged_steps: known().map(|episodes| episodes.diverged_steps).sum(),
            out,
        };
        say!("{}", serde_json::to_string(&report)?)?;
        return Ok(());
    }
    say!(
        "trained {agent} on {plant}, seed {seed}: {steps} steps; now {steps_now} in {seconds:.0} s ({steps_per_s:.0} steps/s; rollout {:.0}, learner {:.0})",
        rates.rollout,
        rates.learner
    )?;
    say!(
        "return of an undisturbed episode on {RETURN_TASKS} training tasks: {training_return:.1}"
    )?;
    if let Some(point) = last {
        say!("in the last iteration, exploring: {}", achieved(point))?;
    }
    say!("saved in {0}; next: engram eval {0}", out.display())?;
    Ok(())
}

/// A number of minutes on the command line.
fn minutes(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(|minutes: f64| Duration::try_from_secs_f64(60.0 * minutes).ok())
        .ok_or_else(|| "a number of minutes, 0 or above".to_owned())
}

/// Keeps a second training out of the folder for as long as the file is open, kill -9 included.
fn lock(out: &Path) -> anyhow::Result<File> {
    let path = out.join(LOCK_FILE);
    let file = std::fs::create_dir_all(out)
        .and_then(|()| File::create(&path))
        .with_context(|| format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => bail!(
            "another engram train is at work in {}; wait for it, or give another folder",
            out.display()
        ),
        // Some network file systems have no locks; they can be trained on all the same.
        Err(std::fs::TryLockError::Error(error)) => {
            tracing::warn!("{} cannot be locked: {error}", path.display());
        }
    }
    Ok(file)
}

/// Plant, agent and settings as the command line asks for them, checked; nothing for a run that goes on. Reads files
/// and makes none: what is refused here leaves no trace.
fn asked(args: &Args, plants: &Plants) -> anyhow::Result<Option<Asked>> {
    if args.resume {
        if !folder::holds(&args.out, RUN_FILE) {
            bail!(
                "{0} holds no run (there is no {0}/{RUN_FILE}); leave --resume out to begin one, or give the folder of a run",
                args.out.display()
            );
        }
        return Ok(None);
    }
    // Before the settings: an unknown plant should be called that, and not a plant without preset.
    let plant = plants.open(&args.plant)?;
    let run = Run::new(plant, args.agent, args.seed);
    let config = match &args.config {
        None => None,
        Some(path) => {
            let text = bounded_file::text(path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            Some((text, path.display().to_string()))
        }
    };
    if args.learner == Learner::Gradient {
        if args.positions.is_some() {
            bail!("--positions is for the learner ppo; the learner gradient knows 'age' alone");
        }
        let mut settings = match config {
            None => GradientSettings::preset(&args.plant)?,
            Some((text, origin)) => GradientSettings::from_toml(&text, &origin)?,
        };
        if let Some(steps) = args.steps {
            settings.gradient.steps = steps;
        }
        gradient::begin(run.clone(), settings.clone())?;
        return Ok(Some(Asked::Gradient(run, settings)));
    }
    let mut settings = match config {
        None => Settings::preset_of(args.preset, &args.plant)?,
        Some((text, origin)) => Settings::from_toml(&text, &origin)?,
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
    Trainer::check(&run, &settings)?;
    Ok(Some(Asked::Ppo(run, settings)))
}

/// The trainer at its first step or where it stopped, and the lock of its folder.
fn begin(
    asked: Option<Asked>,
    args: &Args,
    plants: &Plants,
    device: &Device,
) -> anyhow::Result<(Box<dyn Training>, File)> {
    let lock = lock(&args.out)?;
    let Some(asked) = asked else {
        let checkpoint = Checkpoint::load(&args.out)?;
        let trainer: Box<dyn Training> = if gradient::is_gradient(&checkpoint.training) {
            gradient::resume(plants, &args.plant, checkpoint, &args.out, args.steps)?
        } else {
            Box::new(Trainer::resume_on(
                plants,
                &args.plant,
                &args.out,
                args.steps,
                device,
            )?)
        };
        return Ok((trainer, lock));
    };
    if folder::holds(&args.out, RUN_FILE) && !args.overwrite {
        bail!(
            "{} already holds a run; give --resume to go on with it, --overwrite to replace it, or another folder",
            args.out.display()
        );
    }
    let trainer: Box<dyn Training> = match asked {
        Asked::Ppo(run, settings) => Box::new(Trainer::new(run, settings, device)?),
        Asked::Gradient(run, settings) => gradient::begin(run, settings)?,
    };
    Ok((trainer, lock))
}

/// Mean return of an undisturbed episode under the deterministic policy, on tasks of the training set.
fn training_return(trainer: &dyn Training) -> anyhow::Result<f32> {
    let policy = trainer.policy()?;
    let clears = trainer.clears_memory();
    let run = trainer.run();
    let plan = Plan::new(
        &run.plant,
        TaskSet::Training,
        RETURN_TASKS,
        "none",
        run.seed,
    )?;
    let results = evaluate(&plan, &run.plant, |_| {
        Box::new(Float::new(&policy, false).clearing(clears))
    })?;
    Ok(results.summary.return_episode_1 as f32)
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use engram_export::network::NetworkConfig;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn parse(words: &[&str]) -> Result<Args, clap::Error> {
        Line::try_parse_from([&["train"], words].concat()).map(|line| line.args)
    }

    /// As [`run`] makes it.
    fn made(words: &[&str]) -> anyhow::Result<Box<dyn Training>> {
        let (args, plants) = (parse(words).unwrap(), Plants::built_in());
        Ok(begin(asked(&args, &plants)?, &args, &plants, &Device::Cpu)?.0)
    }

    fn refused(words: &[&str]) -> String {
        format!("{:#}", made(words).err().expect("a refusal"))
    }

    #[test]
    fn a_taken_folder_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().to_str().unwrap();
        let first = made(&[
            "pendulum", "--out", out, "--steps", "1", "--agent", "one-step", "--seed", "9",
        ])
        .unwrap();
        let NetworkConfig::Transformer(config) = first.policy().unwrap().config() else {
            panic!("a transformer");
        };
        assert_eq!(config.window, 1);
        first.save(folder.path()).unwrap();
        assert!(refused(&["pendulum", "--out", out]).contains("--resume"));
        assert!(made(&["pendulum", "--out", out, "--overwrite"]).is_ok());
        let other = refused(&["half-cheetah-vel", "--out", out, "--resume"]);
        assert!(
            other.contains("on plant 'pendulum', not 'half-cheetah-vel'"),
            "{other}"
        );
        let again = made(&["pendulum", "--out", out, "--resume"]).unwrap();
        assert_eq!(
            (again.run().agent, again.run().seed, again.steps()),
            (Agent::OneStep, 9, 0)
        );
    }

    #[test]
    fn what_is_refused_leaves_no_folder_behind() {
        let folder = tempfile::tempdir().unwrap();
        let preset = include_str!("../../train/presets/engram/pendulum.toml");
        let config = |name: &str, from: &str, to: &str| {
            assert!(preset.contains(from), "{from}");
            let path = folder.path().join(name);
            std::fs::write(&path, preset.replacen(from, to, 1)).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let misspelt = config("misspelt.toml", "gamma = ", "gama = ");
        let unknown = config(
            "change.toml",
            "changes = [\"polarity\"]",
            "changes = [\"colour\"]",
        );
        let cleared = config("cleared.toml", "[ppo]", "clear_memory = true\n[ppo]");
        let out = folder.path().join("runs/new");
        for words in [
            &["unicycle"][..],
            &["no-such-robot.toml"],
            &["half-cheetah-vel", "--config", "no-such.toml"],
            &["pendulum", "--preset", "paper"],
            &["pendulum", "--config", "no-such.toml"],
            &["pendulum", "--config", &misspelt],
            &["pendulum", "--config", &unknown],
            &["pendulum", "--config", &cleared],
            &["pendulum", "--agent", "rl2", "--positions", "slot"],
            &["pendulum", "--learner", "gradient"],
            &["quadrotor", "--learner", "gradient", "--positions", "slot"],
            &["pendulum", "--resume"],
        ] {
            let out = ["--out", out.to_str().unwrap()];
            let error = made(&[words, &out].concat()).err().expect("a refusal");
            // Each cause is told once.
            let said = format!("{error:#}");
            let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
            for cause in &causes {
                assert_eq!(said.matches(cause.as_str()).count(), 1, "{said}");
            }
        }
        assert!(!folder.path().join("runs").exists());
        let said = refused(&["pendulum", "--out", "x", "--config", &unknown]);
        assert!(
            said.starts_with("[trial]: plant 'pendulum' knows no change 'colour'"),
            "{said}"
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
        assert!(parse(&["pendulum", "--out", out, "--steps", "0"]).is_err());
        let saves = ["pendulum", "--out", out, "--save-every-minutes"];
        assert!(parse(&[&saves[..], &["-1"]].concat()).is_err());
        assert!(parse(&[&saves[..], &["soon"]].concat()).is_err());
        let args = parse(&[&saves[..], &["0.5"]].concat()).unwrap();
        assert_eq!(args.save_every_minutes, Duration::from_secs(30));
    }

    #[test]
    fn one_at_a_time_trains_in_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let first = lock(folder.path()).unwrap();
        let error = lock(folder.path()).unwrap_err().to_string();
        assert!(error.contains("another engram train"), "{error}");
        drop(first);
        lock(folder.path()).unwrap();
    }
}
