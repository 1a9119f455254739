//! The built-in settings: ours, and the paper's.

use serde::{Deserialize, Serialize};

use super::{ConfigError, Settings};
use engram_plants::robot::{self, Robot};
use engram_plants::toml_place::Document;

/// The preset of every robot of the user's own.
const ROBOT: &str = "robot";

/// Whose settings.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumIter,
    strum::EnumMessage,
    strum::IntoStaticStr,
)]
#[strum(serialize_all = "kebab-case")]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Ours.
    #[default]
    Engram,
    /// The published settings of the paper's code.
    Paper,
}

impl Preset {
    /// The name on the command line, and of the folder in `presets/`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Engram => "engram",
            Self::Paper => "paper",
        }
    }
}

/// `("KIND/PLANT", path, text)` of the files in `presets/`.
macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        &[$((
            $name,
            concat!("presets/", $name, ".toml"),
            include_str!(concat!("../../presets/", $name, ".toml")),
        )),+]
    };
}

const FILES: &[(&str, &str, &str)] = files!(
    "engram/pendulum",
    "engram/quadrotor",
    "engram/half-cheetah-vel",
    "engram/half-cheetah-dir",
    "engram/ant-dir",
    "engram/ant-dir-xy",
    "engram/walker-params",
    "engram/hopper-params",
    "engram/robot",
    "paper/half-cheetah-vel",
    "paper/half-cheetah-dir",
    "paper/ant-dir",
    "gradient/quadrotor",
);

/// Path and text of the file in `presets/KIND/` for a plant.
///
/// # Errors
/// When there is none.
pub(crate) fn file(
    kind: &'static str,
    plant: &str,
) -> Result<(&'static str, &'static str), ConfigError> {
    let wanted = format!("{kind}/{plant}");
    let found = FILES.iter().find(|(name, ..)| *name == wanted);
    found
        .map(|(_, path, text)| (*path, *text))
        .ok_or_else(|| ConfigError::NoPreset {
            plant: plant.to_owned(),
            kind,
        })
}

impl Settings {
    /// Our built-in settings for a plant.
    ///
    /// # Errors
    /// When the plant has no preset.
    pub fn preset(plant: &str) -> Result<Self, ConfigError> {
        Self::preset_of(Preset::Engram, plant)
    }

    /// The built-in settings for a plant. The paper's for `ant-dir-xy`, which the paper does not have, are
    /// those of `ant-dir`. Ours for a robot of the user's own are `robot`, with the trials and changes of its file.
    ///
    /// # Errors
    /// When the plant has no such preset, or is a robot's file that is not right.
    pub fn preset_of(preset: Preset, plant: &str) -> Result<Self, ConfigError> {
        if preset == Preset::Engram && robot::is_file(plant) {
            let settings = Self::preset_of(preset, ROBOT)?.with_trials_of(&robot::load(plant)?);
            settings.check(Document {
                origin: plant,
                text: "",
            })?;
            return Ok(settings);
        }
        let same = match (preset, plant) {
            (Preset::Paper, "ant-dir-xy") => "ant-dir",
            _ => plant,
        };
        let (path, text) = file(preset.name(), same)?;
        Self::from_toml(text, path)
    }

    /// Takes trials and changes from a robot's file.
    fn with_trials_of(mut self, robot: &Robot) -> Self {
        let trial = &mut self.trial;
        trial.steps = robot.spec.protocol.episode_steps * robot.spec.protocol.episodes;
        trial.episode_steps = robot.spec.protocol.episode_steps;
        trial.changes.clone_from(&robot.training_changes);
        if !trial.changes.is_empty() {
            trial.change_every = trial.steps as f64 / robot.changes_per_trial;
        }
        self
    }
}
