//! Makes the corpus beside a fuzz target: of all inputs, the few small ones that reach most.

use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};

use super::programs::Programs;
use super::run::LIMITS;
use super::target::{Target, entries};
use cargo_gpsimd::process;

/// What a corpus beside a target has at most.
pub(super) const INPUTS: usize = 48;
/// Its bytes, together.
pub(super) const BYTES: u64 = 128 << 10;
/// Of one input.
const INPUT_BYTES: u64 = 16 << 10;

/// Chooses from the inputs beside `target` and those that runs found.
pub(super) fn save(target: &Target, programs: &Programs) -> anyhow::Result<()> {
    let seeds = target.seeds();
    let work = tempfile::tempdir_in(target.findings().with_file_name("")).context("cannot make a folder")?;
    let (small, chosen) = (work.path().join("small"), work.path().join("chosen"));
    for folder in [&small, &chosen, &seeds] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    for corpus in [&seeds, &target.corpus()] {
        for input in if corpus.is_dir() { entries(corpus)? } else { Vec::new() } {
            if size(&input)? <= INPUT_BYTES {
                copy(&input, &small)?;
            }
        }
    }
    // Edges alone: how often each is passed would ask for ten times as many.
    let merge = ["-set_cover_merge=1", "-use_counters=0"];
    process::quiet(programs.command(target).args(merge).args(LIMITS).args([&chosen, &small]))?;
    let mut inputs = entries(&chosen)?;
    ensure!(!inputs.is_empty(), "no input of the fuzz target {} is left: its corpus stays as it was", target.name);
    // libFuzzer writes those that reach most first.
    let written = |input: &std::path::PathBuf| input.metadata().and_then(|metadata| metadata.modified()).ok();
    inputs.sort_by_key(written);
    for input in entries(&seeds)? {
        fs::remove_file(&input).with_context(|| format!("cannot remove {}", input.display()))?;
    }
    let (mut count, mut bytes) = (0, 0);
    for input in inputs {
        let size = size(&input)?;
        if count < INPUTS && bytes + size <= BYTES {
            copy(&input, &seeds)?;
            (count, bytes) = (count + 1, bytes + size);
        }
    }
    eprintln!("{}: {count} inputs, {bytes} bytes", process::shown_path(&seeds));
    Ok(())
}

fn size(input: &Path) -> anyhow::Result<u64> {
    Ok(input.metadata().with_context(|| format!("cannot read {}", input.display()))?.len())
}

fn copy(input: &Path, folder: &Path) -> anyhow::Result<()> {
    let to = folder.join(input.file_name().context("an input has a name")?);
    fs::copy(input, &to).map(|_| ()).with_context(|| format!("cannot write {}", to.display()))
}
