//! [`RandomBits`]: random bits for every element, as an operand of a walk.

use gpsimd_abi::DType;

use super::broadcast::Extent;
use super::layout::Layout;
use super::plan::Area;
use super::source::Source;
use crate::engine_core::Core;
use crate::random::Philox;
use crate::tensor::Hbm;

/// 32 random bits for every element of a walk, from [`Core::random_bits`].
#[derive(Clone, Copy)]
pub struct RandomBits<'l> {
    core: &'l Core,
    pub(super) numbers: Option<Philox>,
}

impl<'l> RandomBits<'l> {
    /// It is of no tensor.
    pub(super) fn hbm(&self) -> Hbm<'l> {
        Hbm::nothing(self.core)
    }
}

impl Core {
    /// 32 random bits for every element, as an operand of a walk of any shape: those that `numbers` has for the element's
    /// index, on whichever core and in whichever tile; all bits 0 for `None`. They are made in TCM, once for every tile,
    /// and take 4 bytes an element there.
    ///
    /// ```
    /// # use gpsimd::prelude::*;
    /// # fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> { Ok(*x) }
    /// /// y = x / sum of |x| over what is kept, which is each element with probability 1 / 2.  x: `[.., H]`, y: like x.
    /// #[custom_op(shape = like_x)]
    /// pub fn normalize_half(core: &Core, x: Input<f32>, seed: u32, y: Output<f32>) -> OpResult {
    ///     let (bits, half) = (core.random_bits(random::Philox::new(seed.into())), random::threshold(0.5));
    ///     let kept = move |x: f32, bits| if random::bernoulli(bits, half) { x } else { 0.0 };
    ///     core.rows((&x, &bits), y).each(|mut row| {
    ///         let sum = row.fold(Lanes::splat(0.0), |sum, (x, bits)| sum + kept(x, bits).abs())?.sum();
    ///         row.map(|(x, bits)| kept(x, bits) / sum)
    ///     })
    /// }
    /// # fn main() {}
    /// ```
    #[must_use]
    pub fn random_bits(&self, numbers: impl Into<Option<Philox>>) -> RandomBits<'_> {
        RandomBits { core: self, numbers: numbers.into() }
    }
}

impl Source<'_> {
    /// Makes the bits of an area, where this operand is of random bits.
    #[inline(never)]
    #[expect(clippy::cast_ptr_alignment, reason = "a slot of TCM begins at a whole vector")]
    pub(super) fn fill_random(&mut self, walk: &Extent<'_>, area: &Area) {
        let Layout::Random(numbers) = self.layout else { return };
        self.data = self.tcm;
        // Whole rows follow each other.
        let (rows, columns) =
            if area.columns == walk.columns { (1, area.rows * area.columns) } else { (area.rows, area.columns) };
        for row in 0..rows {
            let first = (area.row + row) * walk.columns + area.column;
            let bits = self.tcm.cast::<u32>().wrapping_add(row * columns);
            // SAFETY: the walk has reserved 4 bytes of TCM for every element of the area, and nothing else leads there.
            let bits = unsafe { core::slice::from_raw_parts_mut(bits, columns) };
            match numbers {
                Some(numbers) => numbers.write(first as u64, bits),
                None => bits.fill(0),
            }
        }
    }
}

/// The dtype whose size the bits have in TCM.
pub(super) const BITS: DType = DType::I32;
