//! Reading the JSON files of an archive within a limit.

use serde::de::DeserializeOwned;

use super::archive::shown;
use super::{Limits, NeffError};

/// What may still be read of the JSON files of a NEFF.
pub(super) struct JsonReader {
    limit: u64,
    left: u64,
}

impl JsonReader {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { limit: limits.json_bytes, left: limits.json_bytes }
    }

    /// Parses a file of the archive. What is nested deeper than 128 is an error of the parser.
    pub(super) fn read<T: DeserializeOwned>(&mut self, path: &str, content: &[u8]) -> Result<T, NeffError> {
        self.left = self.left.checked_sub(content.len() as u64).ok_or(NeffError::Limit {
            what: "the JSON files of the archive have more bytes",
            limit: self.limit,
            help: "raise `json_bytes` of the limits if you trust where it comes from",
        })?;
        serde_json::from_slice(content)
            .map_err(|error| NeffError::Json { path: path.into(), problem: shown(&error.to_string()) })
    }
}
