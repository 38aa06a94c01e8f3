//! Writing the files of an archive to disk.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use super::NeffError;
use super::archive::Archive;

/// Writes all files below `folder`. Their paths have no `..` and none is a link, so that nothing outside is reached as long
/// as nothing else writes there.
pub(super) fn extract(archive: &Archive<'_>, folder: &Path) -> Result<(), NeffError> {
    let write = |path: &Path, problem: io::Error| NeffError::Write { path: path.into(), problem };
    fs::create_dir_all(folder).map_err(|error| write(folder, error))?;
    if fs::read_dir(folder).map_err(|error| write(folder, error))?.next().is_some() {
        return Err(NeffError::NotEmpty { folder: folder.into() });
    }
    for (path, content) in archive.files() {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|error| write(parent, error))?;
        }
        let file = fs::OpenOptions::new().write(true).create_new(true).open(&path);
        file.and_then(|mut file| file.write_all(content)).map_err(|error| write(&path, error))?;
    }
    Ok(())
}
