//! Kernels of two outputs that each make one mistake with one of them. All but the mistake is right: y = x, and n is the
//! number of the element.
#![no_std]

use core::ops::Range;

use gpsimd::prelude::*;

fn two(x: &TensorType) -> Result<[TensorType; 2], ShapeError> {
    x.expect_rank(1)?;
    Ok([*x, x.with_dtype::<i32>()])
}

/// y = x for the elements in `range`.
fn copy(core: &Core, x: &Input<f32>, y: &mut Output<f32>, range: Range<usize>) -> OpResult {
    core.tcm().update(x, y, range)?.store()
}

/// n = 0, 1, 2, .. for the elements in `range`.
fn number(core: &Core, n: &mut Output<i32>, range: Range<usize>) -> OpResult {
    let mut stage = core.tcm().stage(n, range.clone())?;
    for (n, i) in stage.iter_mut().zip(range) {
        *n = i as i32;
    }
    stage.store()
}

/// Does not write n.
#[custom_op(shape = two)]
#[expect(clippy::needless_pass_by_value, reason = "what a kernel is given")]
pub fn forgets_the_second(core: &Core, x: Input<f32>, mut y: Output<f32>, n: Output<i32>) -> OpResult {
    let _ = n;
    copy(core, &x, &mut y, core.share(x.len(), 1).range())
}

/// Does not write y.
#[custom_op(shape = two)]
#[expect(clippy::needless_pass_by_value, reason = "what a kernel is given")]
pub fn forgets_the_first(core: &Core, x: Input<f32>, y: Output<f32>, mut n: Output<i32>) -> OpResult {
    let _ = y;
    number(core, &mut n, core.share(x.len(), 1).range())
}

/// Leaves out the last element of n.
#[custom_op(shape = two)]
pub fn leaves_out_the_last(core: &Core, x: Input<f32>, mut y: Output<f32>, mut n: Output<i32>) -> OpResult {
    copy(core, &x, &mut y, core.share(x.len(), 1).range())?;
    number(core, &mut n, core.share(x.len() - 1, 1).range())
}

/// Every core begins one element of n before its share.
#[custom_op(shape = two)]
pub fn writes_the_second_twice(core: &Core, x: Input<f32>, mut y: Output<f32>, mut n: Output<i32>) -> OpResult {
    let share = core.share(x.len(), 1).range();
    copy(core, &x, &mut y, share.clone())?;
    number(core, &mut n, share.start.saturating_sub(1)..share.end)
}

/// Stores n past its end.
#[custom_op(shape = two)]
pub fn stores_past_the_second(core: &Core, x: Input<f32>, mut y: Output<f32>, mut n: Output<i32>) -> OpResult {
    let share = core.share(x.len(), 1).range();
    copy(core, &x, &mut y, share.clone())?;
    let past = usize::from(core.id() + 1 == core.count());
    number(core, &mut n, share.start..share.end + past)
}

/// Stores an element of n as TCM was.
#[custom_op(shape = two)]
pub fn leaves_one_as_it_was(core: &Core, x: Input<f32>, mut y: Output<f32>, mut n: Output<i32>) -> OpResult {
    let share = core.share(x.len(), 1).range();
    copy(core, &x, &mut y, share.clone())?;
    let mut stage = core.tcm().stage(&mut n, share.clone())?;
    for (n, i) in stage.iter_mut().zip(share).skip(1) {
        *n = i as i32;
    }
    stage.store()
}

/// Replaces x by y, and loads it again for n.
#[custom_op(shape = two, replaces(y = x))]
pub fn reads_what_it_replaced(core: &Core, x: Input<f32>, mut y: Output<f32>, mut n: Output<i32>) -> OpResult {
    let share = core.share(x.len(), 1).range();
    copy(core, &x, &mut y, share.clone())?;
    drop(core.tcm().load(&x, share.clone())?);
    number(core, &mut n, share)
}

/// Replaces x by y, and loads the whole of it before.
#[custom_op(shape = two, replaces(y = x))]
pub fn reads_what_others_replace(core: &Core, x: Input<f32>, mut y: Output<f32>, mut n: Output<i32>) -> OpResult {
    let share = core.share(x.len(), 1).range();
    drop(core.tcm().load(&x, ..)?);
    copy(core, &x, &mut y, share.clone())?;
    number(core, &mut n, share)
}

/// Makes no mistake.
#[custom_op(shape = two, replaces(y = x))]
pub fn is_right(core: &Core, x: Input<f32>, mut y: Output<f32>, mut n: Output<i32>) -> OpResult {
    let share = core.share(x.len(), 1).range();
    copy(core, &x, &mut y, share.clone())?;
    number(core, &mut n, share)
}

op_library! {
    name: "faulty_outputs",
    ops: [
        forgets_the_second,
        forgets_the_first,
        leaves_out_the_last,
        writes_the_second_twice,
        stores_past_the_second,
        leaves_one_as_it_was,
        reads_what_it_replaced,
        reads_what_others_replace,
        is_right,
    ],
}
