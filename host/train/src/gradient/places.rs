//! Where the trained tensors stand in one flat vector, as the optimizer takes them.

use engram_export::network::NetworkConfig;
use engram_export::tensors::{Tensor, Tensors, expected};

/// Where each trained tensor stands in the flat vector of parameters.
#[derive(Clone, Debug)]
pub(super) struct Places {
    /// Name, first entry, shape.
    list: Vec<(String, usize, Vec<usize>)>,
    /// Entries of the vector.
    pub(super) count: usize,
}

/// Where a matrix and its bias, if it has one, stand among the parameters.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinearPlace {
    pub(super) weight: usize,
    pub(super) bias: Option<usize>,
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
    pub(super) fn new(config: &NetworkConfig) -> Self {
        let tensors = match config {
            NetworkConfig::Transformer(config) => expected(config),
            NetworkConfig::Gru(config) => config.tensors(),
        };
        let mut count = 0;
        let mut list = Vec::new();
        for (name, shape) in tensors {
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
    pub(super) fn gather(&self, tensors: &Tensors) -> Vec<f32> {
        let values = self.list.iter().filter_map(|(name, ..)| tensors.get(name));
        values
            .flat_map(|tensor| tensor.values.iter().copied())
            .collect()
    }

    /// The inverse of [`gather`](Self::gather): overwrites the tensors.
    pub(super) fn scatter(&self, parameters: &[f32], tensors: &mut Tensors) {
        for (name, first, shape) in &self.list {
            let length: usize = shape.iter().product();
            let values = parameters[*first..][..length].to_vec();
            let shape = shape.clone();
            tensors.insert(name.clone(), Tensor { shape, values });
        }
    }

    pub(super) fn find(&self, name: &str) -> Option<usize> {
        let found = self.list.iter().find(|(known, ..)| known == name);
        found.map(|(_, first, _)| *first)
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
