//! Opens the files of op libraries, and notices one that was built anew while an earlier build of it is loaded: the
//! system's loader goes by the path, and would hand out the code that it has.

use std::collections::BTreeMap;
use std::ffi::c_int;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use crate::error::LoadError;

/// What was in a file when it was loaded.
#[derive(Clone, Copy)]
pub(crate) struct Content {
    len: u64,
    modified: Option<SystemTime>,
    hash: u64,
}

/// What every path was last loaded with, in this process.
static LOADED: Mutex<BTreeMap<PathBuf, Content>> = Mutex::new(BTreeMap::new());

/// Loads `file`, an absolute path.
pub(crate) fn open(file: &Path, shown: &Path) -> Result<(libloading::Library, Content), LoadError> {
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    let content = match loaded.get(file) {
        Some(before) => match before.changed(file) {
            None => *before,
            Some(_) if is_resident(file) => return Err(LoadError::Replaced { path: shown.into() }),
            Some(now) => now,
        },
        None => Content::of(file),
    };
    // SAFETY: running the library's initialisers is what the caller asks for; op libraries have none.
    let library = unsafe { libloading::Library::new(file) }
        .map_err(|source| LoadError::NotALibrary { path: shown.into(), source })?;
    loaded.insert(file.into(), content);
    Ok((library, content))
}

/// Whether the loader has code for this path.
fn is_resident(file: &Path) -> bool {
    const FLAGS: c_int = libc::RTLD_NOLOAD | libc::RTLD_NOW;
    // SAFETY: nothing is loaded by this, so nothing runs.
    unsafe { libloading::os::unix::Library::open(Some(file), FLAGS) }.is_ok()
}

impl Content {
    /// What is in `file`; of one that cannot be read, nothing.
    fn of(file: &Path) -> Self {
        let (bytes, metadata) = (fs::read(file).unwrap_or_default(), fs::metadata(file).ok());
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        Self {
            len: bytes.len() as u64,
            modified: metadata.and_then(|metadata| metadata.modified().ok()),
            hash: hasher.finish(),
        }
    }

    /// What is in `file` now, if that is something else. A file of the same time and length is taken to be the same.
    pub(crate) fn changed(&self, file: &Path) -> Option<Self> {
        let metadata = fs::metadata(file).ok();
        let modified = metadata.as_ref().and_then(|metadata| metadata.modified().ok());
        if modified == self.modified && metadata.is_some_and(|metadata| metadata.len() == self.len) {
            return None;
        }
        let now = Self::of(file);
        (now.hash != self.hash).then_some(now)
    }
}
