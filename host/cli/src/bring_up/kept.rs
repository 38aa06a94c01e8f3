//! [`Kept`]: results of this run and of runs before it, in the build folder: what was done once need not be done again.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Results by the digest of all that they depend on, in a file of lines, each of which is written at once.
pub(super) struct Kept {
    found: HashMap<String, Value>,
    file: File,
    /// Results that were there.
    pub(super) used: usize,
}

#[derive(Serialize, Deserialize)]
struct Line {
    key: String,
    value: Value,
}

impl Kept {
    /// Those in a file; none of them if `is_fresh`.
    pub(super) fn open(path: &Path, is_fresh: bool) -> anyhow::Result<Self> {
        let context = || format!("cannot use {}", path.display());
        if is_fresh && path.exists() {
            fs::remove_file(path).with_context(context)?;
        }
        let text = if path.exists() { fs::read(path).with_context(context)? } else { Vec::new() };
        // A run that was killed may have left half a line.
        let lines = text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Line>(line).ok());
        let found = lines.map(|line| (line.key, line.value)).collect();
        let mut file = OpenOptions::new().create(true).append(true).open(path).with_context(context)?;
        if text.last().is_some_and(|byte| *byte != b'\n') {
            file.write_all(b"\n").with_context(context)?;
        }
        Ok(Self { found, file, used: 0 })
    }

    /// The result of this key, if it is there and of this form.
    pub(super) fn get<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        let value = serde_json::from_value(self.found.get(key)?.clone()).ok()?;
        self.used += 1;
        Some(value)
    }

    /// Keeps a result.
    pub(super) fn put(&mut self, key: &str, value: &impl Serialize) -> anyhow::Result<()> {
        let line = Line { key: key.into(), value: serde_json::to_value(value)? };
        let text = serde_json::to_string(&line)? + "\n";
        self.file.write_all(text.as_bytes()).context("cannot keep a result")
    }
}

/// A key of these parts.
pub(super) fn key(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    format!("{:x}", hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_there_after_a_run_that_was_killed_in_the_middle_of_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept");
        let mut kept = Kept::open(&path, false).unwrap();
        kept.put("a", &1).unwrap();
        kept.put("b", &2).unwrap();
        let text = fs::read(&path).unwrap();
        fs::write(&path, &text[..text.len() - 3]).unwrap();

        let mut kept = Kept::open(&path, false).unwrap();
        assert_eq!((kept.get::<i32>("a"), kept.get::<i32>("b"), kept.used), (Some(1), None, 1));
        kept.put("b", &3).unwrap();
        let mut kept = Kept::open(&path, false).unwrap();
        assert_eq!((kept.get::<i32>("a"), kept.get::<i32>("b")), (Some(1), Some(3)));
        // Of another form: as if it were not there.
        assert_eq!((kept.get::<String>("a"), kept.used), (None, 2));
        assert_eq!(Kept::open(&path, true).unwrap().get::<i32>("a"), None);
    }

    #[test]
    fn a_key_is_of_its_parts_and_not_of_their_text_together() {
        assert_ne!(key(&["ab", "c"]), key(&["a", "bc"]));
    }
}
