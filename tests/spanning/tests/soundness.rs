//! What safe kernels by hand can do to memory in fast mode, where tiles and stages are the tensors themselves. Each is
//! interpreted by Miri (`cargo xtask miri`): no two live mutable views of one element, nothing that was never initialised.
#![allow(missing_docs, reason = "a test binary's op library is nobody's interface")]

use core::mem;

use gpsimd::prelude::*;
use gpsimd_emulator::{Engine, Launch, LaunchError, Mode, Op, OpLibrary, Tensor};

#[expect(clippy::unnecessary_wraps, reason = "the signature of a shape function")]
fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(*x)
}

fn one_less(x: &TensorType) -> Result<TensorType, ShapeError> {
    x.with_shape(&[x.dim(0) - 1])
}

/// Stages of both halves change places before they are written and stored.
#[custom_op(shape = like_x)]
fn swaps_stages(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    if core.id() > 0 {
        return Ok(());
    }
    let half = x.len() / 2;
    let (mut first, mut second) = y.split_at(half);
    let mut a = core.tcm().stage(&mut first, ..)?;
    let mut b = core.tcm().stage(&mut second, ..)?;
    mem::swap(&mut a, &mut b);
    a.fill(2.0);
    b.fill(1.0);
    a.store()?;
    b.store()
}

/// Forgets a stage, and stages the same elements again.
#[custom_op(shape = like_x)]
fn forgets_a_stage(core: &Core, x: Input<f32>, mut y: Output<f32>) -> OpResult {
    let range = core.share(x.len(), 1).range();
    let mut forgotten = core.tcm().stage(&mut y, range.clone())?;
    forgotten.fill(1.0);
    mem::forget(forgotten);
    let mut stage = core.tcm().stage(&mut y, range)?;
    stage.fill(2.0);
    stage.store()
}

/// Every core stages all of the output, and keeps at it when it is refused.
#[custom_op(shape = like_x)]
fn stages_what_others_have(core: &Core, x: Input<f32>, mut y: Output<f32>) -> OpResult {
    for _ in 0..2 {
        if let Ok(mut stage) = core.tcm().stage(&mut y, ..x.len()) {
            stage.fill(core.id() as f32);
            stage.store()?;
        }
    }
    Ok(())
}

/// Takes two parts of the output that would overlap.
#[custom_op(shape = like_x)]
fn splits_past_the_end(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    let (first, mut second) = y.split_at(x.len() / 2);
    let (mut too_long, _) = first.split_at(x.len());
    let len = too_long.len();
    let mut a = core.tcm().stage(&mut too_long, ..len)?;
    let mut b = core.tcm().stage(&mut second, ..)?;
    a.fill(1.0);
    b.fill(2.0);
    a.store()?;
    b.store()
}

/// Stages as many elements as x has, one more than the output.
#[custom_op(shape = one_less)]
fn stages_more_than_there_is(core: &Core, x: Input<f32>, mut y: Output<f32>) -> OpResult {
    let mut stage = core.tcm().stage(&mut y, core.share(x.len(), 1).range())?;
    stage.fill(1.0);
    stage.store()
}

/// Transforms, updates and loads in any order; y = 2 x.
#[custom_op(shape = like_x, replaces = x)]
fn loads_while_it_stages(core: &Core, x: Input<f32>, mut y: Output<f32>) -> OpResult {
    let range = core.share(x.len(), 1).range();
    let mut tile = core.tcm().update(&x, &mut y, range.clone())?;
    tile.iter_mut().for_each(|y| *y = 0.0);
    let x = core.tcm().load(&x, range)?;
    tile.iter_mut().zip(&*x).for_each(|(y, x)| *y = 2.0 * x);
    drop(x);
    tile.store()
}

/// Reads scratch that it never wrote, and a stage before it writes it.
#[custom_op(shape = like_x)]
fn reads_before_it_writes(core: &Core, x: Input<f32>, mut y: Output<f32>) -> OpResult {
    let range = core.share(x.len(), 1).range();
    let scratch = core.tcm().buffer::<f32>(range.len())?;
    let mut stage = core.tcm().stage(&mut y, range)?;
    for (y, scratch) in stage.iter_mut().zip(&*scratch) {
        *y += *scratch;
    }
    stage.store()
}

op_library! {
    name: "sound_ops",
    ops: [
        swaps_stages,
        forgets_a_stage,
        stages_what_others_have,
        splits_past_the_end,
        stages_more_than_there_is,
        loads_while_it_stages,
        reads_before_it_writes,
    ],
}

fn op(name: &str) -> Op {
    OpLibrary::from_static(&OP_LIBRARY).expect("the library").op(name).expect("the op")
}

fn engine(mode: Mode) -> Engine {
    Engine::builder().cores(2).threads(1).mode(mode).tcm_bytes(1024).build().expect("an engine")
}

fn x() -> Tensor {
    Tensor::from_vec((0_u8..20).map(f32::from).collect(), &[20]).expect("as many elements as the shape")
}

fn run(mode: Mode, name: &str) -> Result<Tensor, LaunchError> {
    engine(mode).call(&op(name), &[x().view()], &[])
}

fn is_refused_in_any_mode(name: &str) {
    for mode in [Mode::Fast, Mode::Checked] {
        run(mode, name).expect_err(name);
    }
}

#[test]
fn stages_that_change_places_store_where_they_were_taken() {
    let expected: Vec<_> = (0..20).map(|i| if i < 10 { 1.0 } else { 2.0 }).collect();
    for mode in [Mode::Fast, Mode::Checked] {
        assert_eq!(run(mode, "swaps_stages").expect("a good launch").as_slice::<f32>().expect("f32"), expected);
    }
}

#[test]
fn a_stage_that_is_forgotten_is_an_error() {
    is_refused_in_any_mode("forgets_a_stage");
}

#[test]
fn two_cores_never_hold_the_same_elements() {
    is_refused_in_any_mode("stages_what_others_have");
}

#[test]
fn parts_of_an_output_never_overlap() {
    is_refused_in_any_mode("splits_past_the_end");
}

#[test]
fn a_stage_past_the_end_of_a_shorter_output_is_an_error() {
    is_refused_in_any_mode("stages_more_than_there_is");
}

#[test]
fn what_is_staged_in_place_is_not_replaced_before_it_is_stored() {
    let expected: Vec<_> = (0_u8..20).map(|i| 2.0 * f32::from(i)).collect();
    for mode in [Mode::Fast, Mode::Checked] {
        let mut state = x();
        let launch = Launch { tensors: &[], scalars: &[], outputs: vec![state.view_mut()] };
        engine(mode).launch_in_place(&op("loads_while_it_stages"), launch).expect("a good launch");
        assert_eq!(state.as_slice::<f32>().expect("f32"), expected);
        assert_eq!(
            run(mode, "loads_while_it_stages").expect("a good launch").as_slice::<f32>().expect("f32"),
            expected
        );
    }
}

#[test]
fn fast_mode_reads_zeros_where_nothing_was_written() {
    run(Mode::Checked, "reads_before_it_writes").expect_err("checked mode sees it");
    let engine = engine(Mode::Fast);
    for _ in 0..3 {
        // What the output and the pool held before does not matter.
        let (x, mut y) = (x(), x());
        let launch = Launch { tensors: &[x.view()], scalars: &[], outputs: vec![y.view_mut()] };
        engine.launch(&op("reads_before_it_writes"), launch).expect("fast mode does not see it");
        assert_eq!(y.as_slice::<f32>().expect("f32"), [0.0; 20]);
        engine.call(&op("swaps_stages"), &[x.view()], &[]).expect("leaves numbers in the pool");
    }
}
