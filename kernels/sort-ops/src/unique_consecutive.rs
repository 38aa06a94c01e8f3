//! Runs of equal elements.

use core::ops::Range;

use gpsimd::prelude::*;

use crate::parts::{self, Found};

fn starts_of_parts(x: &TensorType, with_inverse: usize, with_lengths: usize) -> Result<[TensorType; 2], ShapeError> {
    expect_flags(with_inverse, with_lengths)?;
    Ok([parts::counts(x)?; 2])
}

fn expect_flags(with_inverse: usize, with_lengths: usize) -> Result<(), ShapeError> {
    if with_inverse > 1 || with_lengths > 1 {
        return Err(ShapeError::new("with_inverse and with_lengths are 0 or 1"));
    }
    Ok(())
}

fn runs(
    x: &TensorType,
    _counts: &TensorType,
    _firsts: &TensorType,
    with_inverse: usize,
    with_lengths: usize,
) -> Result<[TensorType; 4], ShapeError> {
    expect_flags(with_inverse, with_lengths)?;
    let (flat, numbers) = (x.with_shape(&[x.elements_in(0..x.rank())])?, x.with_dtype::<i32>());
    let none = numbers.with_shape(&[0])?;
    let inverse = if with_inverse == 0 { none } else { numbers };
    let lengths = if with_lengths == 0 { none } else { flat.with_dtype::<i32>() };
    Ok([flat, inverse, lengths, numbers.with_shape(&[1])?])
}

/// Of every run of equal elements one, as if x had one dimension; and, if `with_inverse` is 1, the number of the run that each
/// element is in, and if `with_lengths` is 1, how long runs are; 0 behind them; and how many there are. As
/// `torch.unique_consecutive`: every NaN is a run of its own, and zeros are equal.
///
/// x: any shape, any element type, of S elements in all; values: `[S]`, like x; inverse: the shape of x, or `[0]`, i32; lengths:
/// `[S]`, or `[0]`, i32; count: `[1]`, i32. In two phases: this one counts the elements at which a run begins in every part, and
/// finds the first, or -1.
#[custom_op(
    shape = starts_of_parts,
    then = unique_consecutive_of_parts(x, starts, firsts, with_inverse, with_lengths),
)]
#[expect(unused_variables, reason = "sizes of the second phase")]
pub fn unique_consecutive<T: Number>(
    core: &Core,
    x: Input<T>,
    with_inverse: usize,
    with_lengths: usize,
    mut starts: Output<i32>,
    mut firsts: Output<i32>,
) -> OpResult {
    let tcm = core.tcm();
    for range in core.share(starts.len(), 1).chunks(LANES) {
        let mut of_starts = tcm.stage(&mut starts, range.clone())?;
        let mut of_firsts = tcm.stage(&mut firsts, range.clone())?;
        let most = tcm.left().saturating_sub(3 * 64) / (size_of::<T>() + 1);
        let mut flags = tcm.buffer::<u8>(most)?;
        for ((count, first), part) in of_starts.iter_mut().zip(&mut *of_firsts).zip(range) {
            (*count, *first) = (0, -1);
            for range in Chunks::of(parts::elements(part..part + 1, x.len()), most) {
                let flags = flags.get_mut(..range.len()).unwrap_or_default();
                let start = range.start;
                mark_starts(&tcm.load(&x, start.saturating_sub(1)..range.end)?, flags);
                if *count == 0
                    && let Some(place) = lanes::position(flags, |starts| starts != 0)
                {
                    *first = (start + place) as i32;
                }
                *count += flags.iter().map(|starts| i32::from(*starts)).sum::<i32>();
            }
        }
        drop(flags);
        of_firsts.store()?;
        of_starts.store()?;
    }
    Ok(())
}

/// The second phase of `unique_consecutive`.
///
/// x and the sizes: as there; starts: how many runs begin in every part; firsts: where the first does, or -1.
#[custom_op(shape = runs)]
pub fn unique_consecutive_of_parts<T: Number>(
    core: &Core,
    x: Input<T>,
    starts: Input<i32>,
    firsts: Input<i32>,
    with_inverse: usize,
    with_lengths: usize,
    mut values: Output<T>,
    mut inverse: Output<i32>,
    mut lengths: Output<i32>,
    mut count: Output<i32>,
) -> OpResult {
    let (tcm, found) = (core.tcm(), Found::of(core, &starts)?);
    found.write_total(core, &mut count)?;
    found.pad(core, &mut values, T::ZERO)?;
    if with_lengths != 0 {
        found.pad(core, &mut lengths, 0)?;
    }
    let own = parts::elements(found.parts.clone(), x.len());
    let end = next_start(core, &firsts, found.parts.end)?.unwrap_or(x.len() as i32);
    // The elements, whether a run begins there, where runs begin, and one output after the other.
    let most = tcm.left().saturating_sub(6 * 64) / (size_of::<T>() + 1 + 2 * size_of::<i32>());
    let (mut places, mut flags) = (tcm.buffer::<i32>(most + 1)?, tcm.buffer::<u8>(most)?);
    let (mut next, mut has_run) = (found.before, false);
    for range in Chunks::of(own, most) {
        let first = range.start.saturating_sub(1);
        let x = tcm.load(&x, first..range.end)?;
        let flags = flags.get_mut(..range.len()).unwrap_or_default();
        mark_starts(&x, flags);
        if with_inverse != 0 {
            store_inverse(core, &mut inverse, range.clone(), flags, next)?;
        }
        // Behind the place where the run began that goes on, if it began here.
        let room = places.get_mut(1..).unwrap_or_default();
        let begun = lanes::compact(flags, range.start as i32, |starts| starts != 0, room).found;
        if begun == 0 {
            continue;
        }
        let mut stage = tcm.stage(&mut values, next..next + begun)?;
        lanes::gather(&x, first as i32, room.get(..begun).unwrap_or_default(), &mut stage);
        stage.store()?;
        // All runs that began here but the last have ended, and that which went on has.
        if with_lengths != 0 {
            let skipped = usize::from(!has_run);
            let ended = next + skipped - 1..next + begun - 1;
            store_lengths(core, &mut lengths, ended, places.get(skipped..).unwrap_or_default())?;
        }
        (next, has_run) = (next + begun, true);
        places[0] = places[begun];
    }
    let last = places[0];
    drop((flags, places));
    if has_run && with_lengths != 0 { tcm.fill(&mut lengths, next - 1..next, end - last) } else { Ok(()) }
}

/// Where the next run begins in the parts from `part` on.
fn next_start(core: &Core, firsts: &Input<'_, i32>, part: usize) -> OpResult<Option<i32>> {
    let mut window = core.tcm().window(firsts)?;
    for part in part..firsts.len() {
        let first = window.get(part)?;
        if first >= 0 {
            return Ok(Some(first));
        }
    }
    Ok(None)
}

/// Stores the number of the run that each element of `range` is in; `flags` says where runs begin, `next` is the next run's.
///
/// Not inlined, and `store_lengths` is not, for LLVM's backend for Xtensa, which cannot compile the kernel with them.
#[inline(never)]
fn store_inverse(
    core: &Core,
    inverse: &mut Output<'_, i32>,
    range: Range<usize>,
    flags: &[u8],
    next: usize,
) -> OpResult {
    let mut stage = core.tcm().stage(inverse, range)?;
    for (number, starts) in stage.iter_mut().zip(flags) {
        *number = i32::from(*starts);
    }
    lanes::wrapping_cumsum(&mut stage, next as i32 - 1);
    stage.store()
}

/// Stores how long the runs `range` are, that begin at `places`.
#[inline(never)]
fn store_lengths(core: &Core, lengths: &mut Output<'_, i32>, range: Range<usize>, places: &[i32]) -> OpResult {
    let mut stage = core.tcm().stage(lengths, range)?;
    for ((length, start), end) in stage.iter_mut().zip(places).zip(places.iter().skip(1)) {
        *length = end - start;
    }
    stage.store()
}

/// Marks the elements at which a run begins. `x` has the element before them, too, if there is one.
#[inline(always)]
fn mark_starts<T: Number>(x: &[T], flags: &mut [u8]) {
    let mut flags = flags.iter_mut();
    if x.len() == flags.len()
        && let Some(first) = flags.next()
    {
        *first = 1;
    }
    for ((flag, before), x) in flags.zip(x).zip(x.iter().skip(1)) {
        *flag = u8::from(x != before);
    }
}
