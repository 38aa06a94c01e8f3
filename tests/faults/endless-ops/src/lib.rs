//! Kernels that do not end, or need more stack than there is, on one core or on all; on the others y = x.
#![no_std]

use core::hint::black_box;

use gpsimd::prelude::*;

#[expect(clippy::unnecessary_wraps, reason = "the signature of a shape function")]
fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(*x)
}

fn copy<T: Float>(core: &Core, x: &Input<T>, y: &mut Output<T>) -> OpResult {
    for range in core.share(x.len(), LANES).chunks(256) {
        let tile = core.tcm().load(x, range.clone())?;
        let mut stage = core.tcm().stage(y, range)?;
        stage.copy_from_slice(&tile);
        stage.store()?;
    }
    Ok(())
}

/// Core 3 computes for ever, before it has made a DMA.
#[custom_op(shape = like_x)]
pub fn loops<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    let mut value = 1_u32;
    while core.id() == 3 {
        value = value.wrapping_mul(3);
        if value == 0 {
            break;
        }
    }
    copy(core, &x, &mut y)
}

/// Every core loads its first tile again and again.
#[custom_op(shape = like_x)]
pub fn loads_for_ever<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    let range = core.share(x.len(), LANES).range();
    loop {
        let tile = core.tcm().load(&x, range.start..range.start + LANES)?;
        if tile[0].to_f32().is_nan() {
            break;
        }
    }
    copy(core, &x, &mut y)
}

/// Core 0 writes for ever, by a function of the C library, if the compiler makes one of it.
#[custom_op(shape = like_x)]
pub fn fills_for_ever<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    copy(core, &x, &mut y)?;
    let mut buffer = core.tcm().buffer::<T>(2048)?;
    while core.id() == 0 {
        black_box(&mut buffer).fill(T::from_f32(0.0));
    }
    Ok(())
}

/// Waits for a value that never comes, and does not look whether its loads fail.
#[custom_op(shape = like_x)]
pub fn insists<T: Float>(core: &Core, x: Input<T>, _y: Output<T>) -> OpResult {
    while core.tcm().load(&x, x.len()..x.len() + LANES).is_err() {}
    Ok(())
}

fn deep(n: usize, x: &[f32]) -> f32 {
    let mut a = [n as f32; 8];
    a[n % 8] += x[n % x.len()];
    let sum: f32 = a.iter().sum();
    if n == 0 { sum } else { sum + deep(n - 1, x) * 0.5 }
}

fn even(n: usize, x: &[f32]) -> f32 {
    let a = black_box([n as f32; 16]);
    if n == 0 { x[0] } else { a[n % 16] + odd(n - 1, x) * 0.5 }
}

fn odd(n: usize, x: &[f32]) -> f32 {
    let a = black_box([n as f32; 4]);
    if n == 0 { x[0] } else { a[n % 4] - even(n - 1, x) * 0.5 }
}

/// As deep as its first element says.
#[custom_op(shape = like_x)]
pub fn recurses<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    let depth = core.tcm().load(&x, 0..1)?[0].to_f32() as usize;
    black_box(deep(depth, &[1.0]));
    copy(core, &x, &mut y)
}

/// Two functions in turn, as deep as the first element says, on core 5.
#[custom_op(shape = like_x)]
pub fn recurses_in_turn<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    let depth = core.tcm().load(&x, 0..1)?[0].to_f32() as usize;
    if core.id() == 5 {
        black_box(even(depth, &[1.0]));
    }
    copy(core, &x, &mut y)
}

/// A function with 2 MB of local variables.
#[custom_op(shape = like_x)]
pub fn has_large_locals<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    #[inline(never)]
    #[expect(clippy::large_stack_arrays, reason = "the mistake")]
    fn sum(x: f32) -> f32 {
        let numbers = black_box([x; 500_000]);
        numbers.iter().sum()
    }
    black_box(sum(core.id() as f32));
    copy(core, &x, &mut y)
}

/// Makes DMAs as deep in a recursion as there is stack.
#[custom_op(shape = like_x)]
pub fn loads_while_it_recurses<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    fn deeper<T: Float>(core: &Core, x: &Input<T>, n: usize) -> OpResult<f32> {
        let a = black_box([n as f32; 4]);
        let first = core.tcm().load(x, 0..1)?[0].to_f32();
        Ok(if n == 0 { first } else { a[n % 4] + deeper(core, x, n - 1)? })
    }
    black_box(deeper(core, &x, 1_000_000)?);
    copy(core, &x, &mut y)
}

/// Ends, by a panic.
///
/// # Panics
/// When `x` has more or less than one element.
#[custom_op(shape = like_x)]
pub fn panics<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    assert!(x.len() == 1, "{} elements", x.len());
    copy(core, &x, &mut y)
}

op_library! {
    name: "endless_ops",
    ops: [
        loops,
        loads_for_ever,
        fills_for_ever,
        insists,
        recurses,
        recurses_in_turn,
        has_large_locals,
        loads_while_it_recurses,
        panics,
    ],
}
