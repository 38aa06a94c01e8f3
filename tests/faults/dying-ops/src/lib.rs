//! Kernels that end the program that they run in: what a host could not survive, an emulated Xtensa core can.
#![no_std]

use core::hint::black_box;

use gpsimd::prelude::*;

#[expect(clippy::unnecessary_wraps, reason = "the signature of a shape function")]
fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(*x)
}

fn refuses_all(_x: &TensorType) -> Result<TensorType, ShapeError> {
    panic!("a shape function that panics")
}

fn copy(core: &Core, x: &Input<f32>, y: &mut Output<f32>) -> OpResult {
    let range = core.share(x.len(), 1).range();
    let tile = core.tcm().load(x, range.clone())?;
    let mut y = core.tcm().stage(y, range)?;
    y.copy_from_slice(&tile);
    y.store()
}

/// Calls itself as often as the first element of x says, with 1 KiB of locals each time.
#[custom_op(shape = like_x)]
pub fn recurses(core: &Core, x: Input<f32>, mut y: Output<f32>) -> OpResult {
    fn depth(times: u32) -> u32 {
        let locals = black_box([times; 256]);
        if times == 0 { locals[0] } else { depth(times - 1) + locals[255] }
    }
    let times = core.tcm().load(&x, ..1)?[0];
    black_box(depth(times as u32));
    copy(core, &x, &mut y)
}

/// Reads a word as many bytes off as the first element of x says.
#[custom_op(shape = like_x)]
pub fn reads_off_alignment(core: &Core, x: Input<f32>, mut y: Output<f32>) -> OpResult {
    {
        let tile = core.tcm().load(&x, ..2)?;
        let address = tile.as_ptr().wrapping_byte_add(tile[0] as usize).cast::<u32>();
        // SAFETY: none, which is the point where x is not a multiple of 4: only an emulated core runs it with that.
        black_box(unsafe { address.read_volatile() });
    }
    copy(core, &x, &mut y)
}

/// y = x; its shape function panics.
#[custom_op(shape = refuses_all)]
pub fn has_no_shape(core: &Core, x: Input<f32>, mut y: Output<f32>) -> OpResult {
    copy(core, &x, &mut y)
}

/// Panics with a message that has a float in it.
///
/// # Panics
/// When x does not begin with 0.
#[custom_op(shape = like_x)]
pub fn expects_zero(core: &Core, x: Input<f32>, mut y: Output<f32>) -> OpResult {
    let first = core.tcm().load(&x, ..1)?[0];
    assert!(first == 0.0, "expected 0, found {first:?}");
    copy(core, &x, &mut y)
}

op_library! { name: "dying_ops", ops: [recurses, reads_off_alignment, has_no_shape, expects_zero] }
