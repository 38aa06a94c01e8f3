//! [`IsaLibrary`]: a program as an op library of the emulator.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use gpsimd_abi::{
    ABI_VERSION, DeviceTable, FAILURE_PANIC, LibraryTable, Location, MAGIC, OpFunctions, RawShapeError, RawTensorType,
    SHAPE_ERROR_MESSAGE, STATUS_FAILED, STATUS_OK, Text,
};
use gpsimd_descriptor::LibraryDescriptor;
use gpsimd_descriptor::limits::MAX_OPS;
use gpsimd_emulator::OpLibrary;

use crate::count::{Counter, Counts};
use crate::error::IsaError;
use crate::process::Process;
use crate::serve;

/// Programs that can be loaded: the C functions of an op carry no data, so each place has functions of its own.
const PLACES: usize = 4;

static LOADED: [OnceLock<Program>; PLACES] = [const { OnceLock::new() }; PLACES];

/// A program, loaded. It stays so until the process ends.
#[derive(Clone)]
pub struct IsaLibrary {
    program: &'static Program,
    library: OpLibrary,
}

/// A loaded program.
struct Program {
    elf: PathBuf,
    counter: Option<Counter>,
    /// Processes that run no op. A core takes one for its part of a launch.
    idle: Mutex<Vec<Process>>,
    /// The most stack that each op took so far.
    stack: [AtomicU32; MAX_OPS],
    /// Instructions counted so far.
    counts: Mutex<Counts>,
}

impl IsaLibrary {
    /// Loads a program that [`build`](crate::build()) made. It runs the program: load what you trust.
    ///
    /// # Errors
    /// When QEMU is missing, the file is not such a program, or too many are loaded.
    pub fn load(elf: impl AsRef<Path>) -> Result<Self, IsaError> {
        Self::with_counter(elf.as_ref(), None)
    }

    /// What the program in `elf` says of its op library, without loading it.
    ///
    /// # Errors
    /// When QEMU is missing or the file is not a program with a valid descriptor.
    pub fn descriptor_of(elf: &Path) -> Result<LibraryDescriptor, IsaError> {
        let (_, hello) = Process::start(elf, None)?;
        LibraryDescriptor::parse(&hello.descriptor)
            .map_err(|error| IsaError::NotOurs { path: elf.into(), problem: error.to_string() })
    }

    /// As [`load`](Self::load), with every instruction of kernels counted.
    pub(crate) fn with_counter(elf: &Path, counter: Option<Counter>) -> Result<Self, IsaError> {
        let (process, hello) = Process::start(elf, None)?;
        let ops = LibraryDescriptor::parse(&hello.descriptor).map_or(0, |descriptor| descriptor.ops.len());
        let idle = if counter.is_none() { vec![process] } else { Vec::new() };
        let mut program = Some(Program {
            elf: elf.into(),
            counter,
            idle: Mutex::new(idle),
            stack: [const { AtomicU32::new(0) }; MAX_OPS],
            counts: Mutex::default(),
        });
        let place = LOADED.iter().position(|place| {
            place.get_or_init(|| program.take().expect("a program is taken once"));
            program.is_none()
        });
        let Some(place) = place else { return Err(IsaError::TooMany { path: elf.into(), limit: PLACES }) };
        let program = LOADED[place].get().expect("it was just put there");
        // Lives as long as the place.
        let descriptor = Box::leak(hello.descriptor.into_boxed_slice());
        let library = Box::leak(Box::new(LibraryTable {
            magic: MAGIC,
            abi_version: ABI_VERSION,
            op_count: ops as u32,
            descriptor: Text { data: descriptor.as_ptr(), len: descriptor.len() },
            cpu_features: Text::new(""),
            ops: OPS[place].as_ptr(),
        }));
        Ok(Self { program, library: OpLibrary::from_static_host(library)? })
    }

    /// The op library, as the emulator takes it.
    pub fn library(&self) -> &OpLibrary {
        &self.library
    }

    /// The most bytes of stack that op `index` of the library took in a launch so far: its own frames, those of soft
    /// float and of the runner's device calls.
    pub fn stack_high_water(&self, index: usize) -> u32 {
        self.program.stack.get(index).map_or(0, |stack| stack.load(Ordering::Relaxed))
    }

    /// The instructions since the last call.
    pub(crate) fn take_counts(&self) -> Counts {
        std::mem::take(&mut *lock(&self.program.counts))
    }
}

impl Program {
    /// # Safety
    /// As [`OpFunctions::run`].
    unsafe fn run(&self, op: usize, device: &DeviceTable) -> u32 {
        let result = self.process().and_then(|mut process| {
            // SAFETY: the caller's promise.
            match unsafe { serve::run(&mut process, op as u32, device) } {
                Ok(done) if done.status == STATUS_OK => {
                    self.stack[op].fetch_max(done.stack, Ordering::Relaxed);
                    self.give_back(process)?;
                    Ok(done.status)
                }
                // A kernel that fails may leave anything behind: its program is not used again.
                Ok(done) => Ok(done.status),
                // The launch is stopped; its error says why.
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    process.kill();
                    Ok(STATUS_FAILED)
                }
                Err(error) => Err(died(process, &error)),
            }
        });
        result.unwrap_or_else(|why| {
            let message = Text { data: why.as_ptr(), len: why.len() };
            let nowhere = Location { file: Text::new(""), line: 0, column: 0 };
            // SAFETY: the caller's promise; message and place live through the call.
            unsafe { (device.fail)(device.context, FAILURE_PANIC, message, &raw const nowhere) };
            STATUS_FAILED
        })
    }

    fn shape(
        &self,
        op: usize,
        operands: &[RawTensorType],
        output_count: u32,
    ) -> Result<Vec<RawTensorType>, RawShapeError> {
        let refused = |why: String| RawShapeError {
            code: SHAPE_ERROR_MESSAGE,
            operand: 0,
            dim: 0,
            expected: 0,
            found: 0,
            message: leak(why.into_bytes()),
        };
        let mut process = self.process().map_err(refused)?;
        match serve::shape(&mut process, op as u32, operands, output_count) {
            Ok(Ok(types)) => {
                self.give_back(process).map_err(refused)?;
                Ok(types)
            }
            // The shape function may have panicked.
            Ok(Err((error, message))) => Err(RawShapeError { message: leak(message), ..error }),
            Err(error) => Err(refused(died(process, &error))),
        }
    }

    fn process(&self) -> Result<Process, String> {
        if let Some(process) = lock(&self.idle).pop() {
            return Ok(process);
        }
        let plugin = self.counter.as_ref().map(Counter::plugin);
        Process::start(&self.elf, plugin).map(|(process, _)| process).map_err(|error| error.to_string())
    }

    fn give_back(&self, mut process: Process) -> Result<(), String> {
        if self.counter.is_none() {
            lock(&self.idle).push(process);
            return Ok(());
        }
        // The plugin says what it counted when the program ends.
        let said = process.finish();
        lock(&self.counts).add(&said)
    }
}

/// What a core says whose program ended, or lost its way, in the middle of an op.
fn died(process: Process, error: &io::Error) -> String {
    let how = process.end();
    if error.kind() == io::ErrorKind::UnexpectedEof {
        format!("the core's program died, perhaps of an overflown stack or a bad address: {how}")
    } else {
        format!("the core's program lost its way ({error}): {how}")
    }
}

/// A message of a shape function, which is for ever: the C interface has static text there. They are few.
fn leak(message: Vec<u8>) -> Text {
    let message = Box::leak(message.into_boxed_slice());
    Text { data: message.as_ptr(), len: message.len() }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is whole whenever they are free.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The C functions of op `OP` of the program in place `PLACE`.
unsafe extern "C" fn run<const PLACE: usize, const OP: usize>(device: *const DeviceTable) -> u32 {
    // SAFETY: a host passes a table that keeps what the ABI says.
    match (LOADED[PLACE].get(), unsafe { device.as_ref() }) {
        // SAFETY: as above.
        (Some(program), Some(device)) => unsafe { program.run(OP, device) },
        _ => STATUS_FAILED,
    }
}

unsafe extern "C" fn shape<const PLACE: usize, const OP: usize>(
    operands: *const RawTensorType,
    operand_count: u32,
    outputs: *mut RawTensorType,
    output_count: u32,
    error: *mut RawShapeError,
) -> u32 {
    let Some(program) = LOADED[PLACE].get() else { return STATUS_FAILED };
    let operands: &[RawTensorType] = if operand_count == 0 {
        &[]
    } else {
        // SAFETY: a host passes as many operands.
        unsafe { std::slice::from_raw_parts(operands, operand_count as usize) }
    };
    match program.shape(OP, operands, output_count) {
        Ok(types) => {
            // SAFETY: a host passes places for `output_count` outputs, and there are as many types.
            unsafe { outputs.copy_from_nonoverlapping(types.as_ptr(), types.len()) };
            STATUS_OK
        }
        Err(why) => {
            // SAFETY: a host passes a place for the error.
            unsafe { error.write(why) };
            STATUS_FAILED
        }
    }
}

const fn op<const PLACE: usize, const OP: usize>() -> OpFunctions {
    OpFunctions { run: run::<PLACE, OP>, shape: shape::<PLACE, OP> }
}

const fn ops<const P: usize>() -> [OpFunctions; MAX_OPS] {
    [
        op::<P, 0>(),
        op::<P, 1>(),
        op::<P, 2>(),
        op::<P, 3>(),
        op::<P, 4>(),
        op::<P, 5>(),
        op::<P, 6>(),
        op::<P, 7>(),
        op::<P, 8>(),
        op::<P, 9>(),
    ]
}

static OPS: [[OpFunctions; MAX_OPS]; PLACES] = [ops::<0>(), ops::<1>(), ops::<2>(), ops::<3>()];
