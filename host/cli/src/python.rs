//! The Pythons of a workspace: where PyTorch is, and the C++ compiler that a wheel brings.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::workspace::Workspace;

/// Oldest Python that `gpsimd_torch` is made for.
const OLDEST: (u32, u32) = (3, 11);

/// The interpreters in which packages are looked for: of the workspace's `.venv`, of the active environment, of the system.
fn interpreters(workspace: &Workspace) -> Vec<PathBuf> {
    let environments = [Some(workspace.root().join(".venv")), std::env::var_os("VIRTUAL_ENV").map(PathBuf::from)];
    let environments = environments.into_iter().flatten().map(|environment| environment.join("bin/python"));
    environments.filter(|python| python.exists()).chain(system_python().ok().map(PathBuf::from)).collect()
}

/// The first interpreter that has a package, and the folder of that.
pub fn find_package(workspace: &Workspace, name: &str) -> Option<(PathBuf, PathBuf)> {
    interpreters(workspace).into_iter().find_map(|python| Some((python.clone(), folder_of(&python, name)?)))
}

/// The folder of an installed package.
///
/// # Errors
/// When no interpreter has it.
pub fn package_folder(workspace: &Workspace, name: &str) -> anyhow::Result<PathBuf> {
    let (_, folder) = find_package(workspace, name).with_context(|| {
        let places = interpreters(workspace).iter().map(|python| python.display().to_string()).collect::<Vec<_>>();
        let places = if places.is_empty() { "there is no Python".into() } else { places.join(", ") };
        format!("no Python package `{name}` (looked in .venv, $VIRTUAL_ENV and the system's Python: {places}); install it with pip")
    })?;
    Ok(folder)
}

/// Without importing it: with PyTorch that takes seconds.
fn folder_of(python: &Path, name: &str) -> Option<PathBuf> {
    let script =
        format!("import importlib.util; print(importlib.util.find_spec('{name}').submodule_search_locations[0])");
    let output = Command::new(python).args(["-c", &script]).output().ok()?;
    output.status.success().then(|| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

/// The Python that the environment is made of: `$PYTHON`, or the first on the path that is new enough.
pub fn system_python() -> anyhow::Result<String> {
    let chosen = std::env::var("PYTHON").ok();
    let candidates: Vec<String> = chosen.map_or_else(
        || ["python3", "python3.14", "python3.13", "python3.12", "python3.11"].map(String::from).to_vec(),
        |one| vec![one],
    );
    let mut found = Vec::new();
    for candidate in candidates {
        let script = "import sys; print(*sys.version_info[:2])";
        let Ok(output) = Command::new(&candidate).args(["-c", script]).output() else { continue };
        let text = String::from_utf8_lossy(&output.stdout).trim().to_string();
        let version = text.split_once(' ').and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        match version {
            Some(version) if version >= OLDEST => return Ok(candidate),
            _ => found.push(format!("{candidate} is {}", text.replace(' ', "."))),
        }
    }
    let found = if found.is_empty() { "found none".to_string() } else { format!("found: {}", found.join(", ")) };
    bail!("Python {}.{} or newer is needed, {found}: install it, or name it in $PYTHON", OLDEST.0, OLDEST.1)
}
