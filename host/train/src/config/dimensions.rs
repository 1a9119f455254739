//! From settings and a plant to the networks' dimensions.

use engram_image::{HeadInput, ModelConfig, Positions};

use super::{HeadInputName, Model, PositionsName, Settings};
use engram_export::network::{GruConfig, NetworkConfig, RL2};
use engram_plants::Plant;

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
            positions: match self.positions {
                PositionsName::Slot => Positions::Slot,
                PositionsName::Age => Positions::Age,
            },
            head_input: match self.head_input {
                HeadInputName::Encoder => HeadInput::Encoder,
                HeadInputName::Mixed => HeadInput::Mixed,
            },
        }
    }
}

impl Settings {
    /// The policy's dimensions on a plant.
    #[must_use]
    pub fn model_config(&self, plant: &dyn Plant) -> ModelConfig {
        let contract = plant.contract();
        self.model
            .dimensions(contract.observations.len(), contract.actions.len())
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
