//! The Python of a workspace, asked for where PyTorch is.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, bail};

use crate::{process, workspace};

/// Oldest Python that `gpsimd_torch` is made for.
const OLDEST: (u32, u32) = (3, 11);

/// The folder of an installed package: of the workspace's `.venv`, of the active environment, or of the system.
///
/// # Errors
/// When no Python has it.
pub fn package_folder(name: &str) -> anyhow::Result<PathBuf> {
    // To import PyTorch takes seconds.
    let script =
        format!("import importlib.util; print(importlib.util.find_spec('{name}').submodule_search_locations[0])");
    let mut candidates = vec![workspace::root().join(".venv")];
    candidates.extend(std::env::var_os("VIRTUAL_ENV").map(PathBuf::from));
    let in_environment = candidates.iter().map(|environment| environment.join("bin/python")).find(|path| path.exists());
    let python = match in_environment {
        Some(python) => python,
        None => system_python()?.into(),
    };
    let folder = process::output(Command::new(&python).args(["-c", &script]))
        .with_context(|| format!("{} has no package `{name}`: install it there", python.display()))?;
    Ok(PathBuf::from(folder.trim()))
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
