//! The ops of the BERT trainer at sizes around those of TCM: rows of nothing, of one element, that just fit, that do not.
//! `bias_gelu_forward` is the kernel of the README.

use gpsimd::math;
use gpsimd_emulator::{Engine, Mode, Op, Scalar, Tensor, TensorView, bf16};
use gpsimd_tests::{cases, digest, library};

/// Elements of a row. 1536 are BERT-small's, 3072 BERT-base's, 4096 BERT-large's; 3072 f32 are the default pool.
const COLUMNS: [usize; 10] = [0, 1, 15, 64, 1536, 2048, 3072, 4096, 12_000, 70_000];
const ROWS: [usize; 5] = [0, 1, 7, 8, 100];

fn op(name: &str) -> Op {
    library(&bert_ops::OP_LIBRARY).op(name).expect("the op")
}

/// As few as the tier has time for.
fn sizes() -> impl Iterator<Item = (usize, usize)> {
    let most = if cases(100) < 100 { 20_000 } else { usize::MAX };
    COLUMNS
        .into_iter()
        .flat_map(|columns| ROWS.map(|rows| (rows, columns)))
        .filter(move |(rows, columns)| rows * columns <= most)
}

/// Numbers from -4 to 4 that bf16 has.
fn numbers(shape: &[usize], seed: usize) -> Vec<f32> {
    (0..shape.iter().product()).map(|i: usize| ((i * 37 + i / 251 + seed * 11) % 129) as f32 / 16.0 - 4.0).collect()
}

fn tensor(shape: &[usize], seed: usize) -> Tensor {
    Tensor::from_vec(numbers(shape, seed), shape).expect("as many numbers as the shape has")
}

fn rounded(tensor: &Tensor) -> Tensor {
    let elements = tensor.as_slice::<f32>().expect("f32").iter().map(|x| bf16::from_f32(*x)).collect();
    Tensor::from_vec::<bf16>(elements, tensor.ty().shape()).expect("the same shape")
}

fn run(mode: Mode, name: &str, operands: &[Tensor], scalars: &[Scalar]) -> Tensor {
    let views: Vec<TensorView<'_>> = operands.iter().map(Tensor::view).collect();
    let engine = Engine::builder().mode(mode).build().expect("an engine");
    engine.call(&op(name), &views, scalars).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn the_kernel_of_the_readme_is_the_formula_at_every_size() {
    for (rows, columns) in sizes() {
        let (x, bias) = (tensor(&[rows, columns], 1), tensor(&[columns], 2));
        let biases = bias.as_slice::<f32>().expect("f32");
        let formula = |(i, x): (usize, &f32)| math::gelu(x + biases[i % columns]);
        let y: Vec<f32> = x.as_slice::<f32>().expect("f32").iter().enumerate().map(formula).collect();
        let y = Tensor::from_vec(y, &[rows, columns]).expect("a tensor");
        for mode in [Mode::Checked, Mode::Fast] {
            let found = run(mode, "bias_gelu_forward", &[x.clone(), bias.clone()], &[]);
            assert_eq!(digest(&found), digest(&y), "{rows} x {columns}, f32, {mode:?}");
            let found = run(mode, "bias_gelu_forward", &[rounded(&x), rounded(&bias)], &[]);
            assert_eq!(digest(&found), digest(&rounded(&y)), "{rows} x {columns}, bf16, {mode:?}");
        }
    }
}

#[test]
fn rows_that_do_not_fit_have_the_bits_of_those_that_do() {
    // All of a core's TCM, and one that holds no row.
    let pools = [64 * 1024, 16 * 1024];
    for (rows, columns) in sizes().filter(|(rows, _)| *rows <= 8) {
        let scores = tensor(&[1, 1, rows, columns], 3);
        let mask = tensor(&[1, 1, 1, columns], 4);
        let p = tensor(&[rows, columns], 5);
        for (name, operands) in [
            ("masked_softmax_forward", [scores.clone(), mask.clone()]),
            ("masked_softmax_backward", [tensor(&[rows, columns], 6), p.clone()]),
        ] {
            let views: Vec<TensorView<'_>> = operands.iter().map(Tensor::view).collect();
            let results = pools.map(|bytes| {
                [1, 8].map(|cores| {
                    let engine = Engine::builder().mode(Mode::Fast).tcm_bytes(bytes).cores(cores).build();
                    let result = engine.expect("an engine").call(&op(name), &views, &[0.5.into()]);
                    digest(&result.unwrap_or_else(|error| panic!("{name}: {error}")))
                })
            });
            assert_eq!(results[0], results[1], "{name}: {rows} x {columns}");
            assert_eq!(results[0][0], results[0][1], "{name}: {rows} x {columns}");
        }
    }
}
