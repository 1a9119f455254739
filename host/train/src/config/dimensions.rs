//! From settings and a plant to the networks' dimensions.

use engram_image::ModelConfig;

use super::{Model, Settings};
use engram_export::checkpoint::Agent;
use engram_export::network::{GruConfig, NetworkConfig};
use engram_plants::PlantSpec;

impl Model {
    /// The policy's dimensions on a plant of so many channels.
    #[must_use]
    pub fn dimensions(&self, observations: usize, actions: usize) -> ModelConfig {
        ModelConfig {
            observations,
            actions,
            layers: self.layers,
            heads: self.heads,
            model: self.model,
            ff: self.ff,
            window: self.window,
            hidden: self.hidden,
            positions: self.positions,
            head_input: self.head_input,
        }
    }
}

impl Settings {
    /// The policy's dimensions on a plant.
    #[must_use]
    pub fn model_config(&self, spec: &PlantSpec) -> ModelConfig {
        let channels = &spec.channels;
        self.model
            .dimensions(channels.observations.len(), channels.actions.len())
    }

    /// The network of an agent on a plant.
    #[must_use]
    pub fn network_config(&self, spec: &PlantSpec, agent: Agent) -> NetworkConfig {
        let config = self.model_config(spec);
        if agent == Agent::Rl2 {
            return NetworkConfig::Gru(GruConfig {
                observations: config.observations,
                actions: config.actions,
                model: config.model,
                state: self.rl2.hidden,
                hidden: config.hidden,
                head_input: config.head_input,
            });
        }
        NetworkConfig::Transformer(config)
    }
}
