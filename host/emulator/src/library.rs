//! [`OpLibrary`]: an op library, loaded and verified; [`Op`]: one of its ops.

use std::fmt;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::Arc;

use gpsimd_abi::{
    ABI_VERSION, ENTRY_POINT, EntryPoint, LibraryTable, MAGIC, REFERENCES, ReferenceFunction, ReferencesEntryPoint,
    Text,
};
use gpsimd_descriptor::{LibraryDescriptor, OpDescriptor, OperandKind, OutputDescriptor};

use crate::cpu;
use crate::error::{LoadError, UnknownOp};
use crate::guard::{Code, code_around};
use crate::loaded::{self, Content};
use crate::operations::{self, Operations, OperationsOf};
use crate::prepared_launch::PreparedLaunch;
use crate::report::Dma;

/// An op library, loaded and verified. Cheap to clone; stays loaded while a clone or an [`Op`] of it lives.
#[derive(Clone)]
pub struct OpLibrary {
    inner: Arc<Inner>,
}

/// An op of a loaded library. Cheap to clone.
#[derive(Clone)]
pub struct Op {
    library: Arc<Inner>,
    index: usize,
    /// Whether only the first phase is meant, of an op with two.
    is_phase: bool,
}

struct Inner {
    descriptor: LibraryDescriptor,
    ops: Vec<OpEntry>,
    operations: Option<OperationsOf>,
    /// The references of its ops that are Rust functions, one for each op; none of a library that has none.
    references: Vec<Option<ReferenceFunction>>,
    code: Code,
    /// The file that it was loaded from, and what was in there.
    origin: Option<(PathBuf, Content)>,
    // Last, so that nothing of the library outlives it.
    _file: Option<libloading::Library>,
}

/// What a launch needs of an op, found once.
pub(crate) struct OpEntry {
    pub(crate) functions: gpsimd_abi::OpFunctions,
    /// Number of tensor operands.
    pub(crate) tensors: usize,
    /// Number of sizes.
    pub(crate) sizes: usize,
    /// Number of scalar operands.
    pub(crate) scalars: usize,
    /// Of each output, the index among the tensor operands of the one that it replaces.
    pub(crate) replaced: Vec<Option<usize>>,
    /// Index of the second phase, and what it is launched on.
    then: Option<(usize, Vec<PhaseArgument>)>,
}

/// What an operand of a second phase is, by number in the first.
#[derive(Clone, Copy)]
pub(crate) enum PhaseArgument {
    Output(usize),
    Tensor(usize),
    /// Number among scalars and sizes, and, of a size, among sizes.
    Scalar(usize, Option<usize>),
}

/// Where a library is from.
enum Origin {
    File(libloading::Library, PathBuf, Content),
    /// Part of this program.
    Program,
    /// Part of this program, and code that has to return.
    Host,
}

impl OpLibrary {
    /// Loads an op library from a file: a native library or an op package built for this host.
    ///
    /// This runs the library's code: load what you trust as you would a program. Replacing the file while it is loaded
    /// has no effect on what is loaded; see [`Self::expect_current`].
    ///
    /// # Errors
    /// When the file is not an op library, was replaced since this process loaded it and its earlier code is still
    /// loaded, was built for another ABI version or CPU, or contradicts itself.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        let path = path.as_ref();
        if !path.exists() {
            return Err(LoadError::NotFound { path: path.into() });
        }
        // A path without a slash would be looked up in the system's library folders.
        let at = std::path::absolute(path).unwrap_or_else(|_| path.into());
        let (file, content) = loaded::open(&at, path)?;
        // SAFETY: the symbol of this name has this type in every ABI version.
        let entry = unsafe { file.get::<EntryPoint>(ENTRY_POINT.as_bytes()) }
            .map_err(|_| LoadError::NoEntryPoint { path: path.into() })?;
        // SAFETY: as above; it has no preconditions.
        let library = unsafe { entry() };
        // SAFETY: the library lives in `file`, which is kept beside what is read from it.
        unsafe { Self::verify(library, &path.display().to_string(), Origin::File(file, at, content)) }
    }

    /// Fails when the file that the library was loaded from has other code by now. What is loaded does not change.
    ///
    /// # Errors
    /// [`LoadError::Replaced`].
    pub fn expect_current(&self) -> Result<(), LoadError> {
        match &self.inner.origin {
            Some((path, content)) if path.exists() && content.changed(path).is_some() => {
                Err(LoadError::Replaced { path: path.clone() })
            }
            _ => Ok(()),
        }
    }

    /// An op library that is part of this program: what `op_library!` defines, for `cargo test` of a kernel crate.
    ///
    /// `library` is trusted to be what the ABI says, as a loaded one is.
    ///
    /// # Errors
    /// When it was built for another ABI version or CPU, or contradicts itself.
    pub fn from_static(library: &'static LibraryTable) -> Result<Self, LoadError> {
        // SAFETY: a library is valid for as long as it exists, here until the program ends.
        unsafe { Self::verify(library, "the op library in this program", Origin::Program) }
    }

    /// As [`Self::from_static`], of ops that are code of this program which has to return: it holds what must be given
    /// back, as that which runs kernels in a program of their own. Their stack is the thread's. A launch that is to end
    /// fails their device calls, and waits for them.
    ///
    /// # Errors
    /// As [`Self::from_static`].
    pub fn from_static_host(library: &'static LibraryTable) -> Result<Self, LoadError> {
        // SAFETY: as in `from_static`.
        unsafe { Self::verify(library, "the op library in this program", Origin::Host) }
    }

    /// As [`Self::from_static`], from the entry point itself.
    ///
    /// # Errors
    /// As [`Self::from_static`].
    ///
    /// # Safety
    /// `entry` keeps what the ABI says.
    pub unsafe fn from_entry_point(entry: EntryPoint) -> Result<Self, LoadError> {
        // SAFETY: the caller's promise; what it returns lives as long as the program.
        unsafe { Self::verify(entry(), "the op library in this program", Origin::Program) }
    }

    /// Name, as in `torch.ops.<name>`.
    pub fn name(&self) -> &str {
        &self.inner.descriptor.name
    }

    /// What the library says about itself.
    pub fn descriptor(&self) -> &LibraryDescriptor {
        &self.inner.descriptor
    }

    /// The op called `name`.
    ///
    /// # Errors
    /// When there is none; the error lists those that exist.
    pub fn op(&self, name: &str) -> Result<Op, UnknownOp> {
        let ops = &self.inner.descriptor.ops;
        let index = ops.iter().position(|op| op.name == name).ok_or_else(|| UnknownOp {
            library: self.name().into(),
            op: name.into(),
            ops: ops.iter().map(|op| op.name.clone()).collect(),
        })?;
        Ok(Op { library: Arc::clone(&self.inner), index, is_phase: false })
    }

    /// All ops, in the descriptor's order.
    pub fn ops(&self) -> impl Iterator<Item = Op> + '_ {
        (0..self.inner.ops.len()).map(|index| Op { library: Arc::clone(&self.inner), index, is_phase: false })
    }

    /// # Safety
    /// `library` is null, or leads to the magic and version of a library, and if these are ours, to all of a
    /// [`LibraryTable`] that lives as long as the file it is from, or as long as the program.
    unsafe fn verify(library: *const LibraryTable, name: &str, origin: Origin) -> Result<Self, LoadError> {
        let named = || name.to_owned();
        let pointer = NonNull::new(library.cast_mut())
            .filter(|pointer| pointer.is_aligned())
            .ok_or_else(|| LoadError::NoLibrary { library: named() })?;
        // Field by field, not through a reference: a library of another version may be shorter than ours.
        // SAFETY: the caller's promise; both fields keep their place in every version.
        let (magic, version) =
            unsafe { ((&raw const (*library).magic).read(), (&raw const (*library).abi_version).read()) };
        if magic != MAGIC {
            return Err(LoadError::Magic { library: named(), found: magic });
        }
        if version != ABI_VERSION {
            return Err(LoadError::AbiVersion { library: named(), found: version });
        }
        // SAFETY: the caller's promise.
        let library = unsafe { pointer.as_ref() };

        let features = bytes(library.cpu_features, name, "list of CPU features")?;
        verify_cpu_features(&String::from_utf8_lossy(features), name)?;
        let json = bytes(library.descriptor, name, "descriptor")?;
        let descriptor =
            LibraryDescriptor::parse(json).map_err(|source| LoadError::Descriptor { library: named(), source })?;
        if library.op_count as usize != descriptor.ops.len() {
            let (table, descriptor) = (library.op_count, descriptor.ops.len());
            return Err(LoadError::OpCount { library: named(), table, descriptor });
        }
        if library.ops.is_null() && !descriptor.ops.is_empty() {
            return Err(LoadError::Null { library: named(), what: "table of ops".into() });
        }
        let ops: Vec<OpEntry> = descriptor
            .ops
            .iter()
            .enumerate()
            // SAFETY: `ops` has `op_count` entries, and `index` is below.
            .map(|(index, op)| unsafe { OpEntry::read(library.ops.add(index), op, &descriptor, name) })
            .collect::<Result<_, _>>()?;
        // SAFETY: the symbol of this name has this type; it is called while the file is loaded.
        let counting =
            |file: &libloading::Library| unsafe { file.get(operations::SYMBOL.as_bytes()).map(|symbol| *symbol) };
        let code = match origin {
            Origin::Host => Code::Host,
            _ => Code::Library(ops.first().map_or(0..0, |op| code_around((op.functions.run as *const ()).addr()))),
        };
        let (file, origin) = match origin {
            Origin::File(file, path, content) => (Some(file), Some((path, content))),
            Origin::Program | Origin::Host => (None, None),
        };
        let operations = file.as_ref().and_then(|file| counting(file).ok());
        // SAFETY: the symbol of this name has this type; it is called while the file is loaded.
        let references = |file: &libloading::Library| unsafe {
            file.get::<ReferencesEntryPoint>(REFERENCES.as_bytes()).map(|symbol| symbol())
        };
        let references = match file.as_ref().map(references) {
            // SAFETY: it leads to as many functions as there are ops.
            Some(Ok(first)) if !first.is_null() => unsafe { std::slice::from_raw_parts(first, ops.len()).to_vec() },
            _ => Vec::new(),
        };
        Ok(Self { inner: Arc::new(Inner { descriptor, ops, operations, references, code, origin, _file: file }) })
    }
}

impl Op {
    /// Name, as in `torch.ops.<library>.<name>`.
    pub fn name(&self) -> &str {
        &self.descriptor().name
    }

    /// What the library says about the op.
    pub fn descriptor(&self) -> &OpDescriptor {
        &self.library.descriptor.ops[self.index]
    }

    /// What it returns: of two phases, the outputs of the second.
    pub fn outputs(&self) -> &[OutputDescriptor] {
        if self.is_phase { &self.descriptor().outputs } else { self.library.descriptor.outputs_of(self.descriptor()) }
    }

    /// Its first phase as an op of its own, which is what the device has; itself where it has one.
    #[must_use]
    pub fn first_phase(&self) -> Self {
        Self { is_phase: true, ..self.clone() }
    }

    /// Its second phase, and what that is launched on.
    pub(crate) fn second_phase(&self) -> Option<(Self, &[PhaseArgument])> {
        let (index, arguments) = self.entry().then.as_ref().filter(|_| !self.is_phase)?;
        Some((Self { index: *index, ..self.clone() }, arguments))
    }

    /// Bytes of TCM that its kernel has for buffers.
    pub(crate) fn tcm_bytes(&self) -> usize {
        self.library.descriptor.tcm_bytes as usize
    }

    /// Whether launches report what cores compute: of a library that `cargo gpsimd profile` builds.
    pub fn counts_operations(&self) -> bool {
        self.library.operations.is_some()
    }

    /// The counters of the core that runs on this thread, if the library counts.
    pub(crate) fn operations_here(&self) -> Option<NonNull<Operations>> {
        // SAFETY: it has no preconditions.
        self.library.operations.and_then(|operations| NonNull::new(unsafe { operations() }))
    }

    /// Tells the library that the kernel which this thread ran has been stopped for good. A native library keeps per
    /// thread whether a kernel runs there, so that it knows whose panics are whose, and a kernel that does not return
    /// leaves that set. Every call that it makes into code of an op ends with clearing it: the shape function's, too.
    pub(crate) fn forget_kernel(&self, launch: &PreparedLaunch<'_>) {
        // It was asked before the launch: the answer is known.
        let _ = self.phase_types(&launch.operand_types());
    }

    /// The Rust function that is its reference.
    pub(crate) fn reference_function(&self) -> Option<ReferenceFunction> {
        self.library.references.get(self.index).copied().flatten()
    }

    /// What of the op may be cut short.
    pub(crate) fn code(&self) -> &Code {
        &self.library.code
    }

    pub(crate) fn entry(&self) -> &OpEntry {
        &self.library.ops[self.index]
    }

    /// Name of the tensor that a DMA of a launch of this op is to or from: of two phases, as the DMA's phase calls it.
    pub fn tensor_of(&self, dma: &Dma) -> String {
        let phase = if dma.phase == 0 { None } else { self.second_phase() };
        phase.map_or_else(|| self.clone(), |(second, _)| second).tensor_name(dma.tensor as usize).to_owned()
    }

    /// Which of its tensor operands that tensor is, if it is one.
    pub fn operand_of(&self, dma: &Dma) -> Option<usize> {
        let index = dma.tensor as usize;
        match self.second_phase().filter(|_| dma.phase > 0) {
            None => Some(index).filter(|index| *index < self.entry().tensors),
            // Sizes are given after the tensors, whatever their order is.
            Some((_, arguments)) => {
                let is_tensor = |argument: &&PhaseArgument| !matches!(argument, PhaseArgument::Scalar(..));
                match arguments.iter().filter(is_tensor).nth(index)? {
                    PhaseArgument::Tensor(tensor) => Some(*tensor),
                    PhaseArgument::Output(_) | PhaseArgument::Scalar(..) => None,
                }
            }
        }
    }

    /// Name of tensor `index` of a launch: the operands, the sizes, `params` if the op has scalars, the outputs.
    pub(crate) fn tensor_name(&self, index: usize) -> &str {
        let descriptor = self.descriptor();
        let outputs = descriptor.outputs.iter().map(|output| output.name.as_str());
        descriptor.launch_operands().chain(outputs).nth(index).unwrap_or("?")
    }
}

impl fmt::Debug for OpLibrary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OpLibrary").field(&self.name()).finish()
    }
}

impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Op").field(&self.library.descriptor.name).field(&self.name()).finish()
    }
}

impl OpEntry {
    /// # Safety
    /// `entry` leads to the op's entry in the table of its library.
    unsafe fn read(
        entry: *const gpsimd_abi::OpFunctions,
        op: &OpDescriptor,
        descriptor: &LibraryDescriptor,
        library: &str,
    ) -> Result<Self, LoadError> {
        // A function pointer that is null must not exist in Rust: look at the two addresses first.
        // SAFETY: the caller's promise; an entry is two pointers.
        let addresses = unsafe { entry.cast::<[*const (); 2]>().read() };
        for (address, what) in addresses.iter().zip(["run", "shape"]) {
            if address.is_null() {
                let what = format!("{what} function of op `{}`", op.name);
                return Err(LoadError::Null { library: library.into(), what });
            }
        }
        Ok(Self {
            // SAFETY: the caller's promise, and both pointers are not null.
            functions: unsafe { entry.read() },
            tensors: op.tensors().count(),
            sizes: op.sizes().count(),
            scalars: op.scalars().count(),
            replaced: (0..op.outputs.len()).map(|output| op.replaced_tensor(output)).collect(),
            then: op.then.as_ref().and_then(|then| {
                let index = descriptor.ops.iter().position(|other| other.name == then.op)?;
                Some((index, then.arguments.iter().map(|name| phase_argument(op, name)).collect::<Option<_>>()?))
            }),
        })
    }
}

/// What `name` is in the first phase `op`; a descriptor that was verified has it.
fn phase_argument(op: &OpDescriptor, name: &str) -> Option<PhaseArgument> {
    if let Some(output) = op.outputs.iter().position(|output| output.name == name) {
        return Some(PhaseArgument::Output(output));
    }
    if let Some(tensor) = op.tensors().position(|(tensor, _)| tensor == name) {
        return Some(PhaseArgument::Tensor(tensor));
    }
    let mut scalars = op.operands.iter().filter(|operand| !matches!(operand.kind, OperandKind::Tensor(_)));
    let scalar = scalars.position(|operand| operand.name == name)?;
    Some(PhaseArgument::Scalar(scalar, op.sizes().position(|size| size == name)))
}

fn bytes<'a>(text: Text, library: &str, what: &str) -> Result<&'a [u8], LoadError> {
    if text.data.is_null() && text.len != 0 {
        return Err(LoadError::Null { library: library.into(), what: what.into() });
    }
    // SAFETY: a text of a library leads to its bytes for as long as the library lives.
    Ok(unsafe { text.bytes() })
}

fn verify_cpu_features(features: &str, library: &str) -> Result<(), LoadError> {
    let mut missing = Vec::new();
    for feature in features.split(',').map(str::trim).filter(|feature| !feature.is_empty()) {
        match cpu::has_feature(feature) {
            Some(true) => {}
            Some(false) => missing.push(feature.to_owned()),
            None => return Err(LoadError::UnknownCpuFeature { library: library.into(), feature: feature.into() }),
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(LoadError::CpuFeatures { library: library.into(), missing }) }
}
