//! Rows at indices and at strides on tensors small enough for Miri (`cargo xtask miri`): in fast mode they are slices of the
//! tensors themselves.

use gpsimd_emulator::{Engine, Launch, Mode, Op, OpLibrary, Tensor};

fn engines() -> [Engine; 2] {
    [Mode::Checked, Mode::Fast]
        .map(|mode| Engine::builder().cores(2).threads(1).tcm_bytes(1024).mode(mode).build().unwrap())
}

fn op(name: &str) -> Op {
    OpLibrary::from_static(&index_dma_ops::OP_LIBRARY).unwrap().op(name).unwrap()
}

fn tensor(shape: &[usize]) -> Tensor {
    let len = shape.iter().product();
    Tensor::from_vec((0..len).map(|i: usize| (i % 19) as f32 * 0.25 - 2.0).collect(), shape).unwrap()
}

fn indices(values: &[i32], shape: &[usize]) -> Tensor {
    Tensor::from_vec(values.to_vec(), shape).unwrap()
}

/// The op's result, which both modes have to agree on.
fn run(name: &str, operands: &[Tensor]) -> Tensor {
    let views: Vec<_> = operands.iter().map(Tensor::view).collect();
    let [checked, fast] = engines().map(|engine| engine.call(&op(name), &views, &[]).unwrap());
    assert_eq!(checked.bytes(), fast.bytes());
    fast
}

#[test]
fn gathers_run() {
    let ids = indices(&[3, 0, 0, 4, 2, 1], &[2, 3]);
    run("gather_rows", &[tensor(&[5, 7]), ids.clone()]);
    run("embed", &[tensor(&[5, 300]), ids.clone(), tensor(&[3, 300]), indices(&[2, 0, 1], &[3])]);
    run("bag", &[tensor(&[5, 7]), ids]);
}

#[test]
fn strided_tiles_run() {
    run("gate", &[tensor(&[3, 10])]);
    run("crop", &[tensor(&[1, 2, 4, 5])]);
    run("transpose", &[tensor(&[3, 9])]);
    run("max_pool", &[indices(&(0..40).collect::<Vec<_>>(), &[1, 2, 4, 5])]);
}

#[test]
fn scatters_run_in_place_and_not() {
    run("permute_rows", &[tensor(&[3, 7]), indices(&[2, 0, 1], &[3])]);
    let (base, x, to) = (tensor(&[5, 7]), tensor(&[2, 7]), indices(&[4, 1], &[2]));
    let expected = run("set_rows", &[base.clone(), x.clone(), to.clone()]);
    for engine in engines() {
        let mut in_place = base.clone();
        let launch = Launch { tensors: &[x.view(), to.view()], scalars: &[], outputs: vec![in_place.view_mut()] };
        engine.launch_in_place(&op("set_rows"), launch).unwrap();
        assert_eq!(in_place.bytes(), expected.bytes());
    }
}

#[test]
fn an_index_out_of_range_reaches_nothing() {
    for index in [5, -1, i32::MAX, i32::MIN] {
        let (table, ids) = (tensor(&[5, 7]), indices(&[0, index], &[1, 2]));
        for name in ["gather_rows", "bag"] {
            for engine in engines() {
                engine.call(&op(name), &[table.view(), ids.view()], &[]).unwrap_err();
            }
        }
    }
}
