//! [`PreparedLaunch`]: a launch, verified and ready to run.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use gpsimd_abi::{self as abi, DType};

use crate::bound_op::BoundOp;
use crate::checks::Claims;
use crate::engine::TensorCopy;
use crate::error::{KernelError, LaunchError, Misuse, OperandError, SourceLocation};
use crate::launch::Launch;
use crate::library::Op;
use crate::operands::{self, Place};
use crate::recorder::{RecordedCore, Recorder, Recording};
use crate::scalar::Scalar;
use crate::tcm::Poison;
use crate::tensor::{TensorType, TensorView, TensorViewMut};

/// Bytes of an output that one core at a time writes, in checked mode, and locks that the blocks of all outputs share.
const STORE_BLOCK_BYTES: usize = 4 * 1024;
const STORE_LOCKS: usize = 64;

/// A launch, verified and ready to run.
pub(crate) struct PreparedLaunch<'a> {
    pub(crate) op: &'a Op,
    pub(crate) cores: u32,
    /// The operands, the sizes, `params` if the op has scalars, the outputs.
    pub(crate) tensors: Vec<abi::LaunchTensor>,
    /// Address of the first element of each of `tensors`.
    addresses: Vec<*mut u8>,
    /// The bits of the scalars, which the address of `params` leads to.
    _params: Vec<i32>,
    /// Addresses of the rows of the output, which is in place of an operand, where they are apart; otherwise empty.
    rows: Vec<*mut u8>,
    /// Index of the first output: the rest are the others.
    pub(crate) first_output: usize,
    /// Of each output, the index of the operand that it replaces, in place or not.
    replaced: Vec<Option<usize>>,
    /// Bit `i`: output `i` is in place of the operand that it replaces.
    pub(crate) in_place: u32,
    /// Whether the report says what every core did in its order.
    pub(crate) traces: bool,
    /// What keeps what every core does, if anything.
    pub(crate) recorder: Option<Recorder>,
    /// What TCM holds at the start; none in fast mode.
    pub(crate) poison: Option<Poison>,
    /// What each output replaced in place was before, in checked mode.
    before: Vec<Option<TensorCopy>>,
    /// Whether stores compare with what an earlier run stored, and write nothing.
    pub(crate) compares: bool,
    differs: AtomicBool,
    stores: [Mutex<()>; STORE_LOCKS],
    /// What the cores write to each output, in fast mode.
    pub(crate) claims: Vec<Claims>,
    memory: PhantomData<&'a mut [u8]>,
}
// SAFETY: the addresses lead to the views that the launch was made of, which are Send and Sync, and to `_params`.
unsafe impl Send for PreparedLaunch<'_> {}
// SAFETY: as above. Cores read operands and write outputs through the device table, which lets one store at a time
// (checked mode); in fast mode they write elements of their own, as the kernel was checked to do.
unsafe impl Sync for PreparedLaunch<'_> {}

/// Where an output is.
struct OutputMemory<'v, 'a> {
    ty: TensorType,
    /// In one piece, or one for each row.
    pieces: &'v [TensorViewMut<'a>],
}

impl<'v, 'a> OutputMemory<'v, 'a> {
    fn whole(view: &'v TensorViewMut<'a>) -> Self {
        Self { ty: view.ty(), pieces: std::slice::from_ref(view) }
    }

    fn start(&self) -> *mut u8 {
        self.pieces.first().map_or(std::ptr::null_mut(), TensorViewMut::as_ptr)
    }
}

impl<'a> PreparedLaunch<'a> {
    /// Verifies the outputs of a launch and makes it ready to run in fast mode.
    pub(crate) fn new(bound: BoundOp<'a>, outputs: &[TensorViewMut<'a>], cores: usize) -> Result<Self, LaunchError> {
        let found: Vec<_> = outputs.iter().map(TensorViewMut::ty).collect();
        operands::verify_outputs(bound.op, &bound.phase_types, &found)?;
        let BoundOp { op, tensors, scalars, types, .. } = bound;
        let outputs: Vec<_> = outputs.iter().map(OutputMemory::whole).collect();
        Self::of(op, tensors, scalars, types, &outputs, cores, false)
    }

    /// Verifies a launch in place and makes it ready to run in fast mode.
    pub(crate) fn in_place(op: &'a Op, launch: &Launch<'a>, cores: usize) -> Result<Self, LaunchError> {
        let outputs: Vec<_> = launch.outputs.iter().map(OutputMemory::whole).collect();
        Self::replacing(op, launch.tensors, launch.scalars, &outputs, cores)
    }

    /// As [`in_place`](Self::in_place), of an operand whose rows are apart; the op has no other output.
    pub(crate) fn in_rows(
        op: &'a Op,
        tensors: &'a [TensorView<'a>],
        scalars: &'a [Scalar],
        rows: &'a mut [TensorViewMut<'_>],
        cores: usize,
    ) -> Result<Self, LaunchError> {
        let output = OutputMemory { ty: operands::stacked(op, rows)?, pieces: rows };
        Self::replacing(op, tensors, scalars, &[output], cores)
    }

    /// Of operands that are where the outputs that replace them are.
    fn replacing(
        op: &'a Op,
        tensors: &'a [TensorView<'a>],
        scalars: &'a [Scalar],
        outputs: &[OutputMemory<'_, '_>],
        cores: usize,
    ) -> Result<Self, LaunchError> {
        let entry = op.entry();
        let mut replaced: Vec<_> =
            entry.replaced.iter().enumerate().filter_map(|(output, operand)| Some(((*operand)?, output))).collect();
        replaced.sort_unstable();
        let Some((first, _)) = replaced.first() else {
            return Err(OperandError::NotInPlace { op: op.name().into() }.into());
        };
        if tensors.len() + replaced.len() != entry.tensors {
            let besides = Some(op.tensor_name(*first).to_owned());
            let (op, expected, found) = (op.name().into(), entry.tensors - replaced.len(), tensors.len());
            return Err(OperandError::TensorCount { op, expected, found, besides }.into());
        }
        if outputs.len() != entry.replaced.len() {
            let (op, expected, found) = (op.name().into(), entry.replaced.len(), outputs.len());
            return Err(OperandError::OutputCount { op, expected, found }.into());
        }
        operands::verify_scalars(op, scalars)?;
        let mut types = operands::types(tensors);
        for (operand, output) in replaced {
            types.insert(operand, outputs[output].ty);
        }
        operands::push_sizes(&mut types, scalars);
        let found: Vec<_> = outputs.iter().map(|output| output.ty).collect();
        operands::verify_outputs(op, &op.phase_types(&types)?, &found)?;
        Self::of(op, tensors, scalars, types, outputs, cores, true)
    }

    /// `types` are those of all operands and sizes; in place, `tensors` lacks the operands that are replaced.
    fn of(
        op: &'a Op,
        tensors: &'a [TensorView<'a>],
        scalars: &'a [Scalar],
        mut types: Vec<TensorType>,
        outputs: &[OutputMemory<'_, '_>],
        cores: usize,
        is_in_place: bool,
    ) -> Result<Self, LaunchError> {
        let entry = op.entry();
        let mut addresses: Vec<*mut u8> = Vec::with_capacity(types.capacity());
        let mut views = tensors.iter();
        let mut in_place = 0;
        for operand in 0..entry.tensors {
            let output = entry.replaced.iter().position(|replaced| *replaced == Some(operand));
            match output.filter(|_| is_in_place) {
                Some(output) => {
                    in_place |= 1 << output;
                    addresses.push(outputs[output].start());
                }
                None => addresses.extend(views.next().map(|view| view.as_ptr().cast_mut())),
            }
        }
        let replaced = entry.replaced.iter().zip(outputs);
        let replaced: Vec<_> =
            replaced.map(|(operand, output)| operand.filter(|index| types[*index] == output.ty)).collect();
        addresses.resize(types.len(), std::ptr::null_mut());
        let mut params: Vec<i32> = scalars.iter().filter_map(|scalar| scalar.bits()).collect();
        if entry.scalars > 0 {
            types.push(TensorType::new(DType::I32, &[params.len()]).expect("a few scalars fit in memory"));
            addresses.push(params.as_mut_ptr().cast());
        }
        verify_apart(op, tensors, outputs, is_in_place)?;
        let first_output = types.len();
        for output in outputs {
            types.push(output.ty);
            addresses.push(output.start());
        }
        let pieces = outputs.first().map_or(&[][..], |output| output.pieces);
        let rows: Vec<*mut u8> =
            if pieces.len() > 1 { pieces.iter().map(TensorViewMut::as_ptr).collect() } else { Vec::new() };
        let mut tensors: Vec<_> = types
            .iter()
            .zip(&addresses)
            .map(|(ty, &direct)| abi::LaunchTensor {
                ty: ty.to_abi(),
                len: ty.len() as u64,
                direct,
                rows: std::ptr::null(),
            })
            .collect();
        if !rows.is_empty() {
            for index in replaced[0].into_iter().chain([first_output]) {
                tensors[index].rows = rows.as_ptr();
            }
        }
        Ok(Self {
            op,
            cores: cores as u32,
            first_output,
            tensors,
            addresses,
            _params: params,
            rows,
            before: outputs.iter().map(|_| None).collect(),
            claims: outputs.iter().map(|_| Claims::default()).collect(),
            replaced,
            in_place,
            traces: false,
            recorder: None,
            poison: None,
            compares: false,
            differs: AtomicBool::new(false),
            stores: [const { Mutex::new(()) }; STORE_LOCKS],
            memory: PhantomData,
        })
    }

    /// Makes the launch a checked one, whose cores reach nothing but through the device table. In place, they load the
    /// replaced operands from copies, which `copy` makes: nothing they do can depend on who was first.
    pub(crate) fn make_checked(&mut self, copy: impl Fn(&[u8]) -> TensorCopy) {
        self.poison = Some(Poison::Signalling);
        self.withhold_addresses();
        for output in 0..self.replaced.len() {
            if self.in_place & (1 << output) != 0
                && let Some(index) = self.replaced[output]
            {
                // SAFETY: no core runs yet.
                let before = copy(unsafe { self.output(output) });
                let before = self.before[output].insert(before);
                self.addresses[index] = before.as_mut_ptr();
            }
        }
    }

    /// Leaves cores no way to the tensors but the copies of the device table.
    pub(crate) fn withhold_addresses(&mut self) {
        for tensor in &mut self.tensors {
            (tensor.direct, tensor.rows) = (std::ptr::null_mut(), std::ptr::null());
        }
    }

    /// Gives the replaced operands back what they were before [`make_checked`](Self::make_checked).
    pub(crate) fn restore(&mut self) {
        for (output, before) in self.before.iter().enumerate() {
            if let Some(before) = before {
                let memory = self.addresses[self.first_output + output];
                // SAFETY: both have the output's bytes; the output's view was given exclusively, and no core writes
                // there: `self` is borrowed mutably.
                unsafe { std::ptr::copy_nonoverlapping(before.as_ptr(), memory, before.len()) };
            }
        }
    }

    /// The copies that [`make_checked`](Self::make_checked) made, when no core runs any more.
    pub(crate) fn into_copies(self) -> impl Iterator<Item = TensorCopy> {
        self.before.into_iter().flatten()
    }

    /// Whether cores reach tensors without the device table.
    pub(crate) fn is_direct(&self) -> bool {
        self.tensors.iter().any(|tensor| !tensor.direct.is_null())
    }

    /// Number of outputs.
    pub(crate) fn outputs(&self) -> usize {
        self.replaced.len()
    }

    /// Which output tensor `index` is, if it is one.
    pub(crate) fn output_of(&self, index: usize) -> Option<usize> {
        index.checked_sub(self.first_output).filter(|output| *output < self.outputs())
    }

    /// The output that replaces operand `index`, in place or not.
    pub(crate) fn output_replacing(&self, index: usize) -> Option<usize> {
        self.replaced.iter().position(|replaced| *replaced == Some(index))
    }

    /// Whether what cores load and store of output `output` and of the operand that it replaces is recorded: in checked mode,
    /// and in place, where who comes first would decide what is read.
    pub(crate) fn records(&self, output: usize) -> bool {
        self.is_checked() || self.in_place & (1 << output) != 0
    }

    /// The operand that output `output` replaces, in place or not.
    pub(crate) fn replaced(&self, output: usize) -> Option<usize> {
        self.replaced[output]
    }

    /// Name of output `output`.
    pub(crate) fn output_name(&self, output: usize) -> String {
        self.name(self.first_output + output)
    }

    /// Names of the outputs, for a message that does not know which.
    pub(crate) fn output_names(&self) -> String {
        (0..self.outputs()).map(|output| self.output_name(output)).collect::<Vec<_>>().join("` or `")
    }

    /// Elements of output `output`.
    pub(crate) fn output_len(&self, output: usize) -> u64 {
        self.len(self.first_output + output)
    }

    /// The types of output `output` and of the operands, for a message: `f32[8] for x f32[4]`.
    pub(crate) fn types(&self, output: usize) -> String {
        let operands = self.operand_types();
        let (tensors, sizes) = operands.split_at(self.op.entry().tensors);
        let name = |index| self.op.tensor_name(index);
        let tensors = tensors.iter().enumerate().map(|(index, ty)| format!("`{}` {ty}", name(index)));
        let first = self.op.entry().tensors;
        let sizes = sizes.iter().enumerate().map(|(index, ty)| format!("`{}` {}", name(first + index), ty.len()));
        let output = TensorType::from_abi(&self.tensors[self.first_output + output].ty);
        let output = output.map(|ty| ty.to_string()).unwrap_or_default();
        format!("{output} for {}", tensors.chain(sizes).collect::<Vec<_>>().join(", "))
    }

    /// The types of the op's tensor operands and sizes.
    pub(crate) fn operand_types(&self) -> Vec<TensorType> {
        let count = self.op.entry().tensors + self.op.entry().sizes;
        self.tensors[..count].iter().filter_map(|tensor| TensorType::from_abi(&tensor.ty)).collect()
    }

    pub(crate) const fn is_checked(&self) -> bool {
        self.poison.is_some()
    }

    /// Name of tensor `index`.
    pub(crate) fn name(&self, index: usize) -> String {
        self.op.tensor_name(index).to_owned()
    }

    /// Elements of tensor `index`.
    pub(crate) fn len(&self, index: usize) -> u64 {
        self.tensors[index].len
    }

    /// Bytes of an element of tensor `index`.
    pub(crate) fn element_bytes(&self, index: usize) -> usize {
        DType::from_code(self.tensors[index].ty.dtype).map_or(1, DType::bytes)
    }

    /// Bytes of all tensors.
    pub(crate) fn bytes(&self) -> usize {
        (0..self.tensors.len()).map(|index| self.len(index) as usize * self.element_bytes(index)).sum()
    }

    /// Where the elements in `range` of tensor `index`, which it has, are: addresses and numbers of bytes.
    pub(crate) fn memory(&self, index: usize, range: &Range<u64>) -> impl Iterator<Item = (*mut u8, usize)> {
        let is_in_rows = !self.rows.is_empty() && self.addresses[index] == self.rows[0];
        let rows = if is_in_rows { &self.rows[..] } else { std::slice::from_ref(&self.addresses[index]) };
        let (row_len, element_bytes) = ((self.len(index) / rows.len() as u64).max(1), self.element_bytes(index));
        let mut range = range.clone();
        std::iter::from_fn(move || {
            let (row, start) = (range.start / row_len, range.start % row_len);
            let len = (row_len - start).min(range.end.saturating_sub(range.start));
            range.start += len;
            let address = rows.get(row as usize).filter(|_| len > 0)?;
            Some((address.wrapping_add(start as usize * element_bytes), len as usize * element_bytes))
        })
    }

    /// The bytes of output `output`.
    ///
    /// # Safety
    /// No core runs while the result is used.
    pub(crate) unsafe fn output(&self, output: usize) -> &[u8] {
        let index = self.first_output + output;
        let bytes = self.len(index) as usize * self.element_bytes(index);
        // SAFETY: the output's view leads to as many bytes; cores alone write there.
        unsafe { std::slice::from_raw_parts(self.addresses[index], bytes) }
    }

    /// Compares `bytes` bytes of TCM with those of an output.
    ///
    /// # Safety
    /// Both sides have as many bytes, and nothing writes there.
    pub(crate) unsafe fn compare(&self, tcm: *const u8, hbm: *const u8, bytes: usize) {
        // SAFETY: the caller's promise.
        let (new, old) = unsafe { (std::slice::from_raw_parts(tcm, bytes), std::slice::from_raw_parts(hbm, bytes)) };
        if new != old {
            self.differs.store(true, Ordering::Relaxed);
        }
    }

    /// Whether a store differed from what it was compared with.
    pub(crate) fn differs(&self) -> bool {
        self.differs.load(Ordering::Relaxed)
    }

    /// Copies `bytes` bytes from TCM to an output, where one core at a time writes.
    ///
    /// # Safety
    /// Both sides have as many bytes, and the core that calls has the TCM side to itself.
    pub(crate) unsafe fn store_alone(&self, mut tcm: *const u8, mut hbm: *mut u8, mut bytes: usize) {
        while bytes > 0 {
            let block = hbm.addr() / STORE_BLOCK_BYTES;
            let len = bytes.min((block + 1) * STORE_BLOCK_BYTES - hbm.addr());
            // What a panic of another core left behind is not a state: the locks guard none.
            let _block = self.stores[block % STORE_LOCKS].lock().unwrap_or_else(PoisonError::into_inner);
            // SAFETY: the caller's promise; no other core writes there while the block is locked.
            unsafe {
                std::ptr::copy_nonoverlapping(tcm, hbm, len);
                (tcm, hbm) = (tcm.add(len), hbm.add(len));
            }
            bytes -= len;
        }
    }

    /// What `cores` did.
    pub(crate) fn recording(&self, cores: Vec<RecordedCore>) -> Recording {
        let types = self.tensors.iter().filter_map(|tensor| TensorType::from_abi(&tensor.ty));
        let tensors = types.enumerate().map(|(index, ty)| (self.name(index), ty)).collect();
        Recording { op: self.op.name().to_owned(), tensors, first_output: self.first_output, cores }
    }

    pub(crate) fn error(&self, core: Option<u32>, misuse: Misuse, location: Option<SourceLocation>) -> KernelError {
        KernelError { op: self.op.name().into(), core, misuse, location }
    }

    /// The dtype that a kernel chooses its version by: that of the first tensor, as generated code does.
    pub(crate) fn generic_dtype(&self) -> DType {
        self.tensors.first().and_then(|tensor| DType::from_code(tensor.ty.dtype)).unwrap_or(DType::F32)
    }
}

/// That outputs share no byte with each other, nor with operands but those that they replace in place, which `tensors`
/// lacks.
fn verify_apart(
    op: &Op,
    tensors: &[TensorView<'_>],
    outputs: &[OutputMemory<'_, '_>],
    is_in_place: bool,
) -> Result<(), OperandError> {
    let entry = op.entry();
    let name = |output: usize| op.descriptor().outputs[output].name.clone();
    for (index, output) in outputs.iter().enumerate() {
        let places: Vec<_> = output.pieces.iter().map(Place::of_output).collect();
        let is_passed = |operand: &usize| !is_in_place || !entry.replaced.contains(&Some(*operand));
        for (operand, view) in (0..entry.tensors).filter(is_passed).zip(tensors) {
            let error = || OperandError::Overlap {
                op: op.name().into(),
                output: name(index),
                operand: op.tensor_name(operand).to_owned(),
                replaces: entry.replaced[index] == Some(operand),
            };
            operands::verify_apart(&places, Place::of(view), error)?;
        }
        for (other, memory) in outputs[..index].iter().enumerate() {
            for piece in memory.pieces {
                let (op, output, other) = (op.name().into(), name(index), name(other));
                let error = || OperandError::OutputOverlap { op, output, other };
                operands::verify_apart(&places, Place::of_output(piece), error)?;
            }
        }
    }
    Ok(())
}
