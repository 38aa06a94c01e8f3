//! [`shrink`]: the smallest counterexample that follows from one.

use std::time::Instant;

use gpsimd_emulator::{Op, Scalar, Tensor, TensorType};

use super::finding::Finding;
use super::shapes::Types;
use super::values::{numbers, of_numbers};
use crate::operands::Operands;
use crate::replay::Setting;

/// A counterexample.
#[derive(Clone, Debug)]
pub(crate) struct Counterexample {
    pub(crate) operands: Operands,
    pub(crate) finding: Finding,
}

/// Looks for a mistake of the same kind with these operands and settings.
pub(crate) type Look<'a> = dyn FnMut(&Operands, &[Setting]) -> anyhow::Result<Option<Finding>> + 'a;

/// Makes a counterexample smaller as long as the mistake stays: fewer and shorter dimensions, smaller sizes, settings nearer to
/// the device's, and numbers that are easy to read.
pub(crate) fn shrink(
    op: &Op,
    found: Counterexample,
    deadline: Instant,
    look: &mut Look<'_>,
) -> anyhow::Result<Counterexample> {
    let mut best = descend(op, found, deadline, look)?;
    // On fewer cores, and with little TCM, less may be enough to show it.
    for elsewhere in elsewhere(&best) {
        if let Some(start) = first(std::iter::once(elsewhere), &best.finding.kind, deadline, look)? {
            let other = descend(op, start, deadline, look)?;
            if other.operands.bytes() < best.operands.bytes() {
                best = other;
            }
        }
    }
    Ok(best)
}

/// Takes what is smaller until nothing is.
pub(crate) fn descend(
    op: &Op,
    mut best: Counterexample,
    deadline: Instant,
    look: &mut Look<'_>,
) -> anyhow::Result<Counterexample> {
    loop {
        let mut is_smaller = false;
        let all: [for<'a> fn(&Op, &'a Counterexample) -> Candidates<'a>; 4] = [shapes, settings, scalars, values];
        for candidates in all {
            while let Some(smaller) = first(candidates(op, &best), &best.finding.kind, deadline, look)? {
                (best, is_smaller) = (smaller, true);
            }
        }
        if !is_smaller {
            return Ok(best);
        }
    }
}

/// The same on fewer cores, and with the smallest pool.
fn elsewhere(best: &Counterexample) -> Vec<Candidate> {
    let Some((setting, others)) = best.finding.settings.split_last() else { return Vec::new() };
    let mut elsewhere = Vec::new();
    for tcm_bytes in [setting.tcm_bytes, Some(1024)] {
        for cores in 1..=3 {
            let last = Setting { cores, tcm_bytes, ..setting.clone() };
            let alike: Vec<_> = others.iter().map(|other| Setting { cores, ..other.clone() }).collect();
            elsewhere.push([others, std::slice::from_ref(&last)].concat());
            elsewhere.push([&alike[..], &[last]].concat());
        }
    }
    elsewhere.retain(|settings| *settings != best.finding.settings);
    elsewhere.into_iter().map(|settings| (best.operands.clone(), settings)).collect()
}

/// The first of the candidates with a mistake of this kind, as long as there is time.
fn first(
    candidates: impl Iterator<Item = Candidate>,
    kind: &str,
    deadline: Instant,
    look: &mut Look<'_>,
) -> anyhow::Result<Option<Counterexample>> {
    for (operands, settings) in candidates {
        if Instant::now() >= deadline {
            break;
        }
        if let Some(finding) = look(&operands, &settings)?.filter(|finding| finding.kind == kind) {
            return Ok(Some(Counterexample { operands, finding }));
        }
    }
    Ok(None)
}

type Candidate = (Operands, Vec<Setting>);

/// Made one at a time: the first is often right, and each has operands of its own.
type Candidates<'a> = Box<dyn Iterator<Item = Candidate> + 'a>;

/// The same in settings that differ from the reference in less.
fn settings<'a>(_: &Op, best: &'a Counterexample) -> Candidates<'a> {
    let Some((setting, others)) = best.finding.settings.split_last() else { return Box::new(std::iter::empty()) };
    let reference = others.first().cloned().unwrap_or(Setting::REFERENCE);
    let mut simpler = vec![
        Setting { flush_to_zero: false, ..setting.clone() },
        Setting { in_place: false, ..setting.clone() },
        Setting { launches_before: setting.launches_before.min(1), ..setting.clone() },
        Setting { launches_before: 0, ..setting.clone() },
        Setting { copies: false, ..setting.clone() },
        Setting { schedule: None, ..setting.clone() },
        Setting { threads: 1, ..setting.clone() },
        Setting { tcm_bytes: None, ..setting.clone() },
        Setting { mode: reference.mode, copies: false, ..setting.clone() },
        Setting { tier: reference.tier, ..setting.clone() },
        Setting { cores: reference.cores, ..setting.clone() },
    ];
    // Where it shows by itself, one core is less to look at.
    if others.is_empty() {
        simpler.retain(|other| other.cores != reference.cores || setting.cores == reference.cores);
        simpler.extend((1..setting.cores).map(|cores| Setting { cores, ..setting.clone() }));
    }
    let is_other = move |other: &Setting| other != setting && others.iter().all(|first| first != other);
    let with = move |last| [others, &[last]].concat();
    Box::new(simpler.into_iter().filter(is_other).map(move |last| (best.operands.clone(), with(last))))
}

/// Which elements of a tensor a smaller one has.
#[derive(Clone, Copy, PartialEq)]
enum End {
    First,
    Last,
}

/// The same on smaller tensors: the first rows, columns and so on of those that there are, or the last.
fn shapes<'a>(op: &Op, best: &'a Counterexample) -> Candidates<'a> {
    let types = Types {
        dtypes: best.operands.tensors.iter().map(|tensor| tensor.ty().dtype()).collect(),
        shapes: best.operands.tensors.iter().map(|tensor| tensor.ty().shape().to_vec()).collect(),
        sizes: best.operands.sizes(),
    };
    let mut smaller = Vec::new();
    // Fewer dimensions: without the first of all that have the most.
    let rank = types.shapes.iter().map(Vec::len).max().unwrap_or_default();
    if rank > 0 {
        let mut fewer = types.clone();
        for shape in fewer.shapes.iter_mut().filter(|shape| shape.len() == rank) {
            shape.remove(0);
        }
        smaller.push(fewer);
    }
    if rank > 1 {
        // The first two as one: all elements stay.
        let mut merged = types.clone();
        for shape in merged.shapes.iter_mut().filter(|shape| shape.len() == rank) {
            let first = shape.remove(0);
            shape[0] *= first;
        }
        smaller.push(merged);
    }
    for size in types.distinct().into_iter().rev() {
        let fractions = [size / 16, size / 4, size / 2, size - size / 4, size - size / 16];
        let lower = (1..=17).rev().filter_map(|less| size.checked_sub(less)).rev();
        let near = [0, 1, 2, 3, 4, 5, 8, 16, 17, 24, 32, 33].into_iter();
        let mut to: Vec<_> = near.chain(fractions).chain(lower).filter(|to| *to < size).collect();
        to.sort_unstable();
        to.dedup();
        smaller.extend(to.into_iter().map(|to| types.with(size, to)));
    }
    // One dimension of one tensor, or one size.
    for (place, shape) in types.shapes.iter().enumerate() {
        for (dim, size) in shape.iter().enumerate() {
            for to in [0, 1, size / 2, size.saturating_sub(1)].into_iter().filter(|to| to < size) {
                let mut one = types.clone();
                one.shapes[place][dim] = to;
                smaller.push(one);
            }
        }
        if !shape.is_empty() {
            let mut one = types.clone();
            one.shapes[place].remove(0);
            smaller.push(one);
        }
    }
    for (place, size) in types.sizes.iter().enumerate() {
        for to in [0, 1, size / 2, size.saturating_sub(1)].into_iter().filter(|to| to < size) {
            let mut one = types.clone();
            one.sizes[place] = to;
            smaller.push(one);
        }
    }
    let is_taken = |types: &Types| {
        types.tensors().is_some_and(|tensors| {
            let is_broken = best.finding.kind.starts_with("Shape");
            is_broken || op.shape(&tensors, &types.sizes).is_ok()
        })
    };
    smaller.retain(is_taken);
    let mut settings = vec![best.finding.settings.clone()];
    // Where it shows by itself, what one of several cores has may be enough for the only one.
    if let [Setting { cores: 2.., .. }] = best.finding.settings[..] {
        settings.insert(0, vec![Setting { cores: 1, ..best.finding.settings[0].clone() }]);
    }
    let ends = settings.into_iter().flat_map(|settings| [(settings.clone(), End::First), (settings, End::Last)]);
    let all = ends.flat_map(move |(settings, end)| {
        let with = move |types| Some((cut(&best.operands, &types, end)?, settings.clone()));
        smaller.clone().into_iter().filter_map(with)
    });
    Box::new(all)
}

/// The operands, as much of them as the types have.
fn cut(operands: &Operands, types: &Types, end: End) -> Option<Operands> {
    let tensors = operands.tensors.iter().zip(types.tensors()?).map(|(tensor, ty)| part(tensor, ty, end)).collect();
    let mut sizes = types.sizes.iter();
    let scalar = |scalar: &Scalar| match scalar {
        Scalar::Size(_) => sizes.next().map(|size| Scalar::Size(*size)),
        other => Some(*other),
    };
    let scalars = operands.scalars.iter().map(scalar).collect::<Option<_>>()?;
    Some(Operands { tensors, scalars })
}

/// The elements of a tensor whose places, from this end of each dimension, are in a smaller one, which may lack its first
/// dimensions; or all in another shape.
fn part(tensor: &Tensor, ty: TensorType, end: End) -> Tensor {
    let bytes = ty.dtype().bytes();
    if ty.len() == tensor.ty().len()
        && let Ok(all) = Tensor::from_bytes(ty, tensor.bytes())
    {
        return all;
    }
    let mut part = Tensor::zeros(ty);
    let whole = tensor.ty();
    let (lacking, shape) = whole.shape().split_at(whole.rank() - ty.rank());
    let skipped = |size: usize, whole: usize| if end == End::Last { whole.saturating_sub(size) } else { 0 };
    let mut start = 0;
    for size in lacking {
        start = start * size + skipped(1, *size);
    }
    for (size, whole) in ty.shape().iter().zip(shape) {
        start = start * whole + skipped(*size, *whole);
    }
    for (number, to) in part.bytes_mut().chunks_exact_mut(bytes).enumerate() {
        let (mut rest, mut from, mut stride) = (number, start, 1);
        for (size, whole) in ty.shape().iter().zip(shape).rev() {
            from += rest % size * stride;
            (rest, stride) = (rest / size, stride * whole);
        }
        // Without a first dimension of no elements, there are some that were not there.
        if let Some(element) = tensor.bytes().get(from * bytes..(from + 1) * bytes) {
            to.copy_from_slice(element);
        }
    }
    part
}

/// The same with scalars that are easier to read.
fn scalars<'a>(_: &Op, best: &'a Counterexample) -> Candidates<'a> {
    let simple = |scalar: Scalar| match scalar {
        Scalar::F32(_) => vec![Scalar::F32(0.0), Scalar::F32(1.0), Scalar::F32(0.5)],
        Scalar::I32(value) => vec![Scalar::I32(0), Scalar::I32(1), Scalar::I32(value / 2)],
        Scalar::U32(value) => vec![Scalar::U32(0), Scalar::U32(1), Scalar::U32(value / 2)],
        Scalar::Bool(_) => vec![Scalar::Bool(false)],
        Scalar::Size(_) => Vec::new(),
    };
    let mut simpler = Vec::new();
    for (place, scalar) in best.operands.scalars.iter().enumerate() {
        // Those before it are simpler still.
        for value in simple(*scalar).into_iter().take_while(|value| value != scalar) {
            let mut operands = best.operands.clone();
            operands.scalars[place] = value;
            simpler.push((operands, best.finding.settings.clone()));
        }
    }
    Box::new(simpler.into_iter())
}

/// The same with elements that are easier to read: all 0, all 1, parts of them 0, rounded.
fn values<'a>(_: &Op, best: &'a Counterexample) -> Candidates<'a> {
    let mut simpler = Vec::new();
    for (place, tensor) in best.operands.tensors.iter().enumerate() {
        let (ty, numbers) = (tensor.ty(), numbers(tensor));
        let mut push = |numbers: Vec<f64>| {
            let other = of_numbers(ty, &numbers);
            // By bits: no NaN is equal to itself.
            if other.bytes() != tensor.bytes() {
                let mut operands = best.operands.clone();
                operands.tensors[place] = other;
                simpler.push((operands, best.finding.settings.clone()));
            }
        };
        push(vec![0.0; ty.len()]);
        if numbers.iter().all(|number| *number == 0.0) {
            continue;
        }
        // Only where there are no zeros yet: the search has to end.
        if numbers.iter().all(|number| *number != 0.0) {
            push(vec![1.0; ty.len()]);
        }
        for round in [|x: f64| x.signum() * x.abs().min(1.0).ceil(), f64::round, |x: f64| (x * 8.0).round() / 8.0] {
            push(numbers.iter().map(|number| if number.is_finite() { round(*number) } else { *number }).collect());
        }
        // The whole has been tried: halves, quarters and so on, as long as these are few.
        let mut len = ty.len().div_ceil(2);
        while len > 0 && ty.len() / len <= 64 {
            for start in (0..ty.len()).step_by(len) {
                let range = start..(start + len).min(ty.len());
                if numbers[range.clone()].iter().any(|number| *number != 0.0) {
                    let mut numbers = numbers.clone();
                    numbers[range].fill(0.0);
                    push(numbers);
                }
            }
            len = if len == 1 { 0 } else { len.div_ceil(2) };
        }
    }
    Box::new(simpler.into_iter())
}

#[cfg(test)]
mod tests {
    use gpsimd_emulator::DType;

    use super::*;

    #[test]
    fn what_one_element_shows_is_shown_by_that_element_alone() {
        let library = gpsimd_emulator::OpLibrary::from_static(&gradient_ops::OP_LIBRARY).unwrap();
        let op = library.op("relu").unwrap();
        for (shape, place) in [(&[902][..], 700), (&[902], 0), (&[902], 901), (&[7, 11, 13], 999), (&[33676], 32768)] {
            let mut x = Tensor::zeros(TensorType::new(DType::F32, shape).unwrap());
            x.as_mut_slice::<f32>().unwrap().iter_mut().zip(0_u16..).for_each(|(x, i)| *x = f32::from(i % 7));
            x.as_mut_slice::<f32>().unwrap()[place] = 1000.0;
            let finding = Finding {
                judge: "",
                kind: "Large".into(),
                message: String::new(),
                settings: vec![Setting::REFERENCE],
                at: None,
            };
            let mut look = |operands: &Operands, settings: &[Setting]| {
                let is_large = operands.tensors[0].as_slice::<f32>().unwrap().contains(&1000.0);
                Ok(is_large.then(|| Finding { settings: settings.to_vec(), ..finding.clone() }))
            };
            let found = Counterexample {
                operands: Operands { tensors: vec![x], scalars: Vec::new() },
                finding: finding.clone(),
            };
            let deadline = Instant::now() + std::time::Duration::from_mins(1);
            let smallest = shrink(&op, found, deadline, &mut look).unwrap().operands;
            assert_eq!(smallest.tensors[0].as_slice::<f32>().unwrap(), [1000.0], "{shape:?}, {place}");
        }
    }

    #[test]
    fn a_part_is_the_first_rows_and_columns_or_the_last() {
        let tensor = Tensor::from_vec((0..24).collect::<Vec<i32>>(), &[2, 3, 4]).unwrap();
        let ty = |shape: &[usize]| TensorType::new(DType::I32, shape).unwrap();
        let of = |shape: &[usize]| part(&tensor, ty(shape), End::First);
        assert_eq!(of(&[2, 1, 2]).as_slice::<i32>().unwrap(), [0, 1, 12, 13]);
        assert_eq!(of(&[2, 3]).as_slice::<i32>().unwrap(), [0, 1, 2, 4, 5, 6], "without the first dimension");
        assert_eq!(of(&[]).as_slice::<i32>().unwrap(), [0]);
        assert_eq!(of(&[0, 4]).ty().len(), 0);
        let empty = Tensor::from_vec(Vec::<i32>::new(), &[0, 2]).unwrap();
        assert_eq!(part(&empty, ty(&[2]), End::First).as_slice::<i32>().unwrap(), [0, 0]);
        assert_eq!(part(&empty, ty(&[2]), End::Last).as_slice::<i32>().unwrap(), [0, 0]);
        assert_eq!(of(&[6, 4]).as_slice::<i32>().unwrap(), tensor.as_slice::<i32>().unwrap());
        let last = |shape: &[usize]| part(&tensor, ty(shape), End::Last);
        assert_eq!(last(&[2, 1, 2]).as_slice::<i32>().unwrap(), [10, 11, 22, 23]);
        assert_eq!(last(&[2, 3]).as_slice::<i32>().unwrap(), [17, 18, 19, 21, 22, 23], "without the first dimension");
        assert_eq!(last(&[]).as_slice::<i32>().unwrap(), [23]);
        assert_eq!(last(&[6, 4]).as_slice::<i32>().unwrap(), tensor.as_slice::<i32>().unwrap());
    }
}
