//! What an earlier build left where a failed one would have put its results.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::process::shown_path;

/// Says which results in the folder `out` are older than the build that began at `started`, so that nobody takes them
/// for its own.
pub(super) fn tell(out: Option<&Path>, started: SystemTime) {
    for file in out.map(|out| results(out, started)).unwrap_or_default() {
        eprintln!("warning: {} is of an earlier build", shown_path(&file));
    }
}

fn results(out: &Path, started: SystemTime) -> Vec<PathBuf> {
    let folders = [out.to_path_buf(), out.join("package"), out.join("isa"), out.join("neuron")];
    let files = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    let is_result =
        |path: &Path| path.extension().is_some_and(|found| ["so", "wasm", "elf"].iter().any(|name| found == *name));
    let is_earlier =
        |path: &Path| fs::metadata(path).and_then(|file| file.modified()).is_ok_and(|modified| modified < started);
    let mut found: Vec<_> = files.map(|file| file.path()).filter(|path| is_result(path) && is_earlier(path)).collect();
    found.sort();
    found
}
