//! An op library of ops from several crates (`tests/ops/composed-ops`), beside the op libraries that they come from.

use gpsimd_emulator::{Engine, OpLibrary, Tensor, TensorView};
use gpsimd_tests::library;

/// Where it says its ops come from, they have the same bits.
#[test]
fn ops_of_other_crates_are_the_ops_that_these_have() {
    let composed = library(&composed_ops::OP_LIBRARY);
    let names: Vec<_> = composed.ops().map(|op| op.name().to_owned()).collect();
    assert_eq!(names, ["bias_gelu_forward", "bias_gelu_backward", "relu", "squares", "triple"]);
    assert_eq!(composed.name(), "composed_ops");

    let x = Tensor::from_vec((0..120_u8).map(|i| f32::from(i) / 16.0 - 4.0).collect(), &[8, 15]).expect("120 elements");
    let bias = Tensor::from_vec(vec![0.25_f32; 15], &[15]).expect("15 elements");
    let engine = Engine::builder().threads(1).build().expect("an engine");
    let call = |library: &OpLibrary, op: &str, views: &[TensorView<'_>]| {
        engine.call_all(&library.op(op).expect("the op"), views, &[]).unwrap_or_else(|error| panic!("{op}: {error}"))
    };
    let native = |table| OpLibrary::from_static(table).unwrap_or_else(|error| panic!("{error}"));
    let (gelu, relu) = ([x.view(), bias.view()], [x.view()]);
    let of = [
        (native(&bert_ops::OP_LIBRARY), "bias_gelu_forward", &gelu[..]),
        (native(&element_ops::OP_LIBRARY), "relu", &relu[..]),
        (native(&output_ops::OP_LIBRARY), "squares", &relu[..]),
    ];
    for (library, op, views) in of {
        assert_eq!(call(&composed, op, views), call(&library, op, views), "{op}");
        assert_eq!(composed.op(op).expect("the op").descriptor(), library.op(op).expect("the op").descriptor());
    }
    let triple: Vec<f32> = x.as_slice::<f32>().expect("f32").iter().map(|x| 3.0 * x).collect();
    assert_eq!(call(&composed, "triple", &relu), [Tensor::from_vec(triple, &[8, 15]).expect("120 elements")]);
}
