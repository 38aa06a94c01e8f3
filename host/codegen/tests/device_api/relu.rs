//! The vendor's tutorial op in its three forms.

use gpsimd_emulator::{Mode, Op, Tensor};

use crate::fixtures::{RELU, RELU_MULTICORE, build_and_load, cpp_build, engine, source, torch};

fn is_relu(op: &Op, len: usize) {
    let x: Vec<_> = (0..len).map(|i| (i as f32 - len as f32 / 3.0) * 0.5).collect();
    let expected: Vec<_> = x.iter().map(|x| x.max(0.0)).collect();
    let x = Tensor::from_vec(x, &[len]).unwrap();
    for mode in [Mode::Checked, Mode::Fast] {
        let y = engine(mode).call(op, &[x.view()], &[]).unwrap_or_else(|error| panic!("{len} elements: {error}"));
        assert_eq!(y.as_slice::<f32>().unwrap(), expected, "{len} elements, {mode:?}");
    }
}

#[test]
fn through_element_accessors_on_one_core() {
    for len in [0, 1, 80, 1000] {
        is_relu(&RELU.op("relu_elements"), len);
    }
}

#[test]
fn through_tcm_on_one_core() {
    for len in [0, 1, 1023, 1024, 1025, 5000] {
        is_relu(&RELU.op("relu_tcm"), len);
    }
}

#[test]
fn through_tcm_on_all_cores() {
    for len in [0, 1, 7, 8, 9, 1023, 8191, 8192, 8193, 10_007] {
        is_relu(&RELU_MULTICORE.op("relu"), len);
    }
}

#[test]
fn one_core_alone_runs_an_op_of_a_library_for_one() {
    let x = Tensor::from_vec(vec![1.0_f32; 3000], &[3000]).unwrap();
    let mut y = Tensor::zeros(x.ty());
    let launch = gpsimd_emulator::Launch { tensors: &[x.view()], scalars: &[], outputs: vec![y.view_mut()] };
    let report = engine(Mode::Checked).launch(&RELU.op("relu_tcm"), launch).unwrap();
    let loads: Vec<_> = report.cores.iter().map(|core| core.loads).collect();
    assert_eq!(loads, [3, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn a_refusal_of_the_shape_function_names_the_op_once() {
    let scalar = Tensor::from_vec(vec![1.0_f32], &[]).unwrap();
    let error = engine(Mode::Checked).call(&RELU_MULTICORE.op("relu"), &[scalar.view()], &[]).unwrap_err();
    insta::assert_snapshot!(error, @"op `relu`: the operand has 0 dimensions, expected at least 1");
}

#[test]
fn with_shape_functions_compiled_against_libtorch() {
    let Some(torch) = torch() else {
        eprintln!("skipped: no PyTorch in $GPSIMD_TORCH or .venv");
        return;
    };
    let (compute, shape) = ([source("relu_multicore.cpp")], [source("relu_multicore_shape.cpp")]);
    let mut build = cpp_build(&compute, &shape);
    build.torch = Some(torch);
    build.is_multicore = true;
    let library = build_and_load(&build, "relu_libtorch").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(library.name(), "relu_multicore");
    is_relu(&library.op("relu").unwrap(), 1000);
    let scalar = Tensor::from_vec(vec![1.0_f32], &[]).unwrap();
    let error = engine(Mode::Checked).call(&library.op("relu").unwrap(), &[scalar.view()], &[]).unwrap_err();
    insta::assert_snapshot!(error, @"op `relu`: the operand has 0 dimensions, expected at least 1");
}
