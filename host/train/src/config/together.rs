//! Settings that are good alone but not together.

use super::{ConfigError, CriticInput, Positions, Settings};
use engram_export::checkpoint::Agent;

impl Settings {
    /// Whether every step is a window of its own: its memory can be computed from nothing.
    #[must_use]
    pub fn windowed(&self) -> bool {
        self.model.positions == Positions::Slot || self.model.window == 1
    }

    /// Whether `agent` can be trained by these settings, which may have changed since they were read.
    ///
    /// # Errors
    /// Names the keys.
    pub fn check_together(&self, agent: Agent) -> Result<(), ConfigError> {
        let of_agent = (agent == Agent::Rl2)
            .then(|| self.needs_windows())
            .flatten();
        match of_agent.or_else(|| self.contradiction()) {
            None => Ok(()),
            Some((key, message)) => Err(ConfigError::Contradiction {
                place: format!("agent {agent}"),
                key,
                message,
            }),
        }
    }

    /// A key, and what it asks of another that does not give it.
    pub(super) fn contradiction(&self) -> Option<(&'static str, &'static str)> {
        let embedding = match (self.initial.embedding_gain, self.initial.embedding_std) {
            (Some(_), Some(_)) => Some("stands beside initial.embedding_gain; give one of the two"),
            (None, None) => {
                Some("is missing, and so is initial.embedding_gain; give one of the two")
            }
            _ => None,
        };
        if let Some(message) = embedding {
            return Some(("initial.embedding_std", message));
        }
        let encoder = self.critic.input == CriticInput::Encoder;
        let own = [
            (
                self.critic.sees_task,
                "= \"encoder\" needs critic.sees_task = false",
            ),
            (
                self.belief.weight > 0.0,
                "= \"encoder\" needs belief.weight = 0",
            ),
            (
                self.ppo.bootstrap,
                "= \"encoder\" needs ppo.bootstrap = false",
            ),
        ];
        let own = own.into_iter().find(|(wrong, _)| encoder && *wrong);
        let windows = if self.windowed() {
            None
        } else {
            self.needs_windows()
        };
        windows.or(own.map(|(_, message)| ("critic.input", message)))
    }

    /// A key that makes sense only where every step is a window.
    fn needs_windows(&self) -> Option<(&'static str, &'static str)> {
        if self.trial.clear_memory {
            return Some((
                "trial.clear_memory",
                "= true needs model.positions = \"slot\": with \"age\", and for agent rl2, a trial is one sequence",
            ));
        }
        (self.ppo.minibatch_steps > 0).then_some((
            "ppo.minibatch_steps",
            "above 0 needs model.positions = \"slot\": with \"age\", and for agent rl2, a trial is one sequence",
        ))
    }
}
