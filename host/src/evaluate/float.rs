//! The f32 policy of a training run, and what its memory holds while it flies.

use engram_export::network::{Network, NetworkConfig, NetworkState};
use engram_export::{FloatObserver, Site};
use engram_image::ModelConfig;
use engram_kernels::word_from_command;

use super::trace::{Attention, Representations};
use super::{Controller, Moment};

/// The f32 policy of a training run.
#[derive(Clone, Debug)]
pub struct Float<'a> {
    policy: &'a Network,
    state: NetworkState,
    wiped: bool,
    clearing: bool,
    input: Vec<f32>,
    mean: Vec<f32>,
    watcher: Option<Watcher>,
}

impl<'a> Float<'a> {
    /// With an empty memory; `wiped` empties it again before every step.
    #[must_use]
    pub fn new(policy: &'a Network, wiped: bool) -> Self {
        Self {
            state: policy.new_state(),
            wiped,
            clearing: false,
            input: Vec::with_capacity(policy.config().inputs()),
            mean: vec![0.0; policy.config().actions()],
            watcher: None,
            policy,
        }
    }

    /// The memory is emptied at every episode if `clearing`, for policies that were trained so
    /// (`trial.clear_memory`).
    #[must_use]
    pub fn clearing(mut self, clearing: bool) -> Self {
        self.clearing = clearing;
        self
    }

    /// With an empty memory, and keeps where it looks and what it holds, if it is a transformer: see [`Float::seen`].
    #[must_use]
    pub fn watched(policy: &'a Network) -> Self {
        let watcher = match policy.config() {
            NetworkConfig::Transformer(config) => Some(Watcher::new(config)),
            NetworkConfig::Gru(_) => None,
        };
        Self {
            watcher,
            ..Self::new(policy, false)
        }
    }

    /// Of a watched policy, every step since the memory was last cleared.
    #[must_use]
    pub fn seen(self) -> Option<(Attention, Representations)> {
        self.watcher
            .map(|watcher| (watcher.attention, watcher.memory))
    }
}

impl Controller for Float<'_> {
    fn clear(&mut self) {
        self.policy.clear(&mut self.state);
        if let Some(watcher) = &mut self.watcher {
            *watcher = Watcher::new(watcher.config);
        }
    }

    fn step(&mut self, moment: &Moment<'_>, words: &mut [i16]) {
        let anew = self.clearing && moment.done;
        if self.wiped || anew {
            self.policy.clear(&mut self.state);
        }
        self.input.clear();
        self.input.extend_from_slice(moment.observation);
        self.input
            .extend(moment.issued.iter().map(|word| f32::from(*word) / 32767.0));
        self.input
            .extend([moment.reward, if moment.done { 1.0 } else { 0.0 }]);
        if anew {
            self.input[moment.observation.len()..].fill(0.0);
        }
        match (&mut self.watcher, self.policy, &mut self.state) {
            (Some(watcher), Network::Transformer(policy), NetworkState::Transformer(state)) => {
                watcher.begin();
                policy.step_observed(state, &self.input, &mut self.mean, watcher);
            }
            (_, policy, state) => policy.step(state, &self.input, &mut self.mean),
        }
        for (word, mean) in words.iter_mut().zip(&self.mean) {
            *word = word_from_command(*mean, -1.0, 1.0);
        }
    }
}

/// Adds up the attention of each step's newest token over the heads, and keeps what the memory holds.
#[derive(Clone, Debug)]
struct Watcher {
    config: ModelConfig,
    attention: Attention,
    memory: Representations,
    /// The values as the policy stores them, `[layers][window][model]`.
    values: Vec<f32>,
    /// Values of a layer's tokens that have not attended yet, in their order.
    coming: Vec<f32>,
}

impl Watcher {
    fn new(config: ModelConfig) -> Self {
        let (layers, window, model) = (config.layers, config.window, config.model);
        Self {
            config,
            attention: Attention {
                layers,
                window,
                weight: Vec::new(),
            },
            memory: Representations {
                model,
                layers,
                ..Representations::default()
            },
            values: vec![0.0; layers * window * model],
            coming: Vec::new(),
        }
    }

    /// Makes room for a step.
    fn begin(&mut self) {
        let (layers, window) = (self.config.layers, self.config.window);
        let extended = self.attention.weight.len() + layers * window;
        self.attention.weight.resize(extended, 0.0);
        let extended = self.memory.risk.len() + layers;
        self.memory.risk.resize(extended, 0.0);
    }
}

impl FloatObserver for Watcher {
    fn values(&mut self, site: Site, values: &[f32]) {
        match site {
            Site::Embedded => self.memory.embedded.extend(values),
            Site::Qkv(_) => self.coming.extend(&values[2 * self.config.model..]),
            Site::Encoder => self.memory.encoded.extend(values),
            _ => {}
        }
    }

    fn attention(&mut self, layer: usize, head: usize, weights: &[f32], newest: usize, total: f32) {
        let (layers, window, model) = (self.config.layers, self.config.window, self.config.model);
        let step = self.attention.weight.len() - layers * window;
        let ages = &mut self.attention.weight[step + layer * window..][..window];
        let values = &mut self.values[layer * window * model..][..window * model];
        let risk = self.memory.risk.len() - layers + layer;
        let risk = &mut self.memory.risk[risk];
        if head == 0 {
            // With `slot` positions older tokens are computed first: only the newest counts.
            ages.fill(0.0);
            *risk = 0.0;
            for (place, value) in values[newest * model..][..model]
                .iter_mut()
                .zip(self.coming.drain(..model))
            {
                *place = value;
            }
        }
        let share = 1.0 / self.config.heads as f32;
        for (place, weight) in weights.iter().enumerate() {
            ages[(newest + window - place) % window] += share * weight / total;
        }
        let width = model / self.config.heads;
        for entry in head * width..(head + 1) * width {
            let weighted = |of: &dyn Fn(f32) -> f32| {
                let rows = weights.iter().zip(values.chunks_exact(model));
                rows.map(|(weight, row)| weight * of(row[entry]))
                    .sum::<f32>()
                    / total
            };
            let consensus = weighted(&|value| value);
            *risk += weighted(&|value| (value - consensus) * (value - consensus));
        }
    }
}
