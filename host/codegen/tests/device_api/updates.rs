//! A library is built again when anything that it is made of changed, and only then; flags and headers of the author's.

use std::path::{Path, PathBuf};

use gpsimd_codegen::host_build::{Compiler, CppBuild, CppLibrary, HostBuildError, build_cpp, update_cpp};
use gpsimd_emulator::{Mode, OpLibrary, Tensor};

use crate::fixtures::{cpp_build, engine, output};

/// Sources in a folder of their own, which is gone afterwards.
struct Sources {
    folder: PathBuf,
    kernels: [PathBuf; 2],
    shapes: [PathBuf; 2],
}

impl Sources {
    /// Two kernels, with a header in another folder whose name has a space, and two shape sources.
    fn new(name: &str) -> Self {
        let folder = output(name).with_extension("my sources");
        let at = |name: &str| folder.join(name);
        std::fs::create_dir_all(at("my headers")).unwrap();
        let sources = Self {
            kernels: [at("first.cpp"), at("second.cpp")],
            shapes: [at("first_shape.cpp"), at("second_shape.cpp")],
            folder,
        };
        sources.write("my headers/factor.h", "#define FACTOR 2\n");
        for name in ["first", "second"] {
            sources.write(
                &format!("{name}.cpp"),
                &format!(
                    "#include <factor.h>\n#include <torch/torch.h>\n\
                     torch::Tensor {name}(const torch::Tensor &x) {{ return torch::mul(x, FACTOR * OTHER); }}\n"
                ),
            );
            sources.write(
                &format!("{name}_shape.cpp"),
                &format!(
                    "#include <torch/torch.h>\n#include \"torchneuron/register.h\"\n\
                     static torch::Tensor shape(torch::Tensor x) {{ return torch::empty(x.sizes(), x.dtype()); }}\n\
                     NEURON_LIBRARY(twice, m) {{ m.def(\"{name}\", &shape, \"{name}\"); }}\n"
                ),
            );
        }
        sources
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.join(name), text).unwrap();
    }

    fn update(&self, flags: &[&str]) -> CppLibrary {
        let flags: Vec<_> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let include = [self.folder.join("my headers")];
        let build = CppBuild { flags: &flags, include_folders: &include, ..cpp_build(&self.kernels, &self.shapes) };
        let compiler = Compiler::find().unwrap();
        update_cpp(&build, &self.folder.join("built"), &compiler).unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Drop for Sources {
    fn drop(&mut self) {
        // What is left costs nothing but space.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// What the ops of a library make of 1. A library that is loaded keeps its file: `copy` names another one.
fn results(path: &Path, copy: &str) -> Vec<f32> {
    let copy = path.with_file_name(copy);
    std::fs::copy(path, &copy).unwrap();
    let library = OpLibrary::load(&copy).unwrap();
    let x = Tensor::from_vec(vec![1.0_f32], &[1]).unwrap();
    let run = |op: &str| engine(Mode::Checked).call(&library.op(op).unwrap(), &[x.view()], &[]).unwrap();
    ["first", "second"].iter().map(|op| run(op).as_slice::<f32>().unwrap()[0]).collect()
}

#[test]
fn what_changed_is_built_again_and_nothing_else() {
    let sources = Sources::new("updates");
    let first = sources.update(&["-DOTHER=3"]);
    assert!(first.is_new);
    assert_eq!(first.path.file_name().unwrap(), "libtwice.so");
    assert_eq!(results(&first.path, "first.so"), [6.0, 6.0]);

    let again = sources.update(&["-DOTHER=3"]);
    assert!(!again.is_new);
    assert_eq!((&again.descriptor, &again.path), (&first.descriptor, &first.path));
    // Written again, but the same.
    sources.write("my headers/factor.h", "#define FACTOR 2\n");
    assert!(!sources.update(&["-DOTHER=3"]).is_new);

    // Another flag, whose library is in the place of the first.
    assert!(sources.update(&["-DOTHER=4"]).is_new);
    assert!(sources.update(&["-DOTHER=3"]).is_new, "the library is that of another flag");
    assert!(!sources.update(&["-DOTHER=3"]).is_new);

    sources.write("my headers/factor.h", "#define FACTOR 5.5f // not an integer\n");
    let changed = sources.update(&["-DOTHER=3"]);
    assert!(changed.is_new);
    assert_eq!(results(&changed.path, "changed.so"), [16.5, 16.5]);
    std::fs::remove_file(sources.folder.join("my headers/factor.h")).unwrap();
    sources.write("factor.h", "#define FACTOR 1\n");
    let include = "-I".to_owned() + &sources.folder.display().to_string();
    assert!(sources.update(&["-DOTHER=3", &include]).is_new, "a header that is gone is a change");

    std::fs::remove_file(&changed.path).unwrap();
    assert!(sources.update(&["-DOTHER=3", &include]).is_new);
}

#[test]
fn libraries_of_two_names_are_refused() {
    let sources = Sources::new("two_names");
    let text = std::fs::read_to_string(&sources.shapes[1]).unwrap();
    sources.write("second_shape.cpp", &text.replace("twice", "other"));
    let (flags, include) = (["-DOTHER=1".to_owned()], [sources.folder.join("my headers")]);
    let build = CppBuild { flags: &flags, include_folders: &include, ..cpp_build(&sources.kernels, &sources.shapes) };
    let error = build_cpp(&build, &output("two_names"), &Compiler::find().unwrap()).unwrap_err();
    assert!(matches!(error, HostBuildError::Registered { .. }));
    let [first, second] = sources.shapes.each_ref().map(|path| path.display());
    let expected = format!(
        "the ops that {first}, {second} register: they register `first` in the library `twice` and `second` in `other`: \
         build a library of each name"
    );
    assert_eq!(error.to_string(), expected);
    // Unless the library has a name of its own.
    let named = CppBuild { name: Some("all"), ..build };
    let path = output("named");
    let descriptor = build_cpp(&named, &path, &Compiler::find().unwrap()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((descriptor.name.as_str(), descriptor.ops.len()), ("all", 2));
    std::fs::remove_file(path).unwrap();
}
