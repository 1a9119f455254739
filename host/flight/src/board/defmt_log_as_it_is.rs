//! Logs of boards with defmt in builds without the feature `defmt`: nothing is decoded.

use std::path::Path;

use engram_link::Log;

/// There is none: log bytes stay as they are.
pub(super) enum DefmtLog {}

impl DefmtLog {
    pub(super) fn open(_firmware: &Path) -> Option<Self> {
        None
    }

    pub(super) fn take(&mut self, _bytes: &[u8]) -> Vec<Log> {
        match *self {}
    }
}
