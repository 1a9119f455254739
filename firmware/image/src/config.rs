//! The shape of a policy network, and what follows from it: memory, work, receptive field.

use core::num::Saturating;

use strum::{Display, IntoStaticStr};
use thiserror::Error;

use crate::limits;

/// How the policy knows when a memory happened; in files by its name, `slot` or `age`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
#[cfg_attr(
    feature = "write",
    derive(
        serde::Serialize,
        serde::Deserialize,
        strum::EnumIter,
        strum::EnumMessage
    ),
    serde(rename_all = "lowercase")
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Positions {
    /// Encodings are added per window slot; every step recomputes the whole window.
    Slot,
    /// A learned bias per head and age; every step computes one token.
    Age,
}

/// What the head reads; in files by its name, `encoder` or `mixed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
#[cfg_attr(
    feature = "write",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum HeadInput {
    /// The encoder's output for the newest token.
    Encoder,
    /// The encoder's output and the newest embedded working memory, side by side.
    Mixed,
}

/// Every dimension of a policy network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(
    feature = "write",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct ModelConfig {
    /// Observation channels.
    pub observations: usize,
    /// Action channels.
    pub actions: usize,
    /// Encoder layers.
    pub layers: usize,
    /// Attention heads of every layer; divides `model`.
    pub heads: usize,
    /// Width `d` of the residual stream.
    pub model: usize,
    /// Width of the feed-forward blocks.
    pub ff: usize,
    /// Working memories `N` that one layer attends to.
    pub window: usize,
    /// Widths of the two hidden layers of the head.
    pub hidden: [usize; 2],
    /// How the policy knows when a memory happened.
    pub positions: Positions,
    /// What the head reads.
    pub head_input: HeadInput,
}

/// A dimension that the controller cannot run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ConfigError {
    /// A dimension is zero or above its capacity.
    #[error("{name} is {value}, but must be in 1..={limit}")]
    Range {
        /// The dimension, or the product of dimensions.
        name: &'static str,
        /// What the configuration says.
        value: usize,
        /// The capacity in [`limits`].
        limit: usize,
    },
    /// The width of the model is not a multiple of the number of heads.
    #[error("model is {model}, not a multiple of the {heads} heads")]
    Heads {
        /// Width of the model.
        model: usize,
        /// Number of heads.
        heads: usize,
    },
}

impl ModelConfig {
    /// The smallest configuration; what unread places hold.
    pub(crate) const SMALLEST: Self = Self {
        observations: 1,
        actions: 1,
        layers: 1,
        heads: 1,
        model: 1,
        ff: 1,
        window: 1,
        hidden: [1, 1],
        positions: Positions::Age,
        head_input: HeadInput::Encoder,
    };

    /// Entries of one working memory: observation, last action, last reward, done.
    #[must_use]
    pub const fn inputs(&self) -> usize {
        self.observations
            .saturating_add(self.actions)
            .saturating_add(2)
    }

    /// Width of one attention head; 0 without heads.
    #[must_use]
    pub const fn head_dim(&self) -> usize {
        match self.model.checked_div(self.heads) {
            Some(width) => width,
            None => 0,
        }
    }

    /// Steps that can reach an action: `L (N-1) + 1` with `age`, `N` with `slot`.
    #[must_use]
    pub const fn receptive_field(&self) -> usize {
        match self.positions {
            Positions::Slot => self.window,
            Positions::Age => self
                .layers
                .saturating_mul(self.window.saturating_sub(1))
                .saturating_add(1),
        }
    }

    /// Checks every dimension, and the products that size the controller's rings, against [`limits`].
    ///
    /// # Errors
    /// The first dimension that is zero or exceeds its capacity.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let [first, second] = self.hidden;
        let ring = self.window.saturating_mul(self.model);
        let cache = self.layers.saturating_mul(ring);
        let slot_ring = match self.positions {
            Positions::Slot => ring,
            Positions::Age => 1,
        };
        for (name, value, limit) in [
            ("observations", self.observations, limits::MAX_OBSERVATIONS),
            ("actions", self.actions, limits::MAX_ACTIONS),
            ("layers", self.layers, limits::MAX_LAYERS),
            ("heads", self.heads, limits::MAX_HEADS),
            ("model", self.model, limits::MAX_MODEL),
            ("ff", self.ff, limits::MAX_FF),
            ("window", self.window, limits::MAX_WINDOW),
            ("hidden[0]", first, limits::MAX_HIDDEN),
            ("hidden[1]", second, limits::MAX_HIDDEN),
            ("layers * window * model", cache, limits::KV_BYTES),
            ("window * model", slot_ring, limits::SLOT_ENTRIES),
        ] {
            if value == 0 || value > limit {
                return Err(ConfigError::Range { name, value, limit });
            }
        }
        if self.model.checked_rem(self.heads) != Some(0) {
            return Err(ConfigError::Heads {
                model: self.model,
                heads: self.heads,
            });
        }
        Ok(())
    }

    /// Multiply-accumulates of one control step, the same for every step.
    ///
    /// One token costs `L (4 d d + 2 d ff + 2 N d)` (the last term is the logits and the weighted
    /// sum over the whole window). `age` computes one token a step, `slot` computes `N`; both add
    /// one embedding and one head.
    #[must_use]
    pub fn macs_per_step(&self) -> u64 {
        let [model, ff, window] = [self.model, self.ff, self.window].map(wide);
        let [first, second] = self.hidden.map(wide);
        let [two, four] = [2, 4].map(Saturating);
        let token = wide(self.layers) * model * (four * model + two * ff + two * window);
        let tokens = match self.positions {
            Positions::Slot => window,
            Positions::Age => Saturating(1),
        };
        let head_width = match self.head_input {
            HeadInput::Encoder => model,
            HeadInput::Mixed => two * model,
        };
        let head = first * head_width + second * first + wide(self.actions) * second;
        (wide(self.inputs()) * model + tokens * token + head).0
    }

    /// [`ModelConfig::macs_per_step`] without those whose results nobody reads: behind the keys and values of the last
    /// layer, all tokens but the newest. No step can do with fewer.
    #[must_use]
    pub fn least_macs_per_step(&self) -> u64 {
        let [model, ff, window] = [self.model, self.ff, self.window].map(wide);
        let older = match self.positions {
            Positions::Slot => window - Saturating(1),
            Positions::Age => Saturating(0),
        };
        // Queries and the mixing of heads, the feed-forward block, logits and the weighted sum.
        let token = Saturating(2) * model * (model + ff + window);
        (Saturating(self.macs_per_step()) - older * token).0
    }

    /// Bytes that persist from step to step: with `age` the int8 key and value rings of all layers,
    /// with `slot` the int16 ring of embedded working memories.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        let layers = match self.positions {
            Positions::Slot => 1,
            Positions::Age => self.layers,
        };
        let entries = self.window.saturating_mul(self.model);
        entries.saturating_mul(layers).saturating_mul(2)
    }
}

/// A dimension as `u64`; every supported target's `usize` fits.
fn wide(value: usize) -> Saturating<u64> {
    Saturating(u64::try_from(value).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::string::ToString;

    const CONFIG: ModelConfig = ModelConfig {
        observations: 3,
        actions: 1,
        layers: 2,
        heads: 4,
        model: 32,
        ff: 64,
        window: 64,
        hidden: [64, 64],
        positions: Positions::Age,
        head_input: HeadInput::Mixed,
    };

    #[test]
    fn numbers_of_a_small_policy() {
        assert_eq!(CONFIG.validate(), Ok(()));
        assert_eq!(CONFIG.inputs(), 6);
        assert_eq!(CONFIG.head_dim(), 8);
        assert_eq!(CONFIG.receptive_field(), 127);
        assert_eq!(CONFIG.state_bytes(), 2 * 2 * 64 * 32);
        let token = 2 * (4 * 32 * 32 + 2 * 32 * 64 + 2 * 64 * 32);
        let head = 64 * 64 + 64 * 64 + 64;
        assert_eq!(CONFIG.macs_per_step(), 6 * 32 + token + head);
        let slot = ModelConfig {
            positions: Positions::Slot,
            head_input: HeadInput::Encoder,
            ..CONFIG
        };
        assert_eq!(slot.receptive_field(), 64);
        assert_eq!(slot.state_bytes(), 64 * 32 * 2);
        assert_eq!(
            slot.macs_per_step(),
            6 * 32 + 64 * token + 64 * 32 + 64 * 64 + 64
        );
    }

    /// Every dimension by itself is tried in an image (`tests/format/lies.rs`).
    #[test]
    fn refuses_products_of_dimensions() {
        let refused = |change: fn(&mut ModelConfig), says: &str| {
            let mut config = CONFIG;
            change(&mut config);
            assert_eq!(config.validate().unwrap_err().to_string(), says);
        };
        refused(
            |c| (c.layers, c.window, c.model) = (8, 512, 128),
            "layers * window * model is 524288, but must be in 1..=65536",
        );
        refused(
            |c| (c.positions, c.window, c.model) = (Positions::Slot, 128, 128),
            "window * model is 16384, but must be in 1..=8192",
        );
    }

    #[test]
    fn nonsense_does_not_overflow() {
        let most = usize::MAX;
        let config = ModelConfig {
            observations: most,
            actions: most,
            layers: most,
            heads: 0,
            model: most,
            ff: most,
            window: most,
            hidden: [most, most],
            positions: Positions::Age,
            head_input: HeadInput::Mixed,
        };
        assert!(config.validate().is_err());
        assert_eq!(config.macs_per_step(), u64::MAX);
        assert_eq!(config.state_bytes(), most);
        assert_eq!(config.head_dim(), 0);
    }
}
