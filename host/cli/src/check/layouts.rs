//! [`Layouts`]: whether an op computes the same through PyTorch on operands that are transposed, sliced or expanded.

use anyhow::Context;
use gpsimd_emulator::gpsimd_descriptor::OpDescriptor;

use super::finding::Finding;
use super::judge::{Case, Judge};
use super::launcher::Launcher;
use super::random::Random;
use crate::replay::Setting;

const NAME: &str = "layouts";

/// Of a hundred cases, those that are tried: each is a call to another process.
const PERCENT: usize = 25;

/// Bytes of operands that are tried.
const LARGEST: usize = 1 << 18;

/// Compares ops on operands that are not contiguous with themselves on contiguous copies.
#[derive(Default)]
pub(crate) struct Layouts {
    comparisons: u64,
    /// Why it cannot be tried.
    missing: Option<String>,
}

impl Judge for Layouts {
    fn name(&self) -> &'static str {
        NAME
    }

    fn comparisons(&self) -> u64 {
        self.comparisons
    }

    fn note(&self, op: &OpDescriptor) -> Option<String> {
        op.tensors().next()?;
        Some(match &self.missing {
            Some(missing) => format!("strided operands were not tried: {missing}"),
            None => format!("through PyTorch, transposed, sliced and expanded operands: {} cases", self.comparisons),
        })
    }

    fn judge(
        &mut self,
        launcher: &mut Launcher,
        case: &Case<'_>,
        random: &mut Random,
    ) -> anyhow::Result<Option<Finding>> {
        // The same draws with and without PyTorch.
        if random.percent(PERCENT) { self.again(launcher, case, &[Setting::REFERENCE]) } else { Ok(None) }
    }

    fn again(
        &mut self,
        launcher: &mut Launcher,
        case: &Case<'_>,
        settings: &[Setting],
    ) -> anyhow::Result<Option<Finding>> {
        // It shows in the first setting: no other is simpler.
        if settings != [Setting::REFERENCE] || case.reference.is_err() || self.missing.is_some() {
            return Ok(None);
        }
        if case.operands.tensors.is_empty() || case.operands.bytes() > LARGEST {
            return Ok(None);
        }
        let libraries = launcher.libraries();
        let namespace = libraries.native().name().to_owned();
        let (_, library) = libraries.files().first().context("a library that is linked in is not PyTorch's")?.clone();
        let Some(process) = launcher.references()? else {
            self.missing = Some("no PyTorch (looked in .venv, $VIRTUAL_ENV and the system's Python)".into());
            return Ok(None);
        };
        let answer = process.through_pytorch(&library, case.op, &namespace, case.operands)?;
        if let Some(missing) = answer.missing {
            self.missing = Some(missing);
            return Ok(None);
        }
        self.comparisons += 1;
        let finding = |message| {
            let settings = vec![Setting::REFERENCE];
            Finding { judge: NAME, kind: "Layout".into(), message, settings, at: None }
        };
        Ok(answer.difference.map(finding))
    }
}
