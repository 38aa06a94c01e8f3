//! Several outputs on a core: packed in one tensor, they have the bits that the kernels in Rust write in each.

use std::path::{Path, PathBuf};

use gpsimd_codegen::Image;
use gpsimd_codegen::host_build::{Compiler, CppBuild, Optimisation, PackageBuild, build_cpp, build_package};
use gpsimd_descriptor::packing::Packing;
use gpsimd_emulator::{Element, Engine, Mode, Op, OpLibrary, Scalar, Tensor, bf16};

use crate::images::{PACKED_OPS, for_the_device, package};

/// `packed-ops`, in Rust and its package built twice.
struct Libraries {
    /// Compiled for this CPU.
    native: OpLibrary,
    /// For the emulator, which has a tensor for each output.
    emulated: OpLibrary,
    /// For the device: ops that return one tensor, as if written by hand.
    device: OpLibrary,
}

impl Libraries {
    fn build(test: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("packed-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let package = package(PACKED_OPS).unwrap();
        let written = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            [path]
        };
        let kernels = written("packed_ops.cpp", &package.kernels);
        let device_kernels = written("for_the_device.cpp", &for_the_device(&package.kernels));
        let shapes = written("packed_ops_shape.cpp", &package.shapes);
        let compiler = Compiler::find().unwrap();
        let (emulated, device) = (folder.join("libemulated.so"), folder.join("libdevice.so"));
        let build = PackageBuild {
            descriptor: &Image::read(PACKED_OPS).unwrap().descriptor,
            compute_sources: &kernels,
            shape_sources: &shapes,
            include_folders: &[],
            is_multicore: true,
            optimisation: Optimisation::Speed,
            native_cpu: false,
            output: &emulated,
        };
        build_package(&build, &compiler).unwrap_or_else(|error| panic!("{error}"));
        let build = CppBuild {
            name: None,
            compute_sources: &device_kernels,
            shape_sources: &shapes,
            include_folders: &[],
            flags: &[],
            torch: None,
            is_multicore: true,
            optimisation: Optimisation::Size,
        };
        build_cpp(&build, &device, &compiler).unwrap_or_else(|error| panic!("{error}"));
        let load = |path: PathBuf| OpLibrary::load(path).unwrap_or_else(|error| panic!("{error}"));
        let native = OpLibrary::from_static(&packed_ops::OP_LIBRARY).unwrap_or_else(|error| panic!("{error}"));
        let libraries = Self { native, emulated: load(emulated), device: load(device) };
        std::fs::remove_dir_all(folder).unwrap();
        libraries
    }

    /// Launches an op in all three, checked; asserts that the outputs are the same and the packed tensor holds them, and
    /// returns them.
    fn outputs(&self, op: &str, tensors: &[&Tensor], scalars: &[Scalar]) -> Vec<Tensor> {
        let engine = Engine::builder().mode(Mode::Checked).build().unwrap();
        let call = |library: &OpLibrary, tensors: &[&Tensor], scalars: &[Scalar]| {
            let views: Vec<_> = tensors.iter().map(|tensor| tensor.view()).collect();
            let op: Op = library.op(op).unwrap();
            engine.call_all(&op, &views, scalars).unwrap_or_else(|error| panic!("{error}"))
        };
        let outputs = call(&self.native, tensors, scalars);
        for (output, emulated) in outputs.iter().zip(call(&self.emulated, tensors, scalars)) {
            assert_eq!((output.ty(), output.bytes()), (emulated.ty(), emulated.bytes()));
        }
        let types: Vec<_> = outputs.iter().map(|output| (output.ty().dtype(), output.ty().len() as u64)).collect();
        let packing = Packing::of(&types);

        let sizes = scalars.iter().filter_map(|scalar| match scalar {
            Scalar::Size(size) => Some(tensor(vec![0_u8; *size])),
            _ => None,
        });
        let bits: Vec<_> = scalars.iter().copied().filter_map(Scalar::bits).collect();
        let params = (!bits.is_empty()).then(|| tensor(bits));
        let passed: Vec<_> = sizes.chain(params).collect();
        let tensors: Vec<_> = tensors.iter().copied().chain(&passed).collect();
        let packed = call(&self.device, &tensors, &[]).pop().unwrap();
        assert_eq!((packed.ty().dtype(), packed.ty().shape()), (packing.dtype, &[packing.len as usize][..]));
        for (output, start) in outputs.iter().zip(packing.starts) {
            let start = start as usize * packing.dtype.bytes();
            assert_eq!(output.bytes(), &packed.bytes()[start..][..output.bytes().len()]);
        }
        outputs
    }
}

fn tensor<T: Element>(data: Vec<T>) -> Tensor {
    let len = data.len();
    Tensor::from_vec(data, &[len]).unwrap()
}

fn take<T: Element>(libraries: &Libraries, of: impl Fn(f32) -> T) {
    let x: Vec<f32> = (0..1000).map(|i| (i % 7) as f32 - 3.0).collect();
    let passed = tensor(x.iter().copied().map(&of).collect());
    for (k, keep) in [(0, false), (1, true), (16, false), (777, false), (992, true), (1000, true)] {
        // Bits that are no f32 of the same value.
        let (first, step) = (-16_777_217, 4_294_967_295_u32);
        let scalars = [Scalar::Size(k), 0.5_f32.into(), keep.into(), first.into(), step.into()];
        let outputs = libraries.outputs("take", &[&passed], &scalars);
        let values = x[..k].iter().map(|x| of(if *x < 0.5 && !keep { 0.0 } else { *x }));
        assert_eq!(outputs[0].bytes(), tensor(values.collect()).bytes());
        let places: Vec<_> = (0..k as i32).map(|i| first - i).collect();
        assert_eq!(outputs[1].as_slice::<i32>().unwrap(), places);
    }
}

#[test]
fn outputs_of_different_dtypes_with_a_size_and_every_type_of_scalar() {
    let libraries = Libraries::build("take");
    take(&libraries, |x| x);
    take(&libraries, bf16::from_f32);
}

#[test]
fn outputs_of_one_dtype() {
    let libraries = Libraries::build("both");
    for len in [0, 1, 96, 1000] {
        let x: Vec<_> = (0..len).map(|i| i as f32).collect();
        let outputs = libraries.outputs("both", &[&tensor(x.clone())], &[]);
        let (negated, doubled): (Vec<_>, Vec<_>) = x.iter().map(|x| (-x, 2.0 * x)).unzip();
        assert_eq!(outputs[0].as_slice::<f32>().unwrap(), negated);
        assert_eq!(outputs[1].as_slice::<f32>().unwrap(), doubled);
        libraries.outputs("both", &[&tensor(x.into_iter().map(bf16::from_f32).collect())], &[]);
    }
}

fn split<T: Element>(libraries: &Libraries, x: Vec<T>, of: impl Fn(T) -> f32, rows: usize, columns: usize) {
    let outputs = libraries.outputs("split", &[&Tensor::from_vec(x.clone(), &[rows, columns]).unwrap()], &[]);
    let x: Vec<_> = x.into_iter().map(of).collect();
    let signs: Vec<_> = x.iter().map(|x| u8::from(*x < 0.0)).collect();
    assert_eq!(outputs[1].as_slice::<u8>().unwrap(), signs);
    let sums: Vec<f32> = x.chunks(columns).map(|row| row.iter().sum()).collect();
    assert_eq!(outputs[2].as_slice::<f32>().unwrap(), sums);
}

#[test]
fn outputs_of_different_widths() {
    let libraries = Libraries::build("split");
    for (rows, columns) in [(1, 1), (3, 5), (16, 64), (33, 31)] {
        // Whole numbers, whose sums are exact in any order.
        let x: Vec<_> = (0..rows * columns).map(|i| (i % 9) as f32 - 4.0).collect();
        split(&libraries, x.clone(), |x| x, rows, columns);
        split(&libraries, x.iter().copied().map(bf16::from_f32).collect(), bf16::to_f32, rows, columns);
    }
}

#[test]
fn what_the_shape_function_refuses() {
    let libraries = Libraries::build("refused");
    let (x, k) = (tensor(vec![0.0_f32; 3]), tensor(vec![0_u8; 4]));
    let params = tensor(vec![0; 4]);
    let engine = Engine::builder().mode(Mode::Checked).build().unwrap();
    let scalars = [Scalar::Size(4), 0.5_f32.into(), true.into(), 0.into(), 0_u32.into()];
    let emulated = engine.call_all(&libraries.emulated.op("take").unwrap(), &[x.view()], &scalars).unwrap_err();
    insta::assert_snapshot!(emulated, @"op `take`: `x` has fewer than `k` elements");
    let take = libraries.device.op("take").unwrap();
    let device = engine.call(&take, &[x.view(), k.view(), params.view()], &[]).unwrap_err();
    insta::assert_snapshot!(device, @"op `take`: `x` has fewer than `k` elements");
    let matrix = Tensor::from_vec(vec![0_u8; 4], &[2, 2]).unwrap();
    let rank = engine.call(&take, &[x.view(), matrix.view(), params.view()], &[]).unwrap_err();
    insta::assert_snapshot!(rank, @"op `take`: size `k` is the length of a tensor with 2 dimensions, expected 1");
}
