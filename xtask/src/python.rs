//! The Python environment: a virtual environment in `.venv` with exactly the packages of the lock file, and in it the
//! wheel of `gpsimd_torch` with the op libraries built for this CPU, and that of the application where it is. What must
//! not be in it is in one of its overlays.

mod cuda;
mod overlay;
mod wheels;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::Context;

pub(crate) use self::overlay::Overlay;
use self::wheels::{CPU_LOCK, PYPI_LOCK, Wheels};
use crate::two_at_a_time::two_at_a_time;
use crate::workspace;
use cargo_gpsimd::python::system_python;
use cargo_gpsimd::stamp::Stamp;
use cargo_gpsimd::{build, process};

/// Installs the lock file; 10 to 20 times as fast as pip on the gigabytes of PyTorch.
const UV: &str = "uv==0.13.9";

/// The application's folder; the SDK works without it.
pub(crate) fn application() -> Option<PathBuf> {
    Some(workspace::root().join("host/bert")).filter(|folder| folder.is_dir())
}

/// A Python interpreter that can import `gpsimd_torch`, and the application where it is.
pub(crate) struct Python {
    environment: PathBuf,
}

impl Python {
    /// Makes the environment, or brings it up to date.
    pub(crate) fn set_up() -> anyhow::Result<Self> {
        Self::set_up_with(&[])
    }

    /// Makes the environment and some overlays, or brings them up to date.
    pub(crate) fn set_up_with(overlays: &[Overlay]) -> anyhow::Result<Self> {
        let python = Self::of_the_checkout();
        // The one waits for the network, the other for the linker.
        thread::scope(|scope| {
            let packages = scope.spawn(|| {
                python.install_packages()?;
                overlays.iter().try_for_each(|overlay| python.with(*overlay).map(drop))
            });
            let libraries = bundle_libraries();
            packages.join().expect("to install packages panics nowhere").and(libraries)
        })?;
        python.install_sdk()?;
        if let Some(application) = application() {
            python.install_application(&application)?;
        }
        Ok(python)
    }

    /// Makes the environment, if need be, for what `gpsimd_torch` is not needed for.
    pub(crate) fn with_packages() -> anyhow::Result<Self> {
        let python = Self::of_the_checkout();
        python.install_packages()?;
        Ok(python)
    }

    fn of_the_checkout() -> Self {
        Self { environment: workspace::root().join(".venv") }
    }

    /// Makes the environment, if need be, with the application where it is, for what of that needs no `gpsimd_torch`.
    pub(crate) fn with_application() -> anyhow::Result<Self> {
        let python = Self::with_packages()?;
        if let Some(application) = application() {
            python.install_application(&application)?;
        }
        Ok(python)
    }

    /// The interpreter.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(self.program("python"));
        command.current_dir(workspace::root());
        command
    }

    /// The folder of an installed package.
    pub(crate) fn package_folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        // To import PyTorch takes seconds.
        let script =
            format!("import importlib.util; print(importlib.util.find_spec('{name}').submodule_search_locations[0])");
        Ok(PathBuf::from(process::output(self.command().args(["-c", &script]))?.trim()))
    }

    fn site_packages(&self) -> anyhow::Result<PathBuf> {
        let script = "import sysconfig; print(sysconfig.get_path('purelib'))";
        Ok(PathBuf::from(process::output(self.command().args(["-c", script]))?.trim()))
    }

    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.environment.join("bin").join(name)
    }

    fn install_packages(&self) -> anyhow::Result<()> {
        let sdk = workspace::root().join("host/torch");
        let lock = application().unwrap_or_else(|| sdk.clone()).join("requirements.txt");
        let inputs = [sdk.join(CPU_LOCK), sdk.join(PYPI_LOCK), lock.clone()];
        let stamp = Stamp::of(self.environment.join("packages.stamp"), &inputs, UV)?;
        if stamp.is_current() && self.program("python").exists() {
            return Ok(());
        }
        let system = system_python()?;
        let wheels = Wheels::find(&system, &sdk)?;
        eprintln!("setting up the Python environment in .venv: once; downloads {wheels}");
        // Clears what an earlier set-up left half done.
        process::run(Command::new(&system).args(["-m", "venv", "--clear"]).arg(&self.environment)).context(
            "cannot make a virtual environment: Python's `venv` is missing or broken (on Debian and Ubuntu it is the \
             package python3-venv)",
        )?;
        process::run(
            self.command()
                .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
                .args(wheels.place().options())
                .arg(UV),
        )?;
        let (pytorch, options) = wheels.pytorch();
        self.install_locked(self, &sdk.join(pytorch), &options)?;
        self.install_locked(self, &lock, &wheels.place().options())?;
        cuda::stand_in(&self.site_packages()?.join("torch/lib"))?;
        stamp.write()
    }

    /// Installs the packages of a lock file in `environment`.
    fn install_locked(&self, environment: &Self, lock: &Path, options: &[OsString]) -> anyhow::Result<()> {
        process::run(
            Command::new(self.program("uv"))
                .args(["pip", "install", "--no-deps", "--require-hashes", "--python"])
                .arg(environment.program("python"))
                .args(options)
                .arg("--requirements")
                .arg(lock),
        )
    }

    fn install_sdk(&self) -> anyhow::Result<()> {
        let root = workspace::root();
        let package = root.join("host/torch");
        let mut inputs: Vec<PathBuf> =
            ["Cargo.toml", "pyproject.toml", "README.md", "src", "python"].map(|name| package.join(name)).into();
        inputs.extend(
            [
                "Cargo.lock",
                "Cargo.toml",
                "host/emulator/src",
                "kernels/gpsimd-abi/src",
                "kernels/gpsimd-descriptor/src",
            ]
            .map(|name| root.join(name)),
        );
        let stamp = Stamp::of(self.environment.join("wheel.stamp"), &inputs, "")?;
        if stamp.is_current() {
            return Ok(());
        }
        let wheels = BuiltWheels::of("gpsimd_torch");
        wheels.clear()?;
        process::run(
            Command::new(self.program("maturin"))
                .args(["build", "--release", "--locked", "--quiet", "--manifest-path"])
                .arg(package.join("Cargo.toml"))
                .arg("--out")
                .arg(&wheels.folder)
                .env("VIRTUAL_ENV", &self.environment),
        )?;
        self.install_wheel(&wheels, self)?;
        stamp.write()
    }

    fn install_application(&self, package: &Path) -> anyhow::Result<()> {
        let inputs = ["pyproject.toml", "README.md", "src"].map(|name| package.join(name));
        let stamp = Stamp::of(self.environment.join("application.stamp"), &inputs, UV)?;
        if stamp.is_current() {
            return Ok(());
        }
        let wheels = BuiltWheels::of("gpsimd_bert");
        wheels.clear()?;
        // uv has the package's build backend in it.
        process::run(
            Command::new(self.program("uv"))
                .args(["build", "--quiet", "--wheel", "--out-dir"])
                .arg(&wheels.folder)
                .arg(package),
        )?;
        self.install_wheel(&wheels, self)?;
        stamp.write()
    }

    fn install_wheel(&self, wheels: &BuiltWheels, environment: &Self) -> anyhow::Result<()> {
        process::run(
            Command::new(self.program("uv"))
                .args(["pip", "install", "--quiet", "--no-deps", "--reinstall", "--python"])
                .arg(environment.program("python"))
                .arg(wheels.built()?),
        )
    }
}

/// Where the wheels of a package are built: of all packages in one folder, one of each.
struct BuiltWheels {
    folder: PathBuf,
    package: &'static str,
}

impl BuiltWheels {
    fn of(package: &'static str) -> Self {
        Self { folder: workspace::artifacts().join("wheels"), package }
    }

    fn found(&self) -> anyhow::Result<Vec<PathBuf>> {
        if !self.folder.is_dir() {
            return Ok(Vec::new());
        }
        let entries = fs::read_dir(&self.folder).with_context(|| format!("cannot read {}", self.folder.display()))?;
        let files: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
        let start = format!("{}-", self.package);
        let is_one = |path: &PathBuf| {
            let is_ours = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&start));
            is_ours && path.extension().is_some_and(|extension| extension == "whl")
        };
        Ok(files.into_iter().filter(is_one).collect())
    }

    fn clear(&self) -> anyhow::Result<()> {
        for wheel in self.found()? {
            fs::remove_file(&wheel).with_context(|| format!("cannot remove {}", wheel.display()))?;
        }
        Ok(())
    }

    fn built(&self) -> anyhow::Result<PathBuf> {
        let wheel = self.found()?.pop();
        wheel.with_context(|| format!("no wheel of {} in {}", self.package, self.folder.display()))
    }
}

/// Builds the op libraries that come with the Python package, for this CPU, and puts them among its files.
fn bundle_libraries() -> anyhow::Result<()> {
    let folder = workspace::root().join("host/torch/python/gpsimd_torch/op_libraries");
    // Those that others take ops from and those that take them are built apart.
    two_at_a_time(&workspace::BUNDLED, |library| {
        bundle(&build::native_library(&workspace::op_crate(library)?)?, &folder)
    })
}

/// Puts an op library among the files of the Python package, if it is not there already.
pub(crate) fn bundle(library: &Path, folder: &Path) -> anyhow::Result<()> {
    let name = library.file_name().context("an op library is a file")?;
    let bundled = folder.join(name);
    let new = bundled.with_added_extension("tmp");
    let content = fs::read(library).with_context(|| format!("cannot read {}", library.display()))?;
    if fs::read(&bundled).is_ok_and(|bundled| bundled == content) {
        return Ok(());
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    // In one step: a running process may have the old file mapped.
    fs::write(&new, content)
        .and_then(|()| fs::rename(&new, &bundled))
        .with_context(|| format!("cannot write {}", bundled.display()))
}
