//! What kernels can do to the operand they replace, to parts of tensors, to buffers and to print, with kernels of this
//! file: an op library in a test, as a kernel author's `cargo test` has it.
#![allow(missing_docs, reason = "a test binary's op library is nobody's interface")]

use std::sync::{Arc, Mutex};

use gpsimd::prelude::*;
use gpsimd::print; // not std's
use gpsimd_emulator::{Engine, Launch, LaunchError, LaunchReport, Mode, OpLibrary, PrintSink, Scalar, Tensor};
use gpsimd_tests::without_lines;
use insta::assert_snapshot;

#[expect(clippy::unnecessary_wraps, reason = "the signature of a shape function")]
fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(*x)
}

/// y = 2 x, as it should be done.
#[custom_op(shape = like_x, replaces = x)]
fn doubles<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    for range in core.share(x.len(), LANES).chunks(LANES) {
        let mut tile = core.tcm().update(&x, &mut y, range)?;
        for x in tile.iter_mut() {
            *x = T::from_f32(2.0 * x.to_f32());
        }
        tile.store()?;
    }
    Ok(())
}

/// y = x, under the longest name that the vendor's tools take.
#[custom_op(shape = like_x)]
fn a_name_of_31_characters_is_fine(core: &Core, x: Input<f32>, mut y: Output<f32>) -> OpResult {
    let range = core.share(x.len(), 1).range();
    core.tcm().update(&x, &mut y, range)?.store()
}

/// Reads the first element of its share again after it has replaced it.
#[custom_op(shape = like_x, replaces = x)]
fn rereads_what_it_replaced(core: &Core, x: Input<f32>, mut y: Output<f32>) -> OpResult {
    let share = core.share(x.len(), 1).range();
    for range in [share.start..share.start + 1, share.start + 1..share.end] {
        let first = core.tcm().load(&x, share.start..=share.start)?[0];
        let mut tile = core.tcm().update(&x, &mut y, range)?;
        tile[0] += first;
        tile.store()?;
    }
    Ok(())
}

/// Reads the element before its share, which is another core's.
#[custom_op(shape = like_x, replaces = x)]
fn reads_what_another_replaces(core: &Core, x: Input<f32>, mut y: Output<f32>) -> OpResult {
    let range = core.share(x.len(), 1).range();
    let before = range.start.saturating_sub(1);
    let neighbour = core.tcm().load(&x, before..=before)?[0];
    let mut tile = core.tcm().update(&x, &mut y, range)?;
    tile[0] += neighbour;
    tile.store()
}

/// Goes on after a DMA that failed.
#[custom_op(shape = like_x)]
fn ignores_a_failed_load(core: &Core, x: Input<f32>, mut y: Output<f32>) -> OpResult {
    let range = core.share(x.len(), 1).range();
    let _ = core.tcm().load(&x, x.len()..=x.len());
    core.tcm().update(&x, &mut y, range)?.store()
}

/// Loads past the end of a part of x, where the tensor goes on.
#[custom_op(shape = like_x)]
fn overruns_a_part(core: &Core, x: Input<f32>, mut y: Output<f32>) -> OpResult {
    let first_half = x.part(..x.len() / 2);
    let range = core.share(x.len(), 1).range();
    let tile = core.tcm().load(&first_half, range.clone())?;
    let mut y = core.tcm().stage(&mut y, range)?;
    y.copy_from_slice(&tile);
    y.store()
}

/// Loads more than its buffer holds.
#[custom_op(shape = like_x)]
fn overfills_a_buffer(core: &Core, x: Input<f32>, mut y: Output<f32>) -> OpResult {
    let range = core.share(x.len(), 1).range();
    let mut buffer = core.tcm().buffer::<f32>(range.len() - 1)?;
    buffer.load(&x, range.clone())?;
    buffer.store(&mut y, range)
}

/// Makes one more DMA where TCM happens to begin with a number below 0.
#[custom_op(shape = like_x)]
fn decides_by_unwritten_tcm(core: &Core, x: Input<f32>, mut y: Output<f32>) -> OpResult {
    let range = core.share(x.len(), 1).range();
    let buffer = core.tcm().buffer::<f32>(2)?;
    if buffer.iter().any(|x| *x < 0.0) {
        core.tcm().load(&x, ..1)?;
    }
    drop(buffer);
    core.tcm().update(&x, &mut y, range)?.store()
}

/// y = x minus the sum of its row of 4 and the row's number, in place of x.
#[custom_op(shape = like_x, replaces = x)]
fn transforms<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    for range in core.share(x.len(), 4).chunks(8) {
        let mut tile = core.tcm().transform(&x, &mut y, range)?;
        for (number, row) in tile.rows(4).enumerate() {
            let sum: f32 = row.old().iter().map(|x| x.to_f32()).sum();
            row.map2(&[sum; 4], &[number; 4], |x, sum, number| T::from_f32(x.to_f32() - sum - number as f32));
        }
        tile.store()?;
    }
    Ok(())
}

/// Prints one of everything that can be printed.
#[custom_op(shape = like_x)]
fn prints(core: &Core, x: Input<f32>, factor: f32, mut y: Output<f32>) -> OpResult {
    let range = core.share(x.len(), 1).range();
    let sum: f32 = core.tcm().load(&x, range.clone())?.iter().sum();
    print!(core, "elements {} to {}: sum {sum}\n", range.start, range.end);
    if core.id() == 1 {
        let half = bf16::from_f32(0.5);
        print!(core, "{{braces}} {} {} {} {factor} {}", -3_i8, true, "text", half);
    }
    core.tcm().update(&x, &mut y, range)?.store()
}

op_library! {
    name: "test_ops",
    ops: [
        doubles,
        a_name_of_31_characters_is_fine,
        rereads_what_it_replaced,
        reads_what_another_replaces,
        ignores_a_failed_load,
        overruns_a_part,
        overfills_a_buffer,
        decides_by_unwritten_tcm,
        prints,
        transforms,
    ],
}

fn counting(len: usize) -> Tensor {
    Tensor::from_vec((0..len).map(|i| i as f32).collect(), &[len]).expect("as many elements as the shape")
}

fn op(name: &str) -> gpsimd_emulator::Op {
    OpLibrary::from_static(&OP_LIBRARY).expect("the library").op(name).expect("the op")
}

fn engine(mode: Mode) -> Engine {
    Engine::builder().threads(2).mode(mode).build().expect("an engine")
}

fn in_place(mode: Mode, name: &str, x: &mut Tensor) -> Result<LaunchReport, LaunchError> {
    engine(mode).launch_in_place(&op(name), Launch { tensors: &[], scalars: &[], outputs: vec![x.view_mut()] })
}

/// The message of a checked launch that fails.
fn message(name: &str) -> String {
    engine(Mode::Checked).call(&op(name), &[counting(80).view()], &[]).expect_err("the launch fails").to_string()
}

#[test]
fn an_update_gives_the_same_in_place_and_apart_in_either_mode() {
    let doubled = Tensor::from_vec((0..80).map(|i| 2.0 * i as f32).collect(), &[80]).expect("a tensor");
    for mode in [Mode::Checked, Mode::Fast] {
        assert_eq!(engine(mode).call(&op("doubles"), &[counting(80).view()], &[]), Ok(doubled.clone()), "{mode:?}");
        let mut x = counting(80);
        in_place(mode, "doubles", &mut x).expect("a good launch");
        assert_eq!(x, doubled, "{mode:?}");
    }
}

#[test]
fn a_transform_gives_the_same_in_place_and_apart_in_either_mode() {
    // Rows of 4 from 4 row on, in tiles of 2 rows; 20 rows are 3 or 2 for each core.
    let numbers = [0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 1, 0, 1, 0, 1];
    let expected = |i: usize| {
        let (row, x) = (i / 4, i as f32);
        x - (16 * row + 6) as f32 - numbers[row] as f32
    };
    let expected = Tensor::from_vec((0..80).map(expected).collect(), &[80]).expect("a tensor");
    for mode in [Mode::Checked, Mode::Fast] {
        assert_eq!(engine(mode).call(&op("transforms"), &[counting(80).view()], &[]), Ok(expected.clone()), "{mode:?}");
        let mut x = counting(80);
        in_place(mode, "transforms", &mut x).expect("a good launch");
        assert_eq!(x, expected, "{mode:?}");
    }
}

#[test]
fn a_name_of_31_characters_runs() {
    let y = engine(Mode::Checked).call(&op("a_name_of_31_characters_is_fine"), &[counting(80).view()], &[]);
    assert_eq!(y, Ok(counting(80)));
}

#[test]
fn the_place_of_an_overfilled_buffer_is_the_load() {
    let message = message("overfills_a_buffer");
    let line = message.split(".rs:").nth(1).and_then(|rest| rest.split(':').next()).and_then(|line| line.parse().ok());
    let line: usize = line.expect("a line number");
    let source = include_str!("programming_model.rs").lines().nth(line - 1).expect("a line of this file");
    assert_eq!(source.trim(), "buffer.load(&x, range.clone())?;");
}

#[test]
fn reading_an_operand_after_replacing_it_is_an_error() {
    assert_snapshot!(without_lines(
        in_place(Mode::Checked, "rereads_what_it_replaced", &mut counting(80)).expect_err("")
    ));
}

#[test]
fn reading_what_another_core_replaces_is_an_error() {
    let error = in_place(Mode::Checked, "reads_what_another_replaces", &mut counting(80)).expect_err("");
    assert_snapshot!(without_lines(error));
}

#[test]
fn misuse_of_a_replaced_operand_is_an_error_even_where_the_launch_is_not_in_place() {
    for name in ["rereads_what_it_replaced", "reads_what_another_replaces"] {
        let apart = message(name);
        let error = in_place(Mode::Checked, name, &mut counting(80)).expect_err(name);
        assert_eq!(apart, error.to_string());
    }
}

/// With the addresses of the tensors and, as an op package, without.
#[test]
fn misuse_of_a_replaced_operand_is_an_error_in_fast_mode_too() {
    for name in ["rereads_what_it_replaced", "reads_what_another_replaces"] {
        let expected = in_place(Mode::Checked, name, &mut counting(80)).expect_err(name);
        for copies_tiles in [false, true] {
            let fast = Engine::builder().threads(2).mode(Mode::Fast).direct(!copies_tiles).build().expect("an engine");
            let mut x = counting(80);
            let launch = Launch { tensors: &[], scalars: &[], outputs: vec![x.view_mut()] };
            let error = fast.launch_in_place(&op(name), launch).expect_err(name);
            assert_eq!(error.to_string(), expected.to_string());
        }
    }
}

#[test]
fn after_a_checked_launch_that_failed_the_operand_is_what_it_was() {
    let mut x = counting(80);
    in_place(Mode::Checked, "reads_what_another_replaces", &mut x).expect_err("a bad launch");
    assert_eq!(x, counting(80));
}

#[test]
fn a_kernel_that_ignores_a_failed_dma_fails() {
    assert_snapshot!(without_lines(message("ignores_a_failed_load")));
}

#[test]
fn a_load_past_the_end_of_a_part_is_an_error() {
    assert_snapshot!(without_lines(message("overruns_a_part")));
}

#[test]
fn a_load_longer_than_its_buffer_is_an_error() {
    assert_snapshot!(without_lines(message("overfills_a_buffer")));
}

#[test]
fn a_decision_by_tcm_that_was_never_written_is_an_error() {
    assert_snapshot!(without_lines(message("decides_by_unwritten_tcm")));
}

#[test]
fn an_output_that_overlaps_an_operand_is_refused() {
    let mut memory = vec![0.0_f32; 24];
    let ty = counting(16).ty();
    let base = memory.as_mut_ptr();
    for (name, offset) in [("prints", 8), ("doubles", 8), ("doubles", 0)] {
        // SAFETY: both ranges are inside `memory`, which nothing else reaches meanwhile; that they overlap is what the
        // launch refuses before anything runs.
        let (x, y) = unsafe {
            (
                gpsimd_emulator::TensorView::from_raw(base.cast_const().cast(), ty),
                gpsimd_emulator::TensorViewMut::from_raw(base.add(offset).cast(), ty),
            )
        };
        let scalars: &[Scalar] = if name == "prints" { &[1.0.into()] } else { &[] };
        let launch = Launch { tensors: &[x], scalars, outputs: vec![y] };
        let error = engine(Mode::Checked).launch(&op(name), launch).expect_err("an overlap");
        assert_snapshot!(format!("overlap_{name}_{offset}"), error);
    }
}

#[test]
fn printed_lines_carry_op_and_core_in_order_of_the_cores() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = {
        let lines = Arc::clone(&lines);
        PrintSink::Function(Arc::new(move |line: &str| lines.lock().expect("not poisoned").push(line.to_owned())))
    };
    let engine = Engine::builder().threads(4).mode(Mode::Fast).print(sink).build().expect("an engine");
    engine.call(&op("prints"), &[counting(20).view()], &[0.1.into()]).expect("a good launch");
    assert_snapshot!(lines.lock().expect("not poisoned").join("\n"));
}

#[test]
fn a_checked_launch_prints_once() {
    let count = Arc::new(Mutex::new(0));
    let sink = {
        let count = Arc::clone(&count);
        PrintSink::Function(Arc::new(move |_: &str| *count.lock().expect("not poisoned") += 1))
    };
    let engine = Engine::builder().threads(2).print(sink).build().expect("an engine");
    engine.call(&op("prints"), &[counting(20).view()], &[0.1.into()]).expect("a good launch");
    assert_eq!(*count.lock().expect("not poisoned"), 8 + 1);
}
