//! [`Judge`]: what looks for a mistake in what an op computes.

use anyhow::Context;
use gpsimd_emulator::Op;
use gpsimd_emulator::gpsimd_descriptor::OpDescriptor;

use super::finding::Finding;
use super::gradient::Gradients;
use super::launcher::{Launcher, Outcome};
use super::layouts::Layouts;
use super::random::Random;
use super::reference::Reference;
use super::settings::Settings;
use crate::operands::Operands;
use crate::replay::{Replay, Setting};

/// An op on operands that its shape function takes.
pub(crate) struct Case<'a> {
    /// The op, on the native tier.
    pub(crate) op: &'a Op,
    pub(crate) operands: &'a Operands,
    /// What it returns in [`Setting::REFERENCE`].
    pub(crate) reference: &'a Outcome,
}

/// What looks for a mistake in what an op computes.
pub(crate) trait Judge {
    /// Its name, which replay files have.
    fn name(&self) -> &'static str;

    /// How many comparisons it has made.
    fn comparisons(&self) -> u64;

    /// What it has to say about an op in which it found nothing, if anything.
    fn note(&self, _op: &OpDescriptor) -> Option<String> {
        None
    }

    /// Looks at a case that was drawn; in the reference setting, unless it draws others.
    fn judge(
        &mut self,
        launcher: &mut Launcher,
        case: &Case<'_>,
        _random: &mut Random,
    ) -> anyhow::Result<Option<Finding>> {
        self.again(launcher, case, &[Setting::REFERENCE])
    }

    /// Looks again at what was found in these settings, on the same operands or smaller ones.
    fn again(
        &mut self,
        launcher: &mut Launcher,
        case: &Case<'_>,
        settings: &[Setting],
    ) -> anyhow::Result<Option<Finding>>;
}

/// All of them.
pub(crate) fn judges() -> Vec<Box<dyn Judge>> {
    vec![
        Box::new(Settings::default()),
        Box::new(Gradients::default()),
        Box::new(Reference::default()),
        Box::new(Layouts::default()),
    ]
}

/// Asks the judge of a replay file again.
pub(crate) fn judge_again(
    launcher: &mut Launcher,
    replay: &Replay,
    operands: &Operands,
) -> anyhow::Result<Option<Finding>> {
    let mut judges = judges();
    let judge = judges.iter_mut().find(|judge| judge.name() == replay.judge).with_context(|| {
        format!(
            "the file was written by a judge that is called `{}`, which is not here: install a newer cargo-gpsimd",
            replay.judge
        )
    })?;
    let op = launcher.libraries().native().op(&replay.op)?;
    let reference = launcher.launch(&replay.op, operands, &Setting::REFERENCE)?;
    let case = Case { op: &op, operands, reference: &reference };
    judge.again(launcher, &case, &replay.settings)
}
