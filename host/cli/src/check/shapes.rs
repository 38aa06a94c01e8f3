//! [`Shapes`]: types and sizes that an op's shape function takes, learnt from what it refuses.

use std::collections::BTreeSet;

use gpsimd_emulator::gpsimd_descriptor::ElementType;
use gpsimd_emulator::{DType, Op, OperandError, TensorType};

use super::random::Random;

/// Dtypes and shapes of the tensors, and the sizes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Types {
    pub(crate) dtypes: Vec<DType>,
    pub(crate) shapes: Vec<Vec<usize>>,
    pub(crate) sizes: Vec<usize>,
}

impl Types {
    /// The types of the tensors; none of a shape that is none.
    pub(crate) fn tensors(&self) -> Option<Vec<TensorType>> {
        let types = self.dtypes.iter().zip(&self.shapes);
        types.map(|(dtype, shape)| TensorType::new(*dtype, shape).ok()).collect()
    }

    fn elements(&self) -> usize {
        self.shapes.iter().map(|shape| shape.iter().fold(1, |all: usize, size| all.saturating_mul(*size))).sum()
    }

    /// All sizes that occur, of dimensions and by themselves.
    pub(crate) fn distinct(&self) -> BTreeSet<usize> {
        self.shapes.iter().flatten().chain(&self.sizes).copied().collect()
    }

    /// With another size wherever `from` is: what must be equal stays so.
    #[must_use]
    pub(crate) fn with(&self, from: usize, to: usize) -> Self {
        let mut types = self.clone();
        for size in types.shapes.iter_mut().flatten().chain(&mut types.sizes).filter(|size| **size == from) {
            *size = to;
        }
        types
    }
}

/// What comes of a draw.
pub(crate) enum Drawn {
    /// The shape function takes these.
    Taken(Types),
    /// It panics, or returns what it may not.
    Broken(Types),
    /// It took nothing that was tried.
    Nothing,
}

/// Sizes at which kernels go wrong: none, one, primes, around vectors of 16, of tiles, of rows that do not fit in a pool.
const SIZES: [usize; 40] = [
    0, 1, 1, 2, 2, 3, 4, 5, 7, 8, 11, 13, 15, 16, 17, 31, 32, 33, 47, 49, 63, 64, 65, 97, 127, 128, 129, 255, 256, 257,
    509, 512, 1000, 1024, 1025, 2047, 2049, 3001, 4097, 5003,
];
/// How many of them are small enough for dimensions before the last.
const SMALL: usize = 20;

/// Most elements of all operands: of most draws, of some, of few.
const ELEMENTS: [usize; 3] = [1 << 10, 1 << 14, 1 << 17];

/// Corrections of one draw, draws that may come to nothing, and shapes that are drawn from again.
const CORRECTIONS: usize = 60;
const DRAWS: usize = 60;
const KEPT: usize = 64;

/// Draws types for an op.
pub(crate) struct Shapes {
    op: Op,
    taken: Vec<Types>,
}

impl Shapes {
    pub(crate) fn new(op: &Op) -> Self {
        Self { op: op.clone(), taken: Vec::new() }
    }

    /// Types that the shape function takes, of dtypes that the op has versions for.
    pub(crate) fn draw(&mut self, random: &mut Random) -> Drawn {
        let limit = match random.below(10) {
            0 => ELEMENTS[2],
            1..=3 => ELEMENTS[1],
            _ => ELEMENTS[0],
        };
        for _ in 0..DRAWS {
            let is_known = !self.taken.is_empty() && random.percent(75);
            let start = if is_known { self.resized(random) } else { self.fresh(random) };
            match self.corrected(start, limit, random) {
                Drawn::Nothing => {}
                Drawn::Taken(types) => {
                    self.keep(types.clone(), random);
                    return Drawn::Taken(types);
                }
                broken @ Drawn::Broken(_) => return broken,
            }
        }
        Drawn::Nothing
    }

    fn keep(&mut self, types: Types, random: &mut Random) {
        if self.taken.len() < KEPT {
            self.taken.push(types);
        } else {
            let place = random.below(KEPT);
            self.taken[place] = types;
        }
    }

    /// Types that have nothing to do with earlier ones, but often something with each other.
    fn fresh(&self, random: &mut Random) -> Types {
        let mut types = Types { dtypes: self.dtypes(random), ..Types::default() };
        for number in 0..types.dtypes.len() {
            let earlier = if number == 0 { Vec::new() } else { types.shapes[random.below(number)].clone() };
            let shape = match random.below(100) {
                _ if number == 0 => any_shape(random),
                0..35 => earlier,
                35..50 => earlier.last().copied().into_iter().collect(),
                50..65 => earlier[..earlier.len().saturating_sub(1)].to_vec(),
                65..80 => earlier.iter().map(|size| if random.percent(50) { 1 } else { *size }).collect(),
                _ => any_shape(random),
            };
            types.shapes.push(shape);
        }
        types.sizes = self.op.descriptor().sizes().map(|_| random.pick(&SIZES[..SMALL])).collect();
        types
    }

    /// Types that were taken, with other sizes.
    fn resized(&self, random: &mut Random) -> Types {
        let mut types = self.taken[random.below(self.taken.len())].clone();
        for size in types.distinct() {
            if random.percent(50) {
                let to = if random.percent(30) { size + random.below(3) } else { random.pick(&SIZES) };
                types = types.with(size, to.saturating_sub(random.below(2)));
            }
        }
        for size in &mut types.sizes {
            if random.percent(30) {
                *size = random.pick(&SIZES);
            }
        }
        if random.percent(30) {
            types.dtypes = self.dtypes(random);
        }
        types
    }

    fn dtypes(&self, random: &mut Random) -> Vec<DType> {
        let descriptor = self.op.descriptor();
        let chosen: Vec<_> = descriptor.types.iter().map(|parameter| random.pick(&parameter.dtypes)).collect();
        let dtype = |element| match element {
            ElementType::Parameter(index) => chosen[index],
            ElementType::Fixed(dtype) => dtype,
            ElementType::Any => random.pick(&DType::ALL),
        };
        descriptor.tensors().map(|(_, element)| element).map(dtype).collect()
    }

    /// Does what the shape function asks for until it takes the types.
    fn corrected(&self, mut types: Types, limit: usize, random: &mut Random) -> Drawn {
        for _ in 0..CORRECTIONS {
            while types.elements() > limit {
                let Some(largest) = types.distinct().last().copied() else { break };
                types = types.with(largest, largest / 2);
            }
            let Some(tensors) = types.tensors() else { return Drawn::Nothing };
            let error = match self.op.shape(&tensors, &types.sizes) {
                Ok(outputs) if outputs.iter().map(TensorType::len).sum::<usize>() <= 4 * limit => {
                    return Drawn::Taken(types);
                }
                // A large size, or dimensions of several operands, makes a large output.
                Ok(_) => {
                    let Some(largest) = types.distinct().last().copied() else { return Drawn::Nothing };
                    types = types.with(largest, largest / 2);
                    continue;
                }
                Err(OperandError::ShapePanicked { .. } | OperandError::ShapeBroken { .. }) => {
                    return Drawn::Broken(types);
                }
                Err(error) => error,
            };
            if random.percent(10) || !self.correct(&mut types, &error, random) {
                change(&mut types, random);
            }
        }
        Drawn::Nothing
    }

    /// Does what an error asks for, if it says.
    fn correct(&self, types: &mut Types, error: &OperandError, random: &mut Random) -> bool {
        let (OperandError::Rank { operand, .. }
        | OperandError::MinRank { operand, .. }
        | OperandError::Dim { operand, .. }
        | OperandError::Broadcast { operand, .. }) = error
        else {
            return false;
        };
        let index = self.op.descriptor().tensors().position(|(name, _)| name == operand);
        let Some(shape) = index.and_then(|index| types.shapes.get_mut(index)) else { return false };
        match *error {
            OperandError::Rank { expected, .. } | OperandError::MinRank { expected, .. } => {
                while shape.len() > expected as usize {
                    shape.remove(0);
                }
                while shape.len() < expected as usize {
                    shape.insert(0, random.pick(&SIZES[..SMALL]));
                }
            }
            OperandError::Dim { dim, expected, .. } | OperandError::Broadcast { dim, expected, .. } => {
                let Some(size) = shape.get_mut(dim as usize) else { return false };
                let may_be_one = matches!(error, OperandError::Broadcast { .. });
                *size = if may_be_one && random.percent(30) { 1 } else { expected as usize };
            }
            _ => return false,
        }
        true
    }
}

fn any_shape(random: &mut Random) -> Vec<usize> {
    let rank = random.pick(&[0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 4]);
    let size = |dim| random.pick(if dim + 1 == rank { &SIZES[..] } else { &SIZES[..SMALL] });
    (0..rank).map(size).collect()
}

/// Changes something, for a shape function that says in its own words what it wants.
fn change(types: &mut Types, random: &mut Random) {
    let known: Vec<_> = types.distinct().into_iter().chain([0, 1, 2]).collect();
    let size = if random.percent(60) { random.pick(&known) } else { random.pick(&SIZES[..SMALL]) };
    if !types.sizes.is_empty() && (types.shapes.is_empty() || random.percent(50)) {
        let place = random.below(types.sizes.len());
        types.sizes[place] = size.saturating_sub(random.below(2));
    } else if !types.shapes.is_empty() {
        let (place, other) = (random.below(types.shapes.len()), random.below(types.shapes.len()));
        let (other, shape) = (types.shapes[other].clone(), &mut types.shapes[place]);
        match random.below(10) {
            0 => shape.insert(0, size),
            1 if !shape.is_empty() => drop(shape.remove(0)),
            2 => *shape = other,
            _ if shape.is_empty() => shape.push(size),
            _ => {
                let dim = random.below(shape.len());
                shape[dim] = size;
            }
        }
        shape.truncate(8);
    }
}
