//! Kernels whose mistakes a compiler of the kernel image could hide: loops that do not end, recursion, panics whose
//! messages are long or fail themselves, TCM that is used again. All but the mistake is right: y = x.
#![no_std]

use core::fmt;

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

/// The first element of `x`: which of several mistakes to make.
fn choice<T: Float>(core: &Core, x: &Input<T>) -> OpResult<usize> {
    Ok(core.tcm().load(x, 0..1)?[0].to_f32() as usize)
}

/// Core 3 does not come to an end, in one of several ways. None of the loops has an effect.
#[custom_op(shape = like_x)]
pub fn loops<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    let way = choice(core, &x)?;
    if core.id() == 3 {
        let mut n = 1_u32;
        match way {
            1 => {
                while n != 0 {
                    n = n.wrapping_mul(3);
                }
            }
            2 => {
                // Odd for ever.
                while n != 0 {
                    n = n.wrapping_add(2);
                }
            }
            3 => {
                while n != 0 {
                    for i in 0..core.count() as u32 {
                        n = n.wrapping_mul(2 * i + 1);
                    }
                }
            }
            #[expect(clippy::empty_loop, reason = "the mistake")]
            4 => loop {},
            _ => {}
        }
    }
    copy(core, &x, &mut y)
}

/// Core 3 computes with floats for ever: a loop as kernels have them, whose counter passes its end.
#[custom_op(shape = like_x)]
pub fn loops_over_floats(core: &Core, x: Input<f32>, mut y: Output<f32>) -> OpResult {
    let tile = core.tcm().load(&x, 0..LANES)?;
    let mut sums = core.tcm().buffer::<f32>(LANES)?;
    sums.fill(0.0);
    let mut n = core.count() as u32 + 1;
    while core.id() == 3 && n != 0 {
        let lane = n as usize % LANES;
        sums[lane] = sums[lane] * 0.5 + tile[lane];
        n = n.wrapping_sub(2);
    }
    drop(sums);
    drop(tile);
    copy(core, &x, &mut y)
}

fn plain(n: usize) -> usize {
    if n == 0 { 1 } else { plain(n - 1) * 3 % 1009 + core::hint::black_box(n) }
}

fn framed(n: usize) -> f32 {
    let a = core::hint::black_box([n as f32; 8]);
    if n == 0 { a[0] } else { a[n % 8] + framed(n - 1) * 0.5 }
}

fn even(n: usize) -> bool {
    core::hint::black_box(n) == 0 || !odd(n - 1)
}

fn odd(n: usize) -> bool {
    core::hint::black_box(n) != 0 && !even(n - 1)
}

/// Calls itself, in one of several ways, as deep as the second element says.
#[custom_op(shape = like_x)]
pub fn recurses(core: &Core, x: Input<f32>, mut y: Output<f32>) -> OpResult {
    let way = choice(core, &x)?;
    let depth = core.tcm().load(&x, 1..2)?[0] as usize;
    match way {
        1 => _ = core::hint::black_box(plain(depth)),
        2 => _ = core::hint::black_box(framed(depth)),
        _ => _ = core::hint::black_box(even(depth)),
    }
    copy(core, &x, &mut y)
}

/// Has no text: writing it panics.
struct Silent;

impl fmt::Display for Silent {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("no text")
    }
}

/// Panics, with one of several messages.
///
/// # Panics
/// When the first element is one of them.
#[custom_op(shape = like_x)]
pub fn panics(core: &Core, x: Input<f32>, mut y: Output<f32>) -> OpResult {
    let way = choice(core, &x)?;
    let tile = core.tcm().load(&x, 0..2)?;
    match way {
        1 => assert_eq!(tile[0], tile[1], "of {} elements", x.len()),
        2 => panic!("{:?} {:8.3} {:>6} {:#x}", Some(tile[1]), 2.0 / 3.0, "right", core.count()),
        3 => panic!("before {Silent} after"),
        4 => panic!("{:é<2000}", "long"),
        5 => _ = x.len() / (core.count() - 8),
        6 => _ = tile.get(7).unwrap(),
        _ => {}
    }
    drop(tile);
    copy(core, &x, &mut y)
}

/// Leaves the remainder of a tile after whole vectors as TCM was, which holds the tile before.
#[custom_op(shape = like_x)]
pub fn forgets_the_remainder<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    for range in core.share(x.len(), LANES).chunks(256) {
        let tile = core.tcm().load(&x, range.clone())?;
        let mut stage = core.tcm().stage(&mut y, range)?;
        for (y, x) in stage.chunks_exact_mut(LANES).zip(tile.chunks_exact(LANES)) {
            y.copy_from_slice(x);
        }
        stage.store()?;
    }
    Ok(())
}

/// Never frees its tiles.
#[custom_op(shape = like_x)]
pub fn leaks<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    for range in core.share(x.len(), LANES).chunks(256) {
        let tile = core.tcm().load(&x, range.clone())?;
        let mut stage = core.tcm().stage(&mut y, range)?;
        stage.copy_from_slice(&tile);
        stage.store()?;
        core::mem::forget(tile);
    }
    Ok(())
}

/// Frees one buffer while a later one lives, and takes another.
#[custom_op(shape = like_x)]
pub fn frees_the_first_first<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    let first = core.tcm().buffer::<f32>(LANES)?;
    let second = core.tcm().buffer::<f32>(LANES)?;
    drop(first);
    let mut third = core.tcm().buffer::<f32>(4 * LANES)?;
    third.fill(1.0);
    drop(third);
    drop(second);
    copy(core, &x, &mut y)
}

/// Drops what it made for the output.
#[custom_op(shape = like_x)]
pub fn drops_a_stage<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    copy(core, &x, &mut y)?;
    let start = core.share(x.len(), LANES).range().start;
    let mut stage = core.tcm().stage(&mut y, start..=start)?;
    stage.fill(T::from_f32(0.0));
    Ok(())
}

op_library! {
    name: "image_ops",
    // What writes floats, in the messages of panics, takes 3 KB of a core's TCM.
    tcm: 8192,
    ops: [
        loops,
        loops_over_floats,
        recurses,
        panics,
        forgets_the_remainder,
        leaks,
        frees_the_first_first,
        drops_a_stage,
    ],
}
