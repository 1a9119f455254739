//! Where the trained tensors stand in one flat vector, as the optimizer takes them.

use engram_export::tensors::{Tensor, Tensors, expected};
use engram_image::ModelConfig;

/// Where each trained tensor stands in the flat vector of parameters.
#[derive(Clone, Debug)]
pub struct Places {
    /// Name, first entry, shape.
    list: Vec<(String, usize, Vec<usize>)>,
    /// Entries of the vector.
    pub count: usize,
}

/// Places of one layer's parts, each a weight and a bias.
#[derive(Clone, Copy, Debug)]
pub(super) struct LayerPlaces {
    pub(super) in_proj: LinearPlace,
    pub(super) out_proj: LinearPlace,
    pub(super) age_bias: usize,
    pub(super) linear1: LinearPlace,
    pub(super) linear2: LinearPlace,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct LinearPlace {
    pub(super) weight: usize,
    pub(super) bias: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

/// Tensors that the learner changes: exploration and scaling are not among them.
fn is_trained(name: &str) -> bool {
    !name.starts_with("normalizer.") && name != "log_std"
}

impl Places {
    /// Of the policy of these dimensions.
    #[must_use]
    pub fn new(config: &ModelConfig) -> Self {
        let mut count = 0;
        let mut list = Vec::new();
        for (name, shape) in expected(config) {
            if is_trained(&name) {
                let length: usize = shape.iter().product();
                list.push((name, count, shape));
                count += length;
            }
        }
        Self { list, count }
    }

    /// The flat vector of a policy's tensors.
    #[must_use]
    pub fn gather(&self, tensors: &Tensors) -> Vec<f32> {
        let values = self.list.iter().filter_map(|(name, ..)| tensors.get(name));
        values
            .flat_map(|tensor| tensor.values.iter().copied())
            .collect()
    }

    /// The inverse of [`gather`](Self::gather): overwrites the tensors.
    pub fn scatter(&self, parameters: &[f32], tensors: &mut Tensors) {
        for (name, first, shape) in &self.list {
            let length: usize = shape.iter().product();
            let values = parameters[*first..][..length].to_vec();
            let shape = shape.clone();
            tensors.insert(name.clone(), Tensor { shape, values });
        }
    }

    pub(super) fn find(&self, name: &str) -> usize {
        let found = self.list.iter().find(|(known, ..)| known == name);
        found.map_or(0, |(_, first, _)| *first)
    }

    pub(super) fn linear(&self, name: &str) -> LinearPlace {
        let weight = format!("{name}.weight");
        let found = self.list.iter().find(|(known, ..)| *known == weight);
        let (weight, shape) =
            found.map_or((0, [0, 0].as_slice()), |(_, first, shape)| (*first, shape));
        LinearPlace {
            weight,
            bias: self.find(&format!("{name}.bias")),
            rows: shape[0],
            columns: shape[1],
        }
    }
}
