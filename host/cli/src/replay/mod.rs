//! `cargo gpsimd replay`: runs the launch of a replay file again.

mod file;
mod setting;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use anyhow::{Context, bail};

pub use file::{FORMAT, KEY, Replay, ReplayError};
pub(crate) use file::{file_dtype, operands_in};
pub use setting::{Mode, Setting};

use crate::check::{self, Launcher, Verdict};
use crate::libraries::Libraries;
use crate::process::shown_path;
use crate::tier::Tier;
use crate::workspace::Selection;

/// Run a launch again that was found to be wrong, and say whether it still is.
///
/// FILE is what `cargo gpsimd check` saved: the operands of one launch, the settings in which it was made, and what was found.
/// The op library that it names is built as it is now, so that the command says whether a change has mended it.
///
/// Exit status: 0 nothing is wrong with it any more, 1 it is still wrong, or an error: also where that cannot be said, as of an op
/// that has no reference any more, or where no Python is found for it.
#[derive(clap::Args)]
#[command(
    name = "replay",
    after_help = "Examples:\n\
\x20 cargo gpsimd replay target/gpsimd/counterexamples/my_ops-silu-1f6d3c8e.safetensors\n\
\x20 cargo gpsimd replay -p my-ops FILE\n\
\x20 cargo gpsimd debug --replay FILE --dump launch     # looks into it"
)]
pub(crate) struct ReplayCommand {
    #[command(flatten)]
    selection: Selection,
    /// The replay file; where the workspace has several op libraries, it says which one is meant
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl ReplayCommand {
    /// Runs it, and fails when it is still wrong.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let shown = shown_path(&self.file);
        let replay = Replay::read(&self.file).with_context(|| format!("cannot replay {shown}"))?;
        let library = self.selection.find_of(&replay.library)?;
        let tiers: Vec<Tier> = replay.settings.iter().map(|setting| setting.tier).collect();
        let mut launcher = Launcher::new(Libraries::build(&library, &tiers)?);
        let native = launcher.libraries().native();
        let operands = replay.operands(native).with_context(|| format!("cannot replay {shown}"))?;
        let descriptor = native.op(&replay.op)?.descriptor().clone();
        println!("op `{}` on {}", replay.op, operands.describe(&descriptor));
        for (what, setting) in ["launched", "compared with"].into_iter().zip(replay.settings.iter().rev()) {
            println!("{what}: {setting}");
        }
        println!("found then: {}", replay.finding);
        match check::judge_again(&mut launcher, &replay, &operands)? {
            Verdict::Wrong(finding) => bail!("it is still wrong: {}", finding.message),
            Verdict::Right => println!("nothing is wrong with it now"),
            Verdict::NotJudged(why) => bail!("whether it is still wrong cannot be said: {why}"),
        }
        Ok(())
    }
}
