//! What is evaluated: anything that turns working memories into command words.

use engram_export::FloatObserver;
use engram_firmware::policy::WorkingMemory;
use engram_image::Contract;
use engram_kernels::{command_from_word, word_from_command};
use rand::RngExt;

use crate::classical::{Cascade, Classical, Gains, Limits, Tuning};
use crate::report::Attention;
use engram_export::network::{Network, NetworkConfig, NetworkState};
use engram_plants::Task;
use engram_plants::quadrotor::Hidden;

/// What a controller is told at one control step: the working memory of a policy.
pub type Moment<'a> = WorkingMemory<'a>;

/// One controller in one trial.
pub trait Controller {
    /// Forgets everything: the next step is the first of a trial.
    fn clear(&mut self);
    /// One control step; writes the wanted command words, one per action channel.
    fn step(&mut self, moment: &Moment<'_>, words: &mut [i16]);
}

/// Always asks for the safe command.
#[derive(Clone, Debug)]
pub struct Zero {
    words: Vec<i16>,
}

impl Zero {
    /// For the plant with this contract.
    #[must_use]
    pub fn new(contract: &Contract<'_>) -> Self {
        let words = contract
            .actions
            .iter()
            .map(|a| word_from_command(a.safe, a.min, a.max))
            .collect();
        Self { words }
    }
}

impl Controller for Zero {
    fn clear(&mut self) {}

    fn step(&mut self, _moment: &Moment<'_>, words: &mut [i16]) {
        words.copy_from_slice(&self.words);
    }
}

/// Uniformly random words, new ones at every step.
#[derive(Clone, Debug)]
pub struct Random {
    seed: u64,
    random: engram_plants::Random,
}

impl Random {
    /// The random controller number `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            random: engram_plants::random_stream(
                seed,
                engram_plants::Stream::HeldOut,
                u64::MAX - 1,
            ),
        }
    }
}

impl Controller for Random {
    fn clear(&mut self) {
        *self = Self::new(self.seed);
    }

    fn step(&mut self, _moment: &Moment<'_>, words: &mut [i16]) {
        for word in words {
            *word = self.random.random_range(-i16::MAX..=i16::MAX);
        }
    }
}

/// The classical adaptive controller, for plants of the pendulum's contract (cosine, sine, rate; one torque).
#[derive(Clone, Debug)]
pub struct Classic {
    classical: Classical,
    range: (f32, f32),
}

impl Classic {
    /// With the measured best tuning.
    #[must_use]
    pub fn new(contract: &Contract<'_>) -> Self {
        let range = contract
            .actions
            .iter()
            .next()
            .map_or((-1.0, 1.0), |action| (action.min, action.max));
        let limits = Limits {
            period_s: f64::from(contract.period_us) * 1e-6,
            command: f64::from(range.1),
        };
        Self {
            classical: Classical::new(limits, Tuning::pendulum()),
            range,
        }
    }

    /// Whether this controller knows how to fly a plant with this contract.
    #[must_use]
    pub fn fits(contract: &Contract<'_>) -> bool {
        let names = ["cos_angle", "sin_angle", "rate"];
        let observed = contract.observations.iter().map(|channel| channel.name);
        contract.actions.len() == 1
            && observed.eq(names)
            && contract
                .actions
                .iter()
                .all(|action| action.min == -action.max)
    }
}

impl Controller for Classic {
    fn clear(&mut self) {
        self.classical.clear();
    }

    fn step(&mut self, moment: &Moment<'_>, words: &mut [i16]) {
        let (&[cosine, sine, rate], &[issued]) = (moment.observation, moment.issued) else {
            return;
        };
        let issued = f64::from(command_from_word(issued, self.range.0, self.range.1));
        let angle = f64::from(sine).atan2(f64::from(cosine));
        let command = self
            .classical
            .step(angle, f64::from(rate), issued, moment.done);
        for word in words {
            *word = word_from_command(command as f32, self.range.0, self.range.1);
        }
    }
}

/// The cascaded controller of quadrotors, which knows the craft of its trial as it was built.
#[derive(Clone, Debug)]
pub struct Cascaded {
    fresh: Cascade,
    cascade: Cascade,
}

impl Cascaded {
    /// For the craft of a task.
    #[must_use]
    pub fn new(task: &Task) -> Self {
        let craft = Hidden::from(task).nominal().body();
        let fresh = Cascade::new(craft, Gains::tuned());
        Self {
            cascade: fresh.clone(),
            fresh,
        }
    }
}

impl Controller for Cascaded {
    fn clear(&mut self) {
        self.cascade = self.fresh.clone();
    }

    fn step(&mut self, moment: &Moment<'_>, words: &mut [i16]) {
        if moment.done {
            self.cascade.restart();
        }
        let commands = self.cascade.step(moment.observation);
        for (word, command) in words.iter_mut().zip(commands) {
            *word = word_from_command(command, -1.0, 1.0);
        }
    }
}

/// The f32 policy of a training run.
#[derive(Clone, Debug)]
pub struct Float<'a> {
    policy: &'a Network,
    state: NetworkState,
    wiped: bool,
    clearing: bool,
    input: Vec<f32>,
    mean: Vec<f32>,
    attention: Option<Attention>,
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
            attention: None,
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

    /// With an empty memory, and keeps where it looks, if it is a network that looks: see [`Float::attention`].
    #[must_use]
    pub fn watched(policy: &'a Network) -> Self {
        let attention = match policy.config() {
            NetworkConfig::Transformer(config) => Some(Attention {
                layers: config.layers,
                window: config.window,
                weight: Vec::new(),
            }),
            NetworkConfig::Gru(_) => None,
        };
        Self {
            attention,
            ..Self::new(policy, false)
        }
    }

    /// Attention of every step since the memory was last cleared, for a watched policy.
    #[must_use]
    pub fn attention(self) -> Option<Attention> {
        self.attention
    }
}

impl Controller for Float<'_> {
    fn clear(&mut self) {
        self.policy.clear(&mut self.state);
        if let Some(attention) = &mut self.attention {
            attention.weight.clear();
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
        match (&mut self.attention, self.policy, &mut self.state) {
            (Some(attention), Network::Transformer(policy), NetworkState::Transformer(state)) => {
                let mut watcher = Watcher::new(attention, policy.config().heads);
                policy.step_observed(state, &self.input, &mut self.mean, &mut watcher);
            }
            (_, policy, state) => policy.step(state, &self.input, &mut self.mean),
        }
        for (word, mean) in words.iter_mut().zip(&self.mean) {
            *word = word_from_command(*mean, -1.0, 1.0);
        }
    }
}

/// Adds up the attention of one step's newest token over the heads.
struct Watcher<'a> {
    window: usize,
    share: f32,
    weight: &'a mut [f32],
}

impl<'a> Watcher<'a> {
    /// Appends a step to `attention`.
    fn new(attention: &'a mut Attention, heads: usize) -> Self {
        let start = attention.weight.len();
        attention
            .weight
            .resize(start + attention.layers * attention.window, 0.0);
        Self {
            window: attention.window,
            share: 1.0 / heads as f32,
            weight: &mut attention.weight[start..],
        }
    }
}

impl FloatObserver for Watcher<'_> {
    fn attention(&mut self, layer: usize, head: usize, weights: &[f32], newest: usize, total: f32) {
        let ages = &mut self.weight[layer * self.window..][..self.window];
        if head == 0 {
            // With `slot` positions older tokens are computed first: only the newest counts.
            ages.fill(0.0);
        }
        for (place, weight) in weights.iter().enumerate() {
            ages[(newest + self.window - place) % self.window] += self.share * weight / total;
        }
    }
}
