//! Tensor sets.

use std::ffi::c_char;

use super::{NrtStatus, call, expect_pointer, name, value};
use crate::execution::TensorSet;
use crate::handles::Handle;
use crate::runtime;

#[unsafe(no_mangle)]
unsafe extern "C" fn nrt_allocate_tensor_set(result: *mut Handle) -> NrtStatus {
    call("nrt_allocate_tensor_set", || {
        let runtime = runtime::current()?;
        expect_pointer("result", result)?;
        // SAFETY: not null, and the program gives it for a handle.
        unsafe { result.write(runtime.sets.insert(TensorSet::default())) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nrt_destroy_tensor_set(set: *mut Handle) {
    value("nrt_destroy_tensor_set", (), || {
        let runtime = runtime::current()?;
        expect_pointer("set", set)?;
        // SAFETY: not null, and the program has a handle there.
        let handle = unsafe { set.replace(std::ptr::null_mut()) };
        drop(runtime.sets.remove(handle)?);
        Ok(())
    });
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nrt_add_tensor_to_tensor_set(set: Handle, text: *const c_char, tensor: Handle) -> NrtStatus {
    call("nrt_add_tensor_to_tensor_set", || {
        let runtime = runtime::current()?;
        let set = runtime.sets.get(set)?;
        runtime.tensors.get(tensor)?;
        // SAFETY: the program gives a text or null.
        set.add(unsafe { name(text) }?, tensor);
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nrt_get_tensor_from_tensor_set(
    set: Handle,
    text: *const c_char,
    tensor: *mut Handle,
) -> NrtStatus {
    call("nrt_get_tensor_from_tensor_set", || {
        let runtime = runtime::current()?;
        let set = runtime.sets.get(set)?;
        expect_pointer("tensor", tensor)?;
        // SAFETY: as above.
        let found = set.get(&unsafe { name(text) }?)?;
        // One that was freed is still in the set.
        runtime.tensors.get(found)?;
        // SAFETY: not null, and the program gives it for a handle.
        unsafe { tensor.write(found) };
        Ok(())
    })
}
