//! [`NrtTensor`]: memory that models read and write.

use std::ffi::{CString, c_int};
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use super::bindings;
use super::element::Element;
use super::error::{Error, check};
use super::memory::{Access, Buffer, TensorMemory, conflict, lock};
use super::model::TensorInfo;
use super::runtime::Runtime;
use gpsimd_neff::NeffDType;

/// Where a tensor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Device memory (HBM) of a `NeuronCore`, by its number among those of this process.
    Device(u32),
    /// Host memory that the device reaches by DMA.
    Host,
    /// Host memory as any other.
    Virtual,
}

/// Memory that models read and write: elements of one dtype, in a row. A clone is the same tensor.
///
/// Offsets and lengths are in elements.
#[derive(Clone, Debug)]
pub struct NrtTensor {
    inner: Arc<Inner>,
}

/// The fields are dropped after the handle is freed.
#[derive(Debug)]
struct Inner {
    handle: NonNull<bindings::nrt_tensor_t>,
    name: String,
    dtype: NeffDType,
    len: usize,
    place: Place,
    runtime: Runtime,
}

/// What a tensor is made of.
#[derive(Debug, Default)]
struct Place {
    memory: Arc<TensorMemory>,
    /// Where it begins there, in bytes.
    start: usize,
    /// What it is a slice of. The runtime keeps the memory alive, by its documentation; this keeps the handle, too.
    source: Option<Arc<Inner>>,
}

impl NrtTensor {
    /// Allocates `len` elements.
    ///
    /// # Errors
    /// When the name has a zero byte, and what the runtime returns.
    pub fn allocate(
        runtime: &Runtime,
        placement: Placement,
        name: &str,
        dtype: NeffDType,
        len: usize,
    ) -> Result<Self, Error> {
        let c_name = c_name(name)?;
        let bytes = byte_len(name, dtype, len)?;
        let (kind, core) = match placement {
            Placement::Device(core) => (bindings::NRT_TENSOR_PLACEMENT_DEVICE, core_number(core)?),
            // Of no NeuronCore.
            Placement::Host => (bindings::NRT_TENSOR_PLACEMENT_HOST, -1),
            Placement::Virtual => (bindings::NRT_TENSOR_PLACEMENT_VIRTUAL, -1),
        };
        let mut handle = ptr::null_mut();
        // SAFETY: the name outlives the call, which writes one pointer.
        let status =
            unsafe { runtime.functions().nrt_tensor_allocate(kind, core, bytes, c_name.as_ptr(), &raw mut handle) };
        check(status, "nrt_tensor_allocate", || format!("`{name}` of {bytes} bytes ({placement:?})"))?;
        Self::of(runtime, handle, name, dtype, len, Place::default())
    }

    /// Allocates what an input or output of a model needs.
    ///
    /// # Errors
    /// When its dtype is unknown, and what the runtime returns.
    pub fn for_info(runtime: &Runtime, placement: Placement, info: &TensorInfo) -> Result<Self, Error> {
        let dtype = info.dtype()?;
        if !info.size.is_multiple_of(dtype.size()) {
            return Err(Error::Info { tensor: info.name.clone(), problem: "its size is no multiple of its element's" });
        }
        Self::allocate(runtime, placement, &info.name, dtype, info.size / dtype.size())
    }

    /// Makes a tensor of memory that is the caller's: host memory, which the tensor owns until it is given back.
    ///
    /// # Errors
    /// When the name has a zero byte, and what the runtime returns.
    pub fn attach<T: Element>(runtime: &Runtime, name: &str, buffer: Vec<T>) -> Result<Self, Error> {
        let c_name = c_name(name)?;
        let (len, bytes) = (buffer.len(), size_of_val(buffer.as_slice()));
        let mut handle = ptr::null_mut();
        // SAFETY: the name outlives the call, which writes one pointer.
        let status = unsafe { runtime.functions().nrt_tensor_allocate_empty(c_name.as_ptr(), &raw mut handle) };
        check(status, "nrt_tensor_allocate_empty", || format!("`{name}`"))?;
        let buffer = Buffer::new(buffer);
        let start = buffer.start();
        let place = Place { memory: Arc::new(TensorMemory::attached(buffer)), ..Place::default() };
        let tensor = Self::of(runtime, handle, name, T::DTYPES[0], len, place)?;
        // SAFETY: the memory is as large and lives until `inner` has freed the handle; nothing in Rust refers to it.
        let status = unsafe { runtime.functions().nrt_tensor_attach_buffer(handle, start.cast(), bytes) };
        check(status, "nrt_tensor_attach_buffer", || format!("`{name}` and {bytes} bytes"))?;
        Ok(tensor)
    }

    /// A part of this tensor as a tensor of its own, in the same memory.
    ///
    /// # Errors
    /// When it does not have these elements, when the name has a zero byte, and what the runtime returns.
    pub fn slice(&self, name: &str, range: Range<usize>) -> Result<Self, Error> {
        let c_name = c_name(name)?;
        let inner = &*self.inner;
        let bytes = self.bytes_of(&range)?;
        let mut handle = ptr::null_mut();
        // SAFETY: the source is alive, and the call writes one pointer.
        let status = unsafe {
            inner.runtime.functions().nrt_tensor_allocate_slice(
                inner.handle.as_ptr(),
                bytes.start,
                bytes.len(),
                c_name.as_ptr(),
                &raw mut handle,
            )
        };
        check(status, "nrt_tensor_allocate_slice", || {
            format!("bytes {}..{} of `{}`", bytes.start, bytes.end, inner.name)
        })?;
        let place = Place {
            memory: Arc::clone(&inner.place.memory),
            start: inner.place.start + bytes.start,
            source: Some(Arc::clone(&self.inner)),
        };
        Self::of(&inner.runtime, handle, name, inner.dtype, range.len(), place)
    }

    /// The name it was given, which the runtime's log uses.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// What its elements are.
    pub fn dtype(&self) -> NeffDType {
        self.inner.dtype
    }

    /// Elements.
    pub fn len(&self) -> usize {
        self.inner.len
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.inner.len == 0
    }

    /// Writes elements, from `offset` on.
    ///
    /// # Errors
    /// When they are of another dtype or too many, and what the runtime returns.
    pub fn write<T: Element>(&self, offset: usize, elements: &[T]) -> Result<(), Error> {
        self.expect::<T>()?;
        let range = offset..offset.saturating_add(elements.len());
        self.put(&range, bytemuck::cast_slice(elements))
    }

    /// Reads elements, from `offset` on.
    ///
    /// # Errors
    /// When they are of another dtype or too many, and what the runtime returns.
    pub fn read<T: Element>(&self, offset: usize, elements: &mut [T]) -> Result<(), Error> {
        self.expect::<T>()?;
        let range = offset..offset.saturating_add(elements.len());
        self.get(&range, bytemuck::cast_slice_mut(elements))
    }

    /// Reads all elements.
    ///
    /// # Errors
    /// When they are of another dtype, and what the runtime returns.
    pub fn read_all<T: Element>(&self) -> Result<Vec<T>, Error> {
        self.expect::<T>()?;
        let mut elements = vec![T::zeroed(); self.len()];
        self.read(0, &mut elements)?;
        Ok(elements)
    }

    /// Writes all elements, as bytes: of any dtype.
    ///
    /// # Errors
    /// When there are more or fewer bytes, and what the runtime returns.
    pub fn write_bytes(&self, bytes: &[u8]) -> Result<(), Error> {
        self.expect_size(bytes.len())?;
        self.put(&(0..self.len()), bytes)
    }

    /// Reads all elements, as bytes: of any dtype.
    ///
    /// # Errors
    /// What the runtime returns.
    pub fn read_bytes(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; self.len() * self.dtype().size()];
        self.get(&(0..self.len()), &mut bytes)?;
        Ok(bytes)
    }

    /// Copies `len` elements from `offset` on to another tensor, from `to` on.
    ///
    /// # Errors
    /// When the dtypes differ, when one has not the elements, when they overlap in one memory, and what the runtime returns;
    /// device tensors of two `NeuronCores` may be such.
    pub fn copy_to(&self, offset: usize, other: &Self, to: usize, len: usize) -> Result<(), Error> {
        let (from, into) = (&*self.inner, &*other.inner);
        from.runtime.expect_same(&into.runtime, || from.name.clone(), || into.name.clone())?;
        if from.dtype != into.dtype {
            return Err(self.is_not(into.dtype.to_string(), "a copy converts nothing"));
        }
        let source = self.bytes_of(&(offset..offset.saturating_add(len)))?;
        let target = other.bytes_of(&(to..to.saturating_add(len)))?;
        let accesses = [self.access(&source, false), other.access(&target, true)];
        if let Some((written, other)) = conflict(&accesses) {
            return Err(Error::Overlap { written: written.into(), other: other.into() });
        }
        let _guards = lock(&accesses);
        // SAFETY: both are alive and have these bytes, which do not overlap; nothing else uses them now.
        let status = unsafe {
            from.runtime.functions().nrt_tensor_copy(
                from.handle.as_ptr(),
                source.start,
                into.handle.as_ptr(),
                target.start,
                source.len(),
            )
        };
        let what = || format!("{} bytes of `{}` to `{}`", source.len(), from.name, into.name);
        Ok(check(status, "nrt_tensor_copy", what)?)
    }

    /// Gives the attached buffer back.
    ///
    /// # Errors
    /// When it has none, or one of another type; when the tensor is in a set, or has slices or clones.
    pub fn detach<T: Element>(self) -> Result<Vec<T>, Error> {
        self.expect::<T>()?;
        let name = self.name().to_owned();
        if !self.inner.place.memory.is_attached() || self.inner.place.source.is_some() {
            return Err(Error::NotAttached { tensor: name });
        }
        let memory = Arc::clone(&self.inner.place.memory);
        let inner = Arc::try_unwrap(self.inner).map_err(|_| Error::InUse { tensor: name.clone() })?;
        drop(inner);
        let memory = Arc::try_unwrap(memory).map_err(|_| Error::InUse { tensor: name.clone() })?;
        let buffer = memory.into_buffer().ok_or(Error::NotAttached { tensor: name })?;
        // SAFETY: `attach` gives a tensor the first dtype of the buffer's type, and `expect` found `T` to have it: no two
        // types of elements have a dtype in common.
        Ok(unsafe { buffer.into_vec() })
    }

    pub(super) fn handle(&self) -> *mut bindings::nrt_tensor_t {
        self.inner.handle.as_ptr()
    }

    pub(super) fn runtime(&self) -> &Runtime {
        &self.inner.runtime
    }

    /// The access of all of it.
    pub(super) fn access_all(&self, writes: bool) -> Access<'_> {
        self.access(&(0..self.len() * self.dtype().size()), writes)
    }

    fn of(
        runtime: &Runtime,
        handle: *mut bindings::nrt_tensor_t,
        name: &str,
        dtype: NeffDType,
        len: usize,
        place: Place,
    ) -> Result<Self, Error> {
        let handle = NonNull::new(handle)
            .ok_or_else(|| Error::Info { tensor: name.to_owned(), problem: "success, and no handle" })?;
        let (name, runtime) = (name.to_owned(), runtime.clone());
        Ok(Self { inner: Arc::new(Inner { handle, name, dtype, len, place, runtime }) })
    }

    fn put(&self, range: &Range<usize>, data: &[u8]) -> Result<(), Error> {
        let bytes = self.bytes_of(range)?;
        if bytes.is_empty() {
            return Ok(());
        }
        let inner = &*self.inner;
        let _guards = lock(&[self.access(&bytes, true)]);
        // SAFETY: `data` is as long as the range, which the tensor has; nothing else uses its memory now.
        let status = unsafe {
            inner.runtime.functions().nrt_tensor_write(
                inner.handle.as_ptr(),
                data.as_ptr().cast(),
                bytes.start,
                bytes.len(),
            )
        };
        let what = || format!("bytes {}..{} of `{}`", bytes.start, bytes.end, inner.name);
        Ok(check(status, "nrt_tensor_write", what)?)
    }

    fn get(&self, range: &Range<usize>, data: &mut [u8]) -> Result<(), Error> {
        let bytes = self.bytes_of(range)?;
        if bytes.is_empty() {
            return Ok(());
        }
        let inner = &*self.inner;
        let _guards = lock(&[self.access(&bytes, false)]);
        // SAFETY: `data` is as long as the range, which the tensor has; nothing writes its memory now.
        let status = unsafe {
            inner.runtime.functions().nrt_tensor_read(
                inner.handle.as_ptr(),
                data.as_mut_ptr().cast(),
                bytes.start,
                bytes.len(),
            )
        };
        let what = || format!("bytes {}..{} of `{}`", bytes.start, bytes.end, inner.name);
        Ok(check(status, "nrt_tensor_read", what)?)
    }

    fn access(&self, bytes: &Range<usize>, writes: bool) -> Access<'_> {
        let inner = &*self.inner;
        let bytes = inner.place.start + bytes.start..inner.place.start + bytes.end;
        Access { memory: &inner.place.memory, bytes, writes, tensor: &inner.name }
    }

    /// The bytes of elements that it has to have.
    fn bytes_of(&self, range: &Range<usize>) -> Result<Range<usize>, Error> {
        if range.start > range.end || range.end > self.len() {
            return Err(Error::Range { tensor: self.name().into(), range: range.clone(), len: self.len() });
        }
        let size = self.dtype().size();
        Ok(range.start * size..range.end * size)
    }

    fn expect<T: Element>(&self) -> Result<(), Error> {
        if T::DTYPES.contains(&self.dtype()) {
            return Ok(());
        }
        Err(self.is_not(T::DTYPES[0].to_string(), "convert the elements"))
    }

    fn expect_size(&self, bytes: usize) -> Result<(), Error> {
        if bytes == self.len() * self.dtype().size() {
            return Ok(());
        }
        Err(self.is_not(format!("{bytes} bytes for {} elements", self.len()), "give the bytes of every element"))
    }

    fn is_not(&self, given: String, advice: &'static str) -> Error {
        Error::DType { tensor: self.name().into(), dtype: self.dtype(), given, advice }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let mut handle = self.handle.as_ptr();
        // SAFETY: made by this runtime, freed once: here. Sets and slices hold the tensor, so none refers to it.
        unsafe { self.runtime.functions().nrt_tensor_free(&raw mut handle) };
    }
}

// SAFETY: the documentation binds no handle to a thread; what it points to is used under the memory's lock.
unsafe impl Send for Inner {}
// SAFETY: `&NrtTensor` reads and writes under the memory's lock; making a slice reads the handle, as sets do.
unsafe impl Sync for Inner {}

/// A name as C has it.
pub(super) fn c_name(name: &str) -> Result<CString, Error> {
    let most = bindings::NRT_TENSOR_NAME_MAX as usize - 1;
    let error = || Error::Name { name: name.to_owned(), most };
    if name.is_empty() || name.len() > most {
        return Err(error());
    }
    CString::new(name).map_err(|_| error())
}

/// The number of a `NeuronCore` as C has it.
pub(super) fn core_number(core: u32) -> Result<c_int, Error> {
    let error = |_| Error::Number { what: "NeuronCore", value: core.into(), most: c_int::MAX as u64 };
    c_int::try_from(core).map_err(error)
}

fn byte_len(name: &str, dtype: NeffDType, len: usize) -> Result<usize, Error> {
    let bytes = len.checked_mul(dtype.size()).filter(|bytes| isize::try_from(*bytes).is_ok());
    bytes.ok_or_else(|| Error::Size { tensor: name.to_owned(), len, dtype })
}
