//! What takes the place of NVIDIA's libraries where PyTorch runs on the CPU alone.
//!
//! PyPI's PyTorch for Linux is linked against CUDA, so that it cannot be imported without some 4 GB of libraries of which
//! a CPU uses nothing. One small library under all their names has every function that PyTorch's libraries look for;
//! each returns the error that there is no device, or its text. PyTorch raises it as an exception, as it does with
//! NVIDIA's on a host without a device.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, os};

use anyhow::Context;
use object::read::elf::{Dyn, ElfFile64, Sym};
use object::{Endianness, elf};

use cargo_gpsimd::process;

/// How the libraries' names begin.
const LIBRARIES: [&str; 3] = ["libcu", "libnccl.", "libnv"];
/// How the names of functions begin that are looked for in any library.
const FUNCTIONS: [&str; 4] = ["cu", "__cuda", "nccl", "nv"];
/// `cudaErrorNoDevice` and `CUDA_ERROR_NO_DEVICE`.
const NO_DEVICE: u32 = 100;
const FILE: &str = "libno_cuda.so";

/// Puts the stand-in among PyTorch's libraries, where they look first. Does nothing where they need no CUDA.
pub(super) fn stand_in(libraries: &Path) -> anyhow::Result<()> {
    let mut wanted = Wanted::default();
    for entry in fs::read_dir(libraries).with_context(|| format!("cannot read {}", libraries.display()))? {
        let path = entry?.path();
        if path.is_file() && path.to_string_lossy().contains(".so") {
            wanted.add(&path).with_context(|| format!("cannot read {}", path.display()))?;
        }
    }
    if wanted.libraries.is_empty() {
        return Ok(());
    }
    let source = libraries.join("no_cuda.c");
    let versions = libraries.join("no_cuda.map");
    fs::write(&source, wanted.source()).with_context(|| format!("cannot write {}", source.display()))?;
    fs::write(&versions, wanted.versions()).with_context(|| format!("cannot write {}", versions.display()))?;
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let mut option = std::ffi::OsString::from("-Wl,--version-script=");
    option.push(&versions);
    process::run(
        Command::new(compiler)
            .args(["-shared", "-fPIC", "-nostdlib", "-fno-builtin", "-w"])
            .arg(option)
            .arg("-o")
            .args([&libraries.join(FILE), &source]),
    )?;
    for name in &wanted.libraries {
        let link = libraries.join(name);
        os::unix::fs::symlink(FILE, &link).with_context(|| format!("cannot make {}", link.display()))?;
    }
    Ok(())
}

/// What PyTorch's libraries look for elsewhere.
#[derive(Default)]
struct Wanted {
    libraries: BTreeSet<String>,
    /// By the version that the dynamic linker asks for; none is the empty one.
    functions: BTreeMap<String, BTreeSet<String>>,
    defined: BTreeSet<String>,
}

impl Wanted {
    fn add(&mut self, library: &PathBuf) -> anyhow::Result<()> {
        let data = fs::read(library)?;
        let file = ElfFile64::<Endianness>::parse(&*data)?;
        let (endian, sections) = (file.endian(), file.elf_section_table());
        if let Some((entries, link)) = sections.dynamic(endian, &*data)? {
            let strings = sections.strings(endian, &*data, link)?;
            for entry in entries.iter().filter(|entry| entry.tag32(endian) == Some(elf::DT_NEEDED)) {
                let name = String::from_utf8_lossy(entry.string(endian, strings)?).into_owned();
                if LIBRARIES.iter().any(|start| name.starts_with(start)) {
                    self.libraries.insert(name);
                }
            }
        }
        let versions = sections.versions(endian, &*data)?;
        let symbols = file.elf_dynamic_symbol_table();
        for (index, symbol) in symbols.enumerate() {
            let name = String::from_utf8_lossy(symbols.symbol_name(endian, symbol)?).into_owned();
            if !symbol.is_undefined(endian) {
                self.defined.insert(name);
                continue;
            }
            let version = match &versions {
                Some(versions) => versions.version(versions.version_index(endian, index))?,
                None => None,
            };
            let from = version.and_then(object::read::elf::Version::file).map(String::from_utf8_lossy);
            let is_wanted = match &from {
                Some(file) => LIBRARIES.iter().any(|start| file.starts_with(start)),
                None => FUNCTIONS.iter().any(|start| name.starts_with(start)),
            };
            if is_wanted {
                let version = version.map_or(String::new(), |version| String::from_utf8_lossy(version.name()).into());
                self.functions.entry(version).or_default().insert(name);
            }
        }
        Ok(())
    }

    fn source(&self) -> String {
        let mut source = format!(
            "static int no_device(void) {{ return {NO_DEVICE}; }}\n\
             static const char *text(void) {{ return \"no CUDA device, and none of NVIDIA's libraries\"; }}\n"
        );
        let names: BTreeSet<&String> = self.functions.values().flatten().collect();
        for name in names.into_iter().filter(|name| !self.defined.contains(*name)) {
            let is_text = name.ends_with("String") || name.ends_with("ErrorName");
            let (result, function) = if is_text { ("const char *", "text") } else { ("int ", "no_device") };
            let _ = writeln!(source, "{result}{name}(void) __attribute__((alias(\"{function}\")));");
        }
        source
    }

    /// The linker's version script: a library that is asked for a version has to have it.
    fn versions(&self) -> String {
        let mut script = String::new();
        for (version, names) in self.functions.iter().filter(|(version, _)| !version.is_empty()) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let _ = writeln!(script, "{version} {{ global: {}; }};", names.join("; "));
        }
        script
    }
}
