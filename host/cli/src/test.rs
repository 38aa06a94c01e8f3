//! `cargo gpsimd test`: the tests of an op library's crate, on every tier.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, ensure};
use gpsimd_testing::{ISA, PACKAGE};

use crate::build;
use crate::process;
use crate::tier::{self, Tier};
use crate::workspace::{OpCrate, Selection};

/// Run the tests of an op library on every tier: natively, on the op package that ships, as an Xtensa program.
///
/// It is `cargo test`, once per tier, each time with the library of the tier: `gpsimd_testing` gives the tests that one. A
/// plain `cargo test` is the native tier. The isa tier is skipped, with the reason, where QEMU or the linker is missing,
/// unless it is asked for with --tier isa.
///
/// Stops at the first tier that fails.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n\
\x20 cargo gpsimd test\n\
\x20 cargo gpsimd test --tier package\n\
\x20 cargo gpsimd test -- --test golden           # what follows -- is for cargo test\n\
\x20 cargo gpsimd test -- -- silu --nocapture")]
pub(crate) struct Test {
    #[command(flatten)]
    selection: Selection,
    /// Only this tier; may be given several times [default: all three]
    #[arg(long, value_enum)]
    tier: Vec<Tier>,
    /// Arguments of `cargo test`
    #[arg(last = true, value_name = "OPTIONS")]
    options: Vec<OsString>,
}

impl Test {
    /// Runs the tests and says which tiers passed.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let library = self.selection.find()?;
        let tiers = if self.tier.is_empty() { &Tier::ALL[..] } else { &self.tier };
        let mut lines = Vec::new();
        for tier in tiers {
            let variable = match tier {
                Tier::Native => None,
                Tier::Package => Some((PACKAGE, build::build(&library, "native", None)?.package)),
                Tier::Isa => {
                    if let Some(reason) = tier::isa_is_missing() {
                        ensure!(self.tier.is_empty(), "the isa tier cannot run: {reason}");
                        lines.push(format!("isa      skipped: {reason}"));
                        continue;
                    }
                    Some((ISA, build::isa_program(&library)?))
                }
            };
            process::run(&mut cargo_test(&library, variable, &self.options))
                .with_context(|| format!("the tests fail on the {tier} tier"))?;
            lines.push(format!("{tier:8} passed"));
        }
        println!("{}", lines.join("\n"));
        Ok(())
    }
}

/// `cargo test` of the crate, with the library of a tier.
fn cargo_test(library: &OpCrate, variable: Option<(&str, PathBuf)>, options: &[OsString]) -> Command {
    let mut cargo = process::cargo();
    cargo.args(["test", "--package", library.package(), "--manifest-path"]).arg(library.manifest()).args(options);
    for name in [PACKAGE, ISA] {
        cargo.env_remove(name);
    }
    cargo.envs(variable);
    cargo
}
