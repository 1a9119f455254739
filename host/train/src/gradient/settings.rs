//! Settings of the learner, read from TOML as those of PPO are.

use engram_plants::toml_place::Document;
use serde::{Deserialize, Serialize};

use super::LANES;
use crate::config::ranges::{self, MAX_COUNT, count, every, not_negative, positive, share};
use crate::config::{ConfigError, Initial, Model, Positions, Rl2, preset_file, reading};

/// The settings of a run. `presets/gradient/quadrotor.toml` documents every key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GradientSettings {
    /// Dimensions of the policy, as far as the contract leaves them open.
    pub model: Model,
    /// Weights before the first update.
    pub initial: Initial,
    /// What a training trial is.
    pub trial: Trials,
    /// The optimisation.
    pub gradient: Optimizer,
    /// The recurrent reference; read for no other agent, and may be left out.
    #[serde(default)]
    pub rl2: Rl2,
}

/// What a training trial is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trials {
    /// Trials per iteration, a multiple of 32.
    pub trials: usize,
    /// Control steps of a trial in the first iteration.
    pub first_steps: usize,
    /// Control steps of a trial from iteration `grow_iterations` on.
    pub steps: usize,
    /// Iterations in which trials grow from the one to the other.
    pub grow_iterations: u64,
    /// Steps after which the weights are updated. State and memory go on; the gradient does not run further back.
    pub segment: usize,
    /// Mean control steps between two starts of a new episode within the trial; 0 for never.
    pub restart_every: f64,
}

/// The optimisation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Optimizer {
    /// Environment steps of the whole training.
    pub steps: u64,
    /// Learning rate at the start; it falls along half a cosine.
    pub learning_rate: f64,
    /// Factor that it has fallen to at the end.
    pub final_learning_rate: f64,
    /// Updates in which it rises to the start's.
    pub warm_up: u64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Bound of the gradient's norm; 0 for none.
    pub max_gradient: f64,
    /// Share of the gradient by a state that reaches the state before.
    pub keep: f64,
    /// Bound of the norm of the gradient by one craft's state, in costs of a step.
    pub max_state_gradient: f64,
    /// Bound of the gradient by one command, likewise.
    pub max_action_gradient: f64,
    /// Cost of the square of what a command exceeds its range by.
    pub saturation: f64,
    /// Steps at the start of an episode that cost less: nobody can be near the goal yet.
    pub early_steps: usize,
    /// What they cost.
    pub early_weight: f64,
    /// Normalised entries of a working memory are clamped to plus and minus this.
    pub clip: f32,
}

impl GradientSettings {
    /// The built-in settings for a plant.
    ///
    /// # Errors
    /// When the plant has none.
    pub fn preset(plant: &str) -> Result<Self, ConfigError> {
        let (path, text) = preset_file("gradient", plant)?;
        Self::from_toml(text, path)
    }

    /// Reads and checks settings; `origin` is named in errors.
    ///
    /// # Errors
    /// Names line and key, or the value that is out of range.
    pub fn from_toml(text: &str, origin: &str) -> Result<Self, ConfigError> {
        let settings: Self = reading::from_text(text, origin)?;
        settings.check(Document { origin, text })?;
        Ok(settings)
    }

    /// Reads and checks the settings of a saved run; `origin` is named in errors.
    ///
    /// # Errors
    /// Names the key, or the value that is out of range.
    pub fn from_table(table: toml::Table, origin: &str) -> Result<Self, ConfigError> {
        let settings: Self = reading::from_table(table, origin)?;
        settings.check(Document { origin, text: "" })?;
        Ok(settings)
    }

    /// Control steps of a trial in an iteration, counted from 0.
    #[must_use]
    pub fn trial_steps(&self, iteration: u64) -> usize {
        let Trials {
            first_steps,
            steps,
            grow_iterations,
            ..
        } = self.trial;
        if iteration >= grow_iterations {
            return steps;
        }
        let share = iteration as f64 / grow_iterations as f64;
        first_steps + ((steps - first_steps) as f64 * share) as usize
    }

    /// Refuses what no run can have.
    fn check(&self, file: Document<'_>) -> Result<(), ConfigError> {
        let Self {
            model,
            trial,
            gradient,
            rl2,
            ..
        } = self;
        ranges::check(&ranges::initial(&self.initial), file)?;
        let checks = [
            (
                "trial.trials",
                trial.trials as f64,
                "a multiple of 32, up to 1000000",
                trial.trials > 0 && trial.trials.is_multiple_of(LANES) && trial.trials <= MAX_COUNT,
            ),
            count("trial.first_steps", trial.first_steps),
            (
                "trial.steps",
                trial.steps as f64,
                "from trial.first_steps to 1000000",
                (trial.first_steps..=MAX_COUNT).contains(&trial.steps),
            ),
            (
                "trial.segment",
                trial.segment as f64,
                "from 1 to 10000",
                (1..=10_000).contains(&trial.segment),
            ),
            every("trial.restart_every", trial.restart_every),
            ranges::steps("gradient.steps", gradient.steps),
            count("rl2.hidden", rl2.hidden),
            positive("gradient.learning_rate", gradient.learning_rate),
            share("gradient.final_learning_rate", gradient.final_learning_rate),
            not_negative("gradient.weight_decay", gradient.weight_decay),
            not_negative("gradient.max_gradient", gradient.max_gradient),
            share("gradient.keep", gradient.keep),
            positive("gradient.max_state_gradient", gradient.max_state_gradient),
            positive("gradient.max_action_gradient", gradient.max_action_gradient),
            not_negative("gradient.saturation", gradient.saturation),
            not_negative("gradient.early_weight", gradient.early_weight),
            positive("gradient.clip", f64::from(gradient.clip)),
        ];
        ranges::check(&checks, file)?;
        if model.positions != Positions::Age {
            let key = "model.positions";
            let place = file.find(key).place;
            let message = "must be \"age\": this learner computes one token a step";
            return Err(ConfigError::Contradiction {
                place,
                key,
                message,
            });
        }
        model.check(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preset_is_right_and_comes_back_from_its_table() {
        let settings = GradientSettings::preset("quadrotor").unwrap();
        let table = toml::Table::try_from(&settings).unwrap();
        assert_eq!(
            GradientSettings::from_table(table, "run.toml").unwrap(),
            settings
        );
        assert!(
            GradientSettings::preset("pendulum")
                .unwrap_err()
                .to_string()
                .contains("--config")
        );
        let trial = &settings.trial;
        assert_eq!(settings.trial_steps(0), trial.first_steps);
        assert_eq!(settings.trial_steps(trial.grow_iterations), trial.steps);
        // Otherwise the policy drifts once its memory is full: nothing taught it what to do then.
        let (layers, window) = (settings.model.layers, settings.model.window);
        assert!(trial.segment > layers * (window - 1) + 1);
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        let (path, text) = preset_file("gradient", "quadrotor").unwrap();
        for (from, to, said) in [
            (
                "trials = 256",
                "trials = 250",
                "trial.trials is 250; it must be a multiple of 32",
            ),
            ("segment = 150", "segment = 0", "trial.segment is 0"),
            ("keep = 0.99", "keep = 1.5", "gradient.keep is 1.5"),
            ("clip = 6.0", "clip = 0.0", "gradient.clip is 0"),
            ("heads = 4", "heads = 5", "not a multiple of the 5 heads"),
            (
                "positions = \"age\"",
                "positions = \"slot\"",
                "model.positions must be \"age\"",
            ),
        ] {
            assert!(text.contains(from), "{from}");
            let error = GradientSettings::from_toml(&text.replacen(from, to, 1), path)
                .unwrap_err()
                .to_string();
            let line = 1 + text[..text.find(from).unwrap()].matches('\n').count();
            assert!(error.contains(said), "{error}");
            assert!(error.starts_with(&format!("{path}:{line}: ")), "{error}");
        }
        let misspelt = text.replacen("segment", "segmant", 1);
        assert!(
            GradientSettings::from_toml(&misspelt, path)
                .unwrap_err()
                .to_string()
                .contains("segmant")
        );
    }
}
