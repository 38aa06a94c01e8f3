//! Whether something has to be made again: a file that holds the digest of all that it was made from.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use sha2::{Digest, Sha256};

/// A stamp beside what was made.
pub struct Stamp {
    file: PathBuf,
    digest: String,
}

impl Stamp {
    /// The stamp in `file` for what is made from `inputs`: files, and folders with all that is in them. `also` is what
    /// the result depends on beside files.
    pub fn of(file: PathBuf, inputs: &[PathBuf], also: &str) -> anyhow::Result<Self> {
        let mut hash = Sha256::new();
        hash.update(also);
        for input in inputs {
            add(&mut hash, input)?;
        }
        Ok(Self { file, digest: format!("{:x}", hash.finalize()) })
    }

    /// Whether what was made is of these inputs.
    pub fn is_current(&self) -> bool {
        fs::read_to_string(&self.file).is_ok_and(|digest| digest == self.digest)
    }

    /// To be called before what was made is replaced.
    pub fn remove(&self) -> anyhow::Result<()> {
        match fs::remove_file(&self.file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", self.file.display()))
            }
            _ => Ok(()),
        }
    }

    /// To be called when it has been made, and not before.
    pub fn write(&self) -> anyhow::Result<()> {
        fs::write(&self.file, &self.digest).with_context(|| format!("cannot write {}", self.file.display()))
    }
}

fn add(hash: &mut Sha256, path: &Path) -> anyhow::Result<()> {
    let context = || format!("cannot read {}", path.display());
    if path.is_dir() {
        if path.file_name().is_some_and(|name| name == "__pycache__") {
            return Ok(());
        }
        let entries = fs::read_dir(path).with_context(context)?;
        let mut paths =
            entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>().with_context(context)?;
        paths.sort();
        return paths.iter().try_for_each(|path| add(hash, path));
    }
    let bytes = fs::read(path).with_context(context)?;
    hash.update(path.as_os_str().as_encoded_bytes());
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
    Ok(())
}
