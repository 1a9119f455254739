//! ONNX Runtime: one thread, all graph optimisations, inputs and outputs bound once, so that nothing is copied
//! between two steps but what the graph itself copies.
//!
//! Its allocations happen in C++, where the counting allocator does not see them.

use std::path::Path;
use std::sync::OnceLock;

use anyhow::Context as _;
use engram_image::ModelConfig;
use ort::environment::Environment;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{IoBinding, Session};
use ort::value::Tensor;

use super::{Engine, Function, push};
use crate::cache::{Filled, around, oldest_first};
use crate::graph::{
    CACHE_OUT, Cache, INPUT, MEAN, Precision, Style, bias_name, bias_shape, cache_name,
    cache_shapes, token, window,
};
use crate::reference::{Moment, Reference};

/// The library, loaded once: it allows one environment in a process, and every shape needs it.
static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();

/// Loads the library, if it is not loaded.
pub(crate) fn load(library: &Path) -> anyhow::Result<&'static Environment> {
    if let Some(loaded) = ENVIRONMENT.get() {
        return Ok(loaded);
    }
    let environment = ort::init_from(library)
        .map_err(|error| anyhow::anyhow!("{error}"))
        .with_context(|| {
            format!(
                "{} cannot be loaded: run `scripts/set-up --onnxruntime` first",
                library.display()
            )
        })?
        .build()?;
    Ok(ENVIRONMENT.get_or_init(|| environment))
}

/// A session with its bound memory.
pub(crate) struct OnnxRuntime {
    config: ModelConfig,
    session: Session,
    /// Two that take turns where the cache goes out and in again, otherwise one.
    bindings: Vec<IoBinding>,
    turn: usize,
    input: Tensor<f32>,
    mean: Tensor<f32>,
    memory: Memory,
}

enum Memory {
    Window,
    Shift(Biases),
    Ring {
        biases: Biases,
        /// Keys and values of every layer.
        caches: Vec<Vec<Tensor<f32>>>,
        /// Where the newest memory lies.
        last: usize,
    },
}

/// The biases of every layer, and what they come from.
struct Biases {
    filled: Filled,
    ages: Vec<Vec<f32>>,
    sorted: Vec<Vec<f32>>,
    bound: Vec<Tensor<f32>>,
}

fn session(environment: &Environment, graph: &[u8]) -> ort::Result<Session> {
    Session::builder(environment)?
        .with_intra_threads(1)?
        .with_inter_threads(1)?
        .with_parallel_execution(false)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .commit_from_memory(graph)
}

impl OnnxRuntime {
    pub(crate) fn new(
        environment: &Environment,
        reference: &Reference,
        function: Function,
        precision: Precision,
        style: Style,
    ) -> anyhow::Result<Self> {
        let config = reference.config;
        let parameters = reference.policy.parameters();
        let calibration = &reference.calibration;
        let graph = match function {
            Function::Window => window(parameters, calibration, precision, style),
            Function::Token(cache) => token(parameters, calibration, precision, style, cache),
        };
        let session = session(environment, &graph)?;
        let rows = match function {
            Function::Window => config.window,
            Function::Token(_) => 1,
        };
        let input = zeros(&session, &[rows, config.inputs()])?;
        let length = match function {
            Function::Token(Cache::Ring) => config.actions + 2 * config.layers * config.model,
            _ => config.actions,
        };
        let mean = zeros(&session, &[1, length])?;
        let mut new = Self {
            config,
            session,
            bindings: Vec::new(),
            turn: 0,
            input,
            mean,
            memory: Memory::Window,
        };
        match function {
            Function::Window => {
                let binding = new.binding(MEAN)?;
                new.bindings.push(binding);
            }
            Function::Token(cache) => new.bind_token(reference, cache, style)?,
        }
        Ok(new)
    }

    /// A binding of the input and of the output `mean`.
    fn binding(&mut self, mean: &str) -> anyhow::Result<IoBinding> {
        let mut binding = self.session.create_binding()?;
        binding.bind_input(INPUT, &self.input)?;
        binding.bind_output(mean, &mut self.mean)?;
        Ok(binding)
    }

    fn bind_token(
        &mut self,
        reference: &Reference,
        cache: Cache,
        style: Style,
    ) -> anyhow::Result<()> {
        let config = self.config;
        let shapes = cache_shapes(&config, style);
        let bias = bias_shape(&config, style);
        let count = if cache == Cache::Shift { 2 } else { 1 };
        let mut caches = Vec::new();
        for _ in 0..count {
            let sets = (0..config.layers).map(|_| {
                let all = shapes.iter().map(|(_, shape)| zeros(&self.session, shape));
                all.collect::<anyhow::Result<Vec<_>>>()
            });
            caches.push(sets.collect::<Result<Vec<_>, _>>()?);
        }
        let layers = &reference.policy.parameters().layers;
        let ages: Vec<_> = layers.iter().map(|layer| layer.age_bias.clone()).collect();
        let bound: Result<Vec<_>, _> = layers.iter().map(|_| zeros(&self.session, &bias)).collect();
        let biases = Biases {
            filled: Filled(0),
            sorted: ages.clone(),
            ages,
            bound: bound?,
        };
        let output = if cache == Cache::Ring {
            CACHE_OUT
        } else {
            MEAN
        };
        for turn in 0..count {
            let mut binding = self.binding(output)?;
            for (layer, bias) in biases.bound.iter().enumerate() {
                binding.bind_input(bias_name(layer), bias)?;
                for (index, &(kind, _)) in shapes.iter().enumerate() {
                    binding
                        .bind_input(cache_name(kind, layer, false), &caches[turn][layer][index])?;
                    if cache == Cache::Shift {
                        let next = &mut caches[1 - turn][layer][index];
                        binding.bind_output(cache_name(kind, layer, true), next)?;
                    }
                }
            }
            self.bindings.push(binding);
        }
        self.memory = match cache {
            Cache::Shift => Memory::Shift(biases),
            Cache::Ring => Memory::Ring {
                biases,
                caches: caches.remove(0),
                last: config.window - 2,
            },
        };
        self.clear()
    }
}

fn zeros(session: &Session, shape: &[usize]) -> anyhow::Result<Tensor<f32>> {
    let mut tensor = Tensor::<f32>::new(session.allocator(), shape.to_vec())?;
    tensor.extract_tensor_mut().1.fill(0.0);
    Ok(tensor)
}

impl Biases {
    /// Takes one more memory in.
    fn grow(&mut self, window: usize) -> bool {
        let grows = self.filled.grow(window);
        if grows {
            for (ages, sorted) in self.ages.iter().zip(&mut self.sorted) {
                oldest_first(ages, window, self.filled, sorted);
            }
        }
        grows
    }
}

impl Engine for OnnxRuntime {
    fn clear(&mut self) -> anyhow::Result<()> {
        match &mut self.memory {
            Memory::Window => self.input.extract_tensor_mut().1.fill(0.0),
            Memory::Shift(biases) => biases.filled = Filled(0),
            Memory::Ring { biases, last, .. } => {
                biases.filled = Filled(0);
                *last = self.config.window - 2;
            }
        }
        Ok(())
    }

    fn step(&mut self, moment: &Moment, mean: &mut [f32]) -> anyhow::Result<()> {
        let window = self.config.window;
        push(self.input.extract_tensor_mut().1, &moment.input);
        match &mut self.memory {
            Memory::Window => {}
            Memory::Shift(biases) => {
                if biases.grow(window) {
                    for (sorted, bound) in biases.sorted.iter().zip(&mut biases.bound) {
                        bound.extract_tensor_mut().1.copy_from_slice(sorted);
                    }
                }
            }
            Memory::Ring { biases, last, .. } => {
                biases.grow(window);
                for (sorted, bound) in biases.sorted.iter().zip(&mut biases.bound) {
                    around(sorted, window, *last, bound.extract_tensor_mut().1);
                }
            }
        }
        self.session.run_binding(&self.bindings[self.turn])?;
        self.turn = (self.turn + 1) % self.bindings.len();
        let (_, out) = self.mean.extract_tensor();
        mean.copy_from_slice(&out[..self.config.actions]);
        if let Memory::Ring { caches, last, .. } = &mut self.memory {
            *last = (*last + 1) % (window - 1);
            let mut fresh = out[self.config.actions..].chunks_exact(self.config.model);
            for cache in caches {
                let [keys, values] = cache.as_mut_slice() else {
                    break;
                };
                let (Some(key), Some(value)) = (fresh.next(), fresh.next()) else {
                    break;
                };
                let places = keys.extract_tensor_mut().1.chunks_exact_mut(window - 1);
                for (place, new) in places.zip(key) {
                    place[*last] = *new;
                }
                let width = self.config.head_dim();
                let heads = values.extract_tensor_mut().1;
                for (head, new) in heads
                    .chunks_exact_mut((window - 1) * width)
                    .zip(value.chunks_exact(width))
                {
                    head[*last * width..][..width].copy_from_slice(new);
                }
            }
        }
        Ok(())
    }
}
