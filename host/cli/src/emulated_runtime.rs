//! `cargo xtask emulated-runtime`: the emulated `libnrt.so.1` and its headers, laid out as the Neuron SDK has them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use crate::process::{self, shown_path};
use crate::workspace;

/// Build the emulated Neuron Runtime: a libnrt.so.1 that runs on the CPU, with the headers to compile against.
///
/// It loads emulated NEFFs only, those of `cargo xtask neff pack`, and says that it is an emulation wherever a program can
/// ask. No Neuron device, driver or SDK is needed.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n\
\x20 cargo xtask emulated-runtime\n\
\x20 cargo xtask emulated-runtime --out ~/emulated-neuron")]
pub struct EmulatedRuntime {
    /// Folder for `lib` and `include` [default: target/gpsimd/neuron-runtime]
    #[arg(long)]
    out: Option<PathBuf>,
}

impl EmulatedRuntime {
    /// Builds it and says how it is used.
    ///
    /// # Errors
    /// When it does not build, or files cannot be written.
    pub fn run(self) -> anyhow::Result<()> {
        let out = self.out.unwrap_or_else(|| workspace::artifacts().join("neuron-runtime"));
        lay_out(&build()?, &out)?;
        println!("{}", instructions(&shown_path(&out)));
        Ok(())
    }
}

/// Builds the library, and gives its path.
pub fn build() -> anyhow::Result<PathBuf> {
    process::run(
        Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .current_dir(workspace::root())
            .args(["build", "--release", "--package", "gpsimd-nrt-emulated", "--lib"]),
    )?;
    Ok(workspace::target().join("release/libnrt.so"))
}

/// The library by the name that programs ask for, the link that linkers look for, the headers.
fn lay_out(library: &Path, out: &Path) -> anyhow::Result<()> {
    let lib = out.join("lib");
    let create =
        |folder: &Path| std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()));
    create(&lib)?;
    replace(&lib.join("libnrt.so.1"), |unfinished| std::fs::copy(library, unfinished).map(drop))?;
    replace(&lib.join("libnrt.so"), |unfinished| std::os::unix::fs::symlink("libnrt.so.1", unfinished))?;
    // `nrt.h` includes one of `ndl`, as in the SDK.
    for folder in ["ndl", "nrt"] {
        let headers = workspace::root().join("host/neuron/include").join(folder);
        let include = out.join("include").join(folder);
        create(&include)?;
        for header in std::fs::read_dir(&headers).with_context(|| format!("cannot read {}", headers.display()))? {
            let header = header.with_context(|| format!("cannot read {}", headers.display()))?;
            let target = include.join(header.file_name());
            replace(&target, |unfinished| std::fs::copy(header.path(), unfinished).map(drop))?;
        }
    }
    Ok(())
}

/// Makes a file beside `path` and renames it in place: a program that has the old one open keeps it.
fn replace(path: &Path, make: impl FnOnce(&Path) -> std::io::Result<()>) -> anyhow::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(format!(".{}", std::process::id()));
    let unfinished = PathBuf::from(unfinished);
    make(&unfinished)
        .and_then(|()| std::fs::rename(&unfinished, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn instructions(out: &str) -> String {
    format!(
        "{out}: libnrt.so.1, EMULATED, and its headers\n\
         compile a program: cc program.c -I{out}/include -L{out}/lib -lnrt -o program\n\
         run it:            LD_LIBRARY_PATH={out}/lib ./program\n\
         make a NEFF:       cargo xtask neff pack --help"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtime_is_laid_out_as_the_sdk_has_it_and_replaced_in_place() {
        let folder = tempfile::tempdir().unwrap();
        let (library, out) = (folder.path().join("built.so"), folder.path().join("out"));
        for content in ["first", "second"] {
            std::fs::write(&library, content).unwrap();
            lay_out(&library, &out).unwrap();
            for name in ["libnrt.so.1", "libnrt.so"] {
                assert_eq!(std::fs::read_to_string(out.join("lib").join(name)).unwrap(), content);
            }
        }
        assert_eq!(std::fs::read_link(out.join("lib/libnrt.so")).unwrap(), Path::new("libnrt.so.1"));
        assert!(out.join("include/nrt/nrt.h").exists());
        assert!(out.join("include/ndl/neuron_driver_shared_tensor_batch_op.h").exists());
        assert_eq!(std::fs::read_dir(out.join("lib")).unwrap().count(), 2);
    }
}
