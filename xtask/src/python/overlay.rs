//! Environments over that of the checkout: a few packages of their own, and beneath these all that `.venv` has.
//!
//! So the wheel, and gigabytes of packages, are there once.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::wheels::Place;
use super::{BuiltWheels, Python, UV, application, cuda};
use crate::workspace;
use cargo_gpsimd::process;
use cargo_gpsimd::stamp::Stamp;

/// What an environment has beside the packages of `.venv`.
#[derive(Clone, Copy)]
pub(crate) enum Overlay {
    /// PyTorch/XLA. Not in `.venv`: where it can be imported, Hugging Face's Trainer and accelerate train on it.
    Xla,
    /// The newest PyTorch that the package is tested with, in place of the one in `.venv`.
    NewestTorch,
    /// Atheris, which fuzzes the application.
    Fuzz,
}

impl Overlay {
    fn name(self) -> &'static str {
        match self {
            Self::Xla => "xla",
            Self::NewestTorch => "newest-torch",
            Self::Fuzz => "fuzz",
        }
    }

    /// What depends on it.
    fn package(self) -> &'static str {
        match self {
            Self::Xla | Self::NewestTorch => "host/torch",
            Self::Fuzz => "host/bert",
        }
    }
}

impl Python {
    /// The environment with `overlay` over this one's packages; made, or brought up to date.
    pub(crate) fn with(&self, overlay: Overlay) -> anyhow::Result<Self> {
        let over = Self { environment: self.environment.join("overlays").join(overlay.name()) };
        let lock = workspace::root().join(format!("{}/requirements-{}.txt", overlay.package(), overlay.name()));
        let inputs = [lock.clone(), self.environment.join("packages.stamp")];
        let stamp = Stamp::of(over.environment.join("packages.stamp"), &inputs, UV)?;
        if stamp.is_current() {
            return Ok(over);
        }
        eprintln!("setting up the Python environment {}: once", process::shown_path(&over.environment));
        let packages = self.put_beneath(&over)?;
        self.install_locked(&over, &lock, &Place::of_environment()?.options())?;
        if matches!(overlay, Overlay::NewestTorch) {
            cuda::stand_in(&packages.join("torch/lib"))?;
        }
        stamp.write()?;
        Ok(over)
    }

    /// A new environment in `folder` with the wheels of this repository alone, over the packages of this one.
    pub(crate) fn with_wheels_alone(&self, folder: &Path) -> anyhow::Result<Self> {
        let over = Self { environment: folder.to_path_buf() };
        self.put_beneath(&over)?;
        self.install_wheel(&BuiltWheels::of("gpsimd_torch"), &over)?;
        if application().is_some() {
            self.install_wheel(&BuiltWheels::of("gpsimd_bert"), &over)?;
        }
        Ok(over)
    }

    /// Makes the environment `over` anew, with this one's packages beneath its own; returns the folder of those.
    fn put_beneath(&self, over: &Self) -> anyhow::Result<PathBuf> {
        process::run(self.command().args(["-m", "venv", "--without-pip", "--clear"]).arg(&over.environment))?;
        let packages = over.site_packages()?;
        // Entries of .pth files come after the folder that they are in.
        let path = packages.join("beneath.pth");
        fs::write(&path, format!("{}\n", self.site_packages()?.display()))
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(packages)
    }
}
