//! [`TensorView`] and [`TensorViewMut`]: tensors in memory that someone else owns.

use std::marker::PhantomData;
use std::ptr::NonNull;

use super::{Element, TensorError, TensorType};

/// A tensor that a launch reads.
#[derive(Clone, Copy, Debug)]
pub struct TensorView<'a> {
    ty: TensorType,
    data: NonNull<u8>,
    memory: PhantomData<&'a [u8]>,
}
// SAFETY: a view is a shared slice of plain elements, which is Send and Sync.
unsafe impl Send for TensorView<'_> {}
// SAFETY: as above.
unsafe impl Sync for TensorView<'_> {}

/// A tensor that a launch writes.
#[derive(Debug)]
pub struct TensorViewMut<'a> {
    ty: TensorType,
    data: NonNull<u8>,
    memory: PhantomData<&'a mut [u8]>,
}
// SAFETY: a view is an exclusive slice of plain elements, which is Send and Sync.
unsafe impl Send for TensorViewMut<'_> {}
// SAFETY: as above.
unsafe impl Sync for TensorViewMut<'_> {}

impl<'a> TensorView<'a> {
    /// The elements of `data`, row-major, as a tensor of `shape`.
    ///
    /// # Errors
    /// When the shape has another number of elements, or more than 8 dimensions.
    pub fn new<T: Element>(data: &'a [T], shape: &[usize]) -> Result<Self, TensorError> {
        let ty = typed::<T>(data.len(), shape)?;
        Ok(Self { ty, data: NonNull::from(data).cast(), memory: PhantomData })
    }

    /// A tensor of type `ty` at `data`, for memory that Rust does not own. `data` may be null when `ty` has no
    /// elements.
    ///
    /// # Panics
    /// When `data` is null and `ty` has elements.
    ///
    /// # Safety
    /// `data` leads to `ty.bytes()` bytes, aligned for the dtype and initialised, that nobody writes during `'a`.
    pub unsafe fn from_raw(data: *const u8, ty: TensorType) -> Self {
        Self { ty, data: non_null(data.cast_mut(), ty), memory: PhantomData }
    }

    /// Dtype and shape.
    pub const fn ty(&self) -> TensorType {
        self.ty
    }

    /// Address of the first element.
    pub const fn as_ptr(&self) -> *const u8 {
        self.data.as_ptr()
    }
}

impl<'a> TensorViewMut<'a> {
    /// The elements of `data`, row-major, as a tensor of `shape`.
    ///
    /// # Errors
    /// When the shape has another number of elements, or more than 8 dimensions.
    pub fn new<T: Element>(data: &'a mut [T], shape: &[usize]) -> Result<Self, TensorError> {
        let ty = typed::<T>(data.len(), shape)?;
        Ok(Self { ty, data: NonNull::from(data).cast(), memory: PhantomData })
    }

    /// A tensor of type `ty` at `data`, for memory that Rust does not own. `data` may be null when `ty` has no
    /// elements.
    ///
    /// # Panics
    /// When `data` is null and `ty` has elements.
    ///
    /// # Safety
    /// `data` leads to `ty.bytes()` bytes, aligned for the dtype and initialised, that nobody else reads or writes
    /// during `'a`. (A [`TensorView`] of overlapping memory may exist: a launch that is given both refuses.)
    pub unsafe fn from_raw(data: *mut u8, ty: TensorType) -> Self {
        Self { ty, data: non_null(data, ty), memory: PhantomData }
    }

    /// Dtype and shape.
    pub const fn ty(&self) -> TensorType {
        self.ty
    }

    /// Address of the first element.
    pub const fn as_ptr(&self) -> *mut u8 {
        self.data.as_ptr()
    }

    /// The bytes of all elements.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: a view leads to as many bytes, initialised, and is exclusive.
        unsafe { std::slice::from_raw_parts(self.data.as_ptr(), self.ty.bytes()) }
    }

    /// The bytes of all elements, to write.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for `bytes`, and the view is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.data.as_ptr(), self.ty.bytes()) }
    }

    /// The same tensor for a shorter time, to use a view more than once.
    pub const fn reborrow(&mut self) -> TensorViewMut<'_> {
        TensorViewMut { ty: self.ty, data: self.data, memory: PhantomData }
    }

    /// The same tensor to read.
    pub const fn as_view(&self) -> TensorView<'_> {
        TensorView { ty: self.ty, data: self.data, memory: PhantomData }
    }
}

fn typed<T: Element>(len: usize, shape: &[usize]) -> Result<TensorType, TensorError> {
    let ty = TensorType::new(T::DTYPE, shape)?;
    if ty.len() != len {
        return Err(TensorError::Length { shape: shape.to_vec(), expected: ty.len(), found: len });
    }
    Ok(ty)
}

fn non_null(data: *mut u8, ty: TensorType) -> NonNull<u8> {
    NonNull::new(data).unwrap_or_else(|| {
        assert!(ty.len() == 0, "a tensor of type {ty} cannot be at address 0");
        // Aligned for every dtype.
        NonNull::<u64>::dangling().cast()
    })
}
