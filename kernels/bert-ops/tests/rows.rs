//! AdamW on a parameter and moments that lie apart, as PyTorch keeps them: the bits are those of one tensor.

use gpsimd_emulator::{Engine, Launch, Mode, OpLibrary, Scalar, Tensor};

const SCALARS: [f32; 6] = [1e-2, 0.9, 0.99, 1e-8, 0.1, 3.0];

fn numbers(len: usize, seed: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * 37 + seed * 101) % 1000) as f32 / 500.0).collect()
}

fn tensor(data: Vec<f32>, shape: &[usize]) -> Tensor {
    Tensor::from_vec(data, shape).expect("as many numbers as the shape has")
}

#[test]
fn rows_that_lie_apart_get_the_bits_of_one_tensor() {
    let op = OpLibrary::from_static(&bert_ops::OP_LIBRARY).expect("the library").op("adamw_step").expect("the op");
    let builder = Engine::builder().threads(2);
    let fast = builder.clone().mode(Mode::Fast);
    let engines = [builder, fast.clone(), fast.clone().direct(false), fast.cores(1).tcm_bytes(65536)];
    let engines = engines.map(|builder| builder.build().expect("an engine"));
    for len in [0, 1, 15, 64, 3001, 50_000] {
        let grad = tensor(numbers(len, 4), &[len]);
        let mut whole = tensor((1..4).flat_map(|seed| numbers(len, seed)).collect(), &[3, len]);
        let scalars = SCALARS.map(Scalar::from);
        let launch = Launch { tensors: &[grad.view()], scalars: &scalars, outputs: vec![whole.view_mut()] };
        engines[0].launch_in_place(&op, launch).expect("in one piece");
        for (number, engine) in engines.iter().enumerate() {
            let mut rows = [1, 2, 3].map(|seed| tensor(numbers(len, seed), &[len]));
            let mut views = rows.each_mut().map(Tensor::view_mut);
            engine.launch_in_rows(&op, &[grad.view()], &scalars, &mut views).expect("in rows");
            assert_eq!(rows.each_ref().map(Tensor::bytes).concat(), whole.bytes(), "{len} elements, engine {number}");
        }
    }
}
