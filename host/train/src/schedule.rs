//! How learning rates fall in the course of a training.

use serde::{Deserialize, Serialize};

use super::config::Settings;

/// The way from 1 to the final factor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decay {
    /// By the same amount in every iteration.
    #[default]
    Linear,
    /// By the same factor in every iteration, as in the paper's code.
    Geometric,
}

impl Settings {
    /// Factors of the policy's and the critic's learning rate in iteration number `iteration`, counted from 0.
    #[must_use]
    pub fn rate_factors(&self, iteration: u64) -> (f64, f64) {
        let ppo = &self.ppo;
        let end = match ppo.decay_end {
            0 => self.iterations(),
            end => end,
        };
        let length = end.saturating_sub(ppo.decay_begin).max(1) as f64;
        let share = (iteration.saturating_sub(ppo.decay_begin) as f64 / length).min(1.0);
        let factor = match ppo.decay {
            Decay::Linear => 1.0 + (ppo.final_learning_rate - 1.0) * share,
            Decay::Geometric => ppo.final_learning_rate.powf(share),
        };
        (factor, if self.critic.decays { factor } else { 1.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_fall_between_begin_and_end() {
        let mut settings = Settings::preset("pendulum").unwrap();
        settings.ppo.steps = 100 * settings.steps_per_iteration();
        settings.ppo.final_learning_rate = 0.25;
        let factor = |settings: &Settings, iteration| settings.rate_factors(iteration).0;
        assert!((factor(&settings, 50) - 0.625).abs() < 1e-12);
        settings.ppo.decay_begin = 20;
        settings.ppo.decay_end = 60;
        assert!((factor(&settings, 20) - 1.0).abs() < 1e-12);
        assert!((factor(&settings, 40) - 0.625).abs() < 1e-12);
        settings.ppo.decay = Decay::Geometric;
        assert!((factor(&settings, 40) - 0.5).abs() < 1e-12);
        assert!((factor(&settings, 99) - 0.25).abs() < 1e-12);
        settings.critic.decays = false;
        assert_eq!(settings.rate_factors(40).1, 1.0);
    }
}
