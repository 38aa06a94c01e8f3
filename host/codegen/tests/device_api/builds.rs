//! What does not build, and why; generated packages.

use std::path::{Path, PathBuf};
use std::process::Command;

use gpsimd_codegen::host_build::{
    Compiler, HostBuildError, Optimisation, PackageBuild, TorchFolder, build_cpp, build_package, write_headers,
};
use gpsimd_emulator::gpsimd_descriptor::{
    ElementType, LibraryDescriptor, OpDescriptor, OperandDescriptor, OperandKind, OutputDescriptor, ScalarType,
    TypeParameter,
};
use gpsimd_emulator::{DType, Mode, OpLibrary, Tensor};

use crate::fixtures::{cpp_build, engine, output, source};

/// A source of one test, in a folder of its own.
fn written(name: &str, text: &str) -> PathBuf {
    let folder = output(name).with_extension("sources");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{name}.cpp"));
    std::fs::write(&path, text).unwrap();
    path
}

fn error(name: &str, kernel: &str, shape: &str) -> HostBuildError {
    let kernel = [written(name, kernel)];
    let shape = [written(&format!("{name}_shape"), shape)];
    let compiler = Compiler::find().unwrap();
    let error = build_cpp(&cpp_build(&kernel, &shape), &output(name), &compiler).unwrap_err();
    for source in [&kernel[0], &shape[0]] {
        std::fs::remove_dir_all(source.parent().unwrap()).unwrap();
    }
    error
}

const KERNEL: &str = "#include <torch/torch.h>\ntorch::Tensor op(const torch::Tensor &x) { return x; }\n";

fn registering(body: &str) -> String {
    format!(
        "#include <torch/torch.h>\n#include \"torchneuron/register.h\"\n\
         torch::Tensor op_shape(torch::Tensor x) {{ return x; }}\nNEURON_LIBRARY(lib, m) {{ {body} }}\n"
    )
}

#[test]
fn a_source_that_does_not_compile() {
    let error = error("syntax", KERNEL, "torch::Tensor oops");
    let HostBuildError::Compile { file, message, command } = error else { panic!("{error}") };
    assert!(file.ends_with("syntax_shape.cpp"));
    assert!(message.starts_with("syntax_shape.cpp:1:"), "{message}");
    assert!(command.contains("-std=c++14"), "{command}");
}

#[test]
fn writing_through_the_accessor_of_a_const_tensor_does_not_compile() {
    let kernel = "#include <torch/torch.h>\n\
        torch::Tensor op(const torch::Tensor &x) { x.tcm_accessor().tcm_to_tensor((float *)nullptr, 0, 1); return x; }";
    let error = error("const", kernel, &registering("m.def(\"op\", &op_shape, \"op\");"));
    assert!(error.to_string().contains("the tensor is const"), "{error}");
}

#[test]
fn a_kernel_function_that_is_missing() {
    let error = error("missing", KERNEL, &registering("m.def(\"op\", &op_shape, \"other\");"));
    insta::assert_snapshot!(error, @"op `op`: no source defines `torch::Tensor other(...)` in the global namespace (`static` functions are not seen)");
}

#[test]
fn a_kernel_function_that_takes_something_else() {
    let error = error(
        "arity",
        KERNEL,
        &registering("m.def(\"op\", &two, \"op\");")
            .replace("NEURON", "torch::Tensor two(torch::Tensor x, double) { return x; }\nNEURON"),
    );
    insta::assert_snapshot!(error, @"op `op`: `op(const torch::Tensor &)` does not take what its shape function takes: a tensor, a number");
}

#[test]
fn a_kernel_function_that_takes_what_the_vendor_does_not() {
    let kernel = "#include <torch/torch.h>\n#include <vector>\n\
        torch::Tensor op(const std::vector<torch::Tensor> &x) { return x[0]; }\n";
    let error = error("vector", kernel, &registering("m.def(\"op\", &op_shape, \"op\");")).to_string();
    assert!(error.starts_with("op `op`: `op` takes `std::") && error.contains("vector<"), "{error}");
}

#[test]
fn a_shape_function_that_takes_what_the_vendor_does_not() {
    let shape = registering("m.def(\"op\", &of_many, \"op\");").replace(
        "NEURON",
        "torch::Tensor of_many(const int64_t *x) { return torch::empty({*x}, torch::kInt); }\nNEURON",
    );
    let error = error("pointer", KERNEL, &shape);
    assert!(error.to_string().contains("operands are torch::Tensor (or a reference to one), double"), "{error}");
}

#[test]
fn a_shape_source_without_registration() {
    let error = error("unregistered", KERNEL, "#include <torch/torch.h>\n");
    assert!(error.to_string().ends_with("no NEURON_LIBRARY with ops (include torchneuron/register.h)"), "{error}");
}

#[test]
fn a_library_without_ops() {
    let error = error("empty", KERNEL, &registering("static_cast<void>(m);"));
    assert!(error.to_string().ends_with("no NEURON_LIBRARY with ops (include torchneuron/register.h)"), "{error}");
}

#[test]
fn more_ops_than_the_vendor_takes() {
    let ops = (0..11).map(|i| format!("m.def(\"op{i}\", &op_shape, \"op\");")).collect::<Vec<_>>().concat();
    insta::assert_snapshot!(error("many", KERNEL, &registering(&ops)), @"library `lib`: it has 11 ops, the vendor's limit is 10");
}

#[test]
fn two_ops_of_one_name() {
    let error =
        error("twice", KERNEL, &registering("m.def(\"op\", &op_shape, \"op\"); m.def(\"op\", &op_shape, \"op\");"));
    insta::assert_snapshot!(error, @"library `lib`: op name `op` is taken twice");
}

#[test]
fn the_name_of_no_function() {
    let error = error("name", KERNEL, &registering("m.def(\"op\", &op_shape, \"a::b\");"));
    assert!(
        error.to_string().ends_with("op `op`: `a::b` is not the name of a function in the global namespace"),
        "{error}"
    );
}

#[test]
fn a_folder_without_pytorch() {
    let error = TorchFolder::new("somewhere/torch").unwrap_err();
    insta::assert_snapshot!(error, @r#"somewhere/torch is no `torch` folder of an installed PyTorch: include/torch/csrc/api/include/torch/torch.h is missing. It is where `python -c "import torch; print(torch.__path__[0])"` says"#);
}

fn scaled_add() -> LibraryDescriptor {
    let tensor =
        |name: &str| OperandDescriptor { name: name.into(), kind: OperandKind::Tensor(ElementType::Parameter(0)) };
    LibraryDescriptor {
        name: "generated".into(),
        version: "1.0".into(),
        tcm_bytes: 16384,
        ops: vec![OpDescriptor {
            name: "scaled_add".into(),
            doc: "x + a y: \"quoted\", \\ and ü.".into(),
            types: vec![TypeParameter { name: "T".into(), dtypes: vec![DType::F32, DType::Bf16] }],
            operands: vec![
                tensor("x"),
                tensor("y"),
                OperandDescriptor { name: "a".into(), kind: OperandKind::Scalar(ScalarType::F32) },
            ],
            outputs: vec![OutputDescriptor {
                name: "z".into(),
                element: ElementType::Parameter(0),
                replaces: None,
                returned: None,
            }],
            then: None,
            gradients: Vec::new(),
            reference: None,
            file: "src/lib.rs".into(),
        }],
    }
}

fn build_generated(native_cpu: bool, optimisation: Optimisation) -> OpLibrary {
    let output = output("generated");
    let package = PackageBuild {
        descriptor: &scaled_add(),
        compute_sources: &[source("generated.cpp")],
        shape_sources: &[source("generated_shape.cpp")],
        include_folders: &[],
        is_multicore: true,
        optimisation,
        native_cpu,
        output: &output,
    };
    build_package(&package, &Compiler::find().unwrap()).unwrap_or_else(|error| panic!("{error}"));
    let library = OpLibrary::load(&output).unwrap();
    std::fs::remove_file(output).unwrap();
    library
}

#[test]
fn a_generated_package_takes_scalars_as_params() {
    for (native_cpu, optimisation) in [(false, Optimisation::Size), (true, Optimisation::Speed)] {
        let library = build_generated(native_cpu, optimisation);
        assert_eq!(*library.descriptor(), scaled_add());
        let x = Tensor::from_vec((0..1000).map(|i| i as f32).collect(), &[10, 100]).unwrap();
        let op = library.op("scaled_add").unwrap();
        let z = engine(Mode::Checked).call(&op, &[x.view(), x.view()], &[0.5_f32.into()]).unwrap();
        assert!(z.as_slice::<f32>().unwrap().iter().enumerate().all(|(i, z)| *z == i as f32 * 1.5));
        let y = Tensor::from_vec(vec![0.0_f32; 3], &[3]).unwrap();
        let error = engine(Mode::Checked).call(&op, &[x.view(), y.view()], &[0.5_f32.into()]).unwrap_err();
        insta::allow_duplicates! { insta::assert_snapshot!(error, @"op `scaled_add`: operand `y` has the shape [3], expected [10, 100]"); }
    }
}

/// The headers, with every warning an error, by every compiler that is installed.
#[test]
fn the_headers_compile_without_a_warning() {
    let folder = output("headers").with_extension("include");
    write_headers(&folder).unwrap();
    let compilers =
        ["clang++", "g++"].into_iter().filter(|compiler| Command::new(compiler).arg("--version").output().is_ok());
    for compiler in compilers {
        for level in ["-Os", "-O3"] {
            for name in ["every_call.cpp", "generated.cpp", "generated_shape.cpp"] {
                let output = Command::new(compiler)
                    .args(["-std=c++14", "-Wall", "-Wextra", "-Werror", "-fno-exceptions", "-fno-rtti", level, "-fPIC"])
                    .args(["-ffp-contract=off", "-fvisibility=hidden", "-c", "-o", "/dev/null", "-I"])
                    .args([&folder, &source(name)])
                    .output()
                    .unwrap();
                assert!(output.status.success(), "{compiler} {level}: {}", String::from_utf8_lossy(&output.stderr));
            }
        }
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn every_header_is_part_of_the_crate() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("include");
    let mut found = Vec::new();
    for room in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap()) {
        for file in std::fs::read_dir(room.path()).unwrap().map(|entry| entry.unwrap().file_name()) {
            found.push(format!("{}/{}", room.file_name().display(), file.display()));
        }
    }
    found.push("gpsimd_abi.h".into());
    found.sort();
    let mut known: Vec<_> = gpsimd_codegen::host_build::HEADERS.iter().map(|(path, _)| (*path).to_owned()).collect();
    known.sort();
    assert_eq!(found, known);
}
