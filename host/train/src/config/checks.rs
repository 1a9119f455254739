//! The ranges of single settings.

use super::ranges::{
    Check, MAX_COUNT, check, count, every, initial, not_negative, positive, share, steps,
};
use super::{ConfigError, Model, Settings};
use engram_plants::toml_place::Document;

/// Widths of the networks that no controller has to hold.
const MAX_WIDTH: usize = 8192;

fn width(key: &'static str, value: usize) -> Check {
    let good = (1..=MAX_WIDTH).contains(&value);
    (key, value as f64, "from 1 to 8192", good)
}

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
            trial,
            ppo,
            critic,
            belief,
            rl2,
            ..
        } = self;
        check(&initial(&self.initial), file)?;
        let log_std = self.initial.log_std;
        let checks = [
            positive("normalizer.clip", f64::from(normalizer.clip)),
            (
                "initial.log_std",
                log_std,
                "from -10 to 3",
                (-10.0..=3.0).contains(&log_std),
            ),
            count("trial.trials", trial.trials),
            (
                "trial.steps",
                trial.steps as f64,
                "from 2 to 1000000",
                (2..=MAX_COUNT).contains(&trial.steps),
            ),
            share("trial.anywhere", trial.anywhere),
            every("trial.redraw_every", trial.redraw_every),
            every("trial.change_every", trial.change_every),
            every("trial.restart_every", trial.restart_every),
            (
                "trial.change_every",
                trial.change_every,
                "0 where trial.changes is empty",
                trial.change_every == 0.0 || !trial.changes.is_empty(),
            ),
            steps("ppo.steps", ppo.steps),
            count("ppo.epochs", ppo.epochs),
            count("ppo.minibatches", ppo.minibatches),
            positive("ppo.learning_rate", ppo.learning_rate),
            share("ppo.final_learning_rate", ppo.final_learning_rate),
            not_negative("ppo.weight_decay", ppo.weight_decay),
            not_negative("ppo.max_gradient", ppo.max_gradient),
            not_negative("ppo.min_std", ppo.min_std),
            share("ppo.gamma", ppo.gamma),
            share("ppo.lambda", ppo.lambda),
            positive("ppo.clip", ppo.clip),
            not_negative("ppo.entropy", ppo.entropy),
            (
                "ppo.shards",
                ppo.shards as f64,
                "from 1 to 256",
                (1..=MAX_SHARDS).contains(&ppo.shards),
            ),
            not_negative("ppo.target_kl", ppo.target_kl),
            positive("ppo.max_kl", ppo.max_kl),
            width("critic.hidden", critic.hidden),
            positive("critic.learning_rate", critic.learning_rate),
            not_negative("belief.weight", belief.weight),
            width("rl2.hidden", rl2.hidden),
            (
                "trial.trials",
                trial.trials as f64,
                "a multiple of ppo.minibatches",
                trial.trials.is_multiple_of(ppo.minibatches.max(1)),
            ),
        ];
        check(&checks, file)
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
