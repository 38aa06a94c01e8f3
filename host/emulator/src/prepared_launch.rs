//! [`PreparedLaunch`]: a launch, verified and ready to run.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use gpsimd_abi::{self as abi, DType};

use crate::bound_op::BoundOp;
use crate::checks::Claims;
use crate::error::{KernelError, LaunchError, Misuse, OperandError, SourceLocation};
use crate::launch::Launch;
use crate::library::Op;
use crate::operands;
use crate::tcm::Poison;
use crate::tensor::{TensorType, TensorView, TensorViewMut};

/// A launch, verified and ready to run.
pub(crate) struct PreparedLaunch<'a> {
    pub(crate) op: &'a Op,
    pub(crate) cores: u32,
    /// The operands, `params` if the op has scalars, the output.
    pub(crate) tensors: Vec<abi::LaunchTensor>,
    /// Address of the first element of each of `tensors`.
    addresses: Vec<*mut u8>,
    /// Addresses of the rows of the output, which is in place of an operand, where they are apart; otherwise empty.
    rows: Vec<*mut u8>,
    /// Index of the output.
    pub(crate) output: usize,
    /// Index of the operand that the output replaces, in place or not.
    pub(crate) replaced: Option<usize>,
    pub(crate) in_place: bool,
    /// Whether the report says what every core did in its order.
    pub(crate) traces: bool,
    /// What TCM holds at the start; none in fast mode.
    pub(crate) poison: Option<Poison>,
    /// What the operand replaced in place was before, in checked mode.
    before: Option<Vec<u8>>,
    stores: Mutex<()>,
    /// What the cores write, in fast mode.
    pub(crate) claims: Claims,
    memory: PhantomData<&'a mut [u8]>,
}
// SAFETY: the addresses lead to the views that the launch was made of, which are Send and Sync.
unsafe impl Send for PreparedLaunch<'_> {}
// SAFETY: as above. Cores read operands and write the output through the device table, which lets one store at a time
// (checked mode); in fast mode they write elements of their own, as the kernel was checked to do.
unsafe impl Sync for PreparedLaunch<'_> {}

impl<'a> PreparedLaunch<'a> {
    /// Verifies the output of a launch and makes it ready to run in fast mode.
    pub(crate) fn new(bound: BoundOp<'a>, output: &TensorViewMut<'a>, cores: usize) -> Result<Self, LaunchError> {
        let (expected, BoundOp { op, tensors, scalars, types, .. }) = (bound.output_type(), bound);
        operands::verify_output(op, expected, output.ty())?;
        Self::of(op, tensors, scalars, types, output.ty(), std::slice::from_ref(output), cores, None)
    }

    /// Verifies a launch in place and makes it ready to run in fast mode.
    pub(crate) fn in_place(op: &'a Op, launch: Launch<'a>, cores: usize) -> Result<Self, LaunchError> {
        let Launch { tensors, scalars, output } = launch;
        Self::replacing(op, tensors, scalars, output.ty(), std::slice::from_ref(&output), cores)
    }

    /// As [`in_place`](Self::in_place), of an operand whose rows are apart.
    pub(crate) fn in_rows(
        op: &'a Op,
        tensors: &'a [TensorView<'a>],
        scalars: &'a [f32],
        rows: &'a mut [TensorViewMut<'_>],
        cores: usize,
    ) -> Result<Self, LaunchError> {
        Self::replacing(op, tensors, scalars, operands::stacked(op, rows)?, rows, cores)
    }

    /// Of an operand of type `ty`, which is where `memory` is: in one piece, or one for each row.
    fn replacing(
        op: &'a Op,
        tensors: &'a [TensorView<'a>],
        scalars: &'a [f32],
        ty: TensorType,
        memory: &[TensorViewMut<'_>],
        cores: usize,
    ) -> Result<Self, LaunchError> {
        let entry = op.entry();
        let replaced = entry.replaced.ok_or_else(|| OperandError::NotInPlace { op: op.name().into() })?;
        if tensors.len() + 1 != entry.tensors {
            let besides = Some(op.tensor_name(replaced).to_owned());
            let (op, expected, found) = (op.name().into(), entry.tensors - 1, tensors.len());
            return Err(OperandError::TensorCount { op, expected, found, besides }.into());
        }
        operands::verify_scalars(op, scalars)?;
        let mut types = operands::types(tensors);
        types.insert(replaced, ty);
        operands::verify_output(op, op.shape(&types)?, ty)?;
        Self::of(op, tensors, scalars, types, ty, memory, cores, Some(replaced))
    }

    /// `types` are those of all operands, among them that of operand `replaced_in_place`, which `tensors` lacks. The
    /// output is of type `ty`.
    #[expect(clippy::too_many_arguments, reason = "what the two kinds of launch have in common")]
    fn of(
        op: &'a Op,
        tensors: &'a [TensorView<'a>],
        scalars: &'a [f32],
        mut types: Vec<TensorType>,
        ty: TensorType,
        memory: &[TensorViewMut<'_>],
        cores: usize,
        replaced_in_place: Option<usize>,
    ) -> Result<Self, LaunchError> {
        let entry = op.entry();
        let mut addresses: Vec<*mut u8> = Vec::with_capacity(types.capacity());
        addresses.extend(tensors.iter().map(|view| view.as_ptr().cast_mut()));
        let start = memory.first().map_or(std::ptr::null_mut(), TensorViewMut::as_ptr);
        if let Some(index) = replaced_in_place {
            addresses.insert(index, start);
        }
        let replaced = entry.replaced.filter(|&index| types[index] == ty);
        let params = TensorView::new(scalars, &[scalars.len()]).expect("a slice has its own length");
        if entry.scalars > 0 {
            types.push(params.ty());
            addresses.push(params.as_ptr().cast_mut());
        }
        let indices = (0..entry.tensors).filter(|index| Some(*index) != replaced_in_place);
        for (index, view) in indices.zip(tensors).chain([(entry.tensors, &params)]) {
            operands::verify_apart(op, index, view, memory)?;
        }
        types.push(ty);
        addresses.push(start);

        let rows: Vec<*mut u8> =
            if memory.len() > 1 { memory.iter().map(TensorViewMut::as_ptr).collect() } else { Vec::new() };
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
        let output = tensors.len() - 1;
        if !rows.is_empty() {
            for index in replaced_in_place.into_iter().chain([output]) {
                tensors[index].rows = rows.as_ptr();
            }
        }
        Ok(Self {
            op,
            cores: cores as u32,
            output,
            tensors,
            addresses,
            rows,
            replaced,
            in_place: replaced_in_place.is_some(),
            traces: false,
            poison: None,
            before: None,
            stores: Mutex::new(()),
            claims: Claims::default(),
            memory: PhantomData,
        })
    }

    /// Makes the launch a checked one, whose cores reach nothing but through the device table. In place, they load the
    /// replaced operand from a copy: nothing they do can depend on who was first.
    pub(crate) fn make_checked(&mut self) {
        self.poison = Some(Poison::Signalling);
        self.withhold_addresses();
        if let (true, Some(index)) = (self.in_place, self.replaced) {
            // SAFETY: no core runs yet.
            let before = unsafe { self.output() }.to_vec();
            let before = self.before.insert(before);
            self.addresses[index] = before.as_mut_ptr();
        }
    }

    /// Leaves cores no way to the tensors but the copies of the device table.
    pub(crate) fn withhold_addresses(&mut self) {
        for tensor in &mut self.tensors {
            (tensor.direct, tensor.rows) = (std::ptr::null_mut(), std::ptr::null());
        }
    }

    /// Gives the replaced operand back what it was before [`make_checked`](Self::make_checked).
    pub(crate) fn restore(&mut self) {
        if let Some(before) = &self.before {
            // SAFETY: both have the output's bytes; the output's view was given exclusively, and no core writes there:
            // `self` is borrowed mutably.
            unsafe { std::ptr::copy_nonoverlapping(before.as_ptr(), self.addresses[self.output], before.len()) };
        }
    }

    /// Whether cores reach tensors without the device table.
    pub(crate) fn is_direct(&self) -> bool {
        self.tensors.iter().any(|tensor| !tensor.direct.is_null())
    }

    /// The types of output and operands, for a message: `f32[8] for x f32[4]`.
    pub(crate) fn types(&self) -> String {
        let operands = self.operand_types();
        let operands = operands.iter().enumerate().map(|(index, ty)| format!("`{}` {ty}", self.op.tensor_name(index)));
        let output = TensorType::from_abi(&self.tensors[self.output].ty).map(|ty| ty.to_string()).unwrap_or_default();
        format!("{output} for {}", operands.collect::<Vec<_>>().join(", "))
    }

    /// The types of the op's tensor operands.
    pub(crate) fn operand_types(&self) -> Vec<TensorType> {
        self.tensors[..self.op.entry().tensors].iter().filter_map(|tensor| TensorType::from_abi(&tensor.ty)).collect()
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

    /// The output's bytes.
    ///
    /// # Safety
    /// No core runs while the result is used.
    pub(crate) unsafe fn output(&self) -> &[u8] {
        let bytes = self.len(self.output) as usize * self.element_bytes(self.output);
        // SAFETY: the output's view leads to as many bytes; cores alone write there.
        unsafe { std::slice::from_raw_parts(self.addresses[self.output], bytes) }
    }

    pub(crate) fn lock_stores(&self) -> MutexGuard<'_, ()> {
        // What a panic of another core left behind is not a state: the lock guards none.
        self.stores.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn error(&self, core: Option<u32>, misuse: Misuse, location: Option<SourceLocation>) -> KernelError {
        KernelError { op: self.op.name().into(), core, misuse, location }
    }

    /// The dtype that a kernel chooses its version by: that of the first tensor, as generated code does.
    pub(crate) fn generic_dtype(&self) -> DType {
        self.tensors.first().and_then(|tensor| DType::from_code(tensor.ty.dtype)).unwrap_or(DType::F32)
    }
}
