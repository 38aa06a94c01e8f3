//! Tensors.

use std::ffi::{c_char, c_int, c_uint, c_void};

use super::model::core;
use super::{NrtStatus, argument, call, expect_pointer, optional_name, value};
use crate::error::Error;
use crate::handles::Handle;
use crate::memory::Memory;
use crate::runtime;
use crate::tensor::EmulatedTensor;

const DEVICE: c_uint = 0;
const HOST: c_uint = 1;
const VIRTUAL: c_uint = 2;

/// Where `tensor` is host memory, `vnc` is not looked at: documented as -1 or a core to associate it with.
#[unsafe(no_mangle)]
unsafe extern "C" fn nrt_tensor_allocate(
    placement: c_uint,
    vnc: c_int,
    size: usize,
    name: *const c_char,
    tensor: *mut Handle,
) -> NrtStatus {
    call("nrt_tensor_allocate", || {
        let runtime = runtime::current()?;
        expect_pointer("tensor", tensor)?;
        // SAFETY: the program gives a text or null.
        let name = unsafe { optional_name(name) }?;
        let memory = match placement {
            DEVICE => Memory::device(&runtime.cores[core(&runtime, vnc)?].hbm, size)?,
            HOST | VIRTUAL => Memory::host(size)?,
            placement => return Err(argument("placement", placement, "0 (device), 1 (host) or 2 (virtual)")),
        };
        // SAFETY: not null, and the program gives it for a handle.
        unsafe { tensor.write(runtime.tensors.insert(EmulatedTensor::new(name, Some(memory)))) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nrt_tensor_allocate_empty(name: *const c_char, tensor: *mut Handle) -> NrtStatus {
    call("nrt_tensor_allocate_empty", || {
        let runtime = runtime::current()?;
        expect_pointer("tensor", tensor)?;
        // SAFETY: as above.
        let name = unsafe { optional_name(name) }?;
        // SAFETY: as above.
        unsafe { tensor.write(runtime.tensors.insert(EmulatedTensor::new(name, None))) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nrt_tensor_attach_buffer(tensor: Handle, buffer: *mut c_void, size: usize) -> NrtStatus {
    call("nrt_tensor_attach_buffer", || {
        let tensor = runtime::current()?.tensors.get(tensor)?;
        expect_pointer("buffer", buffer)?;
        if isize::try_from(size).is_err() {
            return Err(argument("size", size, "the bytes of a buffer"));
        }
        // SAFETY: documented: the buffer has `size` bytes and outlives the tensor.
        tensor.attach(unsafe { Memory::attached(buffer.cast(), size) });
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nrt_tensor_allocate_slice(
    source: Handle,
    offset: usize,
    size: usize,
    name: *const c_char,
    slice: *mut Handle,
) -> NrtStatus {
    call("nrt_tensor_allocate_slice", || {
        let runtime = runtime::current()?;
        let source = runtime.tensors.get(source)?;
        expect_pointer("slice", slice)?;
        // SAFETY: as above.
        let name = unsafe { optional_name(name) }?;
        let part = source.slice(name, offset, size)?;
        // SAFETY: as above.
        unsafe { slice.write(runtime.tensors.insert(part)) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nrt_tensor_free(tensor: *mut Handle) {
    value("nrt_tensor_free", (), || {
        let runtime = runtime::current()?;
        expect_pointer("tensor", tensor)?;
        // SAFETY: not null, and the program has a handle there.
        let handle = unsafe { tensor.replace(std::ptr::null_mut()) };
        drop(runtime.tensors.remove(handle)?);
        Ok(())
    });
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nrt_tensor_read(tensor: Handle, buf: *mut c_void, offset: usize, size: usize) -> NrtStatus {
    call("nrt_tensor_read", || {
        let tensor = runtime::current()?.tensors.get(tensor)?;
        expect_pointer("buf", buf)?;
        // SAFETY: the program says that it has `size` bytes there.
        unsafe { tensor.read(buf.cast(), offset, size) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nrt_tensor_write(tensor: Handle, buf: *const c_void, offset: usize, size: usize) -> NrtStatus {
    call("nrt_tensor_write", || {
        let tensor = runtime::current()?.tensors.get(tensor)?;
        expect_pointer("buf", buf)?;
        // SAFETY: as above.
        unsafe { tensor.write(buf.cast(), offset, size) }
    })
}

#[unsafe(no_mangle)]
extern "C" fn nrt_tensor_copy(
    src: Handle,
    src_offset: usize,
    dst: Handle,
    dst_offset: usize,
    size: usize,
) -> NrtStatus {
    call("nrt_tensor_copy", || {
        let runtime = runtime::current()?;
        let (source, target) = (runtime.tensors.get(src)?, runtime.tensors.get(dst)?);
        source.copy(src_offset, &target, dst_offset, size)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nrt_tensor_get_size(tensor: Handle) -> usize {
    value("nrt_tensor_get_size", 0, || Ok(get(tensor)?.size()))
}

#[unsafe(no_mangle)]
extern "C" fn nrt_tensor_get_va(tensor: Handle) -> *mut c_void {
    value("nrt_tensor_get_va", std::ptr::null_mut(), || Ok(get(tensor)?.address().cast()))
}

fn get(tensor: Handle) -> Result<std::sync::Arc<EmulatedTensor>, Error> {
    runtime::current()?.tensors.get(tensor)
}
