//! Mutates what lies deep in a replay file: JSON, as text in the JSON of a safetensors header, whose length stands before it.

use std::ops::Range;

use cargo_gpsimd::replay::KEY;
use serde_json::Value;

const LENGTH: usize = 8;
const METADATA: &str = "__metadata__";

/// Where the header of a file is.
fn header(file: &[u8]) -> Option<Range<usize>> {
    let length = u64::from_le_bytes(*file.first_chunk::<LENGTH>()?);
    let end = usize::try_from(length).ok()?.checked_add(LENGTH)?;
    (end <= file.len()).then_some(LENGTH..end)
}

/// The file with `edit` done to its header.
pub fn in_header(file: &[u8], edit: impl FnOnce(&[u8]) -> Vec<u8>) -> Option<Vec<u8>> {
    let at = header(file)?;
    let (header, data) = (edit(&file[at.clone()]), &file[at.end..]);
    Some([&(header.len() as u64).to_le_bytes()[..], &header, data].concat())
}

/// The file with `edit` done to the JSON under the key of replay files.
pub fn in_metadata(file: &[u8], edit: impl FnOnce(&[u8]) -> Vec<u8>) -> Option<Vec<u8>> {
    let mut json: Value = serde_json::from_slice(&file[header(file)?]).ok()?;
    let text = json.get_mut(METADATA)?.get_mut(KEY)?;
    let edited = edit(text.as_str()?.as_bytes());
    *text = String::from_utf8_lossy(&edited).into_owned().into();
    in_header(file, |_| json.to_string().into_bytes())
}
