//! [`build_cpp`]: ops written by hand for the vendor's API, for the emulator.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use gpsimd_descriptor::limits::TCM_POOL_BYTES;
use gpsimd_descriptor::{
    ElementType, LibraryDescriptor, OpDescriptor, OperandDescriptor, OperandKind, OutputDescriptor, ScalarType,
};

use super::adapter::adapter;
use super::compiler::{Compiler, Flavour, Optimisation};
use super::error::HostBuildError;
use super::kernel::Functions;
use super::package::{Options, compile, link};
use super::workspace::{Workspace, write};

/// Prints what shape sources register.
const LIST_OPS: &str = include_str!("list_ops.cpp");

/// Ops written by hand, to build.
#[derive(Clone, Debug)]
pub struct CppBuild<'a> {
    /// Name of the library, as in `torch.ops.<name>`; what `NEURON_LIBRARY` says when `None`.
    pub name: Option<&'a str>,
    /// Sources of the kernel functions.
    pub compute_sources: &'a [PathBuf],
    /// The sources that register the shape functions.
    pub shape_sources: &'a [PathBuf],
    /// Include folders of the sources besides their own.
    pub include_folders: &'a [PathBuf],
    /// As `extra_cflags` of the vendor's `custom_op.load`: flags of the compiler for all sources, after those of the build.
    pub flags: &'a [String],
    /// The installed `PyTorch` that the shape sources are compiled against; our own headers when `None`, which know what
    /// the vendor documents.
    pub torch: Option<TorchFolder>,
    /// As `multicore` of the vendor's `custom_op.load`: whether every core runs the ops, or the first alone.
    pub is_multicore: bool,
    /// How much the compiler optimises.
    pub optimisation: Optimisation,
}

/// The `torch` package of an installed `PyTorch`: headers in `include`, libraries in `lib`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TorchFolder(PathBuf);

impl TorchFolder {
    /// The folder, after a look at it.
    ///
    /// # Errors
    /// [`HostBuildError::NoTorch`] when headers or libraries are missing.
    pub fn new(folder: impl Into<PathBuf>) -> Result<Self, HostBuildError> {
        let folder = folder.into();
        for missing in ["include/torch/csrc/api/include/torch/torch.h", "lib", "version.py"] {
            if !folder.join(missing).exists() {
                return Err(HostBuildError::NoTorch { folder, missing });
            }
        }
        Ok(Self(folder))
    }

    /// The file that says which `PyTorch` it is.
    pub(super) fn version_file(&self) -> PathBuf {
        self.0.join("version.py")
    }

    /// Whether a path is one of its files.
    pub(super) fn contains(&self, path: &Path) -> bool {
        path.starts_with(&self.0)
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

/// An op as a shape source registers it.
struct Registered {
    library: String,
    op: String,
    kernel: String,
    /// A letter for each operand: `t` of a tensor, another of a number.
    operands: String,
}

/// Builds C++ ops into the library `output`, which the emulator loads; returns its descriptor. Operands are called `arg0`,
/// `arg1`, ..., the output `output`; the ops check dtypes themselves.
///
/// # Errors
/// When a source does not compile, a function is missing, the shape sources register nothing that can be built, or a
/// file cannot be written.
pub fn build_cpp(
    build: &CppBuild<'_>,
    output: &Path,
    compiler: &Compiler,
) -> Result<LibraryDescriptor, HostBuildError> {
    build_in(&Workspace::new(output)?, build, output, compiler)
}

/// [`build_cpp`] in a workspace, which then has a list of what each source includes beside its object.
pub(super) fn build_in(
    workspace: &Workspace,
    build: &CppBuild<'_>,
    output: &Path,
    compiler: &Compiler,
) -> Result<LibraryDescriptor, HostBuildError> {
    let shape_objects = compile_shapes(build, workspace, compiler)?;
    let arguments = build.torch.as_ref().map(TorchFolder::link_arguments).unwrap_or_default();
    let registered = registered(build, workspace, compiler, &shape_objects, &arguments)?;
    let name = library_name(build, &registered)?;

    let sources: Vec<_> = build.compute_sources.iter().collect();
    let flavour = Flavour::Device { optimisation: build.optimisation, native_cpu: false };
    let options = Options { include_folders: build.include_folders, flags: build.flags, flavour };
    let mut objects = compile(workspace, compiler, "kernel", &sources, &options)?;
    let functions = Functions::of(&objects)?;
    let kernel = |op: &Registered| {
        functions
            .kernel(&op.kernel, &op.operands)
            .map_err(|problem| HostBuildError::Kernel { op: op.op.clone(), problem })
    };
    let kernels = registered.iter().map(kernel).collect::<Result<Vec<_>, _>>()?;

    let descriptor = describe(name, build, &registered);
    let adapter_source = workspace.path("adapter.cpp");
    write(&adapter_source, &adapter(&descriptor, &kernels, build.is_multicore)?)?;
    let options = Options { include_folders: &[], flags: &[], flavour };
    objects.extend(compile(workspace, compiler, "adapter", &[&adapter_source], &options)?);
    objects.extend(shape_objects);
    link(workspace, &objects, &arguments, output)?;
    Ok(descriptor)
}

fn compile_shapes(
    build: &CppBuild<'_>,
    workspace: &Workspace,
    compiler: &Compiler,
) -> Result<Vec<PathBuf>, HostBuildError> {
    let mut include_folders = Vec::new();
    include_folders.extend(build.torch.iter().flat_map(TorchFolder::includes));
    include_folders.extend_from_slice(build.include_folders);
    // libtorch is made with the system's C++ library, which another compiler may not use.
    let (flavour, compiler) = match build.torch {
        Some(_) => (Flavour::Libtorch, &Compiler::system()?),
        None => (Flavour::Device { optimisation: Optimisation::Size, native_cpu: false }, compiler),
    };
    let sources: Vec<_> = build.shape_sources.iter().collect();
    let options = Options { include_folders: &include_folders, flags: build.flags, flavour };
    compile(workspace, compiler, "shape", &sources, &options)
}

/// What the shape sources register, asked of a program of its own: what it runs is the author's code.
fn registered(
    build: &CppBuild<'_>,
    workspace: &Workspace,
    compiler: &Compiler,
    shape_objects: &[PathBuf],
    arguments: &[OsString],
) -> Result<Vec<Registered>, HostBuildError> {
    let failed = |problem| HostBuildError::Registered { files: listed(build.shape_sources), problem };
    let no_library = || failed("they have no NEURON_LIBRARY with ops (include torchneuron/register.h)".to_owned());
    let source = workspace.path("list_ops.cpp");
    write(&source, LIST_OPS)?;
    let flavour = Flavour::Device { optimisation: Optimisation::Size, native_cpu: false };
    let options = Options { include_folders: &[], flags: &[], flavour };
    let mut objects = compile(workspace, compiler, "list_ops", &[&source], &options)?;
    objects.extend_from_slice(shape_objects);
    let program = workspace.path("list_ops");
    Compiler::system()?.link(&objects, arguments, true, &program).map_err(|error| match error {
        HostBuildError::Link { message, .. } if message.contains("gpsimd_visit_shapes") => no_library(),
        error => error,
    })?;
    let output = Command::new(&program)
        .output()
        .map_err(|source| HostBuildError::Start { command: program.display().to_string(), source })?;
    if !output.status.success() {
        return Err(failed(format!("{}\n{}", output.status, String::from_utf8_lossy(&output.stderr).trim_end())));
    }
    let registered = parse(&String::from_utf8_lossy(&output.stdout)).map_err(failed)?;
    if registered.is_empty() { Err(no_library()) } else { Ok(registered) }
}

/// A line for each op: library, op, kernel function, operands.
fn parse(listing: &str) -> Result<Vec<Registered>, String> {
    let op = |line: &str| match line.split('\t').collect::<Vec<_>>()[..] {
        [library, op, kernel, operands] if is_identifier(kernel) => {
            Ok(Registered { library: library.into(), op: op.into(), kernel: kernel.into(), operands: operands.into() })
        }
        [_, op, kernel, _] => {
            Err(format!("op `{op}`: `{kernel}` is not the name of a function in the global namespace"))
        }
        _ => Err(format!("they printed `{line}` while they registered")),
    };
    listing.lines().map(op).collect()
}

/// The name of the library: one for all blocks, as a library here is one name in `torch.ops`.
fn library_name(build: &CppBuild<'_>, registered: &[Registered]) -> Result<String, HostBuildError> {
    let name = build.name.unwrap_or(&registered[0].library);
    match registered.iter().find(|op| build.name.is_none() && op.library != name) {
        None => Ok(name.to_owned()),
        Some(op) => Err(HostBuildError::Registered {
            files: listed(build.shape_sources),
            problem: format!(
                "they register `{}` in the library `{name}` and `{}` in `{}`: build a library of each name",
                registered[0].op, op.op, op.library
            ),
        }),
    }
}

/// Paths with commas between them.
fn listed(files: &[PathBuf]) -> String {
    files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn is_identifier(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && name.starts_with(|c: char| !c.is_ascii_digit())
}

fn describe(name: String, build: &CppBuild<'_>, ops: &[Registered]) -> LibraryDescriptor {
    let operand = |(place, code): (usize, char)| OperandDescriptor {
        name: format!("arg{place}"),
        kind: if code == 't' { OperandKind::Tensor(ElementType::Any) } else { OperandKind::Scalar(ScalarType::F32) },
    };
    let file = build.compute_sources.first().and_then(|path| path.file_name());
    let file = file.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let ops = ops.iter().map(|op| OpDescriptor {
        name: op.op.clone(),
        doc: String::new(),
        operands: op.operands.chars().enumerate().map(operand).collect(),
        types: Vec::new(),
        outputs: vec![OutputDescriptor {
            name: "output".into(),
            element: ElementType::Any,
            replaces: None,
            returned: None,
        }],
        then: None,
        gradients: Vec::new(),
        reference: None,
        file: file.clone(),
    });
    LibraryDescriptor { name, version: String::new(), tcm_bytes: TCM_POOL_BYTES as u32, ops: ops.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a real one there are thousands, and one stands for them in what a build was made of.
    #[test]
    fn the_files_of_pytorch_are_those_in_its_folder() {
        let torch = TorchFolder("/site-packages/torch".into());
        for (path, is_its) in [
            ("/site-packages/torch/include/ATen/ATen.h", true),
            ("/site-packages/torch/version.py", true),
            ("/site-packages/torchvision/include/ops.h", false),
            ("/site-packages/numpy/torch/array.h", false),
            ("kernel.cpp", false),
        ] {
            assert_eq!(torch.contains(Path::new(path)), is_its, "{path}");
        }
    }
}
