//! A step of AdamW on parameters and moments where they are.
//!
//! The op takes a parameter and its two moments as one tensor, `state` [3, N]. PyTorch keeps them apart, and their memory
//! may be anybody's: another process's, a gradient bucket's, that of a model that somebody else holds. So they stay in it,
//! and the op is launched on rows that are apart. Threads take pieces of large parameters in turn; small parameters are put
//! together in pieces, which are copied. The update of an element depends on nothing but that element and the scalars, so
//! the bits are those of one launch over everything.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use gpsimd_emulator::{DType, Engine, LaunchError, Mode, Op, Scalar, TensorType, TensorView, TensorViewMut};
use pyo3::prelude::*;

use crate::engines;
use crate::errors::{self, OperandError};
use crate::library::PyOpLibrary;
use crate::seen::{Seen, Signature};

/// Most elements of a launch: 28 bytes each, which take a hundred times as long as to launch.
const PIECE: usize = 1 << 18;

/// From this many elements on a parameter has launches of its own. What copying a smaller one costs is less than a launch.
const SMALL: usize = 1 << 12;

/// Rows of `state`: parameter, first and second moment.
const ROWS: usize = 3;

/// lr, beta1, beta2, eps, weight decay.
type Hyperparameters = [f32; 5];

/// Index of the hyperparameters, step, elements, addresses of parameter, moments and gradient.
type PyUpdate = (usize, f32, usize, [usize; ROWS], usize);

/// What all launches of a step have in common.
struct Step {
    op: Op,
    /// What gradients are multiplied by.
    scale: Option<f32>,
}

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
/// `op` is the name of the op; one that scales gradients takes `scale`, another none.
///
/// Updates that share memory happen one after another in their order. Raises `KernelError`, and `OperandError` before
/// anything changes.
#[pyfunction]
#[expect(clippy::needless_pass_by_value, reason = "extracted from Python objects")]
pub(crate) fn adamw_step(
    py: Python<'_>,
    library: PyRef<'_, PyOpLibrary>,
    op: &str,
    hyperparameters: Vec<Hyperparameters>,
    updates: Vec<PyUpdate>,
    scale: Option<f32>,
) -> PyResult<()> {
    let op = library.op(op)?;
    let updates: Vec<Update> =
        updates.iter().map(|update| Update::of(update, &hyperparameters)).collect::<PyResult<_>>()?;
    let seen = library.seen(&op);
    let step = Step { op, scale };
    py.detach(|| {
        if are_apart(&updates) {
            return step.run(seen, &updates, 0..updates.len());
        }
        (0..updates.len()).try_for_each(|index| step.run(seen, &updates, index..index + 1))
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

impl Step {
    /// Runs the updates `range`, which are apart.
    fn run(&self, seen: &Seen, updates: &[Update], range: Range<usize>) -> PyResult<()> {
        let mut fast = Vec::new();
        for piece in pieces(updates, range) {
            let choice = seen.choose(|| piece.signature());
            match choice.mode {
                Mode::Fast => fast.push(piece),
                // One after another: the engine has the threads.
                Mode::Checked => {
                    let launched = piece.launch(self, updates, engines::engine(Mode::Checked)?);
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
                if let Err(error) = piece.launch(self, updates, engine) {
                    let _ = failed.set(error);
                    return;
                }
            }
        };
        match workers.threads().min(fast.len()) {
            0 | 1 => drain(0),
            tasks => workers.dispatch(tasks, &drain),
        }
        failed.into_inner().map_or(Ok(()), |error| Err(errors::launch(&error)))
    }
}

/// The pieces of the updates `range`: of each large one its own, and pieces that small ones of the same scalars share.
fn pieces(updates: &[Update], range: Range<usize>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut shared: HashMap<[u32; 6], Piece> = HashMap::new();
    for index in range.filter(|index| updates[*index].len > 0) {
        let Update { len, scalars, .. } = updates[index];
        if len >= SMALL {
            // Equal ones, whole cache lines.
            let piece = len.div_ceil(len.div_ceil(PIECE)).next_multiple_of(16);
            pieces.extend((0..len).step_by(piece).map(|start| {
                let range = start..len.min(start + piece);
                Piece { len: range.len(), parts: vec![Part { update: index, range }] }
            }));
            continue;
        }
        let piece = shared.entry(scalars.map(f32::to_bits)).or_default();
        if piece.len + len > PIECE {
            pieces.push(std::mem::take(piece));
        }
        piece.len += len;
        piece.parts.push(Part { update: index, range: 0..len });
    }
    pieces.extend(shared.into_values());
    pieces
}

impl Piece {
    /// Of its launch.
    fn signature(&self) -> Signature {
        let ty = |shape: &[usize]| TensorType::new(DType::F32, shape).expect("at most two sizes");
        (vec![ty(&[self.len]), ty(&[ROWS, self.len])], Vec::new(), true)
    }

    /// Launches the op on the piece where it is, or, of several parts, on a copy that is copied back.
    fn launch(&self, step: &Step, updates: &[Update], engine: &Engine) -> Result<(), LaunchError> {
        if let [Part { update, range }] = &self.parts[..] {
            let Update { rows, grad, .. } = updates[*update];
            return self.launch_on(
                step,
                updates,
                engine,
                rows.map(|row| element(row, range.start)),
                element(grad, range.start),
            );
        }
        let mut copies = [const { Vec::<f32>::new() }; ROWS + 1];
        for (tensor, copy) in copies.iter_mut().enumerate() {
            copy.reserve_exact(self.len);
            for Part { update, range } in &self.parts {
                let Update { rows, grad, .. } = updates[*update];
                let address = element(*rows.get(tensor).unwrap_or(&grad), range.start);
                // SAFETY: `optim.py` passes addresses of `len` elements, which it holds through the call.
                copy.extend_from_slice(unsafe { std::slice::from_raw_parts(address, range.len()) });
            }
        }
        let [p, m, v, grad] = copies.each_mut().map(Vec::as_mut_ptr);
        self.launch_on(step, updates, engine, [p, m, v], grad)?;
        for (row, copy) in copies[..ROWS].iter().enumerate() {
            let mut rest = &copy[..];
            for Part { update, range } in &self.parts {
                let (part, after) = rest.split_at(range.len());
                let address = element(updates[*update].rows[row], range.start);
                // SAFETY: as above, and no other update has these elements.
                unsafe { std::ptr::copy_nonoverlapping(part.as_ptr(), address, part.len()) };
                rest = after;
            }
        }
        Ok(())
    }

    fn launch_on(
        &self,
        step: &Step,
        updates: &[Update],
        engine: &Engine,
        rows: [*mut f32; ROWS],
        grad: *mut f32,
    ) -> Result<(), LaunchError> {
        let ty = TensorType::new(DType::F32, &[self.len]).expect("a vector is a tensor");
        // SAFETY: the elements of one part, or the copies of several. Nothing else writes the former, as updates are apart.
        let (grad, mut rows) = unsafe {
            (
                TensorView::from_raw(grad.cast_const().cast(), ty),
                rows.map(|row| TensorViewMut::from_raw(row.cast(), ty)),
            )
        };
        let scalars = updates[self.parts[0].update].scalars.map(Scalar::F32);
        let scale = step.scale.as_ref().map(std::slice::from_ref);
        let one = TensorType::new(DType::F32, &[1]).expect("a vector is a tensor");
        // SAFETY: the one element of a slice that outlives the launch.
        let scale = scale.map(|scale| unsafe { TensorView::from_raw(scale.as_ptr().cast(), one) });
        let operands: Vec<_> = [Some(grad), scale].into_iter().flatten().collect();
        engine.launch_in_rows(&step.op, &operands, &scalars, &mut rows).map(drop)
    }
}

/// The address of element `index` of the f32 tensor at `address`.
fn element(address: usize, index: usize) -> *mut f32 {
    std::ptr::with_exposed_provenance_mut::<f32>(address).wrapping_add(index)
}
