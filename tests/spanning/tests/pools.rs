//! Which TCM pool a kernel has: that of its library on the device, unless the engine is told another.
#![allow(missing_docs, reason = "a test binary's op library is nobody's interface")]

use gpsimd::prelude::*;
use gpsimd_emulator::gpsimd_abi as abi;
use gpsimd_emulator::gpsimd_descriptor::limits::TCM_POOL_BYTES;
use gpsimd_emulator::{Engine, EngineBuilder, LoadError, Mode, OpLibrary, Tensor};

#[expect(clippy::unnecessary_wraps, reason = "the signature of a shape function")]
fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(*x)
}

/// What is left of the pool at the start, in every element.
#[custom_op(shape = like_x)]
pub fn left<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    let left = core.tcm().left();
    let range = core.share(x.len(), 1).range();
    let mut stage = core.tcm().stage(&mut y, range)?;
    stage.fill(T::from_f32(left as f32));
    stage.store()
}

op_library! {
    name: "pools",
    ops: [left],
    tcm: 4096,
}

/// The library as if it had been built with another descriptor.
fn with_descriptor(edit: impl FnOnce(String) -> String) -> Result<OpLibrary, LoadError> {
    // SAFETY: the text of a static library.
    let json = String::from_utf8(unsafe { OP_LIBRARY.descriptor.bytes() }.to_vec()).expect("text");
    let json = Box::leak(edit(json).into_boxed_str());
    let library = abi::LibraryTable { descriptor: abi::Text::new(json), ..*Box::leak(Box::new(copy(&OP_LIBRARY))) };
    OpLibrary::from_static(Box::leak(Box::new(library)))
}

const fn copy(library: &abi::LibraryTable) -> abi::LibraryTable {
    let abi::LibraryTable { magic, abi_version, op_count, descriptor, cpu_features, ops } = *library;
    abi::LibraryTable { magic, abi_version, op_count, descriptor, cpu_features, ops }
}

fn with_pool(text: &str) -> Result<OpLibrary, LoadError> {
    with_descriptor(|json| {
        assert!(json.contains("\"tcm_bytes\":4096,"), "{json}");
        json.replace("\"tcm_bytes\":4096,", text)
    })
}

fn left_in(engine: &Engine, library: &OpLibrary) -> f32 {
    let x = Tensor::from_vec(vec![0.0_f32; 80], &[80]).expect("80 elements");
    let y =
        engine.call(&library.op("left").expect("the op"), &[x.view()], &[]).unwrap_or_else(|error| panic!("{error}"));
    let y = y.as_slice::<f32>().expect("f32");
    assert!(y.iter().all(|value| *value == y[0]), "{y:?}");
    y[0]
}

fn builders() -> impl Iterator<Item = EngineBuilder> {
    let modes = [Mode::Checked, Mode::Fast];
    modes.into_iter().flat_map(|mode| [1, 4].map(|threads| Engine::builder().mode(mode).threads(threads)))
}

#[test]
fn a_library_has_the_pool_of_its_image_unless_told_otherwise() {
    let library = OpLibrary::from_static(&OP_LIBRARY).expect("the library");
    assert_eq!(library.descriptor().tcm_bytes, 4096);
    for builder in builders() {
        assert_eq!(left_in(&builder.build().expect("an engine"), &library), 4096.0);
    }
}

#[test]
fn an_engine_may_give_more_or_less() {
    let library = OpLibrary::from_static(&OP_LIBRARY).expect("the library");
    for builder in builders() {
        for bytes in [64 * 1024, 16 * 1024, 512] {
            let engine = builder.clone().tcm_bytes(bytes).build().expect("an engine");
            assert_eq!(left_in(&engine, &library), bytes as f32);
        }
    }
}

#[test]
fn libraries_of_different_pools_take_turns_on_one_engine() {
    let libraries = [("\"tcm_bytes\":12288,", 12288.0), ("\"tcm_bytes\":64,", 64.0), ("", TCM_POOL_BYTES as f32)]
        .map(|(text, bytes)| (with_pool(text).expect("a library"), bytes));
    for builder in builders() {
        let engine = builder.build().expect("an engine");
        for _ in 0..3 {
            for (library, bytes) in &libraries {
                assert_eq!(left_in(&engine, library), *bytes);
            }
        }
    }
}

#[test]
fn a_descriptor_of_an_impossible_pool_is_refused() {
    for bytes in ["0", "32", "100", "16448", "65536"] {
        let error = with_pool(&format!("\"tcm_bytes\":{bytes},")).expect_err("refused");
        let expected = format!("{bytes} bytes of TCM, expected a multiple of 64 up to 16384");
        assert!(error.to_string().contains(&expected), "{error}");
    }
    assert!(with_pool("\"tcm_bytes\":-1,").is_err() && with_pool("\"tcm_bytes\":\"64\",").is_err());
}
