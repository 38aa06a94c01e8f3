//! [`Layout`]: where the rows of an operand are in its tensor.

use gpsimd_abi::MAX_RANK;

use super::broadcast::Sizes;
use crate::random::Philox;
use crate::tensor::Hbm;

/// Where the rows of an operand are in its tensor.
#[derive(Clone, Copy)]
pub(super) enum Layout<'l> {
    /// One after the other.
    Dense,
    /// Each where an index says: these are the indices.
    Gathered(&'l Hbm<'l>),
    /// In a part of every dimension.
    Region(&'l Region),
    /// In no tensor: bits that these numbers make, in the shape of the walk.
    Random(&'l Option<Philox>),
}

/// A part of every dimension of a tensor.
#[derive(Clone, Copy)]
pub(super) struct Region {
    pub(super) starts: [usize; MAX_RANK],
    pub(super) sizes: [usize; MAX_RANK],
}

impl Region {
    /// The element of the tensor that row `row` of the region starts at.
    pub(super) fn row_start(&self, tensor: &Hbm<'_>, row: usize) -> usize {
        let last = tensor.rank().saturating_sub(1);
        let (mut rest, mut stride, mut start) = (row, 1, 0);
        for (i, (first, size)) in self.starts.iter().zip(&self.sizes).enumerate().take(last + 1).rev() {
            // A row is all of the last dimension.
            let index = if i == last { 0 } else { rest % size.max(&1) };
            start += (first + index) * stride;
            if i < last {
                rest /= size.max(&1);
            }
            if i > 0 {
                stride *= tensor.size(i);
            }
        }
        start
    }
}

/// An operand as it meets a walk.
pub(super) struct Shaped<'s, 'l> {
    pub(super) tensor: &'s Hbm<'l>,
    pub(super) layout: Layout<'l>,
}

impl Sizes for Shaped<'_, '_> {
    fn rank(&self) -> usize {
        match self.layout {
            Layout::Dense | Layout::Region(_) | Layout::Random(_) => self.tensor.rank(),
            Layout::Gathered(indices) => indices.rank() + 1,
        }
    }

    fn size(&self, i: usize) -> usize {
        match self.layout {
            Layout::Dense | Layout::Random(_) => self.tensor.size(i),
            Layout::Region(region) => region.sizes[i],
            Layout::Gathered(indices) if i < indices.rank() => indices.size(i),
            Layout::Gathered(_) => self.tensor.row_len(),
        }
    }
}
