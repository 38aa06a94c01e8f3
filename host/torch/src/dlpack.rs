//! New tensors of PyTorch on memory of ours, through `DLPack`, the exchange format for tensors
//! (<https://dmlc.github.io/dlpack/latest/c_api.html>).

use std::ffi::{CStr, c_int, c_void};

use gpsimd_emulator::{DType, TensorType};
use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::output_memory::Block;

/// What a capsule with a tensor is called until somebody has taken the tensor.
const NAME: &CStr = c"dltensor";

#[repr(C)]
struct DlManagedTensor {
    tensor: DlTensor,
    context: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut DlManagedTensor)>,
}

#[repr(C)]
struct DlTensor {
    data: *mut c_void,
    device_type: c_int,
    device: c_int,
    dimensions: c_int,
    dtype: DlDataType,
    shape: *mut i64,
    strides: *mut i64,
    byte_offset: u64,
}

#[repr(C)]
struct DlDataType {
    code: u8,
    bits: u8,
    lanes: u16,
}

/// `kDLCPU`.
const CPU: c_int = 1;

/// A tensor, what it consists of and what it points to.
#[repr(C)]
struct Owned {
    /// First, so that its address is that of all.
    managed: DlManagedTensor,
    shape: Box<[i64]>,
    block: Block,
}

/// A new contiguous CPU tensor of this type, with any content. Raises `MemoryError`.
pub(crate) fn tensor(py: Python<'_>, ty: TensorType) -> PyResult<Bound<'_, PyAny>> {
    static FROM_DLPACK: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    // What `torch.utils.dlpack.from_dlpack` calls with a capsule.
    let from_dlpack = FROM_DLPACK.import(py, "torch._C", "_from_dlpack")?;
    let block = Block::take(ty.bytes())
        .ok_or_else(|| PyMemoryError::new_err(format!("there are no {} bytes for an output {ty}", ty.bytes())))?;
    let shape: Box<[i64]> = ty.shape().iter().map(|&size| size as i64).collect();
    let mut owned = Box::new(Owned {
        managed: DlManagedTensor {
            tensor: DlTensor {
                data: block.start().as_ptr().cast(),
                device_type: CPU,
                device: 0,
                dimensions: shape.len() as c_int,
                dtype: data_type(ty.dtype()),
                shape: std::ptr::null_mut(),
                // Contiguous.
                strides: std::ptr::null_mut(),
                byte_offset: 0,
            },
            context: std::ptr::null_mut(),
            deleter: Some(delete),
        },
        shape,
        block,
    });
    owned.managed.tensor.shape = owned.shape.as_mut_ptr();
    let owned = Box::into_raw(owned);
    // SAFETY: the name lives as long as the program, and the capsule owns the tensor from here on.
    let capsule = unsafe {
        let capsule = pyo3::ffi::PyCapsule_New(owned.cast(), NAME.as_ptr(), Some(forget));
        if capsule.is_null() {
            delete(owned.cast());
        }
        Bound::from_owned_ptr_or_err(py, capsule)?
    };
    from_dlpack.call1((capsule,))
}

/// `DLPack`'s code and bits of a dtype.
fn data_type(dtype: DType) -> DlDataType {
    const INT: u8 = 0;
    const UINT: u8 = 1;
    const FLOAT: u8 = 2;
    const BFLOAT: u8 = 4;
    let code = match dtype {
        DType::I8 | DType::I16 | DType::I32 => INT,
        DType::U8 => UINT,
        DType::F16 | DType::F32 => FLOAT,
        DType::Bf16 => BFLOAT,
    };
    DlDataType { code, bits: (8 * dtype.bytes()) as u8, lanes: 1 }
}

/// Called by who took the tensor, when it dies, on any thread.
unsafe extern "C" fn delete(managed: *mut DlManagedTensor) {
    // SAFETY: the address is of an `Owned`, which nobody uses any more.
    drop(unsafe { Box::from_raw(managed.cast::<Owned>()) });
}

/// Called when a capsule dies: the tensor dies with it, if nobody took it.
unsafe extern "C" fn forget(capsule: *mut pyo3::ffi::PyObject) {
    // SAFETY: a capsule of this name holds a tensor that nobody took; who takes it gives the capsule another name.
    unsafe {
        if pyo3::ffi::PyCapsule_IsValid(capsule, NAME.as_ptr()) == 1 {
            delete(pyo3::ffi::PyCapsule_GetPointer(capsule, NAME.as_ptr()).cast());
        }
    }
}
