//! `.vscode/launch.json` for a [`Session`].

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::debugger::Session;
use crate::files;
use crate::process::shown_path;

/// Adds the session's configurations to the file, or replaces those of an earlier one.
pub(super) fn write(session: &Session, root: &Path) -> anyhow::Result<()> {
    let folder = root.join(".vscode");
    let path = folder.join("launch.json");
    let own = configurations(session, root);
    let text = match fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let mut file = match text.as_deref().map(serde_json::from_str::<Value>) {
        None => json!({ "version": "0.2.0", "configurations": [] }),
        Some(Ok(file)) => file,
        // Visual Studio Code allows comments, which would be lost.
        Some(Err(error)) => bail!(
            "{} is not plain JSON ({error}): add these to its configurations by hand\n{}",
            shown_path(&path),
            serde_json::to_string_pretty(&own)?
        ),
    };
    let Some(configurations) = file["configurations"].as_array_mut() else {
        bail!("{} has no list of `configurations`", shown_path(&path));
    };
    configurations.retain(|one| own.iter().all(|other| one["name"] != other["name"]));
    configurations.extend(own);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let text = serde_json::to_string_pretty(&file)? + "\n";
    files::replace(&path, |file| file.write_all(text.as_bytes()))?;
    println!("wrote {}: open {} in Visual Studio Code and press F5", shown_path(&path), shown_path(root));
    Ok(())
}

/// One for the extension `CodeLLDB`, one for Microsoft's C/C++ with gdb.
fn configurations(session: &Session, root: &Path) -> Vec<Value> {
    let arguments = session.arguments();
    // Before the library is loaded.
    let setup = [vec!["set breakpoint pending on".to_owned()], session.gdb_commands()].concat();
    let setup: Vec<_> = setup.into_iter().map(|text| json!({ "text": text })).collect();
    vec![
        json!({
            "name": format!("gpsimd: {}", session.name),
            "type": "lldb",
            "request": "launch",
            "program": session.program,
            "args": arguments,
            "cwd": root,
            "sourceLanguages": ["rust"],
            "preRunCommands": session.lldb_commands(),
        }),
        json!({
            "name": format!("gpsimd: {}, gdb", session.name),
            "type": "cppdbg",
            "request": "launch",
            "MIMode": "gdb",
            "program": session.program,
            "args": arguments,
            "cwd": root,
            "setupCommands": setup,
        }),
    ]
}
