//! Crates that a command writes to the build folder, for cargo to build.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::build::write;
use crate::workspace::Workspace;

/// Writes a crate and returns its folder. It is a workspace of its own, with the versions that `workspace` has of everything
/// that both use.
pub(crate) fn generate(workspace: &Workspace, name: &str, files: &[(&str, &str)]) -> anyhow::Result<PathBuf> {
    let folder = workspace.artifacts().join(name);
    for (path, text) in files {
        let path = folder.join(path);
        let parent = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
        write(&path, text.as_bytes())?;
    }
    let (from, to) = (workspace.root().join("Cargo.lock"), folder.join("Cargo.lock"));
    match fs::read(&from) {
        Ok(lock) => write(&to, &lock)?,
        // The first build makes it.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", from.display())),
    }
    Ok(folder)
}
