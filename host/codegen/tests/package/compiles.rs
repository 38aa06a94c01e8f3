//! A package compiles without a warning under every compiler that is here, and needs nothing before `main`.

use std::path::{Path, PathBuf};
use std::process::Command;

use gpsimd_codegen::host_build::write_headers;
use object::{Object, ObjectSection};

use crate::images::{PACKED_OPS, SMALL_OPS, for_the_device, package};

/// What the emitted sources promise.
const FLAGS: [&str; 9] = [
    "-Wall",
    "-Wextra",
    "-Werror",
    "-fno-exceptions",
    "-fno-rtti",
    "-fPIC",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-c",
];

/// The packages of `small-ops` and `packed-ops` and the headers, in a folder that goes away.
struct Sources(PathBuf);

impl Sources {
    fn write(test: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{}", std::process::id()));
        write_headers(&folder.join("include")).unwrap();
        for (package, name) in
            [(SMALL_OPS, "small_ops"), (PACKED_OPS, "packed_ops")].map(|(image, name)| (package(image).unwrap(), name))
        {
            for (file, text) in package.files() {
                std::fs::write(folder.join(&file), &text).unwrap();
            }
            std::fs::write(folder.join(format!("{name}_for_the_device.cpp")), for_the_device(&package.kernels))
                .unwrap();
        }
        Self(folder)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Sources {
    fn drop(&mut self) {
        // Left in the target folder at worst.
        std::fs::remove_dir_all(&self.0).ok();
    }
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Whether a command runs.
fn runs(command: &[String]) -> bool {
    Command::new(&command[0]).args(&command[1..]).arg("--version").output().is_ok_and(|out| out.status.success())
}

fn gcc() -> Option<Vec<String>> {
    Some(vec!["g++".to_owned()]).filter(|command| runs(command))
}

/// The system's Clang, or that of the workspace's virtual environment.
fn clang() -> Option<Vec<String>> {
    let python = workspace().join(".venv/bin/python").display().to_string();
    [vec!["clang++".into()], vec![python, "-m".into(), "ziglang".into(), "c++".into()]].into_iter().find(|it| runs(it))
}

fn compile(compiler: &[String], arguments: &[&str], source: &Path, object: &Path) {
    let mut command = Command::new(&compiler[0]);
    let output = command.args(&compiler[1..]).args(arguments).arg("-o").arg(object).arg(source).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Sections of an object file that mean constructors before `main`, or thread-locals.
fn needs_before_main(object: &Path) -> Vec<String> {
    let bytes = std::fs::read(object).unwrap();
    let file = object::File::parse(&*bytes).unwrap();
    let forbidden = [".init_array", ".ctors", ".preinit_array", ".tbss", ".tdata"];
    let sections = file.sections().filter(|section| section.size() > 0);
    let names = sections.filter_map(|section| section.name().ok().map(str::to_owned));
    // Under emulation our headers keep which core a thread is, and messages: thread-locals of theirs, not of the package.
    let is_of_headers = |name: &String| name.contains("_ZZN6gpsimd") || name.contains("_ZZN11torchneuron");
    names.filter(|name| forbidden.iter().any(|start| name.starts_with(start)) && !is_of_headers(name)).collect()
}

fn compiles_without_a_warning(test: &str, compiler: Option<Vec<String>>) {
    let Some(compiler) = compiler else {
        println!("skipped: the compiler is not here");
        return;
    };
    let sources = Sources::write(test);
    let include = format!("-I{}", sources.file("include").display());
    for level in ["-Os", "-O3"] {
        let arguments = [&["-std=c++14", level, &include][..], &FLAGS].concat();
        for name in ["small_ops", "packed_ops"]
            .iter()
            .flat_map(|name| ["", "_shape", "_for_the_device"].map(|part| format!("{name}{part}.cpp")))
        {
            let object = sources.file("object.o");
            compile(&compiler, &arguments, &sources.file(&name), &object);
            let mut found = needs_before_main(&object);
            // Our NEURON_LIBRARY registers its block before `main`, on the host.
            found.retain(|section| !name.ends_with("_shape.cpp") || !section.starts_with(".init_array"));
            assert!(found.is_empty(), "{name} {level}: {found:?}");
        }
    }
}

#[test]
fn gcc_does_not_warn_about_a_package() {
    compiles_without_a_warning("gcc", gcc());
}

#[test]
fn clang_does_not_warn_about_a_package() {
    compiles_without_a_warning("clang", clang());
}

/// What has a constructor or a thread-local is found.
#[test]
fn a_static_constructor_is_found() {
    let Some(compiler) = gcc().or_else(clang) else { return };
    let sources = Sources::write("constructor");
    let (source, object) = (sources.file("constructor.cpp"), sources.file("constructor.o"));
    std::fs::write(&source, "int f();\nint value = f();\nthread_local int local = 1;\nint g() { return local; }\n")
        .unwrap();
    compile(&compiler, &["-std=c++14", "-c"], &source, &object);
    assert_eq!(needs_before_main(&object), [".tdata", ".init_array"]);
}

/// The installed PyTorch: `$GPSIMD_TORCH`, or that of the workspace's virtual environment.
fn torch() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("GPSIMD_TORCH") {
        return Some(folder.into());
    }
    let pythons = std::fs::read_dir(workspace().join(".venv/lib")).ok()?;
    let folders = pythons.filter_map(Result::ok).map(|python| python.path().join("site-packages/torch"));
    folders.into_iter().find(|folder| folder.join("include").is_dir())
}

/// On a Neuron host shape functions are compiled against PyTorch's own headers.
#[test]
fn shape_functions_compile_against_pytorch() {
    let Some(torch) = torch() else {
        println!("skipped: no PyTorch; set GPSIMD_TORCH to its `torch` folder");
        return;
    };
    let sources = Sources::write("pytorch");
    // Only the registration is ours: torch/torch.h is PyTorch's.
    std::fs::remove_dir_all(sources.file("include/torch")).unwrap();
    let include = |folder: PathBuf| format!("-isystem{}", folder.display());
    let includes =
        [torch.join("include"), torch.join("include/torch/csrc/api/include"), sources.file("include")].map(include);
    let mut arguments = vec!["-std=c++17", "-O0", "-Wall", "-Wextra", "-Werror", "-fPIC", "-c"];
    arguments.extend(includes.iter().map(String::as_str));
    for name in ["small_ops_shape.cpp", "packed_ops_shape.cpp"] {
        compile(&["c++".to_owned()], &arguments, &sources.file(name), &sources.file("shape.o"));
    }
}
