//! tract: the ONNX graphs of [`crate::graph`], optimised by it, in a state that is kept between steps.

use engram_image::ModelConfig;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::plan::SimpleState;

use super::{Engine, Function, push};
use crate::cache::{Filled, oldest_first};
use crate::graph::{Cache, Precision, Style, token, window};
use crate::reference::{Moment, Reference};

/// A plan with what it keeps between steps.
pub(crate) struct Tract {
    config: ModelConfig,
    state: SimpleState<TypedFact, Box<dyn TypedOp>>,
    rows: Vec<f32>,
    /// Keys, values and biases of every layer, in the order of the graph's inputs; none for a window.
    caches: Vec<TValue>,
    ages: Vec<Vec<f32>>,
    filled: Filled,
}

impl Tract {
    pub(crate) fn new(
        reference: &Reference,
        function: Function,
        precision: Precision,
    ) -> anyhow::Result<Self> {
        let config = reference.config;
        let parameters = reference.policy.parameters();
        let style = Style::Plain;
        let (graph, rows) = match function {
            Function::Window => (
                window(parameters, &reference.calibration, precision, style),
                config.window,
            ),
            Function::Token(_) => (
                token(
                    parameters,
                    &reference.calibration,
                    precision,
                    style,
                    Cache::Shift,
                ),
                1,
            ),
        };
        let model = tract_onnx::onnx()
            .model_for_read(&mut graph.as_slice())?
            .into_optimized()?
            .into_runnable()?;
        let ages = match function {
            Function::Window => Vec::new(),
            Function::Token(_) => parameters
                .layers
                .iter()
                .map(|l| l.age_bias.clone())
                .collect(),
        };
        let mut new = Self {
            config,
            state: model.spawn()?,
            rows: vec![0.0; rows * config.inputs()],
            caches: Vec::new(),
            ages,
            filled: Filled(0),
        };
        new.clear()?;
        Ok(new)
    }

    /// The biases of every layer for the memories held now.
    fn set_biases(&mut self) -> anyhow::Result<()> {
        let (heads, window) = (self.config.heads, self.config.window);
        let mut sorted = vec![0.0; heads * window];
        for (ages, set) in self.ages.iter().zip(self.caches.chunks_exact_mut(3)) {
            oldest_first(ages, window, self.filled, &mut sorted);
            set[2] = Tensor::from_shape(&[heads, 1, window], &sorted)?.into_tvalue();
        }
        Ok(())
    }
}

impl Engine for Tract {
    fn clear(&mut self) -> anyhow::Result<()> {
        let (heads, width) = (self.config.heads, self.config.head_dim());
        let past = self.config.window - 1;
        self.filled = Filled(0);
        self.caches.clear();
        for _ in &self.ages {
            for shape in [
                [heads, width, past],
                [heads, past, width],
                [heads, 1, past + 1],
            ] {
                let zeros = Tensor::zero::<f32>(&shape)?;
                self.caches.push(zeros.into_tvalue());
            }
        }
        Ok(())
    }

    fn step(&mut self, moment: &Moment, mean: &mut [f32]) -> anyhow::Result<()> {
        push(&mut self.rows, &moment.input);
        let inputs = self.config.inputs();
        let rows = Tensor::from_shape(&[self.rows.len() / inputs, inputs], &self.rows)?;
        if !self.ages.is_empty() && self.filled.grow(self.config.window) {
            self.set_biases()?;
        }
        let mut values: TVec<TValue> = tvec!(rows.into_tvalue());
        values.extend(self.caches.chunks_exact_mut(3).flat_map(|set| {
            // Moved in, so that tract may write where they lie; the biases stay.
            let bias = set[2].clone();
            let [keys, kept] = [0, 1].map(|index| std::mem::replace(&mut set[index], bias.clone()));
            [keys, kept, bias]
        }));
        let mut outputs = self.state.run(values)?;
        let last = outputs.pop().ok_or_else(|| anyhow::anyhow!("no output"))?;
        mean.copy_from_slice(last.to_plain_array_view::<f32>()?.as_slice().unwrap_or(&[]));
        for (set, pair) in self
            .caches
            .chunks_exact_mut(3)
            .zip(outputs.chunks_exact_mut(2))
        {
            for (kept, new) in set.iter_mut().zip(pair) {
                *kept = new.clone();
            }
        }
        Ok(())
    }
}
