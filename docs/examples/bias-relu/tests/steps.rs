//! All steps are the same op.

use bias_relu::OP_LIBRARY;
use gpsimd_emulator::{Engine, OpLibrary, Tensor};

#[test]
fn every_step_returns_the_same_bits() {
    let library = OpLibrary::from_static(&OP_LIBRARY).unwrap();
    let engine = Engine::builder().build().unwrap();
    let x = Tensor::from_vec((0..100 * 768).map(|i| (i % 997) as f32 - 498.0).collect(), &[100, 768]).unwrap();
    let bias = Tensor::from_vec((0..768).map(|i| (i % 11) as f32 - 5.0).collect(), &[768]).unwrap();
    let expected: Vec<f32> =
        (0..100 * 768).map(|i| ((i % 997) as f32 - 498.0 + (i % 768 % 11) as f32 - 5.0).max(0.0)).collect();
    for op in library.ops() {
        let y = engine.call(&op, &[x.view(), bias.view()], &[]).unwrap();
        assert_eq!(y.as_slice::<f32>().unwrap(), expected, "{}", op.name());
    }
}

#[test]
fn the_walk_takes_rows_of_any_length() {
    let library = OpLibrary::from_static(&OP_LIBRARY).unwrap();
    let engine = Engine::builder().build().unwrap();
    let op = |name| library.op(name).unwrap();
    // 3072 f32 are the pool.
    for columns in [0, 1, 256, 1600, 4000] {
        let x = Tensor::from_vec(vec![1.0_f32; 3 * columns], &[3, columns]).unwrap();
        let bias = Tensor::from_vec(vec![-0.5_f32; columns], &[columns]).unwrap();
        let run = |name| engine.call(&op(name), &[x.view(), bias.view()], &[]);
        assert_eq!(run("step_5_walk").unwrap().as_slice::<f32>().unwrap(), vec![0.5; 3 * columns]);
        let by_hand = run("step_4_in_place");
        assert_eq!(by_hand.is_ok(), columns <= 1536, "{columns}: {by_hand:?}");
    }
}
