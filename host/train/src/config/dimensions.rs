//! From settings and a plant to the networks' dimensions.

use engram_image::ModelConfig;

use super::Settings;
use engram_export::checkpoint::Agent;
use engram_export::network::{GruConfig, NetworkConfig};
use engram_plants::PlantSpec;

impl Settings {
    /// The policy's dimensions on a plant.
    #[must_use]
    pub fn model_config(&self, spec: &PlantSpec) -> ModelConfig {
        let channels = &spec.channels;
        self.dimensions(channels.observations.len(), channels.actions.len())
    }

    pub(super) fn dimensions(&self, observations: usize, actions: usize) -> ModelConfig {
        let model = &self.model;
        ModelConfig {
            observations,
            actions,
            layers: model.layers,
            heads: model.heads,
            model: model.model,
            ff: model.ff,
            window: model.window,
            hidden: model.hidden,
            positions: model.positions,
            head_input: model.head_input,
        }
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
