//! Sizes at the edge: no elements, and TCM pools at the edge of what a kernel needs.

use gpsimd_emulator::{Engine, Launch, Mode, OpLibrary, Scalar, Tensor, TensorView};

fn zeros(shape: &[usize]) -> Tensor {
    Tensor::from_vec(vec![0.0_f32; shape.iter().product()], shape).expect("as many zeros as the shape has")
}

/// An op, its operands and scalars, and the lines of 64 bytes of TCM that are enough for it.
type LaunchOf = (&'static str, Vec<Tensor>, Vec<Scalar>, usize);

/// One of every op, with `rows` rows of `len` elements.
fn launches(rows: usize, len: usize) -> Vec<LaunchOf> {
    let (x, weight, of_rows) = (|| zeros(&[rows, len]), || zeros(&[len]), || zeros(&[rows]));
    let scores = || zeros(&[1, 1, rows, len]);
    let labels = || Tensor::from_vec(vec![0_i32; rows], &[rows]).expect("one for each row");
    let floats = |scalars: &[f32]| scalars.iter().copied().map(Scalar::F32).collect::<Vec<_>>();
    let of_loss = || vec![Scalar::I32(if len == 0 { 0 } else { -1 }), Scalar::F32(0.5)];
    let state = vec![zeros(&[3, rows * len]), zeros(&[rows * len])];
    vec![
        ("bias_gelu_forward", vec![x(), weight()], vec![], 10),
        ("bias_gelu_backward", vec![x(), x(), weight()], vec![], 10),
        ("masked_softmax_forward", vec![scores(), scores()], floats(&[1.0]), 10),
        ("masked_softmax_backward", vec![x(), x()], floats(&[1.0]), 10),
        // A line of each tensor, and 4 of every number that a row has.
        ("layer_norm_forward", vec![x(), weight(), weight()], floats(&[1e-5]), 11),
        ("layer_norm_backward", vec![x(), x(), weight(), of_rows(), of_rows()], vec![], 12),
        ("cross_entropy_forward", vec![x(), labels()], of_loss(), 17),
        ("cross_entropy_backward", vec![of_rows(), x(), labels(), of_rows()], of_loss(), 13),
        ("adamw_step", state, floats(&[0.1, 0.9, 0.99, 1e-8, 0.0, 1.0]), 10),
    ]
}

fn run(engine: &Engine, (name, operands, scalars, _): &LaunchOf) -> Result<Vec<Tensor>, String> {
    let op = OpLibrary::from_static(&bert_ops::OP_LIBRARY).expect("the library").op(name).expect("the op");
    let views: Vec<TensorView<'_>> = operands.iter().map(Tensor::view).collect();
    engine.call_all(&op, &views, scalars).map_err(|error| error.to_string())
}

#[test]
fn tensors_of_no_elements_are_fine() {
    for mode in [Mode::Checked, Mode::Fast] {
        let engine = Engine::builder().threads(1).mode(mode).build().expect("an engine");
        for (rows, len) in [(0, 5), (5, 0), (0, 0)] {
            for launch in launches(rows, len) {
                let outputs = run(&engine, &launch).unwrap_or_else(|error| panic!("{rows} x {len}, {mode:?}: {error}"));
                // Some have an element for every row, or for every column.
                assert!(outputs.iter().all(|output| output.ty().len() <= 5), "{}", launch.0);
            }
        }
    }
}

/// Either the result, or an error that says the pool is too small: never a panic or a wrong answer.
#[test]
fn a_pool_of_any_size_gives_the_result_or_says_that_it_is_too_small() {
    let engine = |tcm_bytes| Engine::builder().threads(1).tcm_bytes(tcm_bytes).build().expect("an engine");
    for launch in launches(3, 50) {
        let expected = run(&engine(16 * 1024), &launch).expect("16 KiB are enough");
        for lines in 4..=20 {
            match run(&engine(64 * lines), &launch) {
                Ok(result) => assert_eq!(result, expected, "{} with {lines} lines of TCM", launch.0),
                Err(error) => {
                    assert!(error.contains("the TCM pool is exhausted"), "{lines} lines of TCM: {error}");
                    assert!(lines < launch.3, "{} runs in {} lines of TCM: {error}", launch.0, launch.3);
                }
            }
        }
    }
}

/// Results do not depend on how work is shared, time does: with as many rows as there are cores and more, none is idle, and
/// none has twice what another has.
#[test]
fn every_core_has_its_part_of_the_work() {
    let engine = Engine::builder().threads(1).build().expect("an engine");
    for (name, operands, scalars, _) in launches(256, 50) {
        let op = OpLibrary::from_static(&bert_ops::OP_LIBRARY).expect("the library").op(name).expect("the op");
        let views: Vec<TensorView<'_>> = operands.iter().map(Tensor::view).collect();
        let bound = op.bind(&views, &scalars).expect("good operands");
        let mut outputs: Vec<Tensor> = bound.output_types().iter().map(|ty| Tensor::zeros(*ty)).collect();
        let outputs = outputs.iter_mut().map(Tensor::view_mut).collect();
        let report = engine.launch(&op, Launch { tensors: &views, scalars: &scalars, outputs }).expect("a good launch");
        let bytes: Vec<_> = report.cores.iter().map(|core| core.store_bytes).collect();
        let (least, most) = (bytes.iter().min(), bytes.iter().max());
        assert!(least > Some(&0) && most < least.map(|least| 2 * least).as_ref(), "{name}: {bytes:?}");
    }
}
