//! Running other programs: shown before they run, and an error names the command.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, bail};
use signal_hook::consts::{SIGINT, SIGTERM};

/// Becomes true at Ctrl-C. The second one ends this process at once.
pub fn stop_flag() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)))
            .context("cannot listen to Ctrl-C")?;
    }
    Ok(stop)
}

/// Runs a command with this terminal and fails when it does.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    let shown = show(command);
    eprintln!("$ {shown}");
    let status = command.status().with_context(|| format!("cannot start `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed: {status}");
    }
    Ok(())
}

/// Runs a command that prints nothing unless it fails, which is the error then.
pub fn quiet(command: &mut Command) -> anyhow::Result<()> {
    let shown = show(command);
    let output = command.output().with_context(|| format!("cannot start `{shown}`"))?;
    if !output.status.success() {
        bail!("`{shown}` failed:\n{}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(())
}

/// Becomes the command, so that Ctrl-C and the exit status are its own.
pub fn become_it(command: &mut Command) -> anyhow::Error {
    let shown = show(command);
    eprintln!("$ {shown}");
    anyhow::Error::new(command.exec()).context(format!("cannot start `{shown}`"))
}

/// Runs a command and returns what it prints to standard output.
pub fn output(command: &mut Command) -> anyhow::Result<String> {
    let shown = show(command);
    let output = command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot start `{shown}`"))?;
    if !output.status.success() {
        bail!("`{shown}` failed: {}", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{shown}` printed something that is not UTF-8"))
}

/// A path relative to the current folder, if it is in there.
pub fn shown_path(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let relative = here.as_deref().and_then(|here| path.strip_prefix(here).ok());
    relative.unwrap_or(path).display().to_string()
}

/// The command as one would type it, with paths relative to the current folder.
pub(crate) fn show(command: &Command) -> String {
    let here = std::env::current_dir().map(|here| format!("{}/", here.display())).unwrap_or_default();
    let program = if std::env::var_os("CARGO").is_some_and(|cargo| cargo == command.get_program()) {
        std::ffi::OsStr::new("cargo")
    } else {
        command.get_program()
    };
    let words = std::iter::once(program).chain(command.get_args());
    let quote = |word: &std::ffi::OsStr| {
        let word = word.to_string_lossy();
        let word = if here.len() > 1 { word.replace(&here, "") } else { word.into_owned() };
        if word.is_empty() || word.contains([' ', '"', '*']) { format!("'{word}'") } else { word }
    };
    words.map(quote).collect::<Vec<_>>().join(" ")
}

/// The cargo that started this process, or that of the path.
pub fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}
