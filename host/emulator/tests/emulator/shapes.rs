//! Shape functions.

use gpsimd_emulator::{DType, OperandError, TensorType};

use crate::assert_error;
use crate::fixtures::op;

fn ty(shape: &[usize]) -> TensorType {
    TensorType::new(DType::Bf16, shape).unwrap()
}

/// What `picky` says to an operand whose first size is `code`.
fn picky(code: usize) -> Result<TensorType, OperandError> {
    let mut types = op("picky").shape(&[ty(&[code]), ty(&[5])], &[])?;
    assert_eq!(types.len(), 1);
    Ok(types.remove(0))
}

#[test]
fn a_shape_function_returns_the_type_of_the_output() {
    assert_eq!(picky(0), Ok(ty(&[0])));
    assert_eq!(ty(&[2, 3]).to_string(), "bf16[2, 3]");
}

#[test]
fn operands_that_do_not_fit_the_descriptor_never_reach_the_shape_function() {
    let error = op("picky").shape(&[ty(&[0])], &[]).unwrap_err();
    assert_error!(error, OperandError::TensorCount { .. }, @"op `picky` takes 2 tensors, found 1");
}

#[test]
fn a_wrong_rank_is_an_error_that_names_the_operand() {
    assert_error!(picky(1).unwrap_err(), OperandError::Rank { expected: 7, found: 5, .. }, @"op `picky`: operand `bias` has 5 dimensions, expected 7");
}

#[test]
fn a_wrong_size_is_an_error_that_names_operand_and_dimension() {
    assert_error!(picky(2).unwrap_err(), OperandError::Dim { dim: 0, expected: 7, found: 5, .. }, @"op `picky`: operand `bias` has 5 elements in dimension 0, expected 7");
}

#[test]
fn too_few_dimensions_are_an_error() {
    assert_error!(picky(3).unwrap_err(), OperandError::MinRank { expected: 7, found: 5, .. }, @"op `picky`: operand `bias` has 5 dimensions, expected at least 7");
}

#[test]
fn a_size_that_does_not_broadcast_is_an_error() {
    assert_error!(picky(4).unwrap_err(), OperandError::Broadcast { dim: 0, expected: 7, found: 5, .. }, @"op `picky`: operand `bias` has 5 elements in dimension 0, expected 1 or 7");
}

#[test]
fn a_shape_function_may_refuse_in_its_own_words() {
    assert_error!(picky(5).unwrap_err(), OperandError::Refused { .. }, @"op `picky`: heads do not divide the hidden size");
}

#[test]
fn an_unknown_shape_error_is_an_error_of_the_library() {
    assert_error!(picky(13).unwrap_err(), OperandError::ShapeBroken { .. }, @"op `picky`: its shape function is broken, it returned an error of unknown code 13");
}

#[test]
fn a_shape_error_about_no_operand_is_an_error_of_the_library() {
    assert_error!(picky(7).unwrap_err(), OperandError::ShapeBroken { .. }, @"op `picky`: its shape function is broken, it returned an error about operand number 12");
}

#[test]
fn an_unknown_status_of_a_shape_function_is_an_error_of_the_library() {
    assert_error!(picky(8).unwrap_err(), OperandError::ShapeBroken { .. }, @"op `picky`: its shape function is broken, it returned status 3");
}

#[test]
fn an_output_of_unknown_dtype_is_an_error_of_the_library() {
    assert_error!(picky(9).unwrap_err(), OperandError::ShapeBroken { .. }, @"op `picky`: its shape function is broken, it returned dtype 77 and rank 1 with sizes [9]");
}

#[test]
fn an_output_of_impossible_rank_is_an_error_of_the_library() {
    assert_error!(picky(10).unwrap_err(), OperandError::ShapeBroken { .. }, @"op `picky`: its shape function is broken, it returned dtype 2 and rank 9 with sizes [10, 0, 0, 0, 0, 0, 0, 0]");
}

#[test]
fn an_output_beyond_the_vendors_limits_is_an_error() {
    assert_error!(picky(11).unwrap_err(), OperandError::Dims { .. }, @"op `picky`: tensor `y` of type bf16[70000, 0, 0, 0, 0] is beyond the vendor's limits, at most 8 dimensions of at most 65535 or 4 of at most 4294967295: reshape it");
}

#[test]
fn an_output_too_large_for_memory_is_an_error_of_the_library() {
    assert_error!(picky(12).unwrap_err(), OperandError::ShapeBroken { .. }, @"op `picky`: its shape function is broken, it returned dtype 2 and rank 1 with sizes [18446744073709551615]");
}
