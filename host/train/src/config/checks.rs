//! The ranges of single settings.

use super::{ConfigError, Model, Settings};
use engram_plants::toml_place::Document;

/// Counts are below this: what they multiply to can be counted, and be paid for in steps if not in memory.
const MAX_COUNT: usize = 1_000_000;
/// Widths of the networks that no controller has to hold.
const MAX_WIDTH: usize = 8192;
/// Each shard has a thread of its own.
const MAX_SHARDS: usize = 256;

impl Settings {
    /// Refuses what no run can have; `file` is where the settings stand.
    pub(super) fn check(&self, file: Document<'_>) -> Result<(), ConfigError> {
        self.check_ranges(file)?;
        self.model.check(file)?;
        match self.contradiction() {
            None => Ok(()),
            Some((key, message)) => Err(ConfigError::Contradiction {
                place: file.find(key).place,
                key,
                message,
            }),
        }
    }

    pub(super) fn check_ranges(&self, file: Document<'_>) -> Result<(), ConfigError> {
        let Self {
            normalizer,
            initial,
            trial,
            ppo,
            critic,
            belief,
            rl2,
            ..
        } = self;
        let positive = "above 0";
        let share = "from 0 to 1";
        let count = "from 1 to 1000000";
        let count_of =
            |key, value: usize| (key, value as f64, count, (1..=MAX_COUNT).contains(&value));
        let width_of = |key, value: usize| {
            let good = (1..=MAX_WIDTH).contains(&value);
            (key, value as f64, "from 1 to 8192", good)
        };
        let share_of = |key, value: f64| (key, value, share, (0.0..=1.0).contains(&value));
        let positive_of =
            |key, value: f64| (key, value, positive, value > 0.0 && value.is_finite());
        let not_negative =
            |key, value: f64| (key, value, "0 or above", value >= 0.0 && value.is_finite());
        let every_of = |key, value: f64| {
            (
                key,
                value,
                "0 (never) or at least 1",
                value == 0.0 || value >= 1.0,
            )
        };
        let checks = [
            positive_of("normalizer.clip", f64::from(normalizer.clip)),
            (
                "initial.log_std",
                initial.log_std,
                "from -10 to 3",
                (-10.0..=3.0).contains(&initial.log_std),
            ),
            not_negative("initial.age_bias", initial.age_bias),
            positive_of(
                "initial.embedding_gain",
                initial.embedding_gain.unwrap_or(1.0),
            ),
            positive_of(
                "initial.embedding_std",
                initial.embedding_std.unwrap_or(1.0),
            ),
            positive_of("initial.last_layer_gain", initial.last_layer_gain),
            count_of("trial.trials", trial.trials),
            (
                "trial.steps",
                trial.steps as f64,
                "from 2 to 1000000",
                (2..=MAX_COUNT).contains(&trial.steps),
            ),
            share_of("trial.anywhere", trial.anywhere),
            every_of("trial.redraw_every", trial.redraw_every),
            every_of("trial.change_every", trial.change_every),
            every_of("trial.restart_every", trial.restart_every),
            (
                "trial.change_every",
                trial.change_every,
                "0 where trial.changes is empty",
                trial.change_every == 0.0 || !trial.changes.is_empty(),
            ),
            ("ppo.steps", ppo.steps as f64, "at least 1", ppo.steps >= 1),
            count_of("ppo.epochs", ppo.epochs),
            count_of("ppo.minibatches", ppo.minibatches),
            positive_of("ppo.learning_rate", ppo.learning_rate),
            share_of("ppo.final_learning_rate", ppo.final_learning_rate),
            not_negative("ppo.weight_decay", ppo.weight_decay),
            not_negative("ppo.max_gradient", ppo.max_gradient),
            not_negative("ppo.min_std", ppo.min_std),
            share_of("ppo.gamma", ppo.gamma),
            share_of("ppo.lambda", ppo.lambda),
            positive_of("ppo.clip", ppo.clip),
            not_negative("ppo.entropy", ppo.entropy),
            (
                "ppo.shards",
                ppo.shards as f64,
                "from 1 to 256",
                (1..=MAX_SHARDS).contains(&ppo.shards),
            ),
            not_negative("ppo.target_kl", ppo.target_kl),
            positive_of("ppo.max_kl", ppo.max_kl),
            width_of("critic.hidden", critic.hidden),
            positive_of("critic.learning_rate", critic.learning_rate),
            not_negative("belief.weight", belief.weight),
            width_of("rl2.hidden", rl2.hidden),
            (
                "trial.trials",
                trial.trials as f64,
                "a multiple of ppo.minibatches",
                trial.trials.is_multiple_of(ppo.minibatches.max(1)),
            ),
        ];
        match checks.into_iter().find(|(.., good)| !good) {
            Some((key, value, range, _)) => Err(ConfigError::Range {
                place: file.find(key).place,
                key,
                value,
                range,
            }),
            None => Ok(()),
        }
    }
}

impl Model {
    /// Dimensions that no plant could make good.
    pub(crate) fn check(&self, file: Document<'_>) -> Result<(), ConfigError> {
        use engram_image::ConfigError as Reason;
        self.dimensions(1, 1).validate().map_err(|reason| {
            let name = match reason {
                // `hidden[0]` is a part of a key, `window * model` begins with one.
                Reason::Range { name, .. } => name.split(['[', ' ']).next().unwrap_or(name),
                Reason::Heads { .. } => "heads",
            };
            let place = file.find(&format!("model.{name}")).place;
            ConfigError::Model { place, reason }
        })
    }
}
