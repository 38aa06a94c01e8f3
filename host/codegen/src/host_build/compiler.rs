//! [`Compiler`]: a C++ compiler of the host, and the flags that keep bits the same.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::HostBuildError;
use super::workspace::file;

/// Commands tried when `$CXX` is not set: Clang first, because it vectorises as the device's compiler does.
const COMMANDS: [&str; 3] = ["clang++", "g++", "c++"];

/// What the device's compiler gets, too. Contraction would change the bits; no core has `errno`, which would keep `sqrtf`
/// from becoming an instruction.
pub(crate) const ARITHMETIC_FLAGS: [&str; 2] = ["-ffp-contract=off", "-fno-math-errno"];

/// Every source. `printf` must stay the function that the adapter takes over.
const FLAGS: &[&str] = &["-fPIC", "-fvisibility=hidden", "-U_FORTIFY_SOURCE"];

/// Sources for the device: what its compiler takes. Assertions hold at every optimisation, which not every compiler does
/// unasked.
const DEVICE_FLAGS: &[&str] = &["-std=c++14", "-fno-exceptions", "-fno-rtti", "-UNDEBUG"];

/// Shape sources against libtorch, whose headers take long enough without optimisation.
const LIBTORCH_FLAGS: &[&str] = &["-std=c++17", "-O0"];

/// What stands in for the device: vectors of 16 f32, 32 i16 and 64 u8, fused multiply-add.
const REMARK_FLAGS: &[&str] = &[
    "-O3",
    "-mavx512f",
    "-mavx512bw",
    "-mfma",
    "-mprefer-vector-width=512",
    "-Rpass=loop-vectorize",
    "-fno-color-diagnostics",
];

/// A C++ compiler of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiler {
    command: Vec<String>,
}

/// How much the compiler optimises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Optimisation {
    /// `-O3`: as op packages are built for the device.
    #[default]
    Speed,
    /// `-Os`: the vendor's default.
    Size,
    /// `-O0 -g`: for a debugger.
    Debug,
}

/// A source to compile, and how.
pub(super) struct Source<'a> {
    pub(super) path: PathBuf,
    pub(super) object: PathBuf,
    pub(super) includes: &'a [PathBuf],
    /// After those of the flavour.
    pub(super) flags: &'a [String],
    pub(super) flavour: Flavour,
}

/// What a source is written for.
#[derive(Clone, Copy)]
pub(super) enum Flavour {
    Device { optimisation: Optimisation, native_cpu: bool },
    Libtorch,
}

impl Compiler {
    /// `$CXX` if it is set, otherwise the first of `clang++`, `g++` and `c++` that runs.
    ///
    /// # Errors
    /// [`HostBuildError::NoCompiler`].
    pub fn find() -> Result<Self, HostBuildError> {
        let named = std::env::var("CXX").ok().map(|cxx| cxx.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        match named.filter(|command| !command.is_empty()) {
            Some(command) => Ok(Self::at(command)),
            None => Self::first_of(&COMMANDS),
        }
    }

    /// A compiler by its command and leading arguments, such as `["python", "-m", "ziglang", "c++"]`.
    pub fn at(command: Vec<String>) -> Self {
        Self { command }
    }

    /// The system's own compiler, which links with the system's libraries. Where it has none for C++, the one for C, which
    /// rustc needs anyway, links what needs no library of C++: op packages do not.
    pub(super) fn system() -> Result<Self, HostBuildError> {
        Self::first_of(&["c++", "g++", "clang++", "cc"])
    }

    fn first_of(commands: &[&str]) -> Result<Self, HostBuildError> {
        let runs =
            |command: &&&str| Command::new(command).arg("--version").output().is_ok_and(|out| out.status.success());
        let found = commands.iter().find(runs);
        found
            .map(|command| Self::at(vec![(*command).to_owned()]))
            .ok_or_else(|| HostBuildError::NoCompiler { looked_for: commands.join(", ") })
    }

    /// The compiler as it calls itself: the first line of its `--version`.
    ///
    /// # Errors
    /// When it does not run.
    pub fn version(&self) -> Result<String, HostBuildError> {
        let mut command = self.command();
        command.arg("--version");
        let start = |source| HostBuildError::Start { command: self.command.join(" "), source };
        let output = command.output().map_err(start)?;
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.lines().next().unwrap_or_default().to_owned())
    }

    /// What Clang says about the loops of a source for the device that it vectorises, on a CPU with vectors of 512
    /// bits, as a core has; none of a compiler that is not Clang.
    ///
    /// # Errors
    /// When the source does not compile.
    pub(super) fn remarks(
        &self,
        source: &Path,
        includes: &Path,
        object: &Path,
    ) -> Result<Option<String>, HostBuildError> {
        if !self.version()?.contains("clang") {
            return Ok(None);
        }
        let mut command = self.command();
        command.arg("-c").arg(source).arg("-I").arg(includes).arg("-o").arg(object);
        command.args(FLAGS).args(ARITHMETIC_FLAGS).args(DEVICE_FLAGS).args(REMARK_FLAGS);
        let output = command
            .output()
            .map_err(|error| HostBuildError::Start { command: self.command.join(" "), source: error })?;
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            let command = self.command.join(" ");
            return Err(HostBuildError::Compile { file: source.into(), message, command });
        }
        Ok(Some(message))
    }

    /// Compiles sources at the same time.
    pub(super) fn compile_all(&self, sources: &[Source<'_>]) -> Result<(), HostBuildError> {
        std::thread::scope(|scope| {
            let running: Vec<_> = sources.iter().map(|source| scope.spawn(|| self.compile(source))).collect();
            running.into_iter().try_for_each(|thread| thread.join().expect("compiling does not panic"))
        })
    }

    fn compile(&self, source: &Source<'_>) -> Result<(), HostBuildError> {
        let path = source.path.canonicalize().map_err(|error| file("read", &source.path, error))?;
        let mut command = self.command();
        // By its name alone, from its own folder: messages and `__FILE__` are the same wherever the source is.
        if let (Some(folder), Some(name)) = (path.parent(), path.file_name()) {
            command.current_dir(folder).arg("-c").arg(name);
            // What is read besides the source goes to a list beside the object, in which paths go from this folder.
            command.arg("-MD").arg("-MF").arg(source.object.with_extension("d")).arg("-MT").arg(folder);
        }
        command.arg("-o").arg(&source.object).args(FLAGS).args(ARITHMETIC_FLAGS);
        match source.flavour {
            Flavour::Device { optimisation, native_cpu } => {
                command.args(DEVICE_FLAGS).args(match optimisation {
                    Optimisation::Speed => &["-O3"][..],
                    Optimisation::Size => &["-Os"],
                    Optimisation::Debug => &["-O0", "-g", "-fno-omit-frame-pointer"],
                });
                if native_cpu {
                    command.arg("-march=native");
                }
            }
            Flavour::Libtorch => {
                command.args(LIBTORCH_FLAGS);
            }
        }
        for folder in source.includes {
            command.arg("-I").arg(std::path::absolute(folder).map_err(|error| file("find", folder, error))?);
        }
        command.args(source.flags);
        output(command)?.map_err(|(command, message)| HostBuildError::Compile {
            file: source.path.clone(),
            message,
            command,
        })
    }

    /// Links objects to a shared library without unresolved symbols, or to a program.
    pub(super) fn link(
        &self,
        objects: &[PathBuf],
        arguments: &[OsString],
        is_program: bool,
        linked: &Path,
    ) -> Result<(), HostBuildError> {
        let mut command = self.command();
        if !is_program {
            command.arg("-shared");
            // On other systems this is so anyway.
            if cfg!(target_os = "linux") {
                command.arg("-Wl,-z,defs");
            }
        }
        command.arg("-o").arg(linked).args(objects).args(arguments);
        output(command)?.map_err(|(command, message)| HostBuildError::Link { library: linked.into(), message, command })
    }

    fn command(&self) -> Command {
        let mut words = self.command.iter();
        let mut command = Command::new(words.next().map_or("c++", String::as_str));
        command.args(words);
        command
    }
}

/// Runs a command: whether it succeeds, or else the command and what it says.
fn output(mut command: Command) -> Result<Result<(), (String, String)>, HostBuildError> {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let line = words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    let output = command.output().map_err(|source| HostBuildError::Start { command: line.clone(), source })?;
    if output.status.success() {
        return Ok(Ok(()));
    }
    Ok(Err((line, String::from_utf8_lossy(&output.stderr).trim_end().to_owned())))
}
