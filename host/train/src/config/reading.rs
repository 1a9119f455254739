//! Settings from TOML and back.

use super::{ConfigError, Settings};
use engram_plants::toml_place::Document;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Settings of some learner from a text; `origin` is named in errors.
pub(crate) fn from_text<S: DeserializeOwned>(text: &str, origin: &str) -> Result<S, ConfigError> {
    toml::from_str(text).map_err(|error| ConfigError::Toml {
        origin: origin.to_owned(),
        message: error.to_string(),
    })
}

/// The same from a table, which no longer knows its lines.
pub(crate) fn from_table<S: DeserializeOwned>(
    table: toml::Table,
    origin: &str,
) -> Result<S, ConfigError> {
    let settings = table.try_into();
    settings.map_err(|error: toml::de::Error| ConfigError::Toml {
        origin: origin.to_owned(),
        message: error.to_string(),
    })
}

/// Settings as a table, for `run.toml`. Fails on a number that has no TOML form.
pub(crate) fn to_table(settings: &impl Serialize) -> Result<toml::Table, ConfigError> {
    toml::Table::try_from(settings).map_err(|error| ConfigError::Toml {
        origin: "settings".to_owned(),
        message: error.to_string(),
    })
}

impl Settings {
    /// Reads and checks settings; `origin` is named in errors.
    ///
    /// # Errors
    /// Names line and key, or the value that is out of range.
    pub fn from_toml(text: &str, origin: &str) -> Result<Self, ConfigError> {
        let settings: Self = from_text(text, origin)?;
        settings.check(Document { origin, text })?;
        Ok(settings)
    }

    /// Reads and checks the settings of a saved run; `origin` is named in errors.
    ///
    /// # Errors
    /// Names the key, or the value that is out of range.
    pub fn from_table(table: toml::Table, origin: &str) -> Result<Self, ConfigError> {
        let settings: Self = from_table(table, origin)?;
        // The dimensions are the policy's own, which stands beside it.
        settings.check_ranges(Document { origin, text: "" })?;
        Ok(settings)
    }

    /// The settings as a table, for `run.toml`.
    ///
    /// # Errors
    /// When a number has no TOML form.
    pub fn to_table(&self) -> Result<toml::Table, ConfigError> {
        to_table(self)
    }
}
