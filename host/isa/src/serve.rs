//! One core's part of a launch: the program runs the op, and its device calls are made on the emulator's table.

use std::io;
use std::ptr;

use gpsimd_abi::{self as abi, DType, DeviceTable, LaunchTensor, RawShapeError, RawTensorType, STATUS_OK, Text};
use gpsimd_emulator::is_stopping;
use gpsimd_isa_runner::protocol::{
    DONE, FAIL, LOAD, MAX_TENSORS, PRINT_FLOAT, PRINT_SIGNED, PRINT_TEXT, PRINT_UNSIGNED, RUN, SHAPE, SHAPED, STORE,
    TCM_ALLOC, TCM_FREE, TCM_LEFT,
};

use crate::process::{Process, lost};

/// How a run ended.
pub(crate) struct Done {
    pub(crate) status: u32,
    /// Bytes of stack that it took; 0 when it did not end by itself.
    pub(crate) stack: u32,
}

/// Runs op `op` in `process` on the core of `device`.
///
/// # Safety
/// `device` keeps what the ABI says, for the length of the call.
pub(crate) unsafe fn run(process: &mut Process, op: u32, device: &DeviceTable) -> io::Result<Done> {
    // SAFETY: the caller's promise.
    let tensors = unsafe { std::slice::from_raw_parts(device.tensors, device.tensor_count as usize) };
    if tensors.len() > MAX_TENSORS || device.tcm_bytes > process.pool_bytes {
        return Err(lost(&format!(
            "{} tensors and {} bytes of TCM, it has room for {MAX_TENSORS} and {}",
            tensors.len(),
            device.tcm_bytes,
            process.pool_bytes
        )));
    }
    let words = [
        RUN,
        op,
        device.core_id,
        device.core_count,
        device.in_place,
        device.tcm_bytes,
        device.output_count,
        device.tensor_count,
    ];
    words.iter().try_for_each(|word| process.put_u32(*word))?;
    for tensor in tensors {
        process.put_type(&tensor.ty)?;
        process.put_u64(tensor.len)?;
    }
    process.flush()?;
    let mut core = Core { process, device, tensors };
    loop {
        let message = core.process.u32()?;
        if message == DONE {
            let (status, stack) = (core.process.u32()?, core.process.u32()?);
            return Ok(Done { status, stack });
        }
        // A kernel that makes one call after the other, whatever they answer, is never waited for.
        if is_stopping() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        // SAFETY: the caller's promise.
        unsafe { core.serve(message)? };
    }
}

/// What a shape function says: the outputs' types, or an error and its message.
pub(crate) type Shaped = Result<Vec<RawTensorType>, (RawShapeError, Vec<u8>)>;

/// Runs the shape function of op `op`: the types of its `output_count` outputs, or the error and its message.
pub(crate) fn shape(
    process: &mut Process,
    op: u32,
    operands: &[RawTensorType],
    output_count: u32,
) -> io::Result<Shaped> {
    [SHAPE, op, output_count, operands.len() as u32].iter().try_for_each(|word| process.put_u32(*word))?;
    operands.iter().try_for_each(|operand| process.put_type(operand))?;
    process.flush()?;
    let message = process.u32()?;
    if message != SHAPED {
        return Err(lost(&format!("a shape function ends with message {message}")));
    }
    if process.u32()? == STATUS_OK {
        return (0..output_count).map(|_| process.ty()).collect::<io::Result<_>>().map(Ok);
    }
    let (code, operand, dim) = (process.u32()?, process.u32()?, process.u32()?);
    let (expected, found, message) = (process.u64()?, process.u64()?, process.text()?);
    Ok(Err((RawShapeError { code, operand, dim, expected, found, message: Text::new("") }, message)))
}

/// A program that runs an op, and the core's table.
struct Core<'a> {
    process: &'a mut Process,
    device: &'a DeviceTable,
    tensors: &'a [LaunchTensor],
}

/// Where in the source of a kernel a call stands.
struct Place {
    file: Vec<u8>,
    line: u32,
    column: u32,
}

impl Place {
    /// Borrows the name of the file.
    fn location(&self) -> abi::Location {
        abi::Location { file: text(&self.file), line: self.line, column: self.column }
    }
}

impl Core<'_> {
    /// Makes the call `message` on the table and answers it.
    ///
    /// # Safety
    /// As [`run`].
    unsafe fn serve(&mut self, message: u32) -> io::Result<()> {
        let device = self.device;
        let context = device.context;
        // SAFETY: of all calls: the table's own functions with its context, and texts and places that live through
        // them.
        unsafe {
            match message {
                TCM_ALLOC => return self.alloc(),
                TCM_FREE => {
                    let tcm = self.process.u32()?;
                    let at = self.place()?;
                    let location = at.location();
                    (device.tcm_free)(context, self.tcm(tcm), &raw const location);
                }
                TCM_LEFT => {
                    let left = (device.tcm_left)(context);
                    self.process.put_u32(left)?;
                    self.process.flush()?;
                }
                LOAD => return self.load(),
                STORE => return self.store(),
                PRINT_TEXT => {
                    let message = self.process.text()?;
                    (device.print_text)(context, text(&message));
                }
                PRINT_FLOAT => (device.print_float)(context, f64::from_bits(self.process.u64()?)),
                PRINT_SIGNED => (device.print_signed)(context, self.process.u64()? as i64),
                PRINT_UNSIGNED => (device.print_unsigned)(context, self.process.u64()?),
                FAIL => {
                    let code = self.process.u32()?;
                    let at = self.place()?;
                    let location = at.location();
                    let message = self.process.text()?;
                    (device.fail)(context, code, text(&message), &raw const location);
                }
                other => return Err(lost(&format!("message {other} while an op runs"))),
            }
        }
        Ok(())
    }

    /// # Safety
    /// As [`run`].
    unsafe fn alloc(&mut self) -> io::Result<()> {
        let bytes = self.process.u32()?;
        let at = self.place()?;
        let location = at.location();
        // SAFETY: as in `serve`.
        let tcm = unsafe { (self.device.tcm_alloc)(self.device.context, bytes, &raw const location) };
        if tcm.is_null() {
            self.process.put_u32(0)?;
        } else {
            let offset = tcm.addr() - self.device.tcm.addr();
            self.process.put_u32(self.process.pool_address + offset as u32)?;
            // What TCM holds before it is written is the emulator's choice.
            // SAFETY: the emulator reserved `bytes` bytes there, which only this thread uses.
            let fresh = unsafe { std::slice::from_raw_parts(tcm, bytes as usize) };
            self.process.put(fresh)?;
        }
        self.process.flush()
    }

    /// # Safety
    /// As [`run`].
    unsafe fn load(&mut self) -> io::Result<()> {
        let (tensor, start, len) = (self.process.u32()?, self.process.u64()?, self.process.u64()?);
        let tcm = self.process.u32()?;
        let at = self.place()?;
        let location = at.location();
        let (device, tcm) = (self.device, self.tcm(tcm));
        // SAFETY: as in `serve`; the call checks the range and the address.
        let status = unsafe { (device.load)(device.context, tensor, start, len, tcm, &raw const location) };
        let bytes = if status == STATUS_OK { len as usize * self.element_bytes(tensor) } else { 0 };
        self.process.put_u32(status)?;
        self.process.put_u32(bytes as u32)?;
        if bytes != 0 {
            // SAFETY: the load succeeded: as many bytes are inside the pool, and only this thread uses them.
            self.process.put(unsafe { std::slice::from_raw_parts(tcm, bytes) })?;
        }
        self.process.flush()
    }

    /// # Safety
    /// As [`run`].
    unsafe fn store(&mut self) -> io::Result<()> {
        let (tensor, start, len) = (self.process.u32()?, self.process.u64()?, self.process.u64()?);
        let address = self.process.u32()?;
        let at = self.place()?;
        let location = at.location();
        let bytes = self.process.u32()?;
        if bytes > self.process.pool_bytes {
            return Err(lost(&format!("a store of {bytes} bytes")));
        }
        let mut content = vec![0; bytes as usize];
        self.process.get(&mut content)?;
        let (device, tcm) = (self.device, self.tcm(address));
        // The program has all of a core's RAM, the launch perhaps less: what lies beyond is not there, as the call
        // says.
        let offset = address.wrapping_sub(self.process.pool_address) as usize;
        let in_pool = (device.tcm_bytes as usize).saturating_sub(offset).min(content.len());
        if in_pool != 0 {
            // SAFETY: `in_pool` bytes at `offset` are inside the pool, which only this thread uses.
            unsafe { ptr::copy_nonoverlapping(content.as_ptr(), device.tcm.add(offset), in_pool) };
        }
        // SAFETY: as in `serve`; the call checks the range and the address.
        let status = unsafe { (device.store)(device.context, tensor, start, len, tcm, &raw const location) };
        self.process.put_u32(status)?;
        self.process.flush()
    }

    fn place(&mut self) -> io::Result<Place> {
        Ok(Place { file: self.process.text()?, line: self.process.u32()?, column: self.process.u32()? })
    }

    /// The emulator's address of the program's: as far from its pool, wherever that leads.
    fn tcm(&self, address: u32) -> *mut u8 {
        if address == 0 {
            return ptr::null_mut();
        }
        self.device.tcm.wrapping_offset(address as isize - self.process.pool_address as isize)
    }

    fn element_bytes(&self, tensor: u32) -> usize {
        let tensor = self.tensors.get(tensor as usize);
        tensor.and_then(|tensor| DType::from_code(tensor.ty.dtype)).map_or(0, DType::bytes)
    }
}

/// Borrows `bytes`.
fn text(bytes: &[u8]) -> Text {
    Text { data: bytes.as_ptr(), len: bytes.len() }
}
