//! Operands that are drawn by a seed: those of `cargo gpsimd check`, at which kernels go wrong; and of shapes that say how large
//! they are, with plain numbers.

use gpsimd_emulator::gpsimd_descriptor::ElementType;
use gpsimd_emulator::{DType, Engine, Op, Scalar, Tensor, TensorType};

use super::case::Case;
use crate::check::{Draw, Random};
use crate::operands::Operands;
use crate::profile::operands;

/// Combinations of shapes that are asked about, at most.
const MOST_COMBINATIONS: usize = 100_000;

/// The value of every size: small enough to be the k of a row, and a divisor of its length.
const SIZE: usize = 8;

/// Operands that are drawn for an op as `cargo gpsimd check` does, and draws that may come to nothing.
const DRAWN: usize = 8;
const DRAWS: usize = 64;

/// Rows and columns of the other small cases, which there is one of for each dtype.
const SMALL: (usize, usize) = (7, 1009);

/// Rows and columns of the launches that are timed: about 4 Ki, 64 Ki and 1 Mi elements.
pub(super) const TIMED: [(usize, usize); 3] = [(16, 256), (64, 1024), (512, 2048)];

/// Cases of an op that has no golden files, on which it computes something.
pub(super) fn small(op: &Op, seed: u64) -> anyhow::Result<Vec<Case>> {
    let engine = Engine::builder().build()?;
    let computes = |case: &Case| engine.call_all(op, &case.operands.views(), &case.operands.scalars).is_ok();
    let mut cases: Vec<_> = dtypes(op).iter().filter_map(|dtype| case(op, *dtype, SMALL.0, SMALL.1, seed)).collect();
    cases.retain(computes);
    let (mut draw, mut random) = (Draw::new(op), Random::new(seed, op.name()));
    let plain = cases.len();
    for _ in 0..DRAWS {
        if cases.len() == plain + DRAWN {
            break;
        }
        let Some(operands) = draw.draw(&mut random) else { continue };
        let name = format!("drawn_{}", cases.len() - plain);
        let case = Case { op: op.clone(), name, operands, golden: None };
        if computes(&case) {
            draw.keep(&mut random);
            cases.push(case);
        }
    }
    Ok(cases)
}

/// A case of about `rows` x `columns` elements; none where the op takes nothing that is tried.
pub(super) fn case(op: &Op, dtype: DType, rows: usize, columns: usize, seed: u64) -> Option<Case> {
    let types = types(op, dtype, rows, columns)?;
    let tensors =
        (0..).zip(types).map(|(index, ty)| operands::tensor(seed.wrapping_add(index), ty.dtype(), ty.shape()));
    let tensors: Vec<Tensor> = tensors.collect::<Result<_, _>>().ok()?;
    let scalars = op.descriptor().scalar_kinds().filter_map(|kind| Scalar::ordinary(kind, SIZE)).collect();
    let name = format!("{}_{rows}x{columns}", dtype.name());
    Some(Case { op: op.clone(), name, operands: Operands { tensors, scalars }, golden: None })
}

/// The dtypes that an op is tried with.
fn dtypes(op: &Op) -> Vec<DType> {
    let mut found: Vec<DType> =
        op.descriptor().types.iter().flat_map(|parameter| parameter.dtypes.iter().copied()).collect();
    found.sort_by_key(|dtype| *dtype as u32);
    found.dedup();
    if found.is_empty() { vec![DType::F32] } else { found }
}

/// The first types that the op takes, with `dtype` for every type parameter that may be it.
fn types(op: &Op, dtype: DType, rows: usize, columns: usize) -> Option<Vec<TensorType>> {
    let descriptor = op.descriptor();
    let of_tensors = descriptor.tensors().map(|(_, element)| {
        let accepted = descriptor.accepted(element);
        let is_open = matches!(element, ElementType::Parameter(_) | ElementType::Any);
        if is_open && accepted.contains(&dtype) { Some(dtype) } else { accepted.first().copied() }
    });
    let dtypes: Vec<DType> = of_tensors.collect::<Option<_>>()?;
    // Rows, what a row is combined with, what every row has one of, planes of a state, elements, a batch of attention rows with
    // its mask.
    let (all, batch) = (rows * columns, rows.div_ceil(4).min(8));
    let shapes: [&[usize]; 8] = [
        &[rows, columns],
        &[columns],
        &[rows],
        &[3, all],
        &[all],
        &[batch, 2, rows.div_ceil(2 * batch), columns],
        &[batch, 1, 1, columns],
        &[1],
    ];
    let sizes = vec![SIZE; descriptor.sizes().count()];
    let combinations = shapes.len().saturating_pow(dtypes.len() as u32).min(MOST_COMBINATIONS);
    (0..combinations).find_map(|combination| {
        // The last operand changes slowest: what decides is the largest, which comes first.
        let shape = |index: usize| shapes[combination / shapes.len().pow(index as u32) % shapes.len()];
        let types = dtypes.iter().enumerate().map(|(index, dtype)| TensorType::new(*dtype, shape(index)));
        let types: Vec<_> = types.collect::<Result<_, _>>().ok()?;
        let is_large = types.iter().any(|ty| ty.len() >= all);
        // Rows at as many indices as there are elements would be gigabytes.
        let is_bounded = |outputs: &[TensorType]| outputs.iter().map(TensorType::len).sum::<usize>() <= 4 * all;
        (is_large && op.shape(&types, &sizes).is_ok_and(|outputs| is_bounded(&outputs))).then_some(types)
    })
}

#[cfg(test)]
mod tests {
    use gpsimd_emulator::OpLibrary;

    use super::*;
    use crate::bring_up::case::is_second_phase;

    #[test]
    fn every_op_of_bert_ops_is_timed_at_every_size_and_returns_about_as_much() {
        let library = OpLibrary::from_static(&bert_ops::OP_LIBRARY).unwrap();
        for op in library.ops().filter(|op| !is_second_phase(&library, op)) {
            for (rows, columns) in TIMED {
                let Some(types) = types(&op, DType::F32, rows, columns) else { panic!("{}: {rows}", op.name()) };
                let outputs = op.shape(&types, &[]).unwrap();
                assert!(outputs.iter().all(|output| output.len() <= 4 * rows * columns), "{}: {outputs:?}", op.name());
            }
        }
    }
}
