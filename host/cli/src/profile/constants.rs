//! [`Constants`]: the numbers of the cost model, each with where it is from.

use std::fmt;

use anyhow::Context;
use gpsimd_emulator::cost::{Constant, CostModel};

use crate::bring_up::fit::{self, Fit};
use crate::bring_up::report::{EngineKind, Report};

/// A model, and where its numbers are from.
pub(super) struct Constants {
    pub(super) model: CostModel,
    /// What comes before them.
    heading: String,
    lines: Vec<(Constant, String)>,
    /// What comes after them.
    remarks: Vec<String>,
}

impl Constants {
    /// Those of a model that nothing was measured for.
    pub(super) fn of(model: &CostModel) -> Self {
        let lines = model.constants().map(|constant| (constant, constant.source.to_owned()));
        let heading = "constants of the cost model".into();
        Self { model: model.clone(), heading, lines: lines.into(), remarks: Vec::new() }
    }

    /// Those that the times of a report determine, and for the others those of `model`.
    ///
    /// The times are fitted here again: what a report says of its fit is for whoever reads that.
    pub(super) fn measured(report: &Report, model: &CostModel) -> anyhow::Result<Self> {
        let fit = fit::fit(&report.times, model).context("no launch was timed and counted in this report")?;
        let fitted = fit.model(model);
        let lines = fitted.constants().map(|constant| {
            let found = fit.constants.iter().find(|one| one.name == constant.name);
            let source = match found {
                Some(one) if one.is_determined => format!("measured: {}", one.why),
                Some(one) => format!("{}; not by the report: {}", constant.source, one.why),
                None => constant.source.to_owned(),
            };
            (constant, source)
        });
        let kind = match report.engine {
            EngineKind::Neuron => "a bring-up on a device",
            EngineKind::Emulated => "an EMULATED bring-up: times of a CPU, which say nothing about a device",
        };
        let heading = format!("constants of the cost model, by {kind}, written {}", report.written);
        Ok(Self { model: fitted, heading, lines: lines.into(), remarks: remarks(&fit) })
    }
}

fn remarks(fit: &Fit) -> Vec<String> {
    let mut remarks = vec![format!("{} ({} launches)", fit.verdict, fit.launches)];
    let launch = fit.constants.iter().find(|constant| constant.name == fit::LAUNCH && constant.is_determined);
    remarks.extend(launch.map(|launch| {
        format!("launching takes {:.1} {}, {}; the model has no time for it", launch.value, launch.unit, launch.why)
    }));
    remarks.extend(fit.left_out.map(|left_out| {
        format!("half of the times are predicted within {:.0}% without those of their own op", 100.0 * left_out)
    }));
    remarks
}

/// A line each.
impl fmt::Display for Constants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.heading)?;
        for (constant, source) in &self.lines {
            // Of what is measured, the digits that count.
            let value = (constant.value * 1e4).round() / 1e4;
            let value = format!("{value} {}", constant.unit);
            writeln!(f, "  {:24}  {:12}  {source}", constant.name, value.trim_end())?;
        }
        if !self.remarks.is_empty() {
            writeln!(f)?;
        }
        self.remarks.iter().try_for_each(|remark| writeln!(f, "{remark}"))
    }
}
