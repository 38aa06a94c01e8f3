//! Kernels that are wrong and break no rule: every element is written once, from elements that were loaded, and no launch by
//! itself shows the mistake. What they compute depends on something that must not matter.
#![no_std]

use core::ops::Range;

use gpsimd::prelude::*;

#[expect(clippy::unnecessary_wraps, reason = "the signature of a shape function")]
fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(*x)
}

/// Walks tiles by hand: `compute` gets a tile of `x`, where it is, and the tile of `y`.
fn by_tiles<T: Float>(
    core: &Core,
    x: &Input<T>,
    y: &mut Output<T>,
    tile_len: usize,
    compute: impl Fn(&[T], Range<usize>, &mut [T]),
) -> OpResult {
    for range in core.share(x.len(), LANES).chunks(tile_len) {
        let tile = core.tcm().load(x, range.clone())?;
        let mut stage = core.tcm().stage(y, range.clone())?;
        compute(&tile, range, &mut stage);
        stage.store()?;
    }
    Ok(())
}

/// Divides by the sum of the tile, which the size of the pool decides.
#[custom_op(shape = like_x)]
pub fn depends_on_tiles<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    by_tiles(core, &x, &mut y, core.tcm().tile_len::<T>(2), |x, _, y| {
        let sum: f32 = x.iter().map(|x| x.to_f32()).sum();
        for (y, x) in y.iter_mut().zip(x) {
            *y = T::from_f32(x.to_f32() / sum);
        }
    })
}

/// Multiplies positions, which have 32 bits on a core, beyond that.
#[custom_op(shape = like_x)]
pub fn overflows_usize<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    by_tiles(core, &x, &mut y, 256, |_, range, y| {
        for (y, i) in y.iter_mut().zip(range) {
            *y = T::from_f32(((i + 1).wrapping_mul(3_000_000_000) / 1_000_000_000) as f32);
        }
    })
}

/// Adds the number of its core from the third on.
#[custom_op(shape = like_x)]
pub fn depends_on_cores<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    by_tiles(core, &x, &mut y, 256, |x, _, y| {
        for (y, x) in y.iter_mut().zip(x) {
            *y = T::from_f32(x.to_f32() + core.id().saturating_sub(2) as f32);
        }
    })
}

/// Doubles all but the last element of a share with a remainder of 1.
#[custom_op(shape = like_x)]
pub fn forgets_a_remainder_of_1<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    for range in core.share(x.len(), 1).chunks(256) {
        let doubled = if range.len() % LANES == 1 { range.len() - 1 } else { range.len() };
        let mut tile = core.tcm().update(&x, &mut y, range)?;
        for y in &mut tile[..doubled] {
            *y = T::from_f32(y.to_f32() * 2.0);
        }
        tile.store()?;
    }
    Ok(())
}

/// Takes denormal numbers for zeros in whole vectors, and not in the remainder.
#[custom_op(shape = like_x)]
pub fn flushes_denormals(core: &Core, x: Input<f32>, mut y: Output<f32>) -> OpResult {
    by_tiles(core, &x, &mut y, core.tcm().tile_len::<f32>(2) - 1, |x, _, y| {
        let whole = x.len() / LANES * LANES;
        for (i, (y, x)) in y.iter_mut().zip(x).enumerate() {
            *y = if i < whole && x.abs() < f32::MIN_POSITIVE { 0.0 } else { *x };
        }
    })
}

/// Takes NaN for the largest number from the second vector of a tile on.
#[custom_op(shape = like_x)]
pub fn mistakes_nan(core: &Core, x: Input<f32>, mut y: Output<f32>) -> OpResult {
    by_tiles(core, &x, &mut y, 128, |x, _, y| {
        for (i, (y, x)) in y.iter_mut().zip(x).enumerate() {
            *y = if i >= LANES && x.is_nan() { f32::MAX } else { *x };
        }
    })
}

/// Adds how much of the pool is left.
#[custom_op(shape = like_x)]
pub fn depends_on_the_pool<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    let is_small = core.tcm().left() < 2000;
    by_tiles(core, &x, &mut y, 64, |x, _, y| {
        for (y, x) in y.iter_mut().zip(x) {
            *y = if is_small { *x } else { T::from_f32(x.to_f32() * 2.0) };
        }
    })
}

/// Reads a word from between two elements, which x86 and Arm allow and a core does not.
#[custom_op(shape = like_x)]
pub fn reads_off_alignment(core: &Core, x: Input<f32>, mut y: Output<f32>) -> OpResult {
    by_tiles(core, &x, &mut y, 256, |x, _, y| {
        y.copy_from_slice(x);
        if x.len() > 1 {
            #[expect(clippy::cast_ptr_alignment, reason = "the mistake")]
            // SAFETY: none on a core; elsewhere the word is within the tile.
            let word = unsafe { x.as_ptr().cast::<u8>().add(1).cast::<u32>().read_volatile() };
            core::hint::black_box(word);
        }
    })
}

/// Reads from an address that is nobody's, where a tile has as many elements as a vector and a half.
#[custom_op(shape = like_x)]
pub fn reads_from_nowhere(core: &Core, x: Input<f32>, mut y: Output<f32>) -> OpResult {
    by_tiles(core, &x, &mut y, 256, |x, _, y| {
        y.copy_from_slice(x);
        if x.len() == LANES + LANES / 2 {
            let nowhere = core::ptr::without_provenance::<u8>(x.len());
            // SAFETY: none, which is the mistake.
            core::hint::black_box(unsafe { nowhere.read_volatile() });
        }
    })
}

/// y = x: makes no mistake.
#[custom_op(shape = like_x)]
pub fn is_right<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    by_tiles(core, &x, &mut y, 256, |x, _, y| y.copy_from_slice(x))
}

op_library! {
    name: "subtle_ops",
    ops: [
        depends_on_tiles,
        overflows_usize,
        depends_on_cores,
        forgets_a_remainder_of_1,
        flushes_denormals,
        mistakes_nan,
        depends_on_the_pool,
        reads_off_alignment,
        reads_from_nowhere,
        is_right,
    ],
}
