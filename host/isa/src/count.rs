//! [`Counter`]: the QEMU plugin that counts instructions; [`Counts`]: what it counted.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::build;
use crate::error::IsaError;
use crate::symbols::{Group, Symbols};
use crate::toolchain::QEMU;

/// The plugin's source, compiled for this host when instructions are counted.
const SOURCE: &str = include_str!("count.c");

/// The plugin for one program, as QEMU takes it.
pub(crate) struct Counter {
    plugin: String,
}

impl Counter {
    /// Compiles the plugin into `folder`, for the program with these symbols.
    pub(crate) fn build(folder: &Path, symbols: &Symbols) -> Result<Self, IsaError> {
        let (source, library) = (folder.join("count.c"), folder.join("libcount.so"));
        build::write(&source, SOURCE)?;
        let compiler = std::env::var("CC").ok().filter(|cc| !cc.trim().is_empty()).unwrap_or_else(|| "cc".into());
        let mut words = compiler.split_whitespace();
        let mut command = Command::new(words.next().unwrap_or("cc"));
        command.args(words).args(["-shared", "-fPIC", "-O2", "-fvisibility=hidden"]);
        command.arg(format!("-DPLUGIN_VERSION={}", plugin_version()?)).arg(&source).arg("-o").arg(&library);
        build::run(&mut command)?;
        let library = library.to_string_lossy();
        if library.contains(',') {
            return Err(IsaError::Count {
                problem: format!("QEMU takes no plugin with a comma in its path: {library}"),
            });
        }
        let ranges = symbols.functions().filter_map(|symbol| {
            let owner = match symbol.group {
                Group::Kernels => "kernel",
                Group::Runner => "runner",
                _ => return None,
            };
            Some(format!(",{owner}={:x}-{:x}", symbol.address, symbol.address + symbol.size))
        });
        Ok(Self { plugin: std::iter::once(library.into_owned()).chain(ranges).collect() })
    }

    /// The value of QEMU's `-plugin`.
    pub(crate) fn plugin(&self) -> &str {
        &self.plugin
    }
}

/// The version of the plugin interface to ask for: QEMU 9 dropped the first, whose functions used here stayed the same.
fn plugin_version() -> Result<u32, IsaError> {
    let said = build::run(Command::new(QEMU).arg("--version"))?;
    let version = said.split("version ").nth(1).and_then(|rest| rest.split('.').next());
    let major: u32 = version.and_then(|major| major.parse().ok()).unwrap_or(0);
    Ok(if major < 9 { 1 } else { 2 })
}

/// Instructions executed by kernels, by the address of the block that they are in.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    by_block: BTreeMap<u64, u64>,
}

impl Counts {
    /// Adds what the plugin said.
    pub(crate) fn add(&mut self, said: &str) -> Result<(), String> {
        let mut has_ended = false;
        for line in said.lines() {
            let words: Vec<_> = line.split_whitespace().collect();
            match words.as_slice() {
                ["tb", address, instructions, executions] => {
                    let unclear = || format!("the QEMU plugin that counts said `{line}`");
                    let address = u64::from_str_radix(address, 16).map_err(|_| unclear())?;
                    let instructions: u64 = instructions.parse().map_err(|_| unclear())?;
                    let executions: u64 = executions.parse().map_err(|_| unclear())?;
                    *self.by_block.entry(address).or_default() += instructions * executions;
                }
                ["end"] => has_ended = true,
                _ => return Err(format!("the QEMU plugin that counts said `{line}`")),
            }
        }
        if has_ended { Ok(()) } else { Err("the QEMU plugin that counts did not end".into()) }
    }

    /// Instructions in functions of each group.
    pub(crate) fn by_group(&self, symbols: &Symbols) -> BTreeMap<Group, u64> {
        let mut groups = BTreeMap::new();
        for (&address, instructions) in &self.by_block {
            *groups.entry(symbols.group_at(address)).or_default() += instructions;
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::Counts;

    #[test]
    fn blocks_that_were_translated_twice_add_up() {
        let mut counts = Counts::default();
        counts.add("tb 400100 3 10\ntb 400100 3 2\ntb 400200 1 5\nend\n").expect("a whole report");
        assert_eq!(counts.by_block.into_iter().collect::<Vec<_>>(), [(0x40_0100, 36), (0x40_0200, 5)]);
    }

    #[test]
    fn a_report_that_was_cut_is_an_error() {
        assert!(Counts::default().add("tb 400100 3 10\n").is_err());
        assert!(Counts::default().add("tb 400100 3\nend\n").is_err());
    }
}
