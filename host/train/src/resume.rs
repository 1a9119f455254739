//! `trainer.safetensors`: what a run needs beside the policy to go on exactly where it stopped.
//!
//! Critic and optimiser moments are f32; statistics are f64, because rounding them would bend the curve.

use std::path::Path;

use engram_export::checkpoint::folder;
use engram_export::tensors::{Tensor, Tensors};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

use super::optimizer::AdamW;
use super::statistics::Statistics;

/// Name of the file.
pub(crate) const TRAINER_FILE: &str = "trainer.safetensors";

/// The trainer's state between two iterations, beside the policy.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TrainerState {
    /// Iterations done.
    pub iteration: u64,
    /// The critic's tensors.
    pub critic: Tensors,
    /// The policy's optimiser.
    pub actor_optimizer: AdamW,
    /// The critic's optimiser.
    pub critic_optimizer: AdamW,
    /// Of the working memories seen.
    pub memories: Statistics,
    /// Of the discounted returns seen.
    pub returns: Statistics,
}

/// A trainer's state that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// The file cannot be read.
    #[error("{path}: {reason}; a run can only be resumed from its own folder")]
    Io {
        /// The file.
        path: String,
        /// The system's reason.
        reason: std::io::Error,
    },
    /// The file is not what a trainer writes.
    #[error("{path}: {reason}")]
    Content {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
}

impl TrainerState {
    /// The file's bytes.
    ///
    /// # Errors
    /// When a tensor's values do not fit its shape.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, ResumeError> {
        let mut entries: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
        for (name, tensor) in &self.critic {
            entries.push((
                name.clone(),
                Dtype::F32,
                tensor.shape.clone(),
                bytes_of_f32(&tensor.values),
            ));
        }
        for (name, adam) in [
            ("actor", &self.actor_optimizer),
            ("critic", &self.critic_optimizer),
        ] {
            for (part, values) in [("mean", &adam.mean), ("square", &adam.square)] {
                entries.push((
                    format!("adam.{name}.{part}"),
                    Dtype::F32,
                    vec![values.len()],
                    bytes_of_f32(values),
                ));
            }
        }
        for (name, statistics) in [("memories", &self.memories), ("returns", &self.returns)] {
            for (part, values) in [("mean", &statistics.mean), ("square", &statistics.square)] {
                entries.push((
                    format!("statistics.{name}.{part}"),
                    Dtype::F64,
                    vec![values.len()],
                    bytes_of_f64(values),
                ));
            }
        }
        // Counts are exact in f64 up to 2^53.
        let counts = [
            self.iteration as f64,
            self.actor_optimizer.updates as f64,
            self.critic_optimizer.updates as f64,
            self.memories.count,
            self.returns.count,
        ];
        entries.push((
            "counts".to_owned(),
            Dtype::F64,
            vec![counts.len()],
            bytes_of_f64(&counts),
        ));
        let content = |error: safetensors::SafeTensorError| ResumeError::Content {
            path: TRAINER_FILE.to_owned(),
            reason: error.to_string(),
        };
        let views = entries
            .iter()
            .map(|(name, dtype, shape, bytes)| {
                Ok((name, TensorView::new(*dtype, shape.clone(), bytes)?))
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(content)?;
        serialize(views, None).map_err(content)
    }

    /// Reads the state from a run's folder.
    ///
    /// # Errors
    /// Names the file and what is wrong with it.
    pub(crate) fn load(dir: &Path) -> Result<Self, ResumeError> {
        let name = dir.join(TRAINER_FILE).display().to_string();
        let bytes = folder::read(dir, TRAINER_FILE).map_err(|reason| ResumeError::Io {
            path: name.clone(),
            reason,
        })?;
        Self::from_bytes(&bytes).map_err(|reason| ResumeError::Content { path: name, reason })
    }

    /// Refuses a state that belongs to other networks: `actor` and `critic` are fresh optimisers of the right size,
    /// and `inputs` are the entries of a working memory.
    ///
    /// # Errors
    /// Names what does not fit.
    pub(crate) fn check(
        &self,
        dir: &Path,
        actor: &AdamW,
        critic: &AdamW,
        inputs: usize,
    ) -> Result<(), ResumeError> {
        let own = [&self.actor_optimizer, &self.critic_optimizer];
        let [own_actor, own_critic] = own.map(|adam| (adam.mean.len(), adam.square.len()));
        let [memories, returns] = [&self.memories, &self.returns]
            .map(|statistics| (statistics.mean.len(), statistics.square.len()));
        for (name, found, expected) in [
            ("adam.actor", own_actor, actor.mean.len()),
            ("adam.critic", own_critic, critic.mean.len()),
            ("statistics.memories", memories, inputs),
            ("statistics.returns", returns, 1),
        ] {
            if found != (expected, expected) {
                return Err(ResumeError::Content {
                    path: dir.join(TRAINER_FILE).display().to_string(),
                    reason: format!(
                        "'{name}' has {} and {} entries; the policy beside it needs {expected}. A run can only be \
                         resumed from its own folder",
                        found.0, found.1
                    ),
                });
            }
        }
        Ok(())
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
        let view = |name: &str, dtype: Dtype| {
            let view = file.tensor(name).map_err(|error| error.to_string())?;
            if view.dtype() == dtype {
                Ok(view)
            } else {
                Err(format!("'{name}' is not {dtype:?}"))
            }
        };
        let f32s = |name: &str| {
            let view = view(name, Dtype::F32)?;
            Ok::<_, String>(
                view.data()
                    .as_chunks::<4>()
                    .0
                    .iter()
                    .map(|b| f32::from_le_bytes(*b))
                    .collect::<Vec<_>>(),
            )
        };
        let f64s = |name: &str| {
            let view = view(name, Dtype::F64)?;
            Ok::<_, String>(
                view.data()
                    .as_chunks::<8>()
                    .0
                    .iter()
                    .map(|b| f64::from_le_bytes(*b))
                    .collect::<Vec<_>>(),
            )
        };
        let counts = f64s("counts")?;
        let [iteration, actor_updates, critic_updates, memories, returns] = counts[..] else {
            return Err(format!("'counts' has {} entries; expected 5", counts.len()));
        };
        let mut critic = Tensors::new();
        for name in file.names() {
            if name.starts_with("critic.") {
                let shape = view(name, Dtype::F32)?.shape().to_vec();
                critic.insert(
                    name.to_owned(),
                    Tensor {
                        shape,
                        values: f32s(name)?,
                    },
                );
            }
        }
        let adam = |name: &str, updates: f64| {
            let (mean, square) = (
                f32s(&format!("adam.{name}.mean"))?,
                f32s(&format!("adam.{name}.square"))?,
            );
            Ok::<_, String>(AdamW {
                mean,
                square,
                updates: updates as u64,
            })
        };
        let statistics = |name: &str, count: f64| {
            let mean = f64s(&format!("statistics.{name}.mean"))?;
            Ok::<_, String>(Statistics {
                count,
                mean,
                square: f64s(&format!("statistics.{name}.square"))?,
            })
        };
        Ok(Self {
            iteration: iteration as u64,
            critic,
            actor_optimizer: adam("actor", actor_updates)?,
            critic_optimizer: adam("critic", critic_updates)?,
            memories: statistics("memories", memories)?,
            returns: statistics("returns", returns)?,
        })
    }
}

fn bytes_of_f32(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

fn bytes_of_f64(values: &[f64]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_as_it_was() {
        let mut critic = Tensors::new();
        critic.insert(
            "critic.0.weight".to_owned(),
            Tensor {
                shape: vec![2, 1],
                values: vec![0.1, -3.0],
            },
        );
        let state = TrainerState {
            iteration: 7,
            critic,
            actor_optimizer: AdamW {
                mean: vec![1.0, 2.0],
                square: vec![0.5, 0.25],
                updates: 99,
            },
            critic_optimizer: AdamW {
                mean: vec![3.0],
                square: vec![4.0],
                updates: 98,
            },
            memories: Statistics {
                count: 12.0,
                mean: vec![0.1, 1.0 / 3.0],
                square: vec![2.0, 1e-17],
            },
            returns: Statistics {
                count: 1e9,
                mean: vec![-0.3],
                square: vec![0.7],
            },
        };
        let bytes = state.to_bytes().unwrap();
        assert_eq!(TrainerState::from_bytes(&bytes).unwrap(), state);
        assert!(TrainerState::from_bytes(&bytes[..bytes.len() - 1]).is_err());
    }
}
