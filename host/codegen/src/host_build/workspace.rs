//! [`Workspace`]: the folder of one build.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::error::BuildError;
use super::headers::write_headers;

/// The folder of one build, beside its output so that the finished library can be renamed into place. Gone when dropped.
pub(super) struct Workspace {
    folder: PathBuf,
}

impl Workspace {
    /// A folder for building `output`, with the headers in `include`.
    pub(super) fn new(output: &Path) -> Result<Self, BuildError> {
        // Builds of the same library may run at the same time, in this process and in others.
        static BUILDS: AtomicU32 = AtomicU32::new(0);
        let number = BUILDS.fetch_add(1, Ordering::Relaxed);
        let output = std::path::absolute(output).map_err(|source| file("find", output, source))?;
        let folder = output.with_extension(format!("{}-{number}.build", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|source| file("create", &folder, source))?;
        let workspace = Self { folder };
        write_headers(&workspace.include())?;
        Ok(workspace)
    }

    /// A path in the folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Where the headers are.
    pub(super) fn include(&self) -> PathBuf {
        self.path("include")
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        // What is left costs nothing but space.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Writes a file and the folders it is in.
pub(super) fn write(path: &Path, text: &str) -> Result<(), BuildError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|source| file("create", folder, source))?;
    }
    std::fs::write(path, text).map_err(|source| file("write", path, source))
}

/// An error of the file system.
pub(super) fn file(action: &'static str, path: &Path, source: std::io::Error) -> BuildError {
    BuildError::File { action, path: path.into(), source }
}
