//! The device as an op library on a host sees it: the table that the emulator passes.

use core::ops::Range;
use core::panic::Location;
use core::ptr::NonNull;

use gpsimd_abi as abi;

/// One core's device table.
pub(crate) struct Device {
    table: NonNull<abi::DeviceTable>,
}

impl Device {
    /// Whether there may be direct access to tensors.
    pub(crate) const HAS_DIRECT: bool = true;

    /// # Safety
    /// `table` leads to a table that stays valid and unchanged (but for `*tcm_top`) while the result lives, with
    /// `tensor_count` tensors and functions that keep what the ABI says.
    pub(crate) unsafe fn new(table: NonNull<abi::DeviceTable>) -> Self {
        Self { table }
    }

    #[inline(always)]
    fn table(&self) -> &abi::DeviceTable {
        // SAFETY: `new` was promised a valid table.
        unsafe { self.table.as_ref() }
    }

    #[inline(always)]
    fn tensors(&self) -> &[abi::LaunchTensor] {
        // SAFETY: `new` was promised `tensor_count` tensors, and there is at least the output.
        unsafe { core::slice::from_raw_parts(self.table().tensors, self.table().tensor_count as usize) }
    }

    pub(crate) fn core_id(&self) -> usize {
        self.table().core_id as usize
    }

    pub(crate) fn core_count(&self) -> usize {
        self.table().core_count as usize
    }

    pub(crate) fn tensor_type(&self, tensor: u32) -> abi::RawTensorType {
        self.tensors()[tensor as usize].ty
    }

    pub(crate) fn tensor_rank(&self, tensor: u32) -> usize {
        self.tensors()[tensor as usize].ty.rank as usize
    }

    /// Size in dimension `dim`, which the tensor has.
    pub(crate) fn tensor_dim(&self, tensor: u32, dim: usize) -> usize {
        self.tensors()[tensor as usize].ty.dims[dim] as usize
    }

    #[inline(always)]
    pub(crate) fn tensor_len(&self, tensor: u32) -> usize {
        self.tensors()[tensor as usize].len as usize
    }

    /// The address of elements of a tensor, where the host allows direct access to all of them in one piece.
    ///
    /// # Safety
    /// The tensor has these elements, of `bytes` bytes each.
    #[inline(always)]
    pub(crate) unsafe fn direct(&self, tensor: u32, elements: &Range<usize>, bytes: usize) -> Option<*mut u8> {
        let tensor = &self.tensors()[tensor as usize];
        if tensor.direct.is_null() {
            return None;
        }
        if tensor.rows.is_null() {
            // SAFETY: `new` was promised a tensor of which `direct` is the first element.
            return Some(unsafe { tensor.direct.add(elements.start * bytes) });
        }
        let rows = tensor.ty.dims[0] as usize;
        let row_len = (tensor.len as usize).checked_div(rows)?;
        let row = elements.start.checked_div(row_len)?;
        let start = elements.start - row * row_len;
        if row >= rows || elements.len() > row_len - start {
            return None;
        }
        // SAFETY: `new` was promised as many addresses as there are rows, and that each leads to `row_len` elements.
        Some(unsafe { (*tensor.rows.add(row)).add(start * bytes) })
    }

    /// Whether an output has the storage of the operand that it replaces.
    #[inline(always)]
    pub(crate) fn is_in_place(&self) -> bool {
        self.table().in_place != 0
    }

    /// Whether the host leaves in the pool what was there before: in fast mode, where nothing tells memory that was
    /// never written from memory that was.
    #[inline(always)]
    pub(crate) fn pool_is_stale(&self) -> bool {
        !self.table().tcm_top.is_null()
    }

    /// The output that has the storage of this tensor, an operand.
    #[inline(always)]
    pub(crate) fn output_in_place_of(&self, tensor: u32) -> Option<u32> {
        if !self.is_in_place() {
            return None;
        }
        let first = self.table().tensor_count - self.table().output_count;
        let storage = self.tensors()[tensor as usize].direct;
        (0..self.table().output_count)
            .filter(|output| self.table().in_place & (1 << output) != 0)
            .map(|output| first + output)
            .find(|output| self.tensors()[*output as usize].direct == storage)
    }

    #[inline(always)]
    pub(crate) fn tcm_left(&self) -> usize {
        let table = self.table();
        if table.tcm_top.is_null() {
            // SAFETY: a call of the table with its own context.
            return unsafe { (table.tcm_left)(table.context) } as usize;
        }
        // SAFETY: not null, so it leads to this core's own counter, which only this thread uses.
        (table.tcm_bytes - unsafe { *table.tcm_top }) as usize
    }

    /// `bytes` bytes of the pool, a multiple of 64.
    #[inline(always)]
    pub(crate) fn tcm_alloc(&self, bytes: usize, at: &'static Location<'static>) -> Option<*mut u8> {
        let table = self.table();
        if !table.tcm_top.is_null() && bytes <= self.tcm_left() {
            // SAFETY: the counter is this core's own, and `bytes` are left above it in the pool.
            unsafe {
                let tcm = table.tcm.add(*table.tcm_top as usize);
                *table.tcm_top += bytes as u32;
                return Some(tcm);
            }
        }
        self.tcm_alloc_from_host(bytes, at)
    }

    #[cold]
    fn tcm_alloc_from_host(&self, bytes: usize, at: &'static Location<'static>) -> Option<*mut u8> {
        let table = self.table();
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let location = location(at);
        // SAFETY: a call of the table with its own context; the location lives through it.
        let tcm = unsafe { (table.tcm_alloc)(table.context, bytes, &raw const location) };
        if tcm.is_null() { None } else { Some(tcm) }
    }

    /// Says that this core is about to write elements of tensor `tensor`, an output, where they are. On an error, which has been
    /// reported, it may not.
    pub(crate) fn claim(&self, tensor: u32, start: usize, len: usize, at: &'static Location<'static>) -> bool {
        let table = self.table();
        let location = location(at);
        // SAFETY: a call of the table with its own context; it checks every other argument.
        let status = unsafe { (table.claim)(table.context, tensor, start as u64, len as u64, &raw const location) };
        status == abi::STATUS_OK
    }

    /// Frees what `tcm_alloc` returned.
    #[inline(always)]
    pub(crate) fn tcm_free(&self, tcm: *mut u8, bytes: usize, at: &'static Location<'static>) {
        let table = self.table();
        if !table.tcm_top.is_null() {
            // SAFETY: the counter is this core's own, and not above the pool's end.
            unsafe {
                let top = *table.tcm_top as usize;
                if top >= bytes && table.tcm.add(top - bytes) == tcm {
                    *table.tcm_top = (top - bytes) as u32;
                    return;
                }
            }
        }
        let location = location(at);
        // SAFETY: a call of the table with its own context; the location lives through it.
        unsafe { (table.tcm_free)(table.context, tcm, &raw const location) };
    }

    pub(crate) fn load(
        &self,
        tensor: u32,
        start: usize,
        len: usize,
        tcm: *mut u8,
        at: &'static Location<'static>,
    ) -> bool {
        let table = self.table();
        let location = location(at);
        // SAFETY: a call of the table with its own context; it checks every other argument.
        let status = unsafe { (table.load)(table.context, tensor, start as u64, len as u64, tcm, &raw const location) };
        status == abi::STATUS_OK
    }

    pub(crate) fn store(
        &self,
        tensor: u32,
        start: usize,
        len: usize,
        tcm: *const u8,
        at: &'static Location<'static>,
    ) -> bool {
        let table = self.table();
        let location = location(at);
        // SAFETY: a call of the table with its own context; it checks every other argument.
        let status =
            unsafe { (table.store)(table.context, tensor, start as u64, len as u64, tcm, &raw const location) };
        status == abi::STATUS_OK
    }

    pub(crate) fn print_text(&self, text: &'static str) {
        // SAFETY: a call of the table with its own context.
        unsafe { (self.table().print_text)(self.table().context, abi::Text::new(text)) };
    }

    pub(crate) fn print_float(&self, value: f64) {
        // SAFETY: a call of the table with its own context.
        unsafe { (self.table().print_float)(self.table().context, value) };
    }

    pub(crate) fn print_signed(&self, value: i64) {
        // SAFETY: a call of the table with its own context.
        unsafe { (self.table().print_signed)(self.table().context, value) };
    }

    pub(crate) fn print_unsigned(&self, value: u64) {
        // SAFETY: a call of the table with its own context.
        unsafe { (self.table().print_unsigned)(self.table().context, value) };
    }

    pub(crate) fn fail(&self, code: u32, message: &str, at: &'static Location<'static>) {
        self.fail_at(code, message, location(at));
    }

    /// As [`fail`](Self::fail), with every `{}` of the message replaced by the next of `numbers`.
    #[cold]
    pub(crate) fn fail_with(&self, code: u32, message: &str, numbers: &[usize], at: &'static Location<'static>) {
        let mut text = heapless::String::<256>::new();
        let mut numbers = numbers.iter();
        for (i, part) in message.split("{}").enumerate() {
            if i > 0
                && let Some(number) = numbers.next()
            {
                // What does not fit any more is left out.
                let _ = core::fmt::Write::write_fmt(&mut text, format_args!("{number}"));
            }
            let _ = text.push_str(part);
        }
        self.fail(code, &text, at);
    }

    pub(crate) fn fail_at(&self, code: u32, message: &str, at: abi::Location) {
        let text = abi::Text { data: message.as_ptr(), len: message.len() };
        // SAFETY: a call of the table with its own context; text and location live through it.
        unsafe { (self.table().fail)(self.table().context, code, text, &raw const at) };
    }
}

pub(crate) fn location(at: &'static Location<'static>) -> abi::Location {
    abi::Location { file: abi::Text::new(at.file()), line: at.line(), column: at.column() }
}
