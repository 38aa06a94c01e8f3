//! [`Judge`]: what looks for a mistake in what an op computes.

use anyhow::Context;
use gpsimd_emulator::gpsimd_descriptor::OpDescriptor;
use gpsimd_emulator::{LaunchError, Op};

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

/// What a judge says of a launch that was found to be wrong.
pub(crate) enum Verdict {
    /// It still is.
    Wrong(Finding),
    /// It was judged, and is right.
    Right,
    /// It was not judged, and why.
    NotJudged(String),
}

/// Asks the judge of a replay file again.
pub(crate) fn judge_again(launcher: &mut Launcher, replay: &Replay, operands: &Operands) -> anyhow::Result<Verdict> {
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
    if let Some(finding) = judge.again(launcher, &case, &replay.settings)? {
        return Ok(Verdict::Wrong(finding));
    }
    // Of what is refused nothing is computed, and what is refused for its shape or type is not even launched.
    let is_of_settings = judge.name() == super::SETTINGS;
    let has_compared = is_of_settings || judge.comparisons() > 0;
    Ok(match &reference {
        // It does so whatever the setting is. One that panics, or an operand of another type, is no such answer.
        Err(LaunchError::Operands(error)) if is_of_settings && error.is_of_shape_function() => Verdict::Right,
        Err(error @ LaunchError::Operands(_)) => {
            Verdict::NotJudged(format!("the op does not take the operands: {error}"))
        }
        _ if has_compared => Verdict::Right,
        Err(error) => Verdict::NotJudged(format!("the op refuses the launch: {error}")),
        Ok(_) => Verdict::NotJudged(judge.note(op.descriptor()).unwrap_or_else(|| {
            format!(
                "op `{}` declares no {} any more, or there is nothing to compare with it here",
                replay.op, replay.judge
            )
        })),
    })
}
