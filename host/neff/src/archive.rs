//! The archive of a NEFF: unpacked within limits, listed, and nothing in it that leads elsewhere.

use std::borrow::Cow;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{Cursor, Read};
use std::ops::Range;

use flate2::bufread::GzDecoder;
use tar::EntryType;

use super::{Limits, NeffError};

/// Files of an archive, with their bytes in it.
#[derive(Clone)]
pub(super) struct Archive<'a> {
    /// The archive, unpacked.
    data: Cow<'a, [u8]>,
    /// Where the files are in it, by path.
    files: BTreeMap<String, Range<usize>>,
}

impl<'a> Archive<'a> {
    /// Unpacks and lists the archive.
    pub(super) fn read(packed: &'a [u8], limits: &Limits) -> Result<Self, NeffError> {
        let data = if packed.starts_with(&GZIP_MAGIC) {
            Cow::Owned(inflate(packed, limits)?)
        } else if packed.len() as u64 > limits.unpacked_bytes {
            return Err(too_large(limits));
        } else {
            Cow::Borrowed(packed)
        };
        let files = list(&data, limits)?;
        Ok(Self { data, files })
    }

    pub(super) fn into_owned(self) -> Archive<'static> {
        Archive { data: Cow::Owned(self.data.into_owned()), files: self.files }
    }

    /// Paths and contents, sorted by path.
    pub(super) fn files(&self) -> impl ExactSizeIterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(path, range)| (path.as_str(), &self.data[range.clone()]))
    }

    pub(super) fn file(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(|range| &self.data[range.clone()])
    }
}

/// Without the contents, which are too long for anybody to read.
impl fmt::Debug for Archive<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive").field("bytes", &self.data.len()).field("files", &self.files).finish()
    }
}

/// How gzip starts.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

fn too_large(limits: &Limits) -> NeffError {
    NeffError::Limit {
        what: "the archive has more bytes",
        limit: limits.unpacked_bytes,
        help: "raise `unpacked_bytes` of the limits if you trust where it comes from",
    }
}

/// Decompresses all members. Memory grows with what comes out, whatever sizes are declared.
fn inflate(packed: &[u8], limits: &Limits) -> Result<Vec<u8>, NeffError> {
    let allowed = limits.unpacked(packed.len());
    let mut unpacked = Vec::new();
    let mut rest = packed;
    // Zeros at the end are padding, as for gzip itself.
    while rest.iter().any(|&byte| byte != 0) {
        let left = allowed.saturating_sub(unpacked.len() as u64).saturating_add(1);
        let mut member = GzDecoder::new(rest);
        let result = (&mut member).take(left).read_to_end(&mut unpacked);
        result.map_err(|error| NeffError::Gzip { unpacked: unpacked.len(), problem: error.to_string() })?;
        if unpacked.len() as u64 > allowed {
            return Err(if allowed == limits.unpacked_bytes {
                too_large(limits)
            } else {
                NeffError::Limit {
                    what: "the archive has more bytes, unpacked, for each of its bytes",
                    limit: limits.ratio,
                    help: "no model packs so well; raise `ratio` of the limits if you trust where it comes from",
                }
            });
        }
        rest = member.into_inner();
    }
    Ok(unpacked)
}

fn list(data: &[u8], limits: &Limits) -> Result<BTreeMap<String, Range<usize>>, NeffError> {
    let tar = |error: std::io::Error| NeffError::Tar { problem: shown(&error.to_string()) };
    // Reading an entry's header leaves its content where it is: entries are found without their bytes being copied.
    let mut archive = tar::Archive::new(Cursor::new(data));
    let mut files = BTreeMap::new();
    let mut folders = BTreeSet::new();
    for (index, entry) in archive.entries_with_seek().map_err(tar)?.enumerate() {
        let entry = entry.map_err(tar)?;
        if index >= limits.files {
            return Err(NeffError::Limit {
                what: "the archive has more files and folders",
                limit: limits.files as u64,
                help: "raise `files` of the limits if you trust where it comes from",
            });
        }
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            continue;
        }
        let shown = || shown(&String::from_utf8_lossy(&entry.path_bytes()));
        let is_folder = match kind {
            EntryType::Regular | EntryType::Continuous => false,
            EntryType::Directory => true,
            other => return Err(NeffError::Kind { path: shown(), kind: kind_name(other) }),
        };
        let path = plain_path(&entry.path_bytes()).map_err(|problem| NeffError::Path { path: shown(), problem })?;
        let (start, size) = (entry.raw_file_position(), entry.size());
        let there = (data.len() as u64).saturating_sub(start);
        if size > there {
            return Err(NeffError::CutOff { path, size, found: there });
        }
        if is_folder {
            folders.insert(path);
        } else if path.is_empty() {
            return Err(NeffError::Path { path: shown(), problem: "names no file" });
        } else {
            match files.entry(path) {
                Entry::Vacant(entry) => entry.insert(start as usize..(start + size) as usize),
                Entry::Occupied(entry) => return Err(NeffError::Duplicate { path: entry.key().clone() }),
            };
        }
    }
    let is_folder_too = |path: &str| {
        let mut parents = path.match_indices('/').map(|(end, _)| &path[..end]);
        folders.contains(path) || parents.any(|parent| files.contains_key(parent))
    };
    match files.keys().find(|path| is_folder_too(path)) {
        Some(path) => Err(NeffError::Duplicate { path: path.clone() }),
        None => Ok(files),
    }
}

/// Bytes that a path in the archive can have.
const MAX_PATH: usize = 1024;

/// Names that a path in the archive can have.
const MAX_DEPTH: usize = 32;

/// Names joined by slashes, without what means nothing; empty for the archive's own folder.
pub(super) fn plain_path(path: &[u8]) -> Result<String, &'static str> {
    if path.len() > MAX_PATH {
        return Err("is longer than 1024 bytes");
    }
    let path = std::str::from_utf8(path).map_err(|_| "is not UTF-8")?;
    if path.chars().any(char::is_control) {
        return Err("has control characters");
    }
    if path.starts_with('/') {
        return Err("is absolute");
    }
    // On some systems these separate folders, or name drives.
    if path.contains('\\') || path.as_bytes().get(1) == Some(&b':') {
        return Err("has a backslash or a drive");
    }
    let mut plain = String::with_capacity(path.len());
    for (depth, name) in path.split('/').filter(|name| !name.is_empty() && *name != ".").enumerate() {
        if name == ".." {
            return Err("leads out of the archive");
        }
        if depth == MAX_DEPTH {
            return Err("lies in more than 31 folders");
        }
        if !plain.is_empty() {
            plain.push('/');
        }
        plain.push_str(name);
    }
    Ok(plain)
}

/// Text of a file for a message: short, and without characters that a terminal obeys.
pub(super) fn shown(text: &str) -> String {
    const MAX: usize = 200;
    let mut shown = String::new();
    for character in text.chars() {
        if shown.len() > MAX {
            shown.push('…');
            break;
        }
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

fn kind_name(kind: EntryType) -> &'static str {
    match kind {
        EntryType::Link => "a hard link",
        EntryType::Symlink => "a symbolic link",
        EntryType::Char | EntryType::Block => "a device",
        EntryType::Fifo => "a pipe",
        EntryType::GNUSparse => "a sparse file",
        _ => "something of an unknown kind",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lose_what_means_nothing() {
        for (path, plain) in [
            ("./sg00//def.json", "sg00/def.json"),
            ("a/./b/", "a/b"),
            ("./", ""),
            ("...", "..."),
            ("const:0.npy", "const:0.npy"),
        ] {
            assert_eq!(plain_path(path.as_bytes()), Ok(plain.to_owned()));
        }
    }

    #[test]
    fn paths_that_lead_elsewhere_are_refused() {
        for path in ["..", "a/../b", "../x", "/etc/passwd", "a\\..\\b", "c:/x", "a\nb", "a\u{9b}2J", &"x".repeat(1025)]
        {
            assert!(plain_path(path.as_bytes()).is_err(), "{path:?}");
        }
        assert!(plain_path(b"\xff").is_err());
        assert!(plain_path("a/".repeat(MAX_DEPTH).as_bytes()).is_ok());
        assert!(plain_path("a/".repeat(MAX_DEPTH + 1).as_bytes()).is_err());
    }
}
