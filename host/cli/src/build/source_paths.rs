//! How an op library names the files of its sources: what is built says nothing of the computer that built it.
//!
//! Messages carry the places of calls, and their files' names lie in TCM on the device. Cargo gives rustc the members of a
//! workspace by paths within it, and everything else by absolute ones. They become what they would be in a workspace of
//! their own: `gpsimd-0.1.0/src/walk/map.rs` of a registry, `kernels/gpsimd/src/walk/map.rs` of a checkout.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::Metadata;

use crate::workspace::metadata;

/// The folders that paths of sources begin with where `workspace` is built, and which are left out: those of registries, of git
/// dependencies, and of the workspaces of its path dependencies.
pub(super) fn left_out(workspace: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut folders = BTreeSet::new();
    if let Some(home) = cargo_home() {
        for folder in ["registry/src", "git/checkouts"] {
            // A folder for each registry, or each repository.
            let entries = fs::read_dir(home.join(folder)).into_iter().flatten().flatten();
            folders.extend(entries.map(|entry| entry.path()));
        }
    }
    let mut left = vec![workspace.join("Cargo.toml")];
    let mut seen = BTreeSet::from([workspace.to_path_buf()]);
    while let Some(manifest) = left.pop() {
        let metadata = metadata(Some(&manifest))?;
        let root = metadata.workspace_root.clone().into_std_path_buf();
        if root != workspace {
            folders.insert(root);
        }
        for folder in outside(&metadata) {
            if seen.insert(folder.clone()) {
                left.push(folder.join("Cargo.toml"));
            }
        }
    }
    Ok(folders.into_iter().collect())
}

/// How a file or folder of sources is named by what was built in `workspace`.
pub(crate) fn named(path: &Path, workspace: &Path) -> anyhow::Result<PathBuf> {
    let left_out = left_out(workspace)?;
    let mut folders = left_out.iter().map(PathBuf::as_path).chain([workspace]);
    let rest = folders.find_map(|folder| path.strip_prefix(folder).ok());
    Ok(rest.unwrap_or(path).to_path_buf())
}

/// The flags of rustc for that.
pub(super) fn flags(workspace: &Path) -> anyhow::Result<Vec<String>> {
    let flag = |folder: &PathBuf| format!("--remap-path-prefix={}/=", folder.display());
    Ok(left_out(workspace)?.iter().map(flag).collect())
}

/// Folders of the path dependencies that are no members of the workspace.
fn outside(metadata: &Metadata) -> impl Iterator<Item = PathBuf> + '_ {
    let paths = metadata.packages.iter().flat_map(|package| &package.dependencies).filter_map(|it| it.path.as_ref());
    paths.filter(|path| !path.starts_with(&metadata.workspace_root)).map(|path| path.clone().into_std_path_buf())
}

/// Where cargo keeps what it downloads.
fn cargo_home() -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    home.or_else(|| Some(std::env::home_dir()?.join(".cargo")))
}
