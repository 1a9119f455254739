//! Settings from TOML and back.

use super::{ConfigError, Settings};
use engram_plants::toml_place::Document;

impl Settings {
    /// Reads and checks settings; `origin` is named in errors.
    ///
    /// # Errors
    /// Names line and key, or the value that is out of range.
    pub fn from_toml(text: &str, origin: &str) -> Result<Self, ConfigError> {
        let settings: Self = toml::from_str(text).map_err(|error| ConfigError::Toml {
            origin: origin.to_owned(),
            message: error.to_string(),
        })?;
        settings.check(Document { origin, text })?;
        Ok(settings)
    }

    /// Reads and checks the settings of a saved run; `origin` is named in errors.
    ///
    /// # Errors
    /// Names the key, or the value that is out of range.
    pub fn from_table(table: toml::Table, origin: &str) -> Result<Self, ConfigError> {
        let settings: Self =
            table
                .try_into()
                .map_err(|error: toml::de::Error| ConfigError::Toml {
                    origin: origin.to_owned(),
                    message: error.to_string(),
                })?;
        // A table no longer knows its lines. The dimensions are the policy's own, which stands beside it.
        settings.check_ranges(Document { origin, text: "" })?;
        Ok(settings)
    }

    /// The settings as a table, for `run.toml`.
    ///
    /// # Errors
    /// When a number has no TOML form.
    pub fn to_table(&self) -> Result<toml::Table, ConfigError> {
        toml::Table::try_from(self).map_err(|error| ConfigError::Toml {
            origin: "settings".to_owned(),
            message: error.to_string(),
        })
    }
}
