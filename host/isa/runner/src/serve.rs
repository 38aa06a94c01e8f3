//! The program's life: it says who it is, and then does what the host asks.

use gpsimd_abi::{
    ABI_VERSION, LaunchTensor, LibraryTable, MAX_OUTPUTS, MAX_RANK, OpFunctions, RawShapeError, RawTensorType,
    STATUS_FAILED, STATUS_OK, Text,
};

use crate::device::{self, Launch};
use crate::panics::{self, Activity};
use crate::protocol::{DONE, HELLO, MAX_TENSORS, POOL_BYTES, RUN, SHAPE, SHAPED};
use crate::wire::{get_type, get_u32, get_u64, put_text, put_type, put_u32, put_u64};
use crate::{linux, stack};

unsafe extern "C" {
    /// The entry point of the op library that the program is linked with: `gpsimd_abi::ENTRY_POINT`.
    fn gpsimd_op_library() -> *const LibraryTable;
}

/// Where the program starts.
pub(crate) extern "C" fn serve() -> ! {
    linux::no_core_dumps();
    stack::guard();
    // SAFETY: every op library has the function, and it has no preconditions. What it returns is a static.
    let library = unsafe { &*gpsimd_op_library() };
    put_u32(HELLO);
    put_u32(ABI_VERSION);
    put_u32(device::pool() as u32);
    put_u32(POOL_BYTES as u32);
    // SAFETY: a library's text leads to its bytes.
    put_text(unsafe { library.descriptor.bytes() });
    loop {
        let request = get_u32();
        let index = get_u32();
        if index >= library.op_count {
            linux::exit(2);
        }
        // SAFETY: there are `op_count` ops.
        let op = unsafe { &*library.ops.add(index as usize) };
        match request {
            RUN => run(op),
            SHAPE => shape(op),
            _ => linux::exit(2),
        }
    }
}

fn run(op: &OpFunctions) {
    let [core_id, core_count, in_place, tcm_bytes, output_count, count] = core::array::from_fn(|_| get_u32());
    let count = count as usize;
    if count > MAX_TENSORS || tcm_bytes as usize > POOL_BYTES {
        linux::exit(2);
    }
    let nothing = LaunchTensor { ty: NO_TYPE, len: 0, direct: core::ptr::null_mut(), rows: core::ptr::null() };
    let mut tensors = [nothing; MAX_TENSORS];
    for tensor in &mut tensors[..count] {
        tensor.ty = get_type();
        tensor.len = get_u64();
    }
    let launch = Launch { core_id, core_count, in_place, tcm_bytes, output_count, tensors: &tensors[..count] };
    let table = device::table(&launch);
    panics::set(Activity::Run);
    // SAFETY: the op of a library, with a table that keeps what the ABI says; ops do not call each other.
    let (status, stack) = unsafe { stack::run(op, &table) };
    put_u32(DONE);
    put_u32(status);
    put_u32(stack);
}

const NO_TYPE: RawTensorType = RawTensorType { dtype: 0, rank: 0, dims: [0; MAX_RANK] };

fn shape(op: &OpFunctions) {
    let (output_count, count) = (get_u32(), get_u32());
    if count as usize > MAX_TENSORS || output_count as usize > MAX_OUTPUTS {
        linux::exit(2);
    }
    let mut operands = [NO_TYPE; MAX_TENSORS];
    for operand in &mut operands[..count as usize] {
        *operand = get_type();
    }
    let mut outputs = [NO_TYPE; MAX_OUTPUTS];
    let mut error = RawShapeError { code: 0, operand: 0, dim: 0, expected: 0, found: 0, message: Text::new("") };
    panics::set(Activity::Shape);
    // SAFETY: `count` operands, and places for the outputs and the error.
    let status = unsafe { (op.shape)(operands.as_ptr(), count, outputs.as_mut_ptr(), output_count, &raw mut error) };
    if status == STATUS_OK {
        put_u32(SHAPED);
        put_u32(status);
        outputs[..output_count as usize].iter().for_each(put_type);
    } else {
        refuse_shape(&error);
    }
}

/// Answers that a shape function refused.
pub(crate) fn refuse_shape(error: &RawShapeError) {
    put_u32(SHAPED);
    put_u32(STATUS_FAILED);
    put_u32(error.code);
    put_u32(error.operand);
    put_u32(error.dim);
    put_u64(error.expected);
    put_u64(error.found);
    // SAFETY: the message of a shape error is static text, or that of a panic that waits here.
    put_text(unsafe { error.message.bytes() });
}
