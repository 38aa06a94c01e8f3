//! Ops that take numbers besides tensors.

use gpsimd_emulator::gpsimd_descriptor::{OperandKind, ScalarType};
use gpsimd_emulator::{LaunchError, Mode, Op, Scalar, Tensor};

use crate::fixtures::{NUMBERS, NUMBERS_MULTICORE, build_and_load, cpp_build, engine, source, torch};

fn tensor(data: &[f32]) -> Tensor {
    Tensor::from_vec(data.to_vec(), &[data.len()]).unwrap()
}

fn run(op: &Op, tensors: &[&Tensor], numbers: &[f32]) -> Result<Vec<f32>, LaunchError> {
    let views: Vec<_> = tensors.iter().map(|tensor| tensor.view()).collect();
    let numbers: Vec<_> = numbers.iter().copied().map(Scalar::from).collect();
    let fast = engine(Mode::Fast).call(op, &views, &numbers);
    let checked = engine(Mode::Checked).call(op, &views, &numbers)?;
    assert_eq!(checked.bytes(), fast.unwrap().bytes());
    Ok(checked.as_slice::<f32>().unwrap().to_vec())
}

fn is_affine(op: &Op) {
    let x: Vec<_> = (0..1001).map(|i| i as f32).collect();
    let expected: Vec<_> = x.iter().map(|x| 0.5 * x - 3.0).collect();
    assert_eq!(run(op, &[&tensor(&x)], &[0.5, -3.0]).unwrap(), expected);
}

#[test]
fn double_and_scalar_on_all_cores() {
    is_affine(&NUMBERS_MULTICORE.op("affine"));
}

#[test]
fn the_descriptor_says_which_operands_are_numbers() {
    let op = NUMBERS.op("mixed");
    let operands = &op.descriptor().operands;
    let scalars: Vec<_> = operands.iter().map(|operand| operand.kind == OperandKind::Scalar(ScalarType::F32)).collect();
    assert_eq!(scalars, [true, false, true, false, true, true, true]);
    assert_eq!(operands[4].name, "arg4");
}

#[test]
fn numbers_stand_anywhere_and_tensors_come_by_every_reference() {
    let (x, y) = (tensor(&[7.0]), tensor(&[8.0]));
    let result = run(&NUMBERS.op("mixed"), &[&x, &y], &[-16_777_216.0, 2.5, 1.0, 3.0, 1e10]).unwrap();
    assert_eq!(result, [-16_777_216.0, 7.0, 2.5, 8.0, -1.0, 3.0, 1e10]);
}

#[test]
fn what_an_integer_cannot_be_is_refused() {
    let (x, y) = (tensor(&[7.0]), tensor(&[8.0]));
    let error = |k, n| run(&NUMBERS.op("mixed"), &[&x, &y], &[k, 2.5, 1.0, n, 0.0]).unwrap_err();
    insta::assert_snapshot!(error(2.5, 3.0), @"op `mixed`, core 0: `arg0` is 2.5: the op takes an integer of 64 bits there");
    insta::assert_snapshot!(error(2.0, 2_147_483_648.0), @"op `mixed`, core 0: `arg5` is 2.14748e+09: the op takes an integer of 32 bits there");
    insta::assert_snapshot!(error(f32::NAN, 3.0), @"op `mixed`, core 0: `arg0` is nan: the op takes an integer of 64 bits there");
}

#[test]
fn an_operand_by_reference_is_not_written() {
    let error = run(&NUMBERS.op("overwrite"), &[&tensor(&[1.0])], &[2.0]).unwrap_err();
    insta::assert_snapshot!(error, @"op `overwrite`, core 0, at numbers.cpp:31: store to elements 0..1 of operand `arg0`: a kernel may write only its output, `output`");
}

#[test]
fn a_shape_that_depends_on_a_number_is_refused() {
    let error = run(&NUMBERS.op("sized"), &[&tensor(&[1.0])], &[1.0]).unwrap_err();
    insta::assert_snapshot!(error, @"op `sized`: the shape function goes by the value of a number, which the emulator does not tell it: take a size as that of a tensor, `t.size(0)`");
}

#[test]
fn with_shape_functions_compiled_against_libtorch() {
    let Some(torch) = torch() else {
        eprintln!("skipped: no PyTorch in $GPSIMD_TORCH or .venv");
        return;
    };
    let (compute, shape) = ([source("numbers.cpp")], [source("numbers_shape.cpp")]);
    let mut build = cpp_build(&compute, &shape);
    build.torch = Some(torch);
    build.is_multicore = true;
    let library = build_and_load(&build, "numbers_libtorch").unwrap_or_else(|error| panic!("{error}"));
    is_affine(&library.op("affine").unwrap());
    let error = run(&library.op("sized").unwrap(), &[&tensor(&[1.0])], &[1.0]).unwrap_err();
    assert!(error.to_string().contains("goes by the value of a number"), "{error}");
}
