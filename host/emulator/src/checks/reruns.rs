//! Two runs of a launch that differ only in what TCM holds at the start must have the same outcome: otherwise the
//! result depends on TCM that was never written.

use super::findings::judge;
use crate::emulated_core::CoreOutcome;
use crate::error::{KernelError, Misuse, count};
use crate::prepared_launch::PreparedLaunch;
use crate::tcm::Poison;

/// The outputs and the outcomes of a run.
pub(crate) struct RunResult<'a> {
    pub(crate) poison: Poison,
    pub(crate) outputs: &'a [&'a [u8]],
    pub(crate) outcomes: &'a [CoreOutcome],
}

/// How what cores do in the second run differs from the first, which succeeded.
pub(crate) fn compare_behaviour(
    launch: &PreparedLaunch<'_>,
    first: &[CoreOutcome],
    second: &[CoreOutcome],
) -> Option<KernelError> {
    failure(launch, second).or_else(|| behaviour_difference(launch, first, second))
}

/// How the second run differs from the first, which succeeded.
pub(crate) fn compare(
    launch: &PreparedLaunch<'_>,
    first: &RunResult<'_>,
    second: &RunResult<'_>,
) -> Option<KernelError> {
    let differs = |output| output_difference(launch, output, first, second);
    failure(launch, second.outcomes)
        .or_else(|| (0..launch.outputs()).find_map(differs))
        .or_else(|| behaviour_difference(launch, first.outcomes, second.outcomes))
}

/// What is wrong with the second run alone.
fn failure(launch: &PreparedLaunch<'_>, second: &[CoreOutcome]) -> Option<KernelError> {
    let error = judge(launch, second)?;
    let what = format!("the second fails: {}", error.misuse);
    Some(KernelError { misuse: Misuse::BehaviourDependsOnTcm { what }, ..error })
}

fn output_difference(
    launch: &PreparedLaunch<'_>,
    output: usize,
    first: &RunResult<'_>,
    second: &RunResult<'_>,
) -> Option<KernelError> {
    let (a, b) = (first.outputs[output], second.outputs[output]);
    if a == b {
        return None;
    }
    let bytes = launch.element_bytes(launch.first_output + output);
    let pairs = || a.chunks_exact(bytes).zip(b.chunks_exact(bytes));
    let start = pairs().position(|(a, b)| a != b)?;
    // Elements that carry poison as it was are one finding, those computed from it another.
    let carried = |(a, b): (&[u8], &[u8])| is_poison(a, first.poison) && is_poison(b, second.poison);
    let verbatim = pairs().nth(start).is_some_and(carried);
    let len = pairs().skip(start).take_while(|&(a, b)| a != b && carried((a, b)) == verbatim).count();

    let start = start as u64;
    let writer = second
        .outcomes
        .iter()
        .position(|core| core.accesses[output].written.first_in(&(start..start + 1)).is_some())?;
    let accesses = &second.outcomes[writer].accesses[output];
    // Every element has a writer: `judge` found none missing. What another core wrote is another finding.
    let range = accesses.written.first_in(&(start..start + len as u64))?;
    let tensor = launch.output_name(output);
    let misuse =
        if verbatim { Misuse::TcmNeverWritten { tensor, range } } else { Misuse::DependsOnTcm { tensor, range } };
    Some(launch.error(Some(writer as u32), misuse, accesses.stored_at(start)))
}

/// Whether an element is the poison itself. An element that happens to look like it is the same in both runs, and no
/// finding.
fn is_poison(element: &[u8], poison: Poison) -> bool {
    let pattern = poison.pattern();
    pattern.chunks_exact(element.len()).any(|part| part == element)
}

fn behaviour_difference(
    launch: &PreparedLaunch<'_>,
    first: &[CoreOutcome],
    second: &[CoreOutcome],
) -> Option<KernelError> {
    first.iter().zip(second).enumerate().find_map(|(core, (a, b))| {
        let what = if a.report != b.report {
            let counts = |CoreOutcome { report, .. }: &CoreOutcome| {
                let (loads, stores) = (count(report.loads, "load"), count(report.stores, "store"));
                let tcm = report.tcm_high_water;
                format!(
                    "{loads} of {} and {stores} of {} bytes in {tcm} bytes of TCM",
                    report.load_bytes, report.store_bytes
                )
            };
            format!("the core makes {}, then {}", counts(a), counts(b))
        } else if a.printed != b.printed {
            "the core prints different text".to_owned()
        } else {
            return None;
        };
        Some(launch.error(Some(core as u32), Misuse::BehaviourDependsOnTcm { what }, None))
    })
}
