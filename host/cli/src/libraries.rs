//! [`Libraries`]: an op library on the tiers that run it.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use gpsimd_emulator::OpLibrary;
use gpsimd_isa::IsaLibrary;

use crate::build;
use crate::tier::{self, Tier};
use crate::workspace::OpCrate;

/// An op library on each of several tiers, the first of which is native.
pub(crate) struct Libraries {
    tiers: Vec<(Tier, OpLibrary)>,
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
        let mut libraries = if is_asked(Tier::Package) {
            let built = build::build(library, "native", None)?;
            let mut native = Self::of(OpLibrary::load(&built.native)?);
            native.image = Some(built.image);
            native.with(Tier::Package, OpLibrary::load(&built.package)?)?
        } else {
            Self::of(OpLibrary::load(build::native_library(library)?)?)
        };
        if is_asked(Tier::Isa) {
            if let Some(reason) = tier::isa_is_missing() {
                anyhow::bail!("the isa tier cannot run: {reason}");
            }
            let program = IsaLibrary::load(build::isa_program(library)?)?;
            libraries = libraries.with(Tier::Isa, program.library().clone())?;
            libraries.program = Some(program);
        }
        libraries.source = Some(library.clone());
        Ok(libraries)
    }

    /// The native library alone.
    pub(crate) fn of(native: OpLibrary) -> Self {
        Self { tiers: vec![(Tier::Native, native)], image: None, program: None, source: None }
    }

    fn with(mut self, tier: Tier, library: OpLibrary) -> anyhow::Result<Self> {
        ensure!(
            library.descriptor() == self.native().descriptor(),
            "the {tier} library is of another build: build again"
        );
        self.tiers.push((tier, library));
        Ok(self)
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
