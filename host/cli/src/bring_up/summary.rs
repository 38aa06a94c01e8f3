//! A report in words, for the terminal: a line for each step, and what failed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::report::{Outcome, Report, StepState, TimeOutcome};
use crate::table::{lines, table};

/// Failures that are listed of a step; the report has all of them.
const MOST_FAILURES: usize = 10;

/// A step's results in a line.
pub(super) struct Summary {
    pub(super) line: String,
    pub(super) failures: Vec<String>,
    /// Whether something was not tried.
    pub(super) is_unfinished: bool,
}

/// Of the cases: how many are equal, and by op what is not.
pub(super) fn of_cases(report: &Report) -> Summary {
    let (mut equal, mut different, mut failed, mut not_tried) = (0, 0, 0, Vec::new());
    let mut by_op: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for case in &report.cases {
        let what = match &case.outcome {
            Outcome::Equal { .. } => {
                equal += 1;
                continue;
            }
            Outcome::NotTried { why } => {
                not_tried.push(why.as_str());
                continue;
            }
            Outcome::Different(difference) => {
                different += 1;
                let ulps = difference.ulps.map_or("not a number".into(), |ulps| format!("{ulps} ulps"));
                format!(
                    "`{}` has other bits in {} of {} elements, by {ulps} at {:?}: expected {}, found {}",
                    difference.output,
                    difference.differing,
                    difference.elements,
                    difference.at,
                    difference.expected,
                    difference.found
                )
            }
            Outcome::Failed { error } => {
                failed += 1;
                error.clone()
            }
        };
        let entry = by_op.entry(format!("{}::{}", case.library, case.op));
        entry.or_insert_with(|| (0, format!("{}: {what}", case.case))).0 += 1;
    }
    let more = |count: usize| if count > 1 { format!(", and {} other cases of it", count - 1) } else { String::new() };
    Summary {
        line: counted(&[(equal, "equal"), (different, "different"), (failed, "failed")], &not_tried),
        failures: by_op.into_iter().map(|(op, (count, first))| format!("{op}: {first}{}", more(count))).collect(),
        is_unfinished: !not_tried.is_empty() || equal == 0,
    }
}

/// Of the times: how many there are, and why others are not.
pub(super) fn of_times(report: &Report) -> Summary {
    let (mut measured, mut not_tried, mut failures) = (0, Vec::new(), Vec::new());
    for time in &report.times {
        match &time.outcome {
            TimeOutcome::Measured(_) => measured += 1,
            TimeOutcome::NotTried { why } => not_tried.push(why.as_str()),
            TimeOutcome::Failed { error } => {
                failures.push(format!("{}::{} ({}): {error}", time.library, time.launch, time.operands));
            }
        }
    }
    Summary {
        line: counted(&[(measured, "timed"), (failures.len(), "failed")], &not_tried),
        failures,
        is_unfinished: !not_tried.is_empty() || measured == 0,
    }
}

/// Numbers of results, and what was not tried with the first reason for that.
fn counted(counts: &[(usize, &str)], not_tried: &[&str]) -> String {
    let parts = counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
    let left = not_tried.first().map(|why| format!("{} not tried ({why})", not_tried.len()));
    let parts = parts.chain(left);
    let line = parts.collect::<Vec<_>>().join(", ");
    if line.is_empty() { "none".into() } else { line }
}

/// How a step ended, in a word.
pub(super) const fn word(state: StepState) -> &'static str {
    match state {
        StepState::Passed => "passed",
        StepState::Failed => "FAILED",
        StepState::Unfinished => "not finished",
    }
}

/// The steps, what failed in them, and the constants.
pub(super) fn text(report: &Report) -> String {
    let mut text = String::new();
    for step in &report.steps {
        let _ = writeln!(text, "{:6}  {:12}  {}", step.name, word(step.state), step.summary);
        for failure in step.failures.iter().take(MOST_FAILURES) {
            let _ = writeln!(text, "        - {}", failure.replace('\n', "\n          "));
        }
        if let Some(more) = step.failures.len().checked_sub(MOST_FAILURES).filter(|more| *more > 0) {
            let _ = writeln!(text, "        - and {more} others: the report has them");
        }
    }
    if let Some(fit) = &report.fit {
        let mut table = table(&["constant", "model", "fitted", "why"], 4);
        for constant in &fit.constants {
            let number = |value: f64| format!("{value:.3} {}", constant.unit);
            let fitted = if constant.is_determined { number(constant.value) } else { "not determined".into() };
            table.add_row([constant.name.clone(), number(constant.before), fitted, constant.why.clone()]);
        }
        let _ = write!(text, "\n{}", lines(&table));
    }
    text
}
