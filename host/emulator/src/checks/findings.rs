//! What cores did to each other: found from their accesses when all have ended, so that it does not depend on who ran
//! when.

use std::ops::Range;

use super::{Accesses, RangeSet};
use crate::emulated_core::CoreOutcome;
use crate::error::{KernelError, Misuse};
use crate::prepared_launch::PreparedLaunch;

/// The error of a run: that of the lowest core that has one, or else what the cores did together at the lowest element.
pub(crate) fn judge(launch: &PreparedLaunch<'_>, outcomes: &[CoreOutcome]) -> Option<KernelError> {
    if let Some(error) = outcomes.iter().find_map(|outcome| outcome.error.clone()) {
        return Some(error);
    }
    if !launch.is_checked() {
        return judge_fast(launch, outcomes);
    }
    (0..launch.outputs()).find_map(|output| {
        let cores: Vec<&Accesses> = outcomes.iter().map(|outcome| &outcome.accesses[output]).collect();
        let written: Vec<_> = cores.iter().map(|core| core.written.clone()).collect();
        let mut all = RangeSet::default();
        written.iter().flat_map(RangeSet::iter).for_each(|range| all.insert(&range));
        let findings = [
            write_conflict(launch, output, &cores),
            read_of_replaced(launch, output, &cores, &written),
            never_written(launch, output, &all),
        ];
        // The first of equals: that two cores write an element says more than what follows from it.
        findings.into_iter().flatten().min_by_key(|(element, _)| *element).map(|(_, error)| error)
    })
}

/// In fast mode, from what the cores claimed and what they stored by DMA.
fn judge_fast(launch: &PreparedLaunch<'_>, outcomes: &[CoreOutcome]) -> Option<KernelError> {
    (0..launch.outputs()).find_map(|output| judge_fast_output(launch, output, outcomes))
}

/// Whether the cores wrote every element, each once, and loaded none of what is replaced: what nothing is wrong with is
/// seen at once.
fn is_written_once(launch: &PreparedLaunch<'_>, output: usize, outcomes: &[CoreOutcome]) -> bool {
    if outcomes.iter().any(|outcome| outcome.accesses[output].read.iter().next().is_some()) {
        return false;
    }
    let mut ranges = Vec::with_capacity(2 * outcomes.len());
    launch.claims[output].add_to(&mut ranges);
    ranges.extend(outcomes.iter().flat_map(|outcome| outcome.stored[output].iter()).cloned());
    ranges.retain(|range| !range.is_empty());
    ranges.sort_unstable_by_key(|range| range.start);
    let end = ranges.iter().try_fold(0, |next, range| (range.start == next).then_some(range.end));
    end == Some(launch.output_len(output))
}

fn judge_fast_output(launch: &PreparedLaunch<'_>, output: usize, outcomes: &[CoreOutcome]) -> Option<KernelError> {
    if is_written_once(launch, output, outcomes) {
        return None;
    }
    let mut cores: Vec<RangeSet> = (0..outcomes.len()).map(|core| launch.claims[output].of(core)).collect();
    for (set, outcome) in cores.iter_mut().zip(outcomes) {
        outcome.stored[output].iter().for_each(|range| set.insert(range));
    }
    let mut all = RangeSet::default();
    cores.iter().flat_map(RangeSet::iter).for_each(|range| all.insert(&range));
    let elements = |set: &RangeSet| set.iter().map(|range| range.end - range.start).sum::<u64>();
    if cores.iter().map(elements).sum::<u64>() == elements(&all) {
        let accesses: Vec<_> = outcomes.iter().map(|outcome| &outcome.accesses[output]).collect();
        let findings = [read_of_replaced(launch, output, &accesses, &cores), never_written(launch, output, &all)];
        return findings.into_iter().flatten().min_by_key(|(element, _)| *element).map(|(_, error)| error);
    }
    let pairs = (0..cores.len()).flat_map(|core| (core + 1..cores.len()).map(move |other| (core, other)));
    let (range, core, other) = pairs
        .filter_map(|(core, other)| Some((cores[core].first_common(&cores[other])?, core, other)))
        .min_by_key(|(range, core, other)| (range.start, *core, *other))?;
    let tensor = launch.output_name(output);
    let misuse = Misuse::WriteConflict { tensor, range, other: other as u32, other_location: None };
    Some(launch.error(Some(core as u32), misuse, None))
}

type Finding = Option<(u64, KernelError)>;

fn write_conflict(launch: &PreparedLaunch<'_>, output: usize, cores: &[&Accesses]) -> Finding {
    let pairs = (0..cores.len()).flat_map(|core| (core + 1..cores.len()).map(move |other| (core, other)));
    let (range, core, other) = pairs
        .filter_map(|(core, other)| Some((cores[core].written.first_common(&cores[other].written)?, core, other)))
        .min_by_key(|(range, core, other)| (range.start, *core, *other))?;
    let misuse = Misuse::WriteConflict {
        tensor: launch.output_name(output),
        range: range.clone(),
        other: other as u32,
        other_location: cores[other].stored_at(range.start),
    };
    Some((range.start, launch.error(Some(core as u32), misuse, cores[core].stored_at(range.start))))
}

/// `written` is what each core has written, in whichever way.
fn read_of_replaced(launch: &PreparedLaunch<'_>, output: usize, cores: &[&Accesses], written: &[RangeSet]) -> Finding {
    let pairs = (0..cores.len()).flat_map(|reader| (0..cores.len()).map(move |writer| (reader, writer)));
    let (range, reader, writer) = pairs
        .filter(|(reader, writer)| reader != writer)
        .filter_map(|(reader, writer)| Some((cores[reader].read.first_common(&written[writer])?, reader, writer)))
        .min_by_key(|(range, reader, writer)| (range.start, *reader, *writer))?;
    let misuse = Misuse::ReadReplacedByOther {
        tensor: launch.name(launch.replaced(output)?),
        range: range.clone(),
        writer: writer as u32,
        writer_location: cores[writer].stored_at(range.start),
    };
    Some((range.start, launch.error(Some(reader as u32), misuse, cores[reader].loaded_at(range.start))))
}

fn never_written(launch: &PreparedLaunch<'_>, output: usize, written: &RangeSet) -> Finding {
    let (first, missing) = gaps(written, launch.output_len(output))?;
    let is_tail = first.start > 0 && missing == launch.output_len(output) - first.start;
    let tail_of = is_tail.then(|| launch.types(output));
    let misuse = Misuse::NeverWritten { tensor: launch.output_name(output), first: first.clone(), missing, tail_of };
    Some((first.start, launch.error(None, misuse, None)))
}

/// The first range below `len` that is not in `set`, and how many elements are not.
fn gaps(set: &RangeSet, len: u64) -> Option<(Range<u64>, u64)> {
    let present: u64 = set.iter().map(|range| range.end - range.start).sum();
    // Ranges that touch are one, so that the first gap is before the first range or right after it.
    let mut ranges = set.iter();
    let first = match ranges.next() {
        None => 0..len,
        Some(range) if range.start > 0 => 0..range.start,
        Some(range) => range.end..ranges.next().map_or(len, |next| next.start),
    };
    (!first.is_empty()).then_some((first, len - present))
}
