//! A step of AdamW on parameters and moments where they are.
//!
//! The op takes a parameter and its two moments as one tensor, `state` [3, N]. PyTorch keeps them apart, and their memory
//! may be anybody's: another process's, a gradient bucket's, that of a model that somebody else holds. So they stay in it:
//! the op is launched on pieces that are small enough for a CPU's cache, each gathered to a `state` there and scattered
//! back. Small parameters share a piece. The update of an element depends on nothing but that element and the scalars, so
//! the bits are those of one launch over everything.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use gpsimd_emulator::{DType, Engine, Launch, LaunchError, Mode, Op, TensorType, TensorView, TensorViewMut};
use pyo3::prelude::*;

use crate::engines;
use crate::errors::{self, OperandError};
use crate::library::OpLibrary;
use crate::seen::{Seen, Signature};

/// Elements of a piece. Its state and what it is gathered from, 28 bytes an element, fit in a second-level cache of
/// 512 KiB; the launch costs less than a hundredth of what the memory does.
const PIECE: usize = 1 << 14;

/// Rows of `state`: parameter, first and second moment.
const ROWS: usize = 3;

/// lr, beta1, beta2, eps, weight decay.
type Hyperparameters = [f32; 5];

/// Index of the hyperparameters, step, elements, addresses of parameter, moments and gradient.
type PyUpdate = (usize, f32, usize, [usize; ROWS], usize);

/// One parameter of a step.
struct Update {
    scalars: [f32; 6],
    len: usize,
    rows: [usize; ROWS],
    grad: usize,
}

/// Elements of an update.
struct Part {
    update: usize,
    range: Range<usize>,
}

/// What one launch updates: parts with the same scalars.
#[derive(Default)]
struct Piece {
    parts: Vec<Part>,
    len: usize,
}

/// One step of AdamW on f32 CPU tensors: each of `updates` is the index of its hyperparameters in `hyperparameters`, its
/// step counted from 1, its number of elements, the addresses of parameter and moments, and the address of the gradient.
///
/// Updates that share memory happen one after another in their order. Raises `KernelError`, and `OperandError` before
/// anything changes.
#[pyfunction]
#[expect(clippy::needless_pass_by_value, reason = "extracted from Python objects")]
pub(crate) fn adamw_step(
    py: Python<'_>,
    library: PyRef<'_, OpLibrary>,
    hyperparameters: Vec<Hyperparameters>,
    updates: Vec<PyUpdate>,
) -> PyResult<()> {
    let op = library.op("adamw_step")?;
    let updates: Vec<Update> =
        updates.iter().map(|update| Update::of(update, &hyperparameters)).collect::<PyResult<_>>()?;
    let seen = library.seen(&op);
    py.detach(|| {
        if are_apart(&updates) {
            return run(&op, seen, &updates, 0..updates.len());
        }
        (0..updates.len()).try_for_each(|index| run(&op, seen, &updates, index..index + 1))
    })
}

impl Update {
    fn of(update: &PyUpdate, hyperparameters: &[Hyperparameters]) -> PyResult<Self> {
        let &(index, step, len, rows, grad) = update;
        let &[lr, beta1, beta2, eps, weight_decay] = hyperparameters
            .get(index)
            .ok_or_else(|| OperandError::new_err(format!("there are no hyperparameters {index}")))?;
        if len > 0 && (rows.contains(&0) || grad == 0) {
            return Err(OperandError::new_err("an address of an update is 0, expected that of its elements"));
        }
        Ok(Self { scalars: [lr, beta1, beta2, eps, weight_decay, step], len, rows, grad })
    }

    /// The bytes of the tensor at `address`.
    fn bytes(&self, address: usize) -> Range<usize> {
        address..address.saturating_add(self.len * size_of::<f32>())
    }
}

/// Whether no update writes what another reads or writes.
fn are_apart(updates: &[Update]) -> bool {
    let mut tensors = Vec::with_capacity(updates.len() * (ROWS + 1));
    for update in updates.iter().filter(|update| update.len > 0) {
        tensors.extend(update.rows.map(|row| (update.bytes(row), true)));
        tensors.push((update.bytes(update.grad), false));
    }
    tensors.sort_unstable_by_key(|(bytes, _)| bytes.start);
    // The ends of what was written, and of what was written or read, so far.
    let (mut written, mut used) = (0, 0);
    tensors.iter().all(|(bytes, is_written)| {
        let is_apart = bytes.start >= if *is_written { used } else { written };
        used = used.max(bytes.end);
        if *is_written {
            written = written.max(bytes.end);
        }
        is_apart
    })
}

/// Runs the updates `range`, which are apart.
fn run(op: &Op, seen: &Seen, updates: &[Update], range: Range<usize>) -> PyResult<()> {
    let mut fast = Vec::new();
    for piece in pieces(updates, range) {
        let choice = seen.choose(|| piece.signature());
        match choice.mode {
            Mode::Fast => fast.push(piece),
            // One after another: the engine has the threads.
            Mode::Checked => {
                let launched = piece.launch(op, updates, engines::engine(Mode::Checked)?);
                launched.map_err(|error| errors::launch(&error))?;
                choice.passed();
            }
        }
    }
    let engine = engines::serial()?;
    let workers = engines::workers()?;
    let next = AtomicUsize::new(0);
    let failed = OnceLock::new();
    let drain = |_| {
        while let Some(piece) = fast.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = piece.launch(op, updates, engine) {
                let _ = failed.set(error);
                return;
            }
        }
    };
    match workers.threads().min(fast.len()) {
        0 | 1 => drain(0),
        tasks => workers.run(tasks, &drain),
    }
    failed.into_inner().map_or(Ok(()), |error| Err(errors::launch(&error)))
}

/// The pieces of the updates `range`. A large update has pieces of its own, whose gradient is read where it is; what is
/// left of it shares pieces with small ones of the same scalars.
fn pieces(updates: &[Update], range: Range<usize>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut shared: HashMap<[u32; 6], Piece> = HashMap::new();
    for index in range {
        let update = &updates[index];
        let whole = update.len / PIECE * PIECE;
        pieces.extend((0..whole).step_by(PIECE).map(|start| {
            let range = start..start + PIECE;
            Piece { parts: vec![Part { update: index, range }], len: PIECE }
        }));
        let rest = whole..update.len;
        if rest.is_empty() {
            continue;
        }
        let piece = shared.entry(update.scalars.map(f32::to_bits)).or_default();
        if piece.len + rest.len() > PIECE {
            pieces.push(std::mem::take(piece));
        }
        piece.len += rest.len();
        piece.parts.push(Part { update: index, range: rest });
    }
    pieces.extend(shared.into_values());
    pieces
}

impl Piece {
    /// Of its launch.
    fn signature(&self) -> Signature {
        let ty = |shape: &[usize]| TensorType::new(DType::F32, shape).expect("at most two sizes");
        (vec![ty(&[self.len]), ty(&[ROWS, self.len])], true)
    }

    /// Gathers the piece, launches the op on it and scatters it.
    fn launch(&self, op: &Op, updates: &[Update], engine: &Engine) -> Result<(), LaunchError> {
        thread_local! {
            /// State and gradient of a piece. Kept for the next one: it is in the cache.
            static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
        }
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.resize(scratch.len().max((ROWS + 1) * PIECE), 0.0);
            let (state, gathered) = scratch.split_at_mut(ROWS * PIECE);
            let state = &mut state[..ROWS * self.len];
            self.each_row(updates, state, |tensor, piece| {
                // SAFETY: `optim.py` passes addresses of `len` elements, which it holds through the call.
                unsafe { std::ptr::copy_nonoverlapping(tensor, piece.as_mut_ptr(), piece.len()) };
            });
            let grad = match &self.parts[..] {
                [part] => element(updates[part.update].grad, part.range.start),
                parts => {
                    let mut rest = &mut gathered[..self.len];
                    for part in parts {
                        let (piece, after) = rest.split_at_mut(part.range.len());
                        let grad = element(updates[part.update].grad, part.range.start);
                        // SAFETY: as above.
                        unsafe { std::ptr::copy_nonoverlapping(grad, piece.as_mut_ptr(), piece.len()) };
                        rest = after;
                    }
                    gathered.as_mut_ptr()
                }
            };
            let ty = TensorType::new(DType::F32, &[self.len]).expect("a vector is a tensor");
            // SAFETY: the gradient of the only part, or the one gathered; nothing writes to it before the launch is over.
            let grad = unsafe { TensorView::from_raw(grad.cast_const().cast(), ty) };
            let output = TensorViewMut::new(state, &[ROWS, self.len]).expect("as many rows as the slice has");
            let scalars = &updates[self.parts[0].update].scalars;
            engine.launch_in_place(op, Launch { tensors: &[grad], scalars, output })?;
            self.each_row(updates, state, |tensor, piece| {
                // SAFETY: as above, and no other update has these elements.
                unsafe { std::ptr::copy_nonoverlapping(piece.as_ptr(), tensor, piece.len()) };
            });
            Ok(())
        })
    }

    /// Calls `copy` with the address of every part's elements in every row's tensor, and their place in `state`.
    fn each_row(&self, updates: &[Update], state: &mut [f32], copy: impl Fn(*mut f32, &mut [f32])) {
        for (row, mut rest) in state.chunks_exact_mut(self.len).enumerate() {
            for part in &self.parts {
                let (piece, after) = rest.split_at_mut(part.range.len());
                copy(element(updates[part.update].rows[row], part.range.start), piece);
                rest = after;
            }
        }
    }
}

/// The address of element `index` of the f32 tensor at `address`.
fn element(address: usize, index: usize) -> *mut f32 {
    std::ptr::with_exposed_provenance_mut::<f32>(address).wrapping_add(index)
}
