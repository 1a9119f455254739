//! The recurrent policy (RL^2) as the learner sees it: whole trials in one differentiable pass.
//!
//! It must compute what `network::GruPolicy` computes step by step; a test holds them together. Weights start as
//! Keras draws those of a gated recurrent unit: xavier uniform from the inputs, orthogonal from the state, each
//! gate on its own, biases zero; embedding and head are xavier uniform.

use candle_core::{Device, Result, Tensor};
use engram_export::tensors::{Tensor as Values, Tensors};
use engram_image::HeadInput;
use rand::RngExt;

use super::config::Initial;
use super::fused::{Mlp, Sequences, gru};
use super::init::{normal, xavier_bound};
use super::variables::Variables;
use engram_export::network::GruConfig;
use engram_plants::Random;

/// The policy's variables and its forward pass.
#[derive(Clone, Debug)]
pub struct Recurrent {
    config: GruConfig,
    variables: Variables,
    /// The inputs' part of the gates.
    gates: Mlp,
    head: Mlp,
}

impl Recurrent {
    /// Makes the variables of a policy's tensors; the normalizer's are not trained and left out.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn new(config: GruConfig, tensors: &Tensors, device: &Device) -> Result<Self> {
        let trained = tensors
            .iter()
            .filter(|(name, _)| !name.starts_with("normalizer."));
        Ok(Self {
            config,
            variables: Variables::new(trained, device)?,
            gates: Mlp::default(),
            head: Mlp::default(),
        })
    }

    /// The trainable tensors.
    #[must_use]
    pub fn variables(&self) -> &Variables {
        &self.variables
    }

    /// Action means `[trials * steps, actions]` of normalised working memories `[trials * steps, inputs]`, trial
    /// after trial, each from an empty memory; and the states `[trials * steps, state]` that they were made from.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(
        &self,
        inputs: &Tensor,
        trials: usize,
        steps: usize,
    ) -> Result<(Tensor, Tensor)> {
        let variable = |name: &str| self.variables.get(name);
        let embedded = inputs.matmul(&variable("embed.weight")?.t()?)?;
        let (weight, bias) = (variable("gru.input.weight")?, variable("gru.input.bias")?);
        let gates = self.gates.forward(&embedded, &[(weight, bias)])?;
        let sequences = Sequences {
            count: trials,
            steps,
        };
        let (weight, bias) = (variable("gru.state.weight")?, variable("gru.state.bias")?);
        let states = gru(&gates, weight, bias, sequences)?;
        let x = match self.config.head_input {
            HeadInput::Encoder => states.clone(),
            HeadInput::Mixed => Tensor::cat(&[&states, &embedded], 1)?,
        };
        let means = self.head.forward(&x, &self.variables.layers("head", 3)?)?;
        Ok((means, states))
    }
}

/// Draws all tensors of a policy; the normalizer is the identity.
#[must_use]
pub(crate) fn initial_recurrent(
    config: &GruConfig,
    initial: &Initial,
    random: &mut Random,
) -> Tensors {
    let width = config.state;
    config
        .tensors()
        .into_iter()
        .map(|(name, shape)| {
            let count: usize = shape.iter().product();
            let mut uniform = |bound: f32| -> Vec<f32> {
                (0..count)
                    .map(|_| random.random_range(-bound..bound))
                    .collect()
            };
            let values = match name.as_str() {
                "embed.weight" | "head.0.weight" | "head.1.weight" => uniform(xavier_bound(&shape)),
                "head.2.weight" => uniform(initial.last_layer_gain as f32 * xavier_bound(&shape)),
                "gru.input.weight" => uniform(xavier_bound(&[width, config.model])),
                "gru.state.weight" => (0..3).flat_map(|_| orthogonal(width, random)).collect(),
                "log_std" => vec![initial.log_std as f32; count],
                "normalizer.std" => vec![1.0; count],
                _ => vec![0.0; count],
            };
            (name, Values { shape, values })
        })
        .collect()
}

/// A random orthogonal matrix: normal rows, each made orthogonal to those before it (Gram and Schmidt, twice
/// over, which is as good as exact).
fn orthogonal(width: usize, random: &mut Random) -> Vec<f32> {
    let mut rows: Vec<Vec<f64>> = Vec::with_capacity(width);
    while rows.len() < width {
        let mut row: Vec<f64> = (0..width).map(|_| f64::from(normal(random))).collect();
        for _ in 0..2 {
            for other in &rows {
                let along: f64 = row.iter().zip(other).map(|(a, b)| a * b).sum();
                row.iter_mut().zip(other).for_each(|(a, b)| *a -= along * b);
            }
        }
        let norm = row.iter().map(|x| x * x).sum::<f64>().sqrt();
        if norm > 1e-6 {
            row.iter_mut().for_each(|x| *x /= norm);
            rows.push(row);
        }
    }
    rows.into_iter().flatten().map(|x| x as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::HeadInput;
    use crate::fused::with_plain;
    use crate::policy::Policy;
    use crate::rollout::Rollout;
    use crate::{Run, Settings, Trainer, Training as _, ppo};
    use engram_export::Checkpoint;
    use engram_export::checkpoint::Agent;
    use engram_export::network::{GruPolicy, Network};
    use engram_plants::{PlantFactory, Stream, random_stream};

    fn tiny(head_input: HeadInput) -> Settings {
        let mut settings = Settings::preset("pendulum").unwrap();
        settings.model.model = 6;
        settings.model.hidden = [8, 8];
        settings.model.head_input = head_input;
        settings.rl2.hidden = 10;
        settings.initial.last_layer_gain = 1.0;
        settings.trial.trials = 8;
        settings.trial.steps = 20;
        settings.ppo.minibatches = 2;
        settings.ppo.epochs = 2;
        settings.ppo.steps = 4 * 160;
        settings.critic.hidden = 8;
        settings
    }

    fn trainer(settings: Settings) -> Trainer {
        let run = Run::new(PlantFactory::open("pendulum").unwrap(), Agent::Rl2, 5);
        Trainer::new(run, settings, &Device::Cpu).unwrap()
    }

    #[test]
    fn orthogonal_is_orthogonal() {
        let width = 24;
        let matrix = orthogonal(width, &mut random_stream(0, Stream::Weights, 0));
        let row = |i: usize| &matrix[i * width..][..width];
        for a in 0..width {
            for b in 0..width {
                let product: f32 = row(a).iter().zip(row(b)).map(|(x, y)| x * y).sum();
                let wanted = if a == b { 1.0 } else { 0.0 };
                assert!((product - wanted).abs() < 1e-5, "{a}, {b}: {product}");
            }
        }
    }

    /// Two steps of PyTorch 2.15's `GRU(2, 2)` in f64, with the same weights and one-hot inputs.
    #[test]
    fn the_states_are_pytorchs() {
        let tensor = |shape: &[usize], shift: f64| {
            let values = (0..shape.iter().product())
                .map(|i| (0.7 * (1.3 * i as f64 + shift).sin()) as f32)
                .collect();
            Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
        };
        let (gates, weight, bias) = (
            tensor(&[2, 6], 1.0),
            tensor(&[6, 2], 2.0),
            tensor(&[6], 3.0),
        );
        let states = gru(&gates, &weight, &bias, Sequences { count: 1, steps: 2 }).unwrap();
        let states = states.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let pytorchs = [0.246_511_3, 0.318_952_1, 0.655_225_2, 0.291_792];
        for (found, wanted) in states.iter().zip(pytorchs) {
            assert!((found - wanted).abs() < 1e-6, "{found} {wanted}");
        }
    }

    #[test]
    fn a_trial_in_one_pass_equals_streaming() {
        for head_input in [HeadInput::Mixed, HeadInput::Encoder] {
            let config = GruConfig {
                observations: 3,
                actions: 2,
                model: 16,
                state: 40,
                hidden: [12, 10],
                head_input,
            };
            let mut initial = Settings::preset("pendulum").unwrap().initial;
            initial.last_layer_gain = 1.0;
            let mut random = random_stream(3, Stream::Weights, 0);
            let mut tensors = initial_recurrent(&config, &initial, &mut random);
            for (name, tensor) in &mut tensors {
                if name.ends_with("bias") {
                    let values = tensor.values.iter_mut();
                    values.for_each(|value| *value = random.random_range(-0.5f32..0.5));
                }
            }
            let learner = Recurrent::new(config, &tensors, &Device::Cpu).unwrap();
            let policy = GruPolicy::new(config, 10.0, tensors).unwrap();
            let (trials, steps, inputs) = (3, 200, config.inputs());
            let rows: Vec<f32> = (0..trials * steps * inputs)
                .map(|_| random.random_range(-2.0f32..2.0))
                .collect();
            let tensor = Tensor::from_slice(&rows, (trials * steps, inputs), &Device::Cpu).unwrap();
            let (whole, states) = learner.forward(&tensor, trials, steps).unwrap();
            assert_eq!(states.dims(), &[trials * steps, config.state]);
            let whole = whole.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let mut mean = [0.0; 2];
            let mut pairs = rows.chunks_exact(inputs).zip(whole.chunks_exact(2));
            for _ in 0..trials {
                let mut state = policy.new_state();
                for (input, whole) in pairs.by_ref().take(steps) {
                    policy.step(&mut state, input, &mut mean);
                    for (streamed, whole) in mean.iter().zip(whole) {
                        assert!(
                            (streamed - whole).abs() < 1e-5,
                            "{streamed} against {whole}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn rollout_and_learner_agree_before_the_first_update() {
        let settings = tiny(HeadInput::Mixed);
        let policy = trainer(settings.clone()).policy().unwrap();
        let rollout = Rollout {
            plant: &PlantFactory::open("pendulum").unwrap(),
            policy: &policy,
            settings: &settings.trial,
            seed: 1,
        };
        let learner = Policy::new(&policy.config(), &policy.tensors(), &Device::Cpu).unwrap();
        let (steps, inputs) = (settings.trial.steps, policy.config().inputs());
        for trajectory in rollout.collect(0).unwrap() {
            let mut memories = vec![0.0; steps * inputs];
            let raw = trajectory.memories.chunks_exact(inputs);
            let pairs = memories.chunks_exact_mut(inputs).zip(raw);
            pairs.for_each(|(out, raw)| policy.normalizer().apply(raw, out));
            let memories = Tensor::from_vec(memories, (steps, inputs), &Device::Cpu).unwrap();
            let actions =
                Tensor::from_slice(&trajectory.actions, (steps, 1), &Device::Cpu).unwrap();
            let means = learner.means(&memories, 1, steps).unwrap();
            let log_std = learner.log_std().unwrap();
            let found = ppo::log_probabilities(&actions, &means, log_std).unwrap();
            let found = found.to_vec1::<f32>().unwrap();
            for (learner, rollout) in found.iter().zip(&trajectory.log_probabilities) {
                assert!(
                    (learner - rollout).abs() < 1e-4,
                    "{learner} against {rollout}"
                );
            }
        }
    }

    /// Every variable moves, and as it does without fused operations.
    #[test]
    fn every_variable_trains() {
        for head_input in [HeadInput::Mixed, HeadInput::Encoder] {
            let train = |plain| {
                with_plain(plain, || {
                    let mut settings = tiny(head_input);
                    settings.ppo.shards = if plain { 1 } else { 2 };
                    let mut trainer = trainer(settings);
                    let before = trainer.policy().unwrap().tensors();
                    let point = trainer.iterate().unwrap();
                    (before, trainer.policy().unwrap().tensors(), point)
                })
            };
            let (before, after, point) = train(false);
            for (name, tensor) in &before {
                assert_ne!(
                    tensor, &after[name],
                    "{name} did not move with {head_input:?}"
                );
            }
            let (_, _, plain) = train(true);
            let (fused, plain) = (point.update.gradient, plain.update.gradient);
            assert!((fused - plain).abs() < 1e-3 * fused, "{fused} and {plain}");
        }
    }

    #[test]
    fn a_resumed_run_draws_the_same_curve() {
        let folder = tempfile::tempdir().unwrap();
        let mut whole = trainer(tiny(HeadInput::Mixed));
        for _ in 0..2 {
            whole.iterate().unwrap();
        }
        whole.save(folder.path()).unwrap();
        let mut second = Trainer::resume(folder.path(), None, &Device::Cpu).unwrap();
        assert_eq!(second.run().seed, whole.run().seed);
        while !whole.finished() {
            whole.iterate().unwrap();
            second.iterate().unwrap();
        }
        // The first two points were rounded by the file.
        assert_eq!(whole.curve()[2..], second.curve()[2..]);
        let tensors = whole.policy().unwrap().tensors();
        assert_eq!(tensors, second.policy().unwrap().tensors());

        second.save(folder.path()).unwrap();
        let saved = Checkpoint::load(folder.path()).unwrap();
        assert!(matches!(saved.network, Network::Gru(_)));
        assert_eq!(
            (saved.agent, saved.network.tensors()),
            (Agent::Rl2, tensors)
        );
        let refusal = saved.transformer().unwrap_err();
        assert!(refusal.to_string().contains("reference agent"), "{refusal}");
    }
}
