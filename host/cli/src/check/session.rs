//! [`Session`]: checks the ops of a library one after another, and keeps what is known of them.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use gpsimd_emulator::Op;
use indicatif::ProgressBar;

use super::launcher::Launcher;
use super::report::OpReport;
use super::search::{Budget, Search, Searched};
use super::state::State;
use crate::process::shown_path;
use crate::workspace::OpCrate;

/// A check of a library.
pub(super) struct Session<'a> {
    pub(super) library: &'a OpCrate,
    pub(super) launcher: Launcher,
    pub(super) state: State,
    /// Where the state is kept.
    pub(super) path: PathBuf,
    /// The folder of counterexamples.
    pub(super) counterexamples: PathBuf,
}

impl Session<'_> {
    /// Checks those of the ops that are not done, in as much time for all or on as many cases of each, or until Ctrl-C.
    pub(super) fn check(&mut self, ops: &[Op], mut left: Duration, cases: Option<u64>) -> anyhow::Result<()> {
        let bar = ProgressBar::new_spinner();
        bar.enable_steady_tick(Duration::from_millis(200));
        let ops: Vec<_> = ops.iter().filter(|op| !self.state.is_done(op.name())).collect();
        for (number, op) in ops.iter().enumerate() {
            // What one op leaves over is for the others.
            let deadline = Instant::now() + left / (ops.len() - number) as u32;
            let budget = cases.map_or(Budget::Until(deadline), Budget::Cases);
            let place = format!("{} of {}, {}", number + 1, ops.len(), op.name());
            let progress = |searched: &Searched| bar.set_message(format!("{place}: {} cases", searched.cases));
            left = left.saturating_sub(self.check_op(op, budget, &progress, &bar)?);
            if self.launcher.is_interrupted() {
                break;
            }
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// Checks an op, keeps what is known of it, and returns how long it searched.
    fn check_op(
        &mut self,
        op: &Op,
        budget: Budget,
        progress: &dyn Fn(&Searched),
        bar: &ProgressBar,
    ) -> anyhow::Result<Duration> {
        let earlier = self.state.of(op.name()).cloned();
        let from = earlier.as_ref().map_or(0, |earlier| earlier.cases);
        let searched = Search::new(op, self.state.seed).run(&mut self.launcher, from, budget, progress)?;
        let mut report = OpReport::new(op, &searched);
        if let (Some(found), Some(saved)) = (&searched.counterexample, &mut report.counterexample) {
            let descriptor = self.launcher.libraries().native().descriptor();
            saved.save(self.library, descriptor, op, found, &self.counterexamples)?;
            bar.println(format!("op `{}` is wrong: {}", op.name(), shown_path(&saved.file)));
        }
        self.state.put(match &earlier {
            Some(earlier) => report.after(earlier),
            None => report,
        });
        self.state.write(&self.path)?;
        Ok(searched.time)
    }
}
