//! [`Libraries`]: an op library on the tiers that run it.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use gpsimd_emulator::OpLibrary;
use gpsimd_isa::IsaLibrary;

use crate::build;
use crate::tier::{self, Tier};
use crate::workspace::OpCrate;

/// An op library on each of several tiers, the first of which is native.
pub(crate) struct Libraries {
    tiers: Vec<(Tier, OpLibrary)>,
    /// The file of each, unless it was linked in.
    files: Vec<(Tier, PathBuf)>,
    /// The kernel image, where there is a package.
    image: Option<PathBuf>,
    /// The Xtensa program, which has to live as long as what is made of it.
    program: Option<IsaLibrary>,
    /// What it was built from.
    source: Option<OpCrate>,
}

impl Libraries {
    /// Builds what the tiers need. Native is always among them.
    ///
    /// # Errors
    /// When it does not build, or what the isa tier needs is missing.
    pub(crate) fn build(library: &OpCrate, tiers: &[Tier]) -> anyhow::Result<Self> {
        let is_asked = |tier| tiers.contains(&tier);
        let (mut files, mut image) = (Vec::new(), None);
        if is_asked(Tier::Package) {
            let built = build::build(library, "native", None)?;
            image = Some(built.image);
            files.extend([(Tier::Native, built.native), (Tier::Package, built.package)]);
        } else {
            files.push((Tier::Native, build::native_library(library)?));
        }
        if is_asked(Tier::Isa) {
            if let Some(reason) = tier::isa_is_missing() {
                bail!("the isa tier cannot run: {reason}");
            }
            files.push((Tier::Isa, build::isa_program(library)?));
        }
        let libraries = Self::load(&files)?;
        Ok(Self { image, source: Some(library.clone()), ..libraries })
    }

    /// Loads what was built, the native library first.
    ///
    /// # Errors
    /// When one cannot be loaded, or they are of different builds.
    pub(crate) fn load(files: &[(Tier, PathBuf)]) -> anyhow::Result<Self> {
        let [(Tier::Native, native), others @ ..] = files else { bail!("there is no native library") };
        let mut libraries = Self::of(OpLibrary::load(native)?);
        for (tier, file) in others {
            if *tier == Tier::Isa {
                let program = IsaLibrary::load(file)?;
                libraries = libraries.with(Tier::Isa, program.library().clone())?;
                libraries.program = Some(program);
            } else {
                libraries = libraries.with(*tier, OpLibrary::load(file)?)?;
            }
        }
        libraries.files = files.to_vec();
        Ok(libraries)
    }

    /// The native library alone.
    pub(crate) fn of(native: OpLibrary) -> Self {
        Self { tiers: vec![(Tier::Native, native)], files: Vec::new(), image: None, program: None, source: None }
    }

    fn with(mut self, tier: Tier, library: OpLibrary) -> anyhow::Result<Self> {
        ensure!(
            library.descriptor() == self.native().descriptor(),
            "the {tier} library is of another build: build again"
        );
        self.tiers.push((tier, library));
        Ok(self)
    }

    /// The file of each tier, for [`load`](Self::load).
    pub(crate) fn files(&self) -> &[(Tier, PathBuf)] {
        &self.files
    }

    /// The kernel image, where there is a package.
    pub(crate) fn image(&self) -> Option<&Path> {
        self.image.as_deref()
    }

    /// The crate that it was built from, unless it was loaded.
    pub(crate) fn source(&self) -> Option<&OpCrate> {
        self.source.as_ref()
    }

    /// The tiers that there are.
    pub(crate) fn tiers(&self) -> impl Iterator<Item = Tier> + '_ {
        self.tiers.iter().map(|(tier, _)| *tier)
    }

    /// The library of the native tier.
    pub(crate) fn native(&self) -> &OpLibrary {
        &self.tiers[0].1
    }

    /// The library of a tier.
    ///
    /// # Errors
    /// When it was not built.
    pub(crate) fn on(&self, tier: Tier) -> anyhow::Result<&OpLibrary> {
        let found = self.tiers.iter().find(|(other, _)| *other == tier);
        found.map(|(_, library)| library).with_context(|| format!("the {tier} tier was not built"))
    }
}
