//! Every op on tensors small enough for Miri (`cargo xtask miri`), which interprets the `unsafe` code of `kernels` and of
//! the emulator's device table: direct access in fast mode, TCM reservations, in-place updates.

use gpsimd_emulator::{Engine, Launch, Mode, OpLibrary, Scalar, Tensor};

fn engines() -> [Engine; 2] {
    [Mode::Checked, Mode::Fast]
        .map(|mode| Engine::builder().cores(2).threads(1).tcm_bytes(1536).mode(mode).build().unwrap())
}

fn tensor(shape: &[usize], seed: usize) -> Tensor {
    let len = shape.iter().product();
    let value = |i: usize| ((i * 7 + seed * 13) % 19) as f32 * 0.25 - 2.0;
    Tensor::from_vec((0..len).map(value).collect::<Vec<f32>>(), shape).unwrap()
}

/// The op's results on `operands`, which both modes have to agree on.
fn run(op: &str, operands: &[Tensor], scalars: &[Scalar]) {
    let op = OpLibrary::from_static(&bert_ops::OP_LIBRARY).unwrap().op(op).unwrap();
    let views: Vec<_> = operands.iter().map(Tensor::view).collect();
    let [checked, fast] = engines().map(|engine| engine.call_all(&op, &views, scalars).unwrap());
    let bytes = |outputs: &[Tensor]| outputs.iter().flat_map(|output| output.bytes().to_vec()).collect::<Vec<_>>();
    assert_eq!(bytes(&checked), bytes(&fast));
}

#[test]
fn bias_gelu_runs() {
    let (x, bias) = (tensor(&[3, 5], 0), tensor(&[5], 1));
    run("bias_gelu_forward", &[x, bias], &[]);
    let (dy, x, bias) = (tensor(&[3, 5], 2), tensor(&[3, 5], 0), tensor(&[5], 1));
    run("bias_gelu_backward", &[dy, x, bias], &[]);
}

#[test]
fn rows_longer_than_the_tcm_run() {
    let (x, bias) = (tensor(&[2, 300], 0), tensor(&[300], 1));
    run("bias_gelu_forward", &[x, bias], &[]);
    let (scores, mask) = (tensor(&[1, 1, 1, 300], 0), tensor(&[1, 1, 1, 300], 1));
    run("masked_softmax_forward", &[scores, mask], &[0.5.into()]);
}

#[test]
fn masked_softmax_runs() {
    let (scores, mask) = (tensor(&[1, 2, 2, 17], 0), tensor(&[1, 1, 2, 17], 1));
    run("masked_softmax_forward", &[scores, mask], &[0.5.into()]);
    // A block of rows for each core, and rows that are left.
    let (dp, p) = (tensor(&[11, 17], 2), tensor(&[11, 17], 3));
    run("masked_softmax_backward", &[dp, p], &[0.5.into()]);
}

/// Results beside rows, folds of columns, two phases: rows that fit in TCM, of which each core has a block and others, and rows
/// that do not.
#[test]
fn layer_norm_runs() {
    for (rows, columns) in [(11, 17), (5, 150)] {
        let (x, gamma, beta) = (tensor(&[rows, columns], 0), tensor(&[columns], 1), tensor(&[columns], 2));
        run("layer_norm_forward", &[x.clone(), gamma.clone(), beta], &[1e-5.into()]);
        let (dy, mean, rstd) = (tensor(&[rows, columns], 3), tensor(&[rows], 4), tensor(&[rows], 5));
        run("layer_norm_backward", &[dy, x, gamma, mean, rstd], &[]);
    }
}

#[test]
fn cross_entropy_runs() {
    let (logits, labels) = (tensor(&[5, 33], 0), Tensor::from_vec(vec![0_i32, 32, -1, 7, 8], &[5]).unwrap());
    let scalars = [Scalar::I32(-1), 0.25.into()];
    run("cross_entropy_forward", &[logits.clone(), labels.clone()], &scalars);
    run("cross_entropy_backward", &[tensor(&[5], 1), logits, labels, tensor(&[5], 2)], &scalars);
}

#[test]
fn adamw_step_runs_in_place_and_not() {
    let scalars = [0.01, 0.9, 0.999, 1e-8, 0.01, 2.0].map(Scalar::F32);
    let state: Vec<f32> = (0..3 * 37).map(|i| i as f32 * 0.01).collect();
    let state = Tensor::from_vec(state, &[3, 37]).unwrap();
    let grad = tensor(&[37], 1);
    let op = OpLibrary::from_static(&bert_ops::OP_LIBRARY).unwrap().op("adamw_step").unwrap();
    for engine in engines() {
        let new = engine.call(&op, &[state.view(), grad.view()], &scalars).unwrap();
        let mut in_place = state.clone();
        let launch = Launch { tensors: &[grad.view()], scalars: &scalars, outputs: vec![in_place.view_mut()] };
        engine.launch_in_place(&op, launch).unwrap();
        assert_eq!(new.bytes(), in_place.bytes());
    }
}
