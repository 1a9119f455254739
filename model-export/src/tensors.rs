//! Named f32 tensors, and which of them a policy of a given configuration consists of.
//!
//! Names and shapes are those of `docs/src/checkpoint-format.md`; no other file may spell them.

use std::collections::BTreeMap;

use engram_image::{HeadInput, ModelConfig, Positions};
use thiserror::Error;

/// One tensor, row major.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Lengths of the dimensions, outermost first.
    pub shape: Vec<usize>,
    /// The values; as many as the product of `shape`.
    pub values: Vec<f32>,
}

/// Tensors by name.
pub type Tensors = BTreeMap<String, Tensor>;

/// Why a set of tensors is not a policy of the given configuration.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum TensorError {
    /// A tensor that the configuration needs is not there.
    #[error("tensor `{name}` is missing; expected shape {expected:?}")]
    Missing {
        /// The tensor's name.
        name: String,
        /// The shape that the configuration asks for.
        expected: Vec<usize>,
    },
    /// A tensor has another shape than the configuration asks for.
    #[error("tensor `{name}` has shape {found:?}; expected {expected:?}")]
    Shape {
        /// The tensor's name.
        name: String,
        /// The shape that the configuration asks for.
        expected: Vec<usize>,
        /// The shape that was found.
        found: Vec<usize>,
    },
    /// The number of values is not the product of the shape.
    #[error("tensor `{name}` of shape {shape:?} holds {found} values")]
    Length {
        /// The tensor's name.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
        /// How many values it holds.
        found: usize,
    },
    /// A value is NaN or infinite.
    #[error("tensor `{name}` is {value} at index {index}; every value must be finite")]
    NotFinite {
        /// The tensor's name.
        name: String,
        /// Flat index of the first such value.
        index: usize,
        /// The value.
        value: f32,
    },
    /// A standard deviation of the normalizer is zero or negative.
    #[error("tensor `{name}` is {value} at index {index}; every value must be above 0")]
    NotPositive {
        /// The tensor's name.
        name: String,
        /// Flat index of the first such value.
        index: usize,
        /// The value.
        value: f32,
    },
    /// A tensor that no policy of this configuration has.
    #[error("tensor `{name}` does not belong to a policy of this configuration")]
    Unexpected {
        /// The tensor's name.
        name: String,
    },
}

/// Names and shapes of all tensors of a policy, in the order of computation.
#[must_use]
pub fn expected(config: &ModelConfig) -> Vec<(String, Vec<usize>)> {
    let d = config.model;
    let [h0, h1] = config.hidden;
    let mut list = vec![
        ("normalizer.mean".to_owned(), vec![config.inputs()]),
        ("normalizer.std".to_owned(), vec![config.inputs()]),
        ("embed.weight".to_owned(), vec![d, config.inputs()]),
    ];
    for layer in 0..config.layers {
        let mut add = |name: &str, shape: Vec<usize>| {
            list.push((format!("layers.{layer}.{name}"), shape));
        };
        add("attention.in_proj.weight", vec![3 * d, d]);
        add("attention.in_proj.bias", vec![3 * d]);
        add("attention.out_proj.weight", vec![d, d]);
        add("attention.out_proj.bias", vec![d]);
        if config.positions == Positions::Age {
            add("attention.age_bias", vec![config.heads, config.window]);
        }
        add("ff.linear1.weight", vec![config.ff, d]);
        add("ff.linear1.bias", vec![config.ff]);
        add("ff.linear2.weight", vec![d, config.ff]);
        add("ff.linear2.bias", vec![d]);
    }
    let head = match config.head_input {
        HeadInput::Encoder => d,
        HeadInput::Mixed => 2 * d,
    };
    for (index, (rows, columns)) in [(h0, head), (h1, h0), (config.actions, h1)]
        .into_iter()
        .enumerate()
    {
        list.push((format!("head.{index}.weight"), vec![rows, columns]));
        list.push((format!("head.{index}.bias"), vec![rows]));
    }
    list.push(("log_std".to_owned(), vec![config.actions]));
    list
}

/// Checks that `tensors` are exactly those of `config`, with the right shapes and finite values.
///
/// # Errors
/// The first [`TensorError`], in the order of [`expected`].
pub fn check(config: &ModelConfig, tensors: &Tensors) -> Result<(), TensorError> {
    check_list(&expected(config), tensors)
}

/// Checks that `tensors` are exactly those of `list`, with the right shapes and finite values.
///
/// # Errors
/// The first [`TensorError`], in the order of the list.
pub fn check_list(list: &[(String, Vec<usize>)], tensors: &Tensors) -> Result<(), TensorError> {
    for (name, shape) in list {
        let Some(tensor) = tensors.get(name) else {
            return Err(TensorError::Missing {
                name: name.clone(),
                expected: shape.clone(),
            });
        };
        if tensor.shape != *shape {
            let found = tensor.shape.clone();
            return Err(TensorError::Shape {
                name: name.clone(),
                expected: shape.clone(),
                found,
            });
        }
        if tensor.values.len() != shape.iter().product::<usize>() {
            let (shape, found) = (shape.clone(), tensor.values.len());
            return Err(TensorError::Length {
                name: name.clone(),
                shape,
                found,
            });
        }
        if let Some((index, &value)) = tensor
            .values
            .iter()
            .enumerate()
            .find(|(_, v)| !v.is_finite())
        {
            return Err(TensorError::NotFinite {
                name: name.clone(),
                index,
                value,
            });
        }
        let positive = name != "normalizer.std";
        if let Some((index, &value)) = tensor
            .values
            .iter()
            .enumerate()
            .find(|(_, v)| !positive && **v <= 0.0)
        {
            return Err(TensorError::NotPositive {
                name: name.clone(),
                index,
                value,
            });
        }
    }
    match tensors
        .keys()
        .find(|name| !list.iter().any(|(known, _)| known == *name))
    {
        Some(name) => Err(TensorError::Unexpected { name: name.clone() }),
        None => Ok(()),
    }
}
