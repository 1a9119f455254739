//! From settings and a plant to the networks' dimensions.

use engram_image::{HeadInput, ModelConfig, Positions};

use super::{HeadInputName, PositionsName, Settings};
use engram_export::network::{GruConfig, NetworkConfig, RL2};
use engram_plants::Plant;

impl Settings {
    /// The policy's dimensions on a plant.
    #[must_use]
    pub fn model_config(&self, plant: &dyn Plant) -> ModelConfig {
        let contract = plant.contract();
        self.dimensions(contract.observations.len(), contract.actions.len())
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
            positions: match model.positions {
                PositionsName::Slot => Positions::Slot,
                PositionsName::Age => Positions::Age,
            },
            head_input: match model.head_input {
                HeadInputName::Encoder => HeadInput::Encoder,
                HeadInputName::Mixed => HeadInput::Mixed,
            },
        }
    }

    /// The network of an agent on a plant.
    #[must_use]
    pub fn network_config(&self, plant: &dyn Plant, agent: &str) -> NetworkConfig {
        let config = self.model_config(plant);
        if agent == RL2 {
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
