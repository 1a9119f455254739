//! The streaming policy against a full recomputation in f64 that shares no code with it.

mod random;

use engram_export::{FloatPolicy, Tensors};
use engram_image::{HeadInput, ModelConfig, Positions};
use random::{Numbers, random_tensors};

/// `y = W x + b`, names as in the checkpoint; an absent bias is zero.
fn linear(tensors: &Tensors, name: &str, x: &[f64]) -> Vec<f64> {
    let weight = &tensors[&format!("{name}.weight")];
    let bias = tensors.get(&format!("{name}.bias"));
    let row = |r: usize| -> f64 {
        let start = r * weight.shape[1];
        weight.values[start..start + weight.shape[1]]
            .iter()
            .zip(x)
            .map(|(w, x)| f64::from(*w) * x)
            .sum()
    };
    (0..weight.shape[0])
        .map(|r| row(r) + bias.map_or(0.0, |b| f64::from(b.values[r])))
        .collect()
}

fn add(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

/// A whole sequence through the encoder, banded causal, all tokens of a layer at once.
fn encode(config: &ModelConfig, tensors: &Tensors, mut tokens: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let (d, width) = (config.model, config.model / config.heads);
    for l in 0..config.layers {
        let qkv: Vec<_> = tokens
            .iter()
            .map(|x| linear(tensors, &format!("layers.{l}.attention.in_proj"), x))
            .collect();
        let mut next = Vec::new();
        for t in 0..tokens.len() {
            let mut mixed = vec![0.0; d];
            for h in 0..config.heads {
                let first = t.saturating_sub(config.window - 1);
                let logits: Vec<f64> = (first..=t)
                    .map(|s| {
                        let dot: f64 = (h * width..(h + 1) * width)
                            .map(|i| qkv[t][i] * qkv[s][d + i])
                            .sum();
                        let bias = match config.positions {
                            Positions::Slot => 0.0,
                            Positions::Age => f64::from(
                                tensors[&format!("layers.{l}.attention.age_bias")].values
                                    [h * config.window + t - s],
                            ),
                        };
                        dot / (width as f64).sqrt() + bias
                    })
                    .collect();
                let max = logits.iter().copied().fold(f64::MIN, f64::max);
                let weights: Vec<f64> = logits.iter().map(|x| (x - max).exp()).collect();
                let total: f64 = weights.iter().sum();
                for i in h * width..(h + 1) * width {
                    mixed[i] = (first..=t)
                        .zip(&weights)
                        .map(|(s, w)| w * qkv[s][2 * d + i])
                        .sum::<f64>()
                        / total;
                }
            }
            let x = add(
                &tokens[t],
                &linear(tensors, &format!("layers.{l}.attention.out_proj"), &mixed),
            );
            let hidden: Vec<f64> = linear(tensors, &format!("layers.{l}.ff.linear1"), &x)
                .iter()
                .map(|x| x.max(0.0))
                .collect();
            next.push(add(
                &x,
                &linear(tensors, &format!("layers.{l}.ff.linear2"), &hidden),
            ));
        }
        tokens = next;
    }
    tokens
}

/// The action mean at every step of a trial.
fn naive(config: &ModelConfig, clip: f64, tensors: &Tensors, trial: &[Vec<f32>]) -> Vec<Vec<f64>> {
    let (mean, std) = (
        &tensors["normalizer.mean"].values,
        &tensors["normalizer.std"].values,
    );
    let embedded: Vec<Vec<f64>> = trial
        .iter()
        .map(|raw| {
            let x: Vec<f64> = (0..raw.len())
                .map(|i| {
                    ((f64::from(raw[i]) - f64::from(mean[i])) / f64::from(std[i]))
                        .clamp(-clip, clip)
                })
                .collect();
            linear(tensors, "embed", &x)
        })
        .collect();
    let encoded: Vec<Vec<f64>> = match config.positions {
        Positions::Age => encode(config, tensors, embedded.clone()),
        Positions::Slot => (0..trial.len())
            .map(|t| {
                let first = (t + 1).saturating_sub(config.window);
                let tokens = (first..=t)
                    .enumerate()
                    .map(|(slot, s)| {
                        (0..config.model)
                            .map(|i| {
                                let power = (i / 2 * 2) as f64 / config.model as f64;
                                let angle = slot as f64 / 10_000.0_f64.powf(power);
                                embedded[s][i] + if i % 2 == 0 { angle.sin() } else { angle.cos() }
                            })
                            .collect()
                    })
                    .collect();
                encode(config, tensors, tokens)
                    .pop()
                    .expect("at least the newest token")
            })
            .collect(),
    };
    (0..trial.len())
        .map(|t| {
            let mut x = encoded[t].clone();
            if config.head_input == HeadInput::Mixed {
                x.extend(&embedded[t]);
            }
            for layer in 0..2 {
                x = linear(tensors, &format!("head.{layer}"), &x)
                    .iter()
                    .map(|x| x.tanh())
                    .collect();
            }
            linear(tensors, "head.2", &x)
        })
        .collect()
}

#[test]
fn streaming_equals_the_full_recomputation() {
    let mut numbers = Numbers::new(7);
    for positions in [Positions::Age, Positions::Slot] {
        for head_input in [HeadInput::Encoder, HeadInput::Mixed] {
            for window in [1, 5, 19] {
                let config = ModelConfig {
                    observations: 3,
                    actions: 2,
                    layers: 2,
                    heads: 3,
                    model: 24,
                    ff: 40,
                    window,
                    hidden: [20, 17],
                    positions,
                    head_input,
                };
                let tensors = random_tensors(&config, &mut numbers);
                let policy = FloatPolicy::from_tensors(config, 5.0, &tensors).expect("a policy");
                let trial: Vec<Vec<f32>> = (0..70)
                    .map(|_| (0..config.inputs()).map(|_| numbers.normal()).collect())
                    .collect();
                let expected = naive(&config, 5.0, &tensors, &trial);
                let mut state = policy.new_state();
                // Twice over the same state: a cleared memory is an empty one.
                for _ in 0..2 {
                    policy.clear(&mut state);
                    let mut mean = [0.0; 2];
                    for (t, input) in trial.iter().enumerate() {
                        policy.step(&mut state, input, &mut mean);
                        for (got, expected) in mean.iter().zip(&expected[t]) {
                            let error = (f64::from(*got) - expected).abs();
                            assert!(error < 1e-5, "{config:?} step {t}: {got} for {expected}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn trials_that_step_together_have_the_bits_of_each_alone() {
    const TRIALS: usize = 7;
    let mut numbers = Numbers::new(8);
    for positions in [Positions::Age, Positions::Slot] {
        let config = ModelConfig {
            observations: 3,
            actions: 2,
            layers: 2,
            heads: 3,
            model: 24,
            ff: 150,
            window: 5,
            hidden: [20, 17],
            positions,
            head_input: HeadInput::Mixed,
        };
        let tensors = random_tensors(&config, &mut numbers);
        let policy = FloatPolicy::from_tensors(config, 5.0, &tensors).expect("a policy");
        let mut states = vec![policy.new_state(); TRIALS];
        let mut batch = policy.new_batch(TRIALS);
        let mut together = vec![0.0; TRIALS * config.actions];
        for step in 0..30 {
            // Trials forget at different times, so their windows hold different numbers of memories.
            let forgets = step % (TRIALS + 4);
            if let Some(state) = states.get_mut(forgets) {
                policy.clear(state);
            }
            batch.clear(forgets);
            let inputs: Vec<f32> = (0..TRIALS * config.inputs())
                .map(|_| numbers.normal())
                .collect();
            policy.step_batch(&mut batch, &inputs, &mut together);
            let rows = inputs.chunks_exact(config.inputs());
            let means = together.chunks_exact(config.actions);
            for ((state, input), mean) in states.iter_mut().zip(rows).zip(means) {
                let mut alone = [0.0; 2];
                policy.step(state, input, &mut alone);
                assert_eq!(mean, alone, "{positions:?} step {step}");
            }
        }
    }
}
