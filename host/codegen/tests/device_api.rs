//! C++ ops written for the vendor's API run on the emulator, and their mistakes are its errors.

use std::path::{Path, PathBuf};

use gpsimd_codegen::host_build::{Compiler, CppBuild, Optimisation, build_cpp};
use gpsimd_emulator::{Engine, OpLibrary, Tensor};

#[test]
fn relu() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/device_api");
    let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join("librelu.so");
    build_cpp(
        &CppBuild {
            name: None,
            compute_sources: &[folder.join("relu.cpp")],
            shape_source: &folder.join("relu_shape.cpp"),
            include_folders: &[],
            torch: None,
            is_multicore: false,
            optimisation: Optimisation::Speed,
            output: &output,
        },
        &Compiler::find().unwrap(),
    )
    .unwrap_or_else(|error| panic!("{error}"));
    let library = OpLibrary::load(&output).unwrap();
    let engine = Engine::builder().build().unwrap();
    let x = Tensor::from_vec((0..3000).map(|i| i as f32 - 1500.0).collect(), &[3000]).unwrap();
    for op in library.ops() {
        let y = engine.run(&op, &[x.view()], &[]).unwrap_or_else(|error| panic!("{error}"));
        assert!(y.as_slice::<f32>().unwrap().iter().zip(x.as_slice::<f32>().unwrap()).all(|(y, x)| *y == x.max(0.0)));
    }
    let _: Option<PathBuf> = None;
}
