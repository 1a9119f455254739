//! The recurrent policy (RL^2): embedding, one gated recurrent unit, and the transformer's head.
//!
//! The state persists through a trial. PyTorch's equations and order of gates (reset, update, new); the learner's
//! pass over whole trials must compute what is computed here, and a test holds them together.

use crate::Normalizer;
use crate::elementary::{exp, tanh};
use crate::float::Packed;
use crate::parameters::ParametersError;
use crate::tensors::{Tensor, Tensors, check_list};
use engram_image::{ConfigError, HeadInput};
use serde::{Deserialize, Serialize};

/// Largest width of any layer.
const LIMIT: usize = 4096;

/// Dimensions of a recurrent policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GruConfig {
    /// Entries of an observation.
    pub observations: usize,
    /// Entries of an action.
    pub actions: usize,
    /// Width of the embedding.
    pub model: usize,
    /// Width of the recurrent state.
    pub state: usize,
    /// Widths of the head's hidden layers.
    pub hidden: [usize; 2],
    /// Whether the head reads the newest embedded working memory beside the state.
    pub head_input: HeadInput,
}

impl GruConfig {
    /// Checks every dimension.
    ///
    /// # Errors
    /// Names the first that is out of its range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let dimensions = [
            ("observations", self.observations),
            ("actions", self.actions),
            ("model", self.model),
            ("state", self.state),
            ("hidden[0]", self.hidden[0]),
            ("hidden[1]", self.hidden[1]),
        ];
        match dimensions
            .into_iter()
            .find(|(_, value)| !(1..=LIMIT).contains(value))
        {
            None => Ok(()),
            Some((name, value)) => Err(ConfigError::Range {
                name,
                value,
                limit: LIMIT,
            }),
        }
    }

    /// Entries of a working memory.
    #[must_use]
    pub const fn inputs(&self) -> usize {
        self.observations + self.actions + 2
    }

    /// Entries that the head reads.
    #[must_use]
    pub const fn head_inputs(&self) -> usize {
        match self.head_input {
            HeadInput::Encoder => self.state,
            HeadInput::Mixed => self.state + self.model,
        }
    }

    /// Names and shapes of all tensors, in the order of computation.
    #[must_use]
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let Self { model, state, .. } = *self;
        let [h0, h1] = self.hidden;
        let head = self.head_inputs();
        [
            ("normalizer.mean", vec![self.inputs()]),
            ("normalizer.std", vec![self.inputs()]),
            ("embed.weight", vec![model, self.inputs()]),
            ("gru.input.weight", vec![3 * state, model]),
            ("gru.input.bias", vec![3 * state]),
            ("gru.state.weight", vec![3 * state, state]),
            ("gru.state.bias", vec![3 * state]),
            ("head.0.weight", vec![h0, head]),
            ("head.0.bias", vec![h0]),
            ("head.1.weight", vec![h1, h0]),
            ("head.1.bias", vec![h1]),
            ("head.2.weight", vec![self.actions, h1]),
            ("head.2.bias", vec![self.actions]),
            ("log_std", vec![self.actions]),
        ]
        .map(|(name, shape)| (name.to_owned(), shape))
        .to_vec()
    }
}

/// The f32 policy, ready to step.
#[derive(Clone, Debug)]
pub struct GruPolicy {
    config: GruConfig,
    tensors: Tensors,
    normalizer: Normalizer,
    log_std: Vec<f32>,
    embed: Packed,
    inputs: Packed,
    states: Packed,
    head: [Packed; 3],
}

/// The recurrent state of a trial, and a step's scratch space.
#[derive(Clone, Debug)]
pub struct GruState {
    state: Vec<f32>,
    input: Vec<f32>,
    gates: Vec<f32>,
    own: Vec<f32>,
    /// State, then embedding.
    head_input: Vec<f32>,
    hidden: [Vec<f32>; 2],
}

impl GruState {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.state.fill(0.0);
    }
}

impl GruPolicy {
    /// Checks and packs named tensors; `clip` bounds the normalised working memory.
    ///
    /// # Errors
    /// The first dimension or tensor that is not right, by name.
    pub fn new(config: GruConfig, clip: f32, tensors: Tensors) -> Result<Self, ParametersError> {
        config.validate().map_err(ParametersError::Config)?;
        if !(clip.is_finite() && clip > 0.0) {
            return Err(ParametersError::Clip(clip));
        }
        check_list(&config.tensors(), &tensors)?;
        let values = |name: &str| values(&tensors, name);
        let pack = |weight: &str, bias: &str| {
            let shape = tensors.get(weight).map_or(&[][..], |tensor| &tensor.shape);
            let &[rows, columns] = shape else {
                return Packed::new(0, 1, &[], &[]);
            };
            Packed::new(rows, columns, values(weight), values(bias))
        };
        Ok(Self {
            config,
            normalizer: Normalizer {
                mean: values("normalizer.mean").to_vec(),
                std: values("normalizer.std").to_vec(),
                clip,
            },
            log_std: values("log_std").to_vec(),
            embed: pack("embed.weight", ""),
            inputs: pack("gru.input.weight", "gru.input.bias"),
            states: pack("gru.state.weight", "gru.state.bias"),
            head: [
                pack("head.0.weight", "head.0.bias"),
                pack("head.1.weight", "head.1.bias"),
                pack("head.2.weight", "head.2.bias"),
            ],
            tensors,
        })
    }

    /// Dimensions.
    #[must_use]
    pub fn config(&self) -> &GruConfig {
        &self.config
    }

    /// All tensors by name.
    #[must_use]
    pub fn tensors(&self) -> &Tensors {
        &self.tensors
    }

    /// Scaling of the working memory.
    #[must_use]
    pub fn normalizer(&self) -> &Normalizer {
        &self.normalizer
    }

    /// Natural logarithm of the action's standard deviation, per action.
    #[must_use]
    pub fn log_std(&self) -> &[f32] {
        &self.log_std
    }

    /// An empty memory; all that a step needs is allocated here.
    #[must_use]
    pub fn new_state(&self) -> GruState {
        let GruConfig { model, state, .. } = self.config;
        GruState {
            state: vec![0.0; state],
            input: vec![0.0; self.config.inputs()],
            gates: vec![0.0; 3 * state],
            own: vec![0.0; 3 * state],
            head_input: vec![0.0; state + model],
            hidden: self.config.hidden.map(|width| vec![0.0; width]),
        }
    }

    /// One control step; see [`super::Network::step`].
    ///
    /// # Panics
    /// When `input`, `mean` or `state` has other lengths than the configuration says.
    pub fn step(&self, state: &mut GruState, input: &[f32], mean: &mut [f32]) {
        let GruConfig { state: width, .. } = self.config;
        assert_eq!(
            (input.len(), mean.len(), state.state.len()),
            (self.config.inputs(), self.config.actions, width),
            "entries of working memory, action mean and state"
        );
        self.normalizer.apply(input, &mut state.input);
        let (for_state, embedded) = state.head_input.split_at_mut(width);
        self.embed.apply(&state.input, embedded);
        self.inputs.apply(embedded, &mut state.gates);
        self.states.apply(&state.state, &mut state.own);
        update(&state.gates, &state.own, &mut state.state);
        for_state.copy_from_slice(&state.state);
        let [first, second, third] = &self.head;
        let [h0, h1] = &mut state.hidden;
        first.apply(&state.head_input[..self.config.head_inputs()], h0);
        h0.iter_mut().for_each(|x| *x = tanh(*x));
        second.apply(h0, h1);
        h1.iter_mut().for_each(|x| *x = tanh(*x));
        third.apply(h1, mean);
    }
}

fn values<'a>(tensors: &'a Tensors, name: &str) -> &'a [f32] {
    tensors
        .get(name)
        .map_or(&[], |tensor: &Tensor| &tensor.values)
}

/// The state after a step, of the inputs' and the state's own parts of the gates.
fn update(gates: &[f32], own: &[f32], state: &mut [f32]) {
    let width = state.len();
    let sigmoid = |x: f32| 1.0 / (1.0 + exp(-x));
    let (reset, rest) = gates.split_at(width);
    let (update, new) = rest.split_at(width);
    let (own_reset, rest) = own.split_at(width);
    let (own_update, own_new) = rest.split_at(width);
    let own = own_reset.iter().zip(own_update).zip(own_new);
    let gates = reset.iter().zip(update).zip(new);
    for ((state, ((reset, update), new)), ((own_reset, own_update), own_new)) in
        state.iter_mut().zip(gates).zip(own)
    {
        let r = sigmoid(reset + own_reset);
        let z = sigmoid(update + own_update);
        let n = tanh(new + r * own_new);
        *state = n + z * (*state - n);
    }
}
