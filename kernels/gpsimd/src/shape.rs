//! Shape functions: from the types of the operands to the type of the output.

use core::ops::Range;

use gpsimd_abi as abi;

use crate::element::Element;

/// Sizes of a tensor, outermost dimension first; at most 8 (the vendor's limit).
pub type Shape = heapless::Vec<usize, { abi::MAX_RANK }>;

/// Shape and dtype of a tensor operand or of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorType {
    ty: abi::RawTensorType,
    /// Index among the tensor operands, for messages.
    operand: u32,
}

impl TensorType {
    pub(crate) fn new(ty: abi::RawTensorType, operand: u32) -> Self {
        Self { ty, operand }
    }

    #[doc(hidden)]
    pub fn to_abi(self) -> abi::RawTensorType {
        self.ty
    }

    /// Number of dimensions.
    pub fn rank(&self) -> usize {
        (self.ty.rank as usize).min(abi::MAX_RANK)
    }

    /// The size of dimension `i`, counted from the outermost; 1 past the last, as for a broadcast.
    pub fn dim(&self, i: usize) -> usize {
        if i < self.rank() { self.ty.dims[i] as usize } else { 1 }
    }

    /// The size of the innermost dimension; 1 for a tensor of rank 0.
    pub fn last_dim(&self) -> usize {
        self.rank().checked_sub(1).map_or(1, |last| self.dim(last))
    }

    /// The sizes.
    pub fn shape(&self) -> Shape {
        (0..self.rank()).map(|i| self.dim(i)).collect()
    }

    /// Fails unless the tensor has `rank` dimensions.
    ///
    /// # Errors
    /// [`ShapeError`] naming the operand.
    pub fn expect_rank(&self, rank: usize) -> Result<&Self, ShapeError> {
        self.expect(self.rank() == rank, abi::SHAPE_ERROR_RANK, 0, rank, self.rank())
    }

    /// Fails unless the tensor has at least `rank` dimensions.
    ///
    /// # Errors
    /// [`ShapeError`] naming the operand.
    pub fn expect_rank_at_least(&self, rank: usize) -> Result<&Self, ShapeError> {
        self.expect(self.rank() >= rank, abi::SHAPE_ERROR_MIN_RANK, 0, rank, self.rank())
    }

    /// Fails unless dimension `i` has size `size`.
    ///
    /// # Errors
    /// [`ShapeError`] naming the operand and the dimension.
    pub fn expect_dim(&self, i: usize, size: usize) -> Result<&Self, ShapeError> {
        self.expect(self.dim(i) == size, abi::SHAPE_ERROR_DIM, i, size, self.dim(i))
    }

    /// Fails unless dimension `i` has size `size` or 1.
    ///
    /// # Errors
    /// [`ShapeError`] naming the operand and the dimension.
    pub fn expect_broadcast(&self, i: usize, size: usize) -> Result<&Self, ShapeError> {
        let found = self.dim(i);
        self.expect(found == size || found == 1, abi::SHAPE_ERROR_BROADCAST, i, size, found)
    }

    /// Fails unless the tensor has the shape of `other`.
    ///
    /// # Errors
    /// [`ShapeError`] naming the operand and the dimension.
    pub fn expect_shape_of(&self, other: &Self) -> Result<&Self, ShapeError> {
        self.expect_rank(other.rank())?;
        for i in 0..self.rank() {
            self.expect_dim(i, other.dim(i))?;
        }
        Ok(self)
    }

    /// Same dtype, other sizes; sizes past the 8th are an error.
    ///
    /// # Errors
    /// [`ShapeError`] when there are more than 8 sizes.
    pub fn with_shape(mut self, shape: &[usize]) -> Result<Self, ShapeError> {
        if shape.len() > abi::MAX_RANK {
            return Err(ShapeError::new("the output has more than 8 dimensions"));
        }
        self.ty.rank = shape.len() as u32;
        self.ty.dims = [0; abi::MAX_RANK];
        for (dim, size) in self.ty.dims.iter_mut().zip(shape) {
            *dim = *size as u64;
        }
        Ok(self)
    }

    /// The same shape with elements of type `T`.
    #[must_use]
    pub fn with_dtype<T: Element>(mut self) -> Self {
        self.ty.dtype = T::DTYPE as u32;
        self
    }

    /// The product of the sizes of the dimensions in `dims`.
    pub fn elements_in(&self, dims: Range<usize>) -> usize {
        // On a core `usize` has 32 bits: more elements than that fit no tensor, and do not become a few.
        dims.fold(1, |elements, i| elements.saturating_mul(self.dim(i)))
    }

    fn expect(&self, holds: bool, code: u32, dim: usize, expected: usize, found: usize) -> Result<&Self, ShapeError> {
        if holds {
            return Ok(self);
        }
        Err(ShapeError(abi::RawShapeError {
            code,
            operand: self.operand,
            dim: dim as u32,
            expected: expected as u64,
            found: found as u64,
            message: abi::Text::new(""),
        }))
    }
}

/// Why operands do not go together. The host puts it into words, with the operand's name.
#[derive(Clone, Copy)]
pub struct ShapeError(abi::RawShapeError);

impl ShapeError {
    /// An error with a message of its own.
    pub const fn new(message: &'static str) -> Self {
        Self(abi::RawShapeError {
            code: abi::SHAPE_ERROR_MESSAGE,
            operand: 0,
            dim: 0,
            expected: 0,
            found: 0,
            message: abi::Text::new(message),
        })
    }

    /// A panic, as `message` says: readable until the next.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) const fn panicked(message: abi::Text) -> Self {
        Self(abi::RawShapeError { code: abi::SHAPE_ERROR_PANIC, operand: 0, dim: 0, expected: 0, found: 0, message })
    }

    #[doc(hidden)]
    pub const fn to_abi(self) -> abi::RawShapeError {
        self.0
    }
}

impl core::fmt::Debug for ShapeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let abi::RawShapeError { code, operand, dim, expected, found, .. } = self.0;
        write!(f, "ShapeError {{ code: {code}, operand: {operand}, dim: {dim}, expected: {expected}, found: {found} }}")
    }
}
