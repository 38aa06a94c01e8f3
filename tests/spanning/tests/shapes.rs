//! Which shapes and dtypes the ops take, and what they say of others.

use gpsimd_emulator::{DType, TensorType};

fn ty(dtype: DType, shape: &[usize]) -> TensorType {
    TensorType::new(dtype, shape).expect("at most 8 dimensions")
}

fn f32s<const N: usize>(shapes: [&[usize]; N]) -> [TensorType; N] {
    shapes.map(|shape| ty(DType::F32, shape))
}

/// The output's type, or the message.
fn shape(op: &str, operands: &[TensorType]) -> String {
    let library = gpsimd_tests::library(&bert_ops::OP_LIBRARY);
    match library.op(op).expect("the op").shape(operands, &[]) {
        Ok(types) => types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        Err(error) => error.to_string(),
    }
}

#[track_caller]
fn assert_shape<const N: usize>(op: &str, operands: [&[usize]; N], expected: &str) {
    assert_eq!(shape(op, &f32s(operands)), expected);
}

#[test]
fn the_output_of_gelu_is_like_x() {
    assert_shape("bias_gelu_forward", [&[2, 3, 5], &[5]], "f32[2, 3, 5]");
    assert_shape("bias_gelu_forward", [&[5], &[5]], "f32[5]");
    assert_shape("bias_gelu_backward", [&[2, 5], &[2, 5], &[5]], "f32[2, 5]");
    let bf16 = [ty(DType::Bf16, &[2, 5]), ty(DType::Bf16, &[5])];
    assert_eq!(shape("bias_gelu_forward", &bf16), "bf16[2, 5]");
}

#[test]
fn gelu_says_what_does_not_fit() {
    insta::assert_snapshot!(
        [
            shape("bias_gelu_forward", &f32s([&[], &[1]])),
            shape("bias_gelu_forward", &f32s([&[2, 5], &[1, 5]])),
            shape("bias_gelu_forward", &f32s([&[2, 5], &[2]])),
            shape("bias_gelu_forward", &f32s([&[2, 5], &[1]])),
            shape("bias_gelu_forward", &f32s([&[2, 5]])),
            shape("bias_gelu_forward", &[ty(DType::F32, &[2, 5]), ty(DType::Bf16, &[5])]),
            shape("bias_gelu_backward", &f32s([&[2, 1], &[2, 5], &[5]])),
            shape("bias_gelu_backward", &f32s([&[5], &[2, 5], &[5]])),
            shape("bias_gelu_backward", &f32s([&[2, 5], &[2, 5], &[4]])),
        ]
        .join("\n")
    );
}

#[test]
fn the_output_of_softmax_is_like_its_scores_whatever_the_mask_broadcasts() {
    for mask in [[2, 3, 4, 5], [1, 3, 4, 5], [2, 1, 4, 5], [2, 3, 1, 5], [1, 1, 1, 5]] {
        assert_shape("masked_softmax_forward", [&[2, 3, 4, 5], &mask], "f32[2, 3, 4, 5]");
    }
    assert_shape("masked_softmax_backward", [&[5], &[5]], "f32[5]");
    assert_shape("masked_softmax_backward", [&[2, 3, 4, 5], &[2, 3, 4, 5]], "f32[2, 3, 4, 5]");
}

#[test]
fn softmax_says_what_does_not_fit() {
    insta::assert_snapshot!(
        [
            shape("masked_softmax_forward", &f32s([&[3, 4, 5], &[1, 1, 1, 5]])),
            shape("masked_softmax_forward", &f32s([&[2, 3, 4, 5], &[2, 5]])),
            shape("masked_softmax_forward", &f32s([&[2, 3, 4, 5], &[2, 3, 4, 1]])),
            shape("masked_softmax_forward", &f32s([&[2, 3, 4, 5], &[3, 3, 4, 5]])),
            shape("masked_softmax_forward", &f32s([&[2, 3, 4, 5], &[2, 2, 4, 5]])),
            shape("masked_softmax_forward", &f32s([&[2, 3, 4, 5], &[2, 3, 3, 5]])),
            shape("masked_softmax_backward", &f32s([&[], &[]])),
            shape("masked_softmax_backward", &f32s([&[2, 5], &[5]])),
            shape("masked_softmax_backward", &f32s([&[2, 1], &[2, 5]])),
        ]
        .join("\n")
    );
}

#[test]
fn the_output_of_adamw_is_like_its_state_whatever_the_dtype_of_the_gradient() {
    for dtype in [DType::F32, DType::Bf16] {
        assert_eq!(shape("adamw_step", &[ty(DType::F32, &[3, 7]), ty(dtype, &[7])]), "f32[3, 7]");
    }
}

#[test]
fn adamw_says_what_does_not_fit() {
    insta::assert_snapshot!(
        [
            shape("adamw_step", &f32s([&[21], &[7]])),
            shape("adamw_step", &f32s([&[2, 7], &[7]])),
            shape("adamw_step", &f32s([&[3, 7], &[1, 7]])),
            shape("adamw_step", &f32s([&[3, 7], &[8]])),
            shape("adamw_step", &[ty(DType::Bf16, &[3, 7]), ty(DType::F32, &[7])]),
        ]
        .join("\n")
    );
}
