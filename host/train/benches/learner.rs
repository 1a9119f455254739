//! Measures the learner: one update is the policy's forward pass over 20 trials of 400 steps, the critic's, PPO's
//! loss, the backward pass, both gradients clipped, and AdamW, in f32, in two shards.
//!
//! - `cargo bench -p engram-train --bench learner -- --shape paper-slot`: one shape, as one line of JSON;
//! - `cargo bench -p engram-train --bench learner`: all shapes;
//! - `cargo bench -p engram-train --bench learner -- --table`: time and memory against window and length of trials,
//!   each cell in a process of its own;
//! - `--minibatch-steps 256` makes an update one pass in minibatches, as the paper's presets have it;
//! - `host/train/benches/learner_pytorch.py` says how to compare with PyTorch.
//!
//! Seconds of the processor are those of both threads; on a busy machine they tell more than seconds on the wall.
#![forbid(unsafe_code)]

use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use candle_core::Device;
use engram_export::network::NetworkConfig;
use engram_image::{HeadInput, ModelConfig, Positions};
use engram_plants::{Stream, random_stream};
use engram_train::batch::Batch;
use engram_train::config::Settings;
use engram_train::critic::{Critic, initial_critic};
use engram_train::learner::Learner;
use engram_train::policy::{Policy, initial_policy};
use rand::RngExt;

const OBSERVATIONS: usize = 20;
const ACTIONS: usize = 6;

/// What is measured.
#[derive(Clone, Debug)]
struct Shape {
    name: String,
    positions: Positions,
    layers: usize,
    heads: usize,
    model: usize,
    ff: usize,
    window: usize,
    trials: usize,
    steps: usize,
}

fn shapes() -> Vec<Shape> {
    use Positions::{Age, Slot};
    let shape = |name: &str, positions, layers, heads, model, ff, window| Shape {
        name: name.to_owned(),
        positions,
        layers,
        heads,
        model,
        ff,
        window,
        trials: 20,
        steps: 400,
    };
    vec![
        shape("paper-slot", Slot, 4, 16, 128, 512, 5),
        shape("paper-age", Age, 4, 16, 128, 512, 5),
        shape("small-64-32", Age, 2, 4, 64, 128, 32),
        shape("small-64-16", Age, 2, 4, 64, 128, 16),
        shape("small-32-16", Age, 2, 4, 32, 64, 16),
    ]
}

/// A batch of random numbers.
fn batch(shape: &Shape) -> Batch {
    let mut random = random_stream(0, Stream::Weights, 1);
    let rows = shape.trials * shape.steps;
    let inputs = OBSERVATIONS + ACTIONS + 2;
    let mut numbers = |count: usize| -> Vec<f32> {
        (0..count)
            .map(|_| random.random_range(-1.0f32..1.0))
            .collect()
    };
    let memories = numbers(rows * inputs);
    Batch {
        steps: shape.steps,
        inputs,
        actions: ACTIONS,
        features: inputs,
        critic: memories.clone(),
        memories,
        oldest: (0..rows)
            .map(|row| row / shape.steps * shape.steps)
            .collect(),
        critic_last: Vec::new(),
        sampled: numbers(rows * ACTIONS),
        log_probabilities: numbers(rows),
        privileged: 0,
        truth: Vec::new(),
        advantages: numbers(rows),
        targets: numbers(rows),
        explained: 0.0,
        signal: 1.0,
        tells: true,
    }
}

fn learner(shape: &Shape, minibatch_steps: usize) -> Result<Learner> {
    let mut settings = Settings::preset("pendulum")?;
    settings.ppo.epochs = 1;
    settings.ppo.minibatches = 1;
    settings.ppo.minibatch_steps = minibatch_steps;
    settings.ppo.shards = 2;
    settings.ppo.learning_rate = 3e-5;
    settings.ppo.weight_decay = 0.01;
    settings.model.window = shape.window;
    settings.model.positions = shape.positions;
    settings.critic.hidden = 64;
    settings.belief.weight = 0.0;
    let config = NetworkConfig::Transformer(ModelConfig {
        observations: OBSERVATIONS,
        actions: ACTIONS,
        layers: shape.layers,
        heads: shape.heads,
        model: shape.model,
        ff: shape.ff,
        window: shape.window,
        hidden: [64, 64],
        positions: shape.positions,
        head_input: HeadInput::Encoder,
    });
    let mut random = random_stream(0, Stream::Weights, 0);
    let tensors = initial_policy(&config, &settings.initial, &mut random);
    let policy = Policy::new(&config, &tensors, &Device::Cpu)?;
    let features = OBSERVATIONS + ACTIONS + 2;
    let critic = Critic::new(
        &initial_critic(features, &settings.critic, None, &mut random),
        &Device::Cpu,
    )?;
    Ok(Learner::new(policy, critic, &settings, &Device::Cpu)?)
}

/// A figure of this process in `/proc`, where there is one.
fn proc_field(file: &str, field: &str) -> Option<f64> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(field))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Seconds that this process's threads have computed, in steps of 10 ms.
fn processor_s() -> f64 {
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else {
        return f64::NAN;
    };
    // Fields 14 and 15, counted behind the name in brackets; in hundredths of a second on Linux.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks: f64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    ticks * 1e-2
}

/// Prints one line of JSON for one shape; an update is a pass in minibatches of so many steps, 0 for all in one.
fn measure(shape: &Shape, updates: usize, minibatch_steps: usize) -> Result<()> {
    let batch = batch(shape);
    let before = proc_field("/proc/self/status", "VmRSS:").unwrap_or(f64::NAN);
    let mut learner = learner(shape, minibatch_steps)?;
    let mut random = random_stream(0, Stream::Weights, 2);
    for _ in 0..2 {
        learner.update(&batch, 0, &mut random)?;
    }
    let mut wall_s = f64::INFINITY;
    let start = processor_s();
    for _ in 0..updates {
        let start = Instant::now();
        learner.update(&batch, 0, &mut random)?;
        wall_s = wall_s.min(start.elapsed().as_secs_f64());
    }
    let processor_s = (processor_s() - start) / updates as f64;
    let peak = proc_field("/proc/self/status", "VmHWM:").unwrap_or(f64::NAN);
    let steps = (shape.trials * shape.steps) as f64;
    let line = serde_json::json!({
        "shape": shape.name,
        "window": shape.window,
        "steps": shape.steps,
        "wall_s": wall_s,
        "processor_s": processor_s,
        "processor_us_per_step": processor_s / steps * 1e6,
        "peak_bytes": peak * 1024.0,
        "learner_bytes": (peak - before) * 1024.0,
    });
    println!("{line}");
    Ok(())
}

/// Time and memory against window and length of trials, as a table for the book.
fn table(updates: usize) -> Result<()> {
    println!(
        "| shape | trials x steps | window | steps per minibatch | CPU, us per step | memory, MB |"
    );
    println!("|---|---|---|---|---|---|");
    for base in ["paper-age", "small-64-32"] {
        for steps in [200, 400, 1000, 2000] {
            for window in [5, 16, 64, 256] {
                cell(base, (8000 / steps, steps), window, 0, updates)?;
            }
        }
    }
    for window in [5, 16, 64, 256] {
        // As many steps as fill two minibatches: with windows of their own, more steps cost more of the same.
        cell("paper-slot", (2, 256), window, 256, updates)?;
    }
    Ok(())
}

/// Measures one cell in a process of its own, so that its peak of memory is its own.
fn cell(
    base: &str,
    (trials, steps): (usize, usize),
    window: usize,
    minibatch_steps: usize,
    updates: usize,
) -> Result<()> {
    let program = std::env::current_exe().context("the benchmark's own path")?;
    let mut command = Command::new(program);
    command.args(["--shape", base]);
    for (name, value) in [
        ("--trials", trials),
        ("--steps", steps),
        ("--window", window),
        ("--minibatch-steps", minibatch_steps),
        ("--updates", updates),
    ] {
        command.args([name, &value.to_string()]);
    }
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line: serde_json::Value = serde_json::from_str(text.trim())
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    let number = |key: &str| line[key].as_f64().unwrap_or(f64::NAN);
    let minibatch = match minibatch_steps {
        0 => trials * steps,
        steps => steps,
    };
    println!(
        "| {base} | {trials} x {steps} | {window} | {minibatch} | {:.1} | {:.0} |",
        number("processor_us_per_step"),
        number("learner_bytes") / 1e6,
    );
    Ok(())
}

fn main() -> Result<()> {
    engram_train::threads::arrange();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name);
        at.and_then(|at| arguments.get(at + 1)).cloned()
    };
    let number = |name: &str| -> Result<Option<usize>> {
        option(name)
            .map(|text| text.parse().with_context(|| format!("{name} {text}")))
            .transpose()
    };
    let updates = number("--updates")?.unwrap_or(5);
    if arguments.iter().any(|argument| argument == "--table") {
        return table(updates);
    }
    let wanted = option("--shape");
    let mut found = false;
    for mut shape in shapes() {
        if wanted.as_ref().is_some_and(|wanted| *wanted != shape.name) {
            continue;
        }
        found = true;
        shape.window = number("--window")?.unwrap_or(shape.window);
        shape.steps = number("--steps")?.unwrap_or(shape.steps);
        shape.trials = number("--trials")?.unwrap_or(shape.trials);
        measure(&shape, updates, number("--minibatch-steps")?.unwrap_or(0))?;
    }
    if !found {
        bail!("there is no shape '{}'", wanted.unwrap_or_default());
    }
    Ok(())
}
