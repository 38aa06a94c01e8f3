//! All steps are the same op.

use bias_relu::OP_LIBRARY;
use gpsimd_emulator::{Engine, OpLibrary, Tensor};

#[test]
fn every_step_gives_the_same_bits() {
    let library = OpLibrary::from_static(&OP_LIBRARY).unwrap();
    let engine = Engine::builder().build().unwrap();
    let x = Tensor::from_vec((0..100 * 768).map(|i| (i % 997) as f32 - 498.0).collect(), &[100, 768]).unwrap();
    let bias = Tensor::from_vec((0..768).map(|i| (i % 11) as f32 - 5.0).collect(), &[768]).unwrap();
    let expected: Vec<f32> =
        (0..100 * 768).map(|i| ((i % 997) as f32 - 498.0 + (i % 768 % 11) as f32 - 5.0).max(0.0)).collect();
    for op in library.ops() {
        let y = engine.run(&op, &[x.view(), bias.view()], &[]).unwrap();
        assert_eq!(y.as_slice::<f32>().unwrap(), expected, "{}", op.name());
    }
}
