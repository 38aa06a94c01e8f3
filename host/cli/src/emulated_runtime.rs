//! `cargo gpsimd emulated-runtime`: the emulated `libnrt.so.1` and its headers, laid out as the Neuron SDK has them.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use gpsimd_nrt::HEADERS;

use crate::files;
use crate::generated::generate;
use crate::process::{self, shown_path};
use crate::sdk_source::SdkSource;
use crate::workspace::Workspace;

/// Build the emulated Neuron Runtime: a libnrt.so.1 that runs on the CPU, with the headers to compile against.
///
/// It loads emulated NEFFs only, those of `cargo gpsimd neff pack`, and says that it is an emulation wherever a program can
/// ask. No Neuron device, driver or SDK is needed. Cargo builds it from the crate gpsimd-nrt-emulated, which comes from
/// where the workspace of the current folder takes gpsimd from, or else from crates.io.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n\
\x20 cargo gpsimd emulated-runtime\n\
\x20 cargo gpsimd emulated-runtime --out ~/emulated-neuron")]
pub struct EmulatedRuntime {
    /// Folder for `lib` and `include` [default: target/gpsimd/neuron-runtime]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Checkout of the SDK, or URL of its git repository, to build from
    #[arg(long, value_name = "DIR|URL")]
    sdk: Option<String>,
}

impl EmulatedRuntime {
    /// Builds it and says how it is used.
    pub fn run(self) -> anyhow::Result<()> {
        let workspace = Workspace::here()?;
        let out = self.out.unwrap_or_else(|| workspace.artifacts().join("neuron-runtime"));
        let library = build(&workspace, self.sdk.as_deref())?;
        lay_out(&library, &out)?;
        println!("{}", instructions(&shown_path(&out)));
        Ok(())
    }
}

/// Builds the library, and returns its path.
pub(crate) fn build(workspace: &Workspace, sdk: Option<&str>) -> anyhow::Result<PathBuf> {
    let source = sdk.map_or_else(|| SdkSource::of(workspace), SdkSource::parse)?;
    let manifest = manifest(&source.dependency("gpsimd-nrt-emulated")?);
    let content = [("Cargo.toml", manifest.as_str()), ("src/lib.rs", LIBRARY), ("build.rs", BUILD_SCRIPT)];
    let folder = generate(workspace, "nrt-emulated", &content)?;
    process::run(
        process::cargo()
            .args(["build", "--release", "--manifest-path"])
            .arg(folder.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(workspace.target()),
    )?;
    Ok(workspace.target().join("release/libemulated_nrt.so"))
}

/// A crate of its own whose only content is the runtime: cargo installs no libraries.
const LIBRARY: &str = "//! Written by `cargo gpsimd emulated-runtime`.\nextern crate nrt as _;\n";

/// As of the runtime's own crate, whose build script speaks for that one alone.
const BUILD_SCRIPT: &str = r#"fn main() {
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libnrt.so.1");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
"#;

fn manifest(dependency: &str) -> String {
    format!(
        r#"# Written by `cargo gpsimd emulated-runtime`.
[package]
name = "emulated-nrt"
version = "0.0.0"
edition = "2024"
publish = false

[workspace]

[lib]
crate-type = ["cdylib"]

[dependencies]
gpsimd-nrt-emulated = {dependency}
"#
    )
}

/// The library by the name that programs ask for, the link that linkers look for, the headers.
fn lay_out(library: &Path, out: &Path) -> anyhow::Result<()> {
    let lib = out.join("lib");
    let create =
        |folder: &Path| fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()));
    create(&lib)?;
    files::copy(library, &lib.join("libnrt.so.1"))?;
    link(Path::new("libnrt.so.1"), &lib.join("libnrt.so"))?;
    // `nrt.h` includes one of `ndl`, as in the SDK.
    for (name, text) in HEADERS {
        let header = out.join("include").join(name);
        create(header.parent().unwrap_or(out))?;
        files::replace(&header, |file| file.write_all(text.as_bytes()))?;
    }
    Ok(())
}

/// A symbolic link, in place of the one that is there.
fn link(to: &Path, link: &Path) -> anyhow::Result<()> {
    let folder = link.parent().unwrap_or(Path::new("."));
    let made = tempfile::Builder::new().make_in(folder, |path| std::os::unix::fs::symlink(to, path));
    made.and_then(|made| made.persist(link).map_err(|error| error.error))
        .with_context(|| format!("cannot write {}", link.display()))?;
    Ok(())
}

fn instructions(out: &str) -> String {
    format!(
        "{out}: libnrt.so.1, EMULATED, and its headers\n\
         compile a program: cc program.c -I{out}/include -L{out}/lib -lnrt -o program\n\
         run it:            LD_LIBRARY_PATH={out}/lib ./program\n\
         make a NEFF:       cargo gpsimd neff pack --help"
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
