//! Many reads or writes in one call, and waiting for outputs.

use std::ffi::{c_int, c_void};
use std::time::{Duration, Instant};

use super::{NrtStatus, argument, call, expect_pointer};
use crate::error::Error;
use crate::handles::Handle;
use crate::log::{self, Level};
use crate::runtime::{self, Runtime};
use crate::tensor::EmulatedTensor;

/// `nrt_tensor_batch_op_t`.
#[repr(C)]
struct NrtTensorBatchOp {
    offset: u64,
    size: u64,
    buffer: *mut c_void,
}

/// `nrt_tensor_batch_t`.
#[repr(C)]
struct NrtTensorBatch {
    tensor: Handle,
    ops: *const NrtTensorBatchOp,
    num_ops: u32,
}

/// `unsafe` leaves out the waiting on the device; here calls wait for each other all the same.
#[unsafe(no_mangle)]
unsafe extern "C" fn nrt_tensor_read_batch(
    batches: *const NrtTensorBatch,
    num_batches: u64,
    _unsafe: bool,
) -> NrtStatus {
    call("nrt_tensor_read_batch", || {
        // SAFETY: the program says what its arguments lead to, and that each buffer has as many bytes.
        unsafe {
            for_each(batches, num_batches, |tensor, op| {
                tensor.read(op.buffer.cast(), op.offset as usize, op.size as usize)
            })
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nrt_tensor_write_batch(
    batches: *const NrtTensorBatch,
    num_batches: u64,
    _unsafe: bool,
) -> NrtStatus {
    call("nrt_tensor_write_batch", || {
        // SAFETY: as above.
        unsafe {
            for_each(batches, num_batches, |tensor, op| {
                tensor.write(op.buffer.cast(), op.offset as usize, op.size as usize)
            })
        }
    })
}

/// Does `transfer` for all operations in order. The first that fails ends it: those before it are done.
///
/// # Safety
/// `batches` is null or leads to as many batches, the operations of each likewise.
unsafe fn for_each(
    batches: *const NrtTensorBatch,
    count: u64,
    transfer: impl Fn(&EmulatedTensor, &NrtTensorBatchOp) -> Result<(), Error>,
) -> Result<(), Error> {
    let runtime = runtime::current()?;
    // SAFETY: the caller's promise.
    for batch in unsafe { entries("batches", batches, count) }? {
        let tensor = runtime.tensors.get(batch.tensor)?;
        // SAFETY: as above.
        for op in unsafe { entries("ops", batch.ops, u64::from(batch.num_ops)) }? {
            expect_pointer("buffer", op.buffer)?;
            transfer(&tensor, op)?;
        }
    }
    Ok(())
}

/// # Safety
/// `first` is null or leads to `count` entries.
unsafe fn entries<'a, T>(name: &'static str, first: *const T, count: u64) -> Result<&'a [T], Error> {
    if count == 0 {
        return Ok(&[]);
    }
    expect_pointer(name, first)?;
    let fits = usize::try_from(count).ok().filter(|count| count.checked_mul(size_of::<T>()).is_some_and(is_room));
    let count =
        fits.ok_or_else(|| argument(name, format_args!("an array of {count}"), "as many as there is room for"))?;
    // SAFETY: the caller's promise, and no more bytes than there can be.
    Ok(unsafe { std::slice::from_raw_parts(first, count) })
}

fn is_room(bytes: usize) -> bool {
    isize::try_from(bytes).is_ok()
}

/// As C's `memset`: the low byte of `value`.
#[unsafe(no_mangle)]
extern "C" fn nrt_tensor_memset(tensor: Handle, offset: u64, value: c_int, size: usize) -> NrtStatus {
    call("nrt_tensor_memset", || runtime::current()?.tensors.get(tensor)?.fill(offset as usize, value as u8, size))
}

/// Documented: a wait without an end says so after this time.
const WARN_AFTER: Duration = Duration::from_secs(30);

/// Every `nrt_execute` that ends well adds one to each of its outputs, and so does an `nrt_execute_repeat`.
#[unsafe(no_mangle)]
extern "C" fn nrt_tensor_check_output_completion(tensor: Handle, timeout: i64, expected: u64) -> NrtStatus {
    const FUNCTION: &str = "nrt_tensor_check_output_completion";
    call(FUNCTION, || {
        let tensor = output(&*runtime::current()?, tensor)?;
        let completions = tensor.completions();
        let Ok(microseconds) = u64::try_from(timeout) else {
            let found = completions.wait(expected, Some(Instant::now() + WARN_AFTER));
            if found < expected {
                let (name, seconds) = (&tensor.name, WARN_AFTER.as_secs());
                let message =
                    format!("output `{name}` was written {found} of {expected} times in {seconds} s; still waiting");
                log::line(Level::Warn, FUNCTION, message);
                completions.wait(expected, None);
            }
            return Ok(());
        };
        let end = Instant::now().checked_add(Duration::from_micros(microseconds));
        let found = completions.wait(expected, end);
        if found < expected {
            let tensor = tensor.name.clone();
            return Err(Error::NotCompleted { tensor, found, expected, microseconds });
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn nrt_tensor_reset_output_completion(tensor: Handle) -> NrtStatus {
    call("nrt_tensor_reset_output_completion", || {
        output(&*runtime::current()?, tensor)?.completions().reset();
        Ok(())
    })
}

/// Null is documented as invalid here, unlike elsewhere.
fn output(runtime: &Runtime, tensor: Handle) -> Result<std::sync::Arc<EmulatedTensor>, Error> {
    expect_pointer("output_tensor", tensor)?;
    runtime.tensors.get(tensor)
}
