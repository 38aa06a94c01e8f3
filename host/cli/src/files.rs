//! Files that are there whole or not at all.

use std::fs::File;
use std::io;
use std::path::Path;

use anyhow::Context;
use tempfile::{Builder, NamedTempFile};

/// Writes a file beside `path` and renames it into place: whoever has the old one open keeps it, and nobody sees half of
/// the new one.
pub fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> anyhow::Result<()> {
    beside(path)
        .and_then(|mut new| {
            write(new.as_file_mut())?;
            new.persist(path).map_err(|error| error.error)
        })
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}

/// As [`replace`], with what is in another file, and its permissions.
pub fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    beside(to)
        .and_then(|new| {
            std::fs::copy(from, new.path())?;
            new.persist(to).map_err(|error| error.error)
        })
        .with_context(|| format!("cannot write {}", to.display()))?;
    Ok(())
}

/// A new file in the folder of `path`, with the permissions that files have there: a temporary file has its owner's alone.
fn beside(path: &Path) -> io::Result<NamedTempFile> {
    use std::os::unix::fs::PermissionsExt;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Builder::new().permissions(std::fs::Permissions::from_mode(0o666)).tempfile_in(folder)
}
