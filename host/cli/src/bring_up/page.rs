//! [`html`]: a report as one page without anything from elsewhere.

mod chart;

use std::collections::BTreeMap;

use anyhow::Context;
use minijinja::{Environment, context};
use serde::Serialize;

use super::report::{CaseResult, Outcome, Report, Time, TimeOutcome};
use super::summary::word;
use chart::Chart;

const TEMPLATE: &str = include_str!("page/report.html");

/// The cases of an op.
#[derive(Default, Serialize)]
struct OfOp {
    name: String,
    equal: usize,
    different: usize,
    failed: usize,
    not_tried: usize,
    /// The largest difference, in units of the last place.
    ulps: String,
    /// The largest errors against references of golden files: of the native tier, and found.
    native: String,
    found: String,
}

/// The launches of an op that were timed, or tried to.
#[derive(Serialize)]
struct Row<'a> {
    name: String,
    operands: &'a str,
    median: String,
    quartiles: String,
    runs: String,
    modelled: String,
    /// Measured over modelled.
    ratio: String,
    problem: Option<&'a str>,
}

/// The page.
pub(super) fn html(report: &Report) -> anyhow::Result<String> {
    let mut environment = Environment::new();
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    environment.add_template("report.html", TEMPLATE)?;
    environment.add_filter("word", |name: &str| match name {
        "passed" => word(super::report::StepState::Passed),
        "failed" => word(super::report::StepState::Failed),
        _ => word(super::report::StepState::Unfinished),
    });
    environment.add_filter("number", number);
    environment.add_filter("percent", |part: f64| format!("{:+.0}%", 100.0 * part));
    let problems: Vec<&CaseResult> =
        report.cases.iter().filter(|case| !matches!(case.outcome, Outcome::Equal { .. })).collect();
    let page = environment.get_template("report.html")?.render(context! {
        report => report,
        place => place(report),
        ops => of_ops(&report.cases),
        problems => problems,
        times => report.times.iter().map(row).collect::<Vec<_>>(),
        chart => Chart::of(&report.times),
    });
    page.context("the page of the report")
}

/// What it ran on, in a few words.
fn place(report: &Report) -> String {
    let instance = report.host.pieces.iter().find(|piece| piece.name == "NeuronCore-v2");
    instance.and_then(|piece| piece.version.clone()).unwrap_or_else(|| report.host.processor.clone())
}

fn of_ops(cases: &[CaseResult]) -> Vec<OfOp> {
    let mut ops: BTreeMap<String, (OfOp, u64, [Option<f64>; 2])> = BTreeMap::new();
    for case in cases {
        let name = format!("{}::{}", case.library, case.op);
        let (op, ulps, errors) = ops.entry(name.clone()).or_default();
        op.name = name;
        match &case.outcome {
            Outcome::Equal { .. } => op.equal += 1,
            Outcome::Failed { .. } => op.failed += 1,
            Outcome::NotTried { .. } => op.not_tried += 1,
            Outcome::Different(difference) => {
                op.different += 1;
                *ulps = (*ulps).max(difference.ulps.unwrap_or(u64::MAX));
            }
        }
        if let Some(accuracy) = &case.accuracy {
            for (largest, error) in errors.iter_mut().zip([accuracy.native, accuracy.found]) {
                let error = error.unwrap_or(f64::INFINITY);
                *largest = Some(largest.map_or(error, |largest| largest.max(error)));
            }
        }
    }
    let error = |error: Option<f64>| error.map_or_else(String::new, |error| format!("{error:.2}"));
    let finished = ops.into_values().map(|(op, ulps, [native, found])| OfOp {
        ulps: match ulps {
            _ if op.different == 0 => String::new(),
            u64::MAX => "not a number".into(),
            ulps => ulps.to_string(),
        },
        native: error(native),
        found: error(found),
        ..op
    });
    finished.collect()
}

fn row(time: &Time) -> Row<'_> {
    let name = format!("{}::{}", time.library, time.launch);
    let modelled = time.modelled.map_or_else(String::new, |seconds| number(seconds * 1e6));
    let mut row = Row {
        name,
        operands: &time.operands,
        median: String::new(),
        quartiles: String::new(),
        runs: String::new(),
        modelled,
        ratio: String::new(),
        problem: None,
    };
    match &time.outcome {
        TimeOutcome::Measured(found) => {
            row.median = number(found.median * 1e6);
            row.quartiles = format!("{} to {}", number(found.lower * 1e6), number(found.upper * 1e6));
            row.runs = found.runs.to_string();
            let modelled = time.modelled.filter(|seconds| *seconds > 0.0);
            row.ratio = modelled.map_or_else(String::new, |modelled| format!("{:.2}x", found.median / modelled));
        }
        TimeOutcome::Failed { error: problem } | TimeOutcome::NotTried { why: problem } => row.problem = Some(problem),
    }
    row
}

/// With three digits that count.
fn number(value: f64) -> String {
    let digits = if value == 0.0 { 0 } else { (2 - value.abs().log10().floor() as i32).clamp(0, 6) };
    format!("{value:.*}", digits as usize)
}
