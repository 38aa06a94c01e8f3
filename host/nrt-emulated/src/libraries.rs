//! [`Libraries`]: the op libraries of loaded models, each loaded once.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use gpsimd_emulator::OpLibrary;
use sha2::{Digest, Sha256};

use crate::error::Error;

/// Op libraries by the digest of their bytes. One is unloaded when the last model with it is.
#[derive(Debug, Default)]
pub(crate) struct Libraries {
    loaded: Mutex<HashMap<[u8; 32], Weak<OpLibrary>>>,
}

impl Libraries {
    /// The op library in `bytes`, which are the file `file` of a NEFF.
    pub(crate) fn load(&self, file: &str, bytes: &[u8]) -> Result<Arc<OpLibrary>, Error> {
        let digest = Sha256::digest(bytes).into();
        // Held while loading, so that two threads do not load the same.
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.retain(|_, library| library.strong_count() > 0);
        if let Some(library) = loaded.get(&digest).and_then(Weak::upgrade) {
            return Ok(library);
        }
        let library = Arc::new(load(file, bytes)?);
        loaded.insert(digest, Arc::downgrade(&library));
        Ok(library)
    }
}

/// Loads a library from a file that is gone when it is loaded: what the loader has mapped stays.
fn load(file: &str, bytes: &[u8]) -> Result<OpLibrary, Error> {
    // A name that is never used again, because the loader takes a library of a known name for the one it has. So a file
    // without a name, whose path is that of its descriptor, will not do.
    let stored = tempfile::Builder::new().prefix("gpsimd-nrt-").rand_bytes(16).suffix(".so").tempfile();
    let stored = stored.and_then(|mut stored| stored.write_all(bytes).map(|()| stored.into_temp_path()));
    let stored = stored.map_err(|source| Error::StoreLibrary { file: file.into(), source })?;
    OpLibrary::load(&stored).map_err(|source| Error::Library { file: file.into(), source })
}
