//! `engram eval`: held-out tasks, a change in mid-episode, and who copes with it.

use std::path::PathBuf;

pub(super) mod table;

use crate::evaluate::{Options, Subject};
use crate::output::say;
use engram_plants::Plants;

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
    #[command(flatten)]
    options: Options,
    /// Print one JSON object per policy, one per line.
    #[arg(long)]
    json: bool,
}

/// Evaluates and prints.
///
/// # Errors
/// Names the policy, plant, change or controller that does not exist or does not fit.
pub fn run(args: Args, plants: &Plants) -> anyhow::Result<()> {
    let mut records = Vec::new();
    for path in &args.policies {
        let subject = Subject::load(path)?;
        let record = subject.evaluate(plants, &args.options)?;
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
