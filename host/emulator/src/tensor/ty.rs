//! [`TensorType`]: dtype and shape of a tensor.

use std::fmt;

use bytemuck::Pod;
use gpsimd_abi::{DType, MAX_RANK};
use half::{bf16, f16};

/// A Rust type that is an element of a tensor.
pub trait Element: Pod + Send + Sync + sealed::Sealed {
    /// Its dtype.
    const DTYPE: DType;
}

macro_rules! elements {
    ($($rust:ty = $dtype:ident),*) => {$(
        impl Element for $rust {
            const DTYPE: DType = DType::$dtype;
        }
        impl sealed::Sealed for $rust {}
    )*};
}
elements!(f32 = F32, bf16 = Bf16, f16 = F16, i32 = I32, i16 = I16, i8 = I8, u8 = U8);

mod sealed {
    pub trait Sealed {}
}

/// Dtype and shape of a tensor. Row-major, contiguous; a rank of 0 is a single element.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TensorType {
    dtype: DType,
    rank: usize,
    // Sizes after `rank` are 0, so that equality can be derived.
    dims: [usize; MAX_RANK],
}

/// Why memory and a shape do not make a tensor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TensorError {
    /// More dimensions than a GPSIMD core can take.
    #[error("a tensor has at most {MAX_RANK} dimensions, found {found}: reshape it")]
    Rank {
        /// Dimensions of the shape.
        found: usize,
    },
    /// The product of the dims does not fit the address space.
    #[error("a tensor of shape {shape:?} does not fit in memory")]
    TooLarge {
        /// The shape.
        shape: Vec<usize>,
    },
    /// The memory holds another number of elements than the shape has.
    #[error("shape {shape:?} has {expected} elements, the data has {found}")]
    Length {
        /// The shape.
        shape: Vec<usize>,
        /// Product of its dims.
        expected: usize,
        /// Elements of the data.
        found: usize,
    },
    /// The tensor was asked for elements of another type than it has.
    #[error("the tensor holds {found}, not {expected}")]
    DType {
        /// The dtype asked for.
        expected: &'static str,
        /// The tensor's.
        found: &'static str,
    },
}

impl TensorType {
    /// A type from its dtype and sizes, outermost first.
    ///
    /// # Errors
    /// [`TensorError::Rank`] for more than 8 dimensions, [`TensorError::TooLarge`] when its bytes do not fit `isize`.
    pub fn new(dtype: DType, shape: &[usize]) -> Result<Self, TensorError> {
        if shape.len() > MAX_RANK {
            return Err(TensorError::Rank { found: shape.len() });
        }
        let too_large = || TensorError::TooLarge { shape: shape.to_vec() };
        // A zero among huge sizes still makes an empty tensor; the product of the others must fit all the same, so that
        // no product of a part of the dims can overflow later.
        let nonzero = shape.iter().filter(|&&size| size != 0);
        let elements = nonzero.copied().try_fold(1_usize, usize::checked_mul).ok_or_else(too_large)?;
        let bytes = elements.checked_mul(dtype.bytes()).ok_or_else(too_large)?;
        isize::try_from(bytes).map_err(|_| too_large())?;
        let mut dims = [0; MAX_RANK];
        dims[..shape.len()].copy_from_slice(shape);
        Ok(Self { dtype, rank: shape.len(), dims })
    }

    /// The tensor that the size `size` travels as: so many elements that nobody reads.
    pub(crate) const fn of_size(size: usize) -> Self {
        let mut dims = [0; MAX_RANK];
        dims[0] = size;
        Self { dtype: DType::U8, rank: 1, dims }
    }

    /// Element type.
    pub const fn dtype(&self) -> DType {
        self.dtype
    }

    /// Sizes, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.dims[..self.rank]
    }

    /// Number of dimensions.
    pub const fn rank(&self) -> usize {
        self.rank
    }

    /// Number of elements.
    #[expect(clippy::len_without_is_empty, reason = "a type is not a collection")]
    pub fn len(&self) -> usize {
        self.shape().iter().product()
    }

    /// Bytes of all elements.
    pub fn bytes(&self) -> usize {
        self.len() * self.dtype.bytes()
    }

    pub(crate) fn to_abi(self) -> gpsimd_abi::RawTensorType {
        gpsimd_abi::RawTensorType {
            dtype: self.dtype as u32,
            rank: self.rank as u32,
            dims: self.dims.map(|size| size as u64),
        }
    }

    /// The type that a library returned, if it is one: a known dtype, at most 8 dimensions, an addressable size.
    pub(crate) fn from_abi(ty: &gpsimd_abi::RawTensorType) -> Option<Self> {
        let dtype = DType::from_code(ty.dtype)?;
        let dims = ty.dims.get(..ty.rank as usize)?;
        let mut shape = [0; MAX_RANK];
        for (size, &dim) in shape.iter_mut().zip(dims) {
            *size = usize::try_from(dim).ok()?;
        }
        Self::new(dtype, &shape[..dims.len()]).ok()
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", self.dtype.name(), self.shape())
    }
}

impl fmt::Debug for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
