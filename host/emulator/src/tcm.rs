//! A core's TCM: the memory of the pool, and which of it is allocated.

use std::marker::PhantomData;

use gpsimd_abi::{TCM_ALIGN, TCM_BELOW};

use crate::error::{HeldBuffers, Misuse, TcmProblem};
use crate::last_dma::Place;
use crate::recorder::UNWRITTEN;

/// The memory of one core's pool and of what the library has below it, reused from launch to launch.
#[derive(Debug)]
pub(crate) struct TcmMemory {
    lines: Box<[Line]>,
    /// The pool's size now.
    bytes: usize,
}

/// A line of TCM: the width of the vector register.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug)]
struct Line([u8; TCM_ALIGN]);

impl TcmMemory {
    /// A pool of `bytes` bytes, a multiple of 64: in the place of an earlier one, or else zeroed.
    pub(crate) fn new(bytes: usize, earlier: Option<Self>) -> Self {
        let lines = (TCM_BELOW + bytes) / TCM_ALIGN;
        match earlier {
            Some(earlier) if earlier.lines.len() >= lines => Self { bytes, ..earlier },
            _ => Self { lines: vec![Line([0; TCM_ALIGN]); lines].into_boxed_slice(), bytes },
        }
    }

    /// The pool's first byte.
    fn pool(&mut self) -> *mut u8 {
        // The library reaches what is below, too: the pointer is one into all of it.
        self.lines.as_mut_ptr().cast::<u8>().wrapping_add(TCM_BELOW)
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}

/// What TCM holds before a kernel writes there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Poison {
    /// A signalling NaN, as f32 and as bf16, that no arithmetic makes: recognisable when it reaches the output.
    Signalling,
    /// Large finite numbers of either sign: what a kernel that ignores NaN (a maximum) still lets through.
    Large,
}

impl Poison {
    /// Eight bytes that repeat from the start of the pool. Every half and every word is a number of the kind.
    pub(crate) const fn pattern(self) -> [u8; 8] {
        match self {
            Self::Signalling => {
                let [low, high] = UNWRITTEN;
                [low, high, low, high, low, high, low, high]
            }
            Self::Large => [0x5a, 0x7e, 0x5a, 0x7e, 0x5a, 0xfe, 0x5a, 0xfe],
        }
    }
}

/// A core's pool during a launch.
pub(crate) struct Pool<'m> {
    start: *mut u8,
    bytes: usize,
    /// Bytes handed out, a multiple of 64. In fast mode the library changes it, too.
    top: *mut u32,
    /// Live buffers that the host allocated, last allocated last. In fast mode the library may have others.
    buffers: Vec<Buffer>,
    /// Checked mode's view.
    checked: Option<Checked>,
    memory: PhantomData<&'m mut [Line]>,
}

struct Checked {
    poison: Poison,
    high_water: usize,
}

struct Buffer {
    offset: usize,
    bytes: usize,
    place: Place,
}

impl<'m> Pool<'m> {
    /// The pool in `memory`, with `top` as its counter. With a `poison`, its content before it is written, it is
    /// checked.
    pub(crate) fn new(memory: &'m mut TcmMemory, top: &'m mut u32, poison: Option<Poison>) -> Self {
        *top = 0;
        let checked = poison.map(|poison| Checked { poison, high_water: 0 });
        let (start, bytes) = (memory.pool(), memory.bytes());
        let pool = Self { start, bytes, top, buffers: Vec::new(), checked, memory: PhantomData };
        pool.poison(0, pool.bytes);
        pool
    }

    pub(crate) const fn start(&self) -> *mut u8 {
        self.start
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The counter for a library that allocates by itself: in fast mode.
    pub(crate) const fn shared_top(&self) -> *mut u32 {
        if self.checked.is_some() { std::ptr::null_mut() } else { self.top }
    }

    /// Bytes not allocated.
    pub(crate) fn left(&self) -> usize {
        self.bytes.saturating_sub(self.top())
    }

    /// Most bytes allocated at the same time; 0 in fast mode, where the library may not tell.
    pub(crate) fn high_water(&self) -> usize {
        self.checked.as_ref().map_or(0, |checked| checked.high_water)
    }

    /// Address of `bytes` free bytes, aligned to 64, or null.
    pub(crate) fn alloc(&mut self, bytes: u32, place: Place) -> *mut u8 {
        let bytes = bytes as usize;
        let taken = bytes.checked_next_multiple_of(TCM_ALIGN).unwrap_or(usize::MAX);
        if taken > self.left() {
            return std::ptr::null_mut();
        }
        let offset = self.top();
        self.set_top(offset + taken);
        self.buffers.push(Buffer { offset, bytes, place });
        if let Some(checked) = &mut self.checked {
            checked.high_water = checked.high_water.max(offset + taken);
        }
        // SAFETY: `offset` is at most `bytes`, the pool's size.
        unsafe { self.start.add(offset) }
    }

    /// Bytes that are allocated.
    pub(crate) fn taken(&self) -> usize {
        self.top()
    }

    /// The live buffers of the place that has taken the most, in checked mode; elsewhere the library has its own.
    ///
    /// # Safety
    /// The kernel has not returned, or its library is loaded still: the places of buffers are readable.
    pub(crate) unsafe fn held(&self) -> Option<HeldBuffers> {
        self.checked.as_ref()?;
        let mut places: Vec<HeldBuffers> = Vec::new();
        for buffer in &self.buffers {
            // SAFETY: the caller's promise.
            let location = unsafe { buffer.place.read() };
            match places.iter_mut().find(|place| place.location == location) {
                Some(place) => {
                    place.count += 1;
                    place.bytes += buffer.bytes;
                }
                None => places.push(HeldBuffers { count: 1, bytes: buffer.bytes, location }),
            }
        }
        places.into_iter().rev().max_by_key(|place| place.bytes)
    }

    /// Frees the buffer at `address`. In checked mode its content is gone: what is free is always poison.
    pub(crate) fn free(&mut self, address: *const u8) -> Result<(), Misuse> {
        let offset = self.offset(address);
        let nothing = Misuse::FreeOfNothing { offset };
        let top = self.top();
        if self.buffers.last().is_some_and(|last| last.offset as i64 == offset) {
            self.buffers.pop();
            let offset = offset as usize;
            self.set_top(offset);
            self.poison(offset, top - offset);
            return Ok(());
        }
        let is_live = match usize::try_from(offset) {
            Ok(offset) if self.checked.is_some() => self.buffers.iter().any(|buffer| buffer.offset == offset),
            // A library that allocates by itself frees the last buffer by itself.
            Ok(offset) => offset < top && offset.is_multiple_of(TCM_ALIGN),
            Err(_) => false,
        };
        // What is above is in use: nothing is freed.
        Err(if is_live { Misuse::FreeOutOfOrder { offset: offset as usize, top } } else { nothing })
    }

    /// Whether a DMA may use `bytes` bytes at `address` for elements of `element_bytes`.
    pub(crate) fn verify(&self, address: *const u8, bytes: u64, element_bytes: usize) -> Result<(), TcmProblem> {
        if bytes == 0 {
            return Ok(());
        }
        if address.is_null() {
            return Err(TcmProblem::Null);
        }
        let offset = self.offset(address);
        let within = |start: usize, len: usize| {
            let (from, len) = (offset as i128 - start as i128, len as i128);
            from >= 0 && from + bytes as i128 <= len
        };
        if !within(0, self.bytes) {
            return Err(TcmProblem::OutsidePool { offset, bytes, pool: self.bytes });
        }
        if self.checked.is_none() {
            return Ok(());
        }
        if !address.addr().is_multiple_of(element_bytes) {
            return Err(TcmProblem::Misaligned { offset, element_bytes });
        }
        let starts_in =
            |buffer: &&Buffer| offset >= buffer.offset as i64 && offset < (buffer.offset + buffer.bytes) as i64;
        let Some(buffer) = self.buffers.iter().find(starts_in) else { return Err(TcmProblem::NoBuffer { offset }) };
        if within(buffer.offset, buffer.bytes) {
            return Ok(());
        }
        let from = offset as u64 - buffer.offset as u64;
        let past = from + bytes - buffer.bytes as u64;
        Err(TcmProblem::OutsideBuffer { bytes, within: from, buffer: buffer.bytes as u64, past })
    }

    /// `address` as an offset in the pool; negative before it.
    fn offset(&self, address: *const u8) -> i64 {
        address.addr().wrapping_sub(self.start.addr()) as i64
    }

    fn top(&self) -> usize {
        // SAFETY: leads to this core's own counter, which only this thread uses.
        unsafe { *self.top as usize }
    }

    fn set_top(&mut self, top: usize) {
        // SAFETY: as in `top`.
        unsafe { *self.top = top as u32 };
    }

    /// In checked mode, makes `bytes` bytes from `offset` (both multiples of 8, inside the pool) what was never
    /// written.
    fn poison(&self, offset: usize, bytes: usize) {
        let Some(checked) = &self.checked else { return };
        let pattern = checked.poison.pattern();
        for at in (offset..offset + bytes).step_by(pattern.len()) {
            // SAFETY: inside the pool; the kernel, which this thread runs, uses none of it at this moment.
            unsafe { self.start.add(at).cast::<[u8; 8]>().write(pattern) };
        }
    }
}
