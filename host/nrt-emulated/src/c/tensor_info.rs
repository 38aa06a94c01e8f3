//! What the inputs and outputs of a model are, in memory that the program reads.

use std::ffi::c_uint;
use std::ptr;

use gpsimd_neff::TensorSpec;

use super::{NAME_MAX, NrtStatus, call, expect_pointer};
use crate::block::Block;
use crate::error::Error;
use crate::handles::Handle;
use crate::model::Model;
use crate::{program, runtime};

/// `nrt_tensor_info_t`.
#[repr(C)]
struct NrtTensorInfo {
    name: [u8; NAME_MAX],
    usage: c_uint,
    size: usize,
    dtype: c_uint,
    shape: *mut u32,
    ndim: u32,
}

/// The fixed part of `nrt_tensor_info_array_t`; the entries follow it.
#[repr(C)]
struct NrtTensorInfoArray {
    tensor_count: u64,
    tensor_array: [NrtTensorInfo; 0],
}

const INPUT: c_uint = 0;
const OUTPUT: c_uint = 1;

#[unsafe(no_mangle)]
unsafe extern "C" fn nrt_get_model_tensor_info(model: Handle, tensor_info: *mut *mut NrtTensorInfoArray) -> NrtStatus {
    call("nrt_get_model_tensor_info", || {
        let runtime = runtime::current()?;
        let model = runtime.models.get(model)?;
        expect_pointer("tensor_info", tensor_info)?;
        let array = describe(&model)?;
        let address = array.as_ptr();
        runtime.infos().insert(address.addr(), array);
        // SAFETY: not null, and the program gives it for an address.
        unsafe { tensor_info.write(address.cast()) };
        Ok(())
    })
}

/// The one handle that is an address: after it is freed, another array may get the same address.
#[unsafe(no_mangle)]
extern "C" fn nrt_free_model_tensor_info(tensor_info: *mut NrtTensorInfoArray) -> NrtStatus {
    call("nrt_free_model_tensor_info", || {
        let address = tensor_info.addr();
        let freed = runtime::current()?.infos().remove(&address);
        freed.map(drop).ok_or(Error::Handle { kind: "array of tensor information", address })
    })
}

/// The array in one block: its head, the entries, the sizes of all shapes.
#[expect(clippy::cast_ptr_alignment, reason = "a block is aligned for anything, and so is what lies in it")]
fn describe(model: &Model) -> Result<Block, Error> {
    let usages = [(INPUT, &model.inputs), (OUTPUT, &model.outputs)];
    let tensors = || usages.iter().flat_map(|(usage, specs)| specs.iter().map(|spec| (*usage, spec)));
    let count = tensors().count();
    let sizes: usize = tensors().map(|(_, spec)| spec.shape.len()).sum();
    let entries = size_of::<NrtTensorInfoArray>() + count * size_of::<NrtTensorInfo>();
    let block = Block::zeroed(entries + sizes * size_of::<u32>())?;
    let head = block.as_ptr().cast::<NrtTensorInfoArray>();
    // SAFETY: the block begins with the head, aligned for anything.
    unsafe { (&raw mut (*head).tensor_count).write(count as u64) };
    // SAFETY: behind the head and the entries, as many sizes as there are.
    let mut shape = unsafe { block.as_ptr().add(entries) }.cast::<u32>();
    for (index, (usage, spec)) in tensors().enumerate() {
        // SAFETY: `index` is below `count`, and `sizes` is the sum of what is taken of the shapes.
        unsafe {
            let entry = (&raw mut (*head).tensor_array).cast::<NrtTensorInfo>().add(index);
            entry.write(entry_of(usage, spec, shape));
            ptr::copy_nonoverlapping(spec.shape.as_ptr(), shape, spec.shape.len());
            shape = shape.add(spec.shape.len());
        }
    }
    Ok(block)
}

fn entry_of(usage: c_uint, spec: &TensorSpec, shape: *mut u32) -> NrtTensorInfo {
    let mut name = [0; NAME_MAX];
    // The reader takes no longer ones, so that the zero at the end stays.
    let len = spec.name.len().min(NAME_MAX - 1);
    name[..len].copy_from_slice(&spec.name.as_bytes()[..len]);
    let (size, dtype, ndim) = (program::bytes(spec), spec.dtype.code(), spec.shape.len() as u32);
    NrtTensorInfo { name, usage, size, dtype, shape, ndim }
}
