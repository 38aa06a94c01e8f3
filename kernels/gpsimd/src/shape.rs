//! Shape functions: from the types of the operands to the type of the output.

use core::ops::Range;

use gpsimd_abi as abi;

use crate::element::Element;

/// Sizes of a tensor, outermost dimension first; at most 8 (the vendor's limit).
pub type Shape = heapless::Vec<usize, { abi::MAX_RANK }>;

/// Shape and dtype of a tensor operand or of an output.
///
/// Sizes have a core's width: on a core these are on its stack, of which there is 1 KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorType {
    dims: [usize; abi::MAX_RANK],
    /// From the low byte on: the rank, the index among the tensor operands, for messages, and in two the dtype. Not fields
    /// of their own: LLVM for Xtensa fails at some functions that load bytes from beyond 255 bytes of stack.
    what: u32,
}

impl TensorType {
    pub(crate) fn new(ty: &abi::RawTensorType, operand: u32) -> Self {
        // Not `map`, which copies them all to the stack.
        let dims = core::array::from_fn(|i| ty.dims[i] as usize);
        Self { dims, what: ty.rank & 0xff | (operand & 0xff) << 8 | ty.dtype << 16 }
    }

    #[doc(hidden)]
    #[inline(always)]
    pub fn to_abi(&self) -> abi::RawTensorType {
        let dims = core::array::from_fn(|i| self.dims[i] as u64);
        abi::RawTensorType { dtype: self.what >> 16, rank: self.what & 0xff, dims }
    }

    /// Number of dimensions.
    pub fn rank(&self) -> usize {
        ((self.what & 0xff) as usize).min(abi::MAX_RANK)
    }

    /// The size of dimension `i`, counted from the outermost; 1 past the last, as for a broadcast.
    pub fn dim(&self, i: usize) -> usize {
        if i < self.rank() { self.dims[i] } else { 1 }
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
        self.what = self.what & !0xff | shape.len() as u32;
        self.dims = [0; abi::MAX_RANK];
        for (dim, size) in self.dims.iter_mut().zip(shape) {
            *dim = *size;
        }
        Ok(self)
    }

    /// The same shape with elements of type `T`.
    #[must_use]
    pub fn with_dtype<T: Element>(mut self) -> Self {
        self.what = self.what & 0xffff | (T::DTYPE as u32) << 16;
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
        let what = code | self.what & 0xff00 | (dim as u32) << 16;
        Err(ShapeError(Why::Operand { what, expected, found }))
    }
}

/// Why operands do not go together. The host puts it into words, with the operand's name.
#[derive(Clone, Copy)]
pub struct ShapeError(Why);

/// Small, as every check of a shape function returns one.
#[derive(Clone, Copy)]
enum Why {
    /// From the low byte on: a `SHAPE_ERROR_*` code, the operand, the dimension.
    Operand { what: u32, expected: usize, found: usize },
    /// A message of the shape function's own.
    Message(abi::Text),
    /// A panic.
    #[cfg(not(target_arch = "wasm32"))]
    Panic(abi::Text),
}

impl ShapeError {
    /// An error with a message of its own.
    pub const fn new(message: &'static str) -> Self {
        Self(Why::Message(abi::Text::new(message)))
    }

    /// A panic, as `message` says: readable until the next.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) const fn panicked(message: abi::Text) -> Self {
        Self(Why::Panic(message))
    }

    #[doc(hidden)]
    #[inline(always)]
    pub fn to_abi(self) -> abi::RawShapeError {
        let of_message =
            |code, message| abi::RawShapeError { code, operand: 0, dim: 0, expected: 0, found: 0, message };
        match self.0 {
            Why::Operand { what, expected, found } => abi::RawShapeError {
                code: what & 0xff,
                operand: what >> 8 & 0xff,
                dim: what >> 16,
                expected: expected as u64,
                found: found as u64,
                message: abi::Text::new(""),
            },
            Why::Message(message) => of_message(abi::SHAPE_ERROR_MESSAGE, message),
            #[cfg(not(target_arch = "wasm32"))]
            Why::Panic(message) => of_message(abi::SHAPE_ERROR_PANIC, message),
        }
    }
}

impl core::fmt::Debug for ShapeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let abi::RawShapeError { code, operand, dim, expected, found, .. } = self.to_abi();
        write!(f, "ShapeError {{ code: {code}, operand: {operand}, dim: {dim}, expected: {expected}, found: {found} }}")
    }
}
