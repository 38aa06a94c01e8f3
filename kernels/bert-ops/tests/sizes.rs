//! Sizes at the edge: no elements, and TCM pools at the edge of what a kernel needs.

use gpsimd_emulator::{Engine, Mode, OpLibrary, Scalar, Tensor, TensorView};

fn zeros(shape: &[usize]) -> Tensor {
    Tensor::from_vec(vec![0.0_f32; shape.iter().product()], shape).expect("as many zeros as the shape has")
}

/// Operands of every op, and its scalars, with `rows` rows of `len` elements.
fn launches(rows: usize, len: usize) -> [(&'static str, Vec<Tensor>, &'static [f32]); 5] {
    let x = || zeros(&[rows, len]);
    let scores = || zeros(&[1, 1, rows, len]);
    [
        ("bias_gelu_forward", vec![x(), zeros(&[len])], &[]),
        ("bias_gelu_backward", vec![x(), x(), zeros(&[len])], &[]),
        ("masked_softmax_forward", vec![scores(), scores()], &[1.0]),
        ("masked_softmax_backward", vec![x(), x()], &[1.0]),
        ("adamw_step", vec![zeros(&[3, rows * len]), zeros(&[rows * len])], &[0.1, 0.9, 0.99, 1e-8, 0.0, 1.0]),
    ]
}

fn run(engine: &Engine, (name, operands, scalars): &(&str, Vec<Tensor>, &[f32])) -> Result<Tensor, String> {
    let op = OpLibrary::from_static(&bert_ops::OP_LIBRARY).expect("the library").op(name).expect("the op");
    let views: Vec<TensorView<'_>> = operands.iter().map(Tensor::view).collect();
    let scalars: Vec<Scalar> = scalars.iter().copied().map(Into::into).collect();
    engine.call(&op, &views, &scalars).map_err(|error| error.to_string())
}

#[test]
fn tensors_of_no_elements_are_fine() {
    for mode in [Mode::Checked, Mode::Fast] {
        let engine = Engine::builder().threads(1).mode(mode).build().expect("an engine");
        for (rows, len) in [(0, 5), (5, 0), (0, 0)] {
            for launch in launches(rows, len) {
                let output = run(&engine, &launch).unwrap_or_else(|error| panic!("{rows} x {len}, {mode:?}: {error}"));
                assert_eq!(output.ty().len(), 0, "{}", launch.0);
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
                    assert!(lines < 10, "{} runs in 640 bytes of TCM: {error}", launch.0);
                }
            }
        }
    }
}
