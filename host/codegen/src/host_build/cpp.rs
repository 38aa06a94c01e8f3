//! [`build_cpp`]: ops written by hand for the vendor's API, for the emulator.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use gpsimd_abi::descriptor::{ElementType, LibraryDescriptor, OpDescriptor, Operand, OperandKind, Output};

use super::compiler::{Compiler, Flavour, Optimisation, Source};
use super::error::BuildError;
use super::package::{Adapter, compile, link};
use super::workspace::{Workspace, write};

/// Prints what a shape source registers.
const LIST_OPS: &str = include_str!("list_ops.cpp");

/// Ops written by hand, to build.
#[derive(Clone, Debug)]
pub struct CppBuild<'a> {
    /// Name of the library, as in `torch.ops.<name>`; what `NEURON_LIBRARY` says when `None`.
    pub name: Option<&'a str>,
    /// Sources of the kernel functions.
    pub compute_sources: &'a [PathBuf],
    /// The source that registers the shape functions.
    pub shape_source: &'a Path,
    /// Include folders of the sources besides their own.
    pub include_folders: &'a [PathBuf],
    /// The installed `PyTorch` that the shape source is compiled against; our own headers when `None`, which know what
    /// the vendor documents.
    pub torch: Option<TorchFolder>,
    /// As `multicore` of the vendor's `custom_op.load`: whether every core runs the ops, or the first alone.
    pub is_multicore: bool,
    /// How much the compiler optimises.
    pub optimisation: Optimisation,
    /// The library to write.
    pub output: &'a Path,
}

/// The `torch` package of an installed `PyTorch`: headers in `include`, libraries in `lib`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TorchFolder(PathBuf);

impl TorchFolder {
    /// The folder, after a look at it.
    ///
    /// # Errors
    /// [`BuildError::NoTorch`] when headers or libraries are missing.
    pub fn new(folder: impl Into<PathBuf>) -> Result<Self, BuildError> {
        let folder = folder.into();
        for missing in ["include/torch/csrc/api/include/torch/torch.h", "lib"] {
            if !folder.join(missing).exists() {
                return Err(BuildError::NoTorch { folder, missing });
            }
        }
        Ok(Self(folder))
    }

    fn includes(&self) -> [PathBuf; 2] {
        ["include/torch/csrc/api/include", "include"].map(|folder| self.0.join(folder))
    }

    fn link_arguments(&self) -> Vec<OsString> {
        let lib = self.0.join("lib");
        let mut search = OsString::from("-L");
        search.push(&lib);
        let mut run = OsString::from("-Wl,-rpath,");
        run.push(&lib);
        vec![search, run, "-ltorch_cpu".into(), "-lc10".into()]
    }
}

/// An op as the shape source registers it.
struct Registered {
    op: String,
    kernel: String,
    tensors: usize,
}

/// Builds C++ ops into a library that the emulator loads; gives its descriptor. Operands are called `arg0`, `arg1`, ...,
/// the output `output`; the ops check dtypes themselves.
///
/// # Errors
/// When a source does not compile, a function is missing, the shape source registers nothing that can be built, or a
/// file cannot be written.
pub fn build_cpp(build: &CppBuild<'_>, compiler: &Compiler) -> Result<LibraryDescriptor, BuildError> {
    let workspace = Workspace::new(build.output)?;
    let shape_object = compile_shape(build, &workspace, compiler)?;
    let arguments = build.torch.as_ref().map(TorchFolder::link_arguments).unwrap_or_default();
    let (name, ops) = registered(build, &workspace, compiler, &shape_object, &arguments)?;
    let descriptor = describe(build.name.map_or(name, str::to_owned), build, &ops);

    let kernels: Vec<_> = ops.into_iter().map(|op| op.kernel).collect();
    let sources: Vec<_> = build.compute_sources.iter().collect();
    let flavour = Flavour::Device { optimisation: build.optimisation, native_cpu: false };
    let adapter = Adapter { descriptor: &descriptor, kernels: &kernels, is_multicore: build.is_multicore };
    let mut objects = compile(&workspace, compiler, &sources, build.include_folders, flavour, &adapter)?;
    objects.push(shape_object);
    link(&workspace, &objects, &arguments, build.output)?;
    Ok(descriptor)
}

fn compile_shape(build: &CppBuild<'_>, workspace: &Workspace, compiler: &Compiler) -> Result<PathBuf, BuildError> {
    let object = workspace.path("shape.o");
    let mut includes = Vec::new();
    // Before ours: the same name there is another header.
    includes.extend(build.torch.iter().flat_map(TorchFolder::includes));
    includes.push(workspace.include());
    includes.extend_from_slice(build.include_folders);
    // libtorch is made with the system's C++ library, which another compiler may not use.
    let (flavour, compiler) = match build.torch {
        Some(_) => (Flavour::Libtorch, &Compiler::system()?),
        None => (Flavour::Device { optimisation: Optimisation::Size, native_cpu: false }, compiler),
    };
    let source = Source { path: build.shape_source, object: object.clone(), includes: &includes, flavour };
    compiler.compile_all(&[source])?;
    Ok(object)
}

/// The library's name and its ops, asked of a program of its own: what it runs is the author's code.
fn registered(
    build: &CppBuild<'_>,
    workspace: &Workspace,
    compiler: &Compiler,
    shape_object: &Path,
    arguments: &[OsString],
) -> Result<(String, Vec<Registered>), BuildError> {
    let failed = |problem| BuildError::Registered { file: build.shape_source.into(), problem };
    let (source, object) = (workspace.path("list_ops.cpp"), workspace.path("list_ops.o"));
    write(&source, LIST_OPS)?;
    let flavour = Flavour::Device { optimisation: Optimisation::Size, native_cpu: false };
    compiler.compile_all(&[Source { path: &source, object: object.clone(), includes: &[], flavour }])?;
    let program = workspace.path("list_ops");
    Compiler::system()?.link(&[object, shape_object.into()], arguments, true, &program).map_err(
        |error| match error {
            BuildError::Link { message, .. } if message.contains("gpsimd_library_name") => {
                failed("it has no NEURON_LIBRARY (include torchneuron/register.h)".to_owned())
            }
            error => error,
        },
    )?;
    let output = Command::new(&program)
        .output()
        .map_err(|source| BuildError::Start { command: program.display().to_string(), source })?;
    if !output.status.success() {
        return Err(failed(format!("{}\n{}", output.status, String::from_utf8_lossy(&output.stderr).trim_end())));
    }
    parse(&String::from_utf8_lossy(&output.stdout)).map_err(failed)
}

/// Lines of words: the library's name, then op, kernel function and number of tensors of every op.
fn parse(listing: &str) -> Result<(String, Vec<Registered>), String> {
    let mut lines = listing.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let Some([name]) = lines.next().as_deref().map(|words| <[&str; 1]>::try_from(words).unwrap_or_default()) else {
        return Err("it gave no name".into());
    };
    let ops = lines.map(|words| match words[..] {
        [op, kernel, tensors] => {
            if !is_identifier(kernel) {
                return Err(format!("op `{op}`: `{kernel}` is not the name of a function in the global namespace"));
            }
            let tensors = tensors.parse().map_err(|_| format!("op `{op}` has `{tensors}` tensors"))?;
            Ok(Registered { op: op.into(), kernel: kernel.into(), tensors })
        }
        _ => Err(format!("it gave `{}`", words.join(" "))),
    });
    let ops = ops.collect::<Result<Vec<_>, String>>()?;
    if ops.is_empty() { Err("it registers none".into()) } else { Ok((name.to_owned(), ops)) }
}

fn is_identifier(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && name.starts_with(|c: char| !c.is_ascii_digit())
}

fn describe(name: String, build: &CppBuild<'_>, ops: &[Registered]) -> LibraryDescriptor {
    let operand = |i| Operand { name: format!("arg{i}"), kind: OperandKind::Tensor(ElementType::Any) };
    let file = build.compute_sources.first().and_then(|path| path.file_name());
    let file = file.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let ops = ops.iter().map(|op| OpDescriptor {
        name: op.op.clone(),
        doc: String::new(),
        operands: (0..op.tensors).map(operand).collect(),
        output: Output { name: "output".into(), element: ElementType::Any },
        replaces: None,
        gradients: Vec::new(),
        file: file.clone(),
    });
    LibraryDescriptor { name, version: String::new(), ops: ops.collect() }
}
