//! Launches whose operands do not fit the descriptor.

use gpsimd_emulator::{
    DType, Engine, Launch, LaunchError, Mode, OperandError, Scalar, Tensor, TensorError, TensorType, TensorView,
    TensorViewMut, bf16,
};

use crate::assert_error;
use crate::fixtures::{checked_engines, engine, iota, op};

fn run(name: &str, tensors: &[&Tensor], scalars: &[Scalar]) -> LaunchError {
    let views: Vec<_> = tensors.iter().map(|tensor| tensor.view()).collect();
    let errors = [Mode::Checked, Mode::Fast].map(|mode| engine(mode, 1).call(&op(name), &views, scalars).unwrap_err());
    assert_eq!(errors[0], errors[1]);
    let [error, _] = errors;
    error
}

fn half(len: usize) -> Tensor {
    Tensor::from_vec(vec![bf16::ONE; len], &[len]).unwrap()
}

#[test]
fn a_wrong_number_of_tensors_is_an_error() {
    let error = run("copy", &[&iota(8), &iota(8)], &[]);
    assert_error!(error, LaunchError::Operands(OperandError::TensorCount { .. }), @"op `copy` takes 1 tensor, found 2");
}

#[test]
fn a_wrong_number_of_scalars_is_an_error() {
    let error = run("scale_add", &[&iota(8)], &[1.0.into()]);
    assert_error!(error, LaunchError::Operands(OperandError::ScalarCount { .. }), @"op `scale_add` takes 2 scalars, found 1");
}

#[test]
fn a_scalar_of_another_type_is_an_error() {
    let found = [(Scalar::U32(1), "a u32"), (Scalar::Bool(true), "a bool"), (Scalar::Size(1), "a size")];
    for (scalar, name) in found {
        let error = run("scale_add", &[&iota(8)], &[1.0.into(), scalar]);
        assert_eq!(error.to_string(), format!("op `scale_add`: operand `b` is an f32, found {name}"));
    }
    let error = run("scale_add", &[&iota(8)], &[1.0.into(), Scalar::I32(1)]);
    assert_error!(error, LaunchError::Operands(OperandError::ScalarType { .. }), @"op `scale_add`: operand `b` is an f32, found an i32");
    let error = run("scale_add", &[&iota(8)], &[1.0.into(), 1.0.into(), 1.0.into()]);
    assert_error!(error, LaunchError::Operands(OperandError::ScalarCount { .. }), @"op `scale_add` takes 2 scalars, found 3");
}

#[test]
fn generic_operands_of_two_dtypes_are_an_error() {
    let error = run("mixed", &[&iota(8), &half(8), &iota(8)], &[]);
    assert_error!(error, LaunchError::Operands(OperandError::MixedDTypes { .. }), @"op `mixed`: operand `bias` is bf16, but `x` is f32; they must have the same dtype");
}

#[test]
fn an_operand_of_another_dtype_than_its_own_is_an_error() {
    let error = run("mixed", &[&half(8), &half(8), &half(8)], &[]);
    assert_error!(error, LaunchError::Operands(OperandError::DType { .. }), @"op `mixed`: operand `mask` is bf16, expected f32");
}

#[test]
fn a_generic_operand_of_a_dtype_without_a_version_is_an_error() {
    let x = Tensor::from_vec(vec![1_i32; 8], &[8]).unwrap();
    let error = run("copy", &[&x], &[]);
    assert_error!(error, LaunchError::Operands(OperandError::DType { found: DType::I32, .. }), @"op `copy`: operand `x` is i32, expected f32 or bf16");
}

#[test]
fn operands_of_a_fixed_and_a_generic_dtype_may_differ() {
    let y = checked_engines()[0].call(&op("mixed"), &[half(8).view(), half(8).view(), iota(8).view()], &[]).unwrap();
    assert_eq!(y, half(8));
}

#[test]
fn more_dimensions_than_a_core_takes_are_an_error() {
    let error = TensorView::new(&[1.0_f32], &[1; 9]).unwrap_err();
    assert_error!(error, TensorError::Rank { found: 9 }, @"a tensor has at most 8 dimensions, found 9: reshape it");
}

#[test]
fn sizes_beyond_the_vendors_limits_are_an_error() {
    let ty = |shape: &[usize]| TensorType::new(DType::F32, shape).unwrap();
    for fits in [&[65535, 0, 1, 1, 1, 1, 1, 65535][..], &[0, 4_294_967_295, 1, 1], &[], &[0]] {
        assert_eq!(op("copy").shape(&[ty(fits)], &[]).unwrap(), [ty(fits)]);
    }
    for beyond in [&[65536, 1, 1, 1, 0][..], &[4_294_967_296, 0]] {
        assert!(op("copy").shape(&[ty(beyond)], &[]).is_err(), "{beyond:?}");
    }
    let error = run("copy", &[&Tensor::zeros(ty(&[65536, 1, 1, 1, 1]))], &[]);
    assert_error!(error, LaunchError::Operands(OperandError::Dims { .. }), @"op `copy`: tensor `x` of type f32[65536, 1, 1, 1, 1] is beyond the vendor's limits, at most 8 dimensions of at most 65535 or 4 of at most 4294967295: reshape it");
}

#[test]
fn an_output_of_another_type_is_an_error() {
    let (x, mut y) = (iota(8), iota(9));
    let launch = Launch { tensors: &[x.view()], scalars: &[], outputs: vec![y.view_mut()] };
    let error = checked_engines()[0].launch(&op("copy"), launch).unwrap_err();
    assert_error!(error, LaunchError::Operands(OperandError::OutputType { .. }), @"op `copy`: output `y` is f32[9], expected f32[8]");
}

/// A launch whose output starts `offset` elements after its operand, 8 elements each.
fn launch_overlapping(name: &str, offset: usize) -> Result<(), LaunchError> {
    let mut memory = vec![0.0_f32; 24];
    let ty = TensorType::new(DType::F32, &[8]).unwrap();
    let (base, step) = (memory.as_mut_ptr(), iota(8));
    // SAFETY: both are inside `memory`, and a launch that both are given to refuses when they overlap.
    let (x, y) = unsafe {
        let (x, y) = (base.add(8), base.add(offset));
        (TensorView::from_raw(x.cast_const().cast(), ty), TensorViewMut::from_raw(y.cast(), ty))
    };
    let tensors = [x, step.view()];
    let tensors = if name == "copy" { &tensors[..1] } else { &tensors };
    let engine = Engine::builder().threads(1).build().unwrap();
    engine.launch(&op(name), Launch { tensors, scalars: &[], outputs: vec![y] }).map(drop)
}

#[test]
fn an_output_that_overlaps_an_operand_is_an_error() {
    for offset in [1, 7, 8, 9, 15] {
        let error = launch_overlapping("copy", offset).unwrap_err();
        assert!(matches!(error, LaunchError::Operands(OperandError::Overlap { replaces: false, .. })), "{offset}");
    }
    insta::assert_snapshot!(launch_overlapping("copy", 15).unwrap_err(), @"op `copy`: output `y` and operand `x` share memory: give the output memory of its own");
    insta::assert_snapshot!(launch_overlapping("add", 8).unwrap_err(), @"op `add`: output `y` and operand `state` share memory: give the output memory of its own, or launch in place");
}

#[test]
fn an_output_beside_an_operand_is_no_error() {
    launch_overlapping("copy", 0).unwrap();
    launch_overlapping("copy", 16).unwrap();
}

#[test]
fn launching_in_place_what_replaces_nothing_is_an_error() {
    let mut x = iota(8);
    let launch = Launch { tensors: &[], scalars: &[], outputs: vec![x.view_mut()] };
    let error = checked_engines()[0].launch_in_place(&op("copy"), launch).unwrap_err();
    assert_error!(error, LaunchError::Operands(OperandError::NotInPlace { .. }), @"op `copy` cannot be launched in place: its output replaces no operand (see `replaces` in its descriptor)");
}

#[test]
fn giving_the_replaced_operand_twice_is_an_error() {
    let (step, mut state) = (iota(8), iota(8));
    let launch = Launch { tensors: &[step.view(), step.view()], scalars: &[], outputs: vec![state.view_mut()] };
    let error = checked_engines()[0].launch_in_place(&op("add"), launch).unwrap_err();
    assert_error!(error, LaunchError::Operands(OperandError::TensorCount { .. }), @"op `add` takes 1 tensor besides `state`, which it replaces, found 2");
}

#[test]
fn data_that_does_not_fill_its_shape_is_an_error() {
    let error = Tensor::from_vec(vec![1.0_f32; 5], &[2, 3]).unwrap_err();
    assert_error!(error.clone(), TensorError::Length { .. }, @"shape [2, 3] has 6 elements, the data has 5");
    assert_eq!(TensorView::new(&[1.0_f32; 5], &[2, 3]).unwrap_err(), error);
    assert_eq!(TensorViewMut::new(&mut [1.0_f32; 5], &[2, 3]).unwrap_err(), error);
}

#[test]
fn a_shape_too_large_for_memory_is_an_error() {
    let error = TensorType::new(DType::F32, &[usize::MAX, 2]).unwrap_err();
    assert_error!(error, TensorError::TooLarge { .. }, @"a tensor of shape [18446744073709551615, 2] does not fit in memory");
    // The product wraps to 0, and a 0 elsewhere hides the others.
    assert!(TensorType::new(DType::F32, &[1 << 32, 1 << 32]).is_err());
    assert!(TensorType::new(DType::F32, &[usize::MAX, usize::MAX, 0]).is_err());
}

#[test]
fn elements_of_another_dtype_are_an_error() {
    let error = iota(3).as_slice::<bf16>().unwrap_err();
    assert_error!(error, TensorError::DType { .. }, @"the tensor holds f32, not bf16");
}

#[test]
fn rows_of_several_types_are_an_error() {
    for mode in [Mode::Checked, Mode::Fast] {
        let (mut a, mut b, step) = (iota(8), iota(9), iota(17));
        let rows = &mut [a.view_mut(), b.view_mut()];
        let error = engine(mode, 1).launch_in_rows(&op("add"), &[step.view()], &[], rows).unwrap_err();
        let message = "op `add`: expected the rows of its output to be of one type, with at most 7 dimensions, found";
        assert_eq!(error.to_string(), format!("{message} f32[8], f32[9]"));
        let error = engine(mode, 1).launch_in_rows(&op("add"), &[step.view()], &[], &mut []).unwrap_err();
        assert_eq!(error.to_string(), format!("{message} none"));
    }
}

#[test]
fn a_row_that_shares_memory_with_an_operand_is_an_error() {
    let mut memory = vec![0.0_f32; 24];
    let start = memory.as_mut_ptr();
    let [row, step] = [&[8][..], &[2, 8]].map(|shape| TensorType::new(DType::F32, shape).unwrap());
    // SAFETY: inside the vector. The second row is the first half of the operand, which is refused before anything runs.
    let (mut rows, operand) = unsafe {
        let rows = [0, 8].map(|at| TensorViewMut::from_raw(start.add(at).cast(), row));
        (rows, TensorView::from_raw(start.add(8).cast(), step))
    };
    let error = engine(Mode::Fast, 1).launch_in_rows(&op("add"), &[operand], &[], &mut rows).unwrap_err();
    assert_error!(error, LaunchError::Operands(OperandError::Overlap { .. }), @"op `add`: output `y` and operand `step` share memory: give the output memory of its own");
}
