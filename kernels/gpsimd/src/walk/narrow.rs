//! [`Narrowed`]: a part of every dimension of a tensor, as an operand of a walk.

use core::marker::PhantomData;
use core::ops::RangeBounds;
use core::panic::Location;

use gpsimd_abi as abi;

use super::layout::Region;
use crate::element::Element;
use crate::tensor::{Hbm, Input, resolve};

/// A part of every dimension of a tensor: an operand of a walk, from [`Input::narrow`].
#[derive(Clone, Copy)]
pub struct Narrowed<'l, T> {
    pub(super) tensor: Hbm<'l>,
    pub(super) region: Region,
    element: PhantomData<T>,
}

impl<'l, T: Element> Input<'l, T> {
    /// The part of this tensor whose index in dimension `dim` is in `range`, as an operand of a walk: a block of the
    /// columns of a matrix, or, narrowed twice, a window of images. Every row is a DMA of its own; rows that follow each
    /// other come in one.
    ///
    /// A dimension that the tensor does not have, and a range that runs backwards or leaves it, are errors of the launch.
    ///
    /// ```
    /// # use gpsimd::prelude::*;
    /// fn interior(x: &TensorType) -> Result<TensorType, ShapeError> {
    ///     x.expect_rank(4)?;
    ///     let inside = |i| x.dim(i).saturating_sub(2);
    ///     x.with_shape(&[x.dim(0), x.dim(1), inside(2), inside(3)])
    /// }
    ///
    /// /// Images without their outermost pixels.  x: `[N, C, H, W]`.
    /// #[custom_op(shape = interior)]
    /// pub fn crop<T: Number>(core: &Core, x: Input<T>, y: Output<T>) -> OpResult {
    ///     core.map(&x.narrow(2, 1..=y.dim(2)).narrow(3, 1..=y.dim(3)), y, |x| x)
    /// }
    /// # fn main() {}
    /// ```
    #[must_use]
    #[track_caller]
    pub fn narrow(&self, dim: usize, range: impl RangeBounds<usize>) -> Narrowed<'l, T> {
        let mut region = Region { starts: [0; abi::MAX_RANK], sizes: [1; abi::MAX_RANK] };
        for (i, size) in region.sizes.iter_mut().enumerate().take(self.hbm.rank()) {
            *size = self.hbm.size(i);
        }
        Narrowed { tensor: self.hbm, region, element: PhantomData }.narrow(dim, range)
    }
}

impl<T: Element> Narrowed<'_, T> {
    /// As [`Input::narrow`]: `range` counts in what it was narrowed to.
    #[must_use]
    #[track_caller]
    pub fn narrow(mut self, dim: usize, range: impl RangeBounds<usize>) -> Self {
        let (device, at) = (self.tensor.device(), Location::caller());
        if dim >= self.tensor.rank() {
            let message = "`{{}}` has {} dimensions, and dimension {} is narrowed";
            let numbers = [self.tensor.tensor as usize, self.tensor.rank(), dim];
            device.fail_with(abi::FAILURE_REFUSED, message, &numbers, at);
            return self;
        }
        let (start, size) = (&mut self.region.starts[dim], &mut self.region.sizes[dim]);
        let range = resolve(&range, *size);
        if range.start > range.end || range.end > *size {
            let message = "dimension {} of `{{}}` has {} elements, and is narrowed to {}..{}";
            let numbers = [dim, self.tensor.tensor as usize, *size, range.start, range.end];
            device.fail_with(abi::FAILURE_REFUSED, message, &numbers, at);
        }
        // What of the range there is: no later DMA leaves the tensor.
        let end = range.end.min(*size);
        let first = range.start.min(end);
        *start += first;
        *size = end - first;
        self
    }
}
