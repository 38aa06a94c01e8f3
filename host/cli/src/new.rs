//! `cargo gpsimd new`: a crate with one op, its tests and an example, which every other command works on at once.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use gpsimd_emulator::gpsimd_descriptor::limits::{MAX_NAME, RESERVED_LIBRARY};

use crate::build::write;
use crate::process::{self, shown_path};
use crate::sdk_source::SdkSource;
use crate::workspace::OpCrate;

/// Make a crate with one op: its gradient, its golden test, an example in Python.
///
/// The op library is called as the last part of PATH. Inside of a workspace the crate becomes a member; elsewhere it gets a
/// `.gitignore` and a GitHub workflow of its own, and a git repository if it is in none.
///
/// The crate takes the SDK from crates.io. --sdk takes it from a checkout or from a git repository instead, which is how it
/// goes as long as a version is not published.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n\
\x20 cargo gpsimd new my-ops && cd my-ops && cargo gpsimd test\n\
\x20 cargo gpsimd new my-ops --sdk ../gpsimd\n\
\x20 cargo gpsimd new my-ops --sdk https://github.com/gpsimd/gpsimd")]
pub(crate) struct New {
    /// Folder to make; its name is that of the crate
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Checkout of the SDK, or URL of its git repository, to take its crates from [default: crates.io]
    #[arg(long, value_name = "DIR|URL")]
    sdk: Option<String>,
}

const LIB: &str = include_str!("../template/lib.rs");
const GOLDEN: &str = include_str!("../template/golden.rs");
const BITS: &str = include_str!("../template/golden__the_bits_stay_the_same.snap");
const EXAMPLE: &str = include_str!("../template/example.py");
const MANIFEST: &str = include_str!("../template/Cargo.toml.in");
const README: &str = include_str!("../template/README.md");
const WORKFLOW: &str = include_str!("../template/test.yml");
const GIT_IGNORE: &str = "/target/\n/.venv/\n__pycache__/\n*.snap.new\n";

impl New {
    /// Makes the crate and says what to do next.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let package = self.path.file_name().and_then(|name| name.to_str());
        let package = package.with_context(|| format!("{} does not end in a name", self.path.display()))?;
        check_name(package)?;
        ensure!(!self.path.exists(), "{} is there already: choose another name", self.path.display());
        let sdk = self.sdk.as_deref().map_or(Ok(SdkSource::Registry { index: None }), SdkSource::parse)?;
        let dependencies = [sdk.dependency("gpsimd")?, sdk.dependency("gpsimd-testing")?];

        // Knows which names Rust has no crates of, makes it a member of the workspace that it is in, and starts a
        // repository where there is none.
        let name = ["new", "--quiet", "--lib", "--name", package];
        process::quiet(process::cargo().args(name).arg("--").arg(&self.path))
            .with_context(|| format!("cannot make {}", self.path.display()))?;
        let placeholders = Placeholders { package, sdk: &sdk, dependencies };
        write_all(&self.path, &placeholders).inspect_err(|_| {
            eprintln!("{} is not whole: remove it", shown_path(&self.path));
        })?;
        println!("made the op library {} in {}", placeholders.library(), self.path.display());
        println!("next: cd {} && cargo gpsimd test", self.path.display());
        Ok(())
    }
}

/// What differs between the crates that are made.
struct Placeholders<'a> {
    package: &'a str,
    sdk: &'a SdkSource,
    /// On `gpsimd` and `gpsimd-testing`.
    dependencies: [String; 2],
}

impl Placeholders<'_> {
    fn library(&self) -> String {
        self.package.replace('-', "_")
    }

    fn put(&self, template: &str) -> String {
        template.replace("my_ops", &self.library()).replace("PACKAGE", self.package)
    }

    fn manifest(&self) -> String {
        let [gpsimd, testing] = &self.dependencies;
        self.put(MANIFEST).replace("GPSIMD\n", &format!("{gpsimd}\n")).replace("TESTING\n", &format!("{testing}\n"))
    }

    /// Words of `cargo install` for the CLI.
    fn install(&self) -> String {
        match self.sdk {
            SdkSource::Registry { .. } => "cargo-gpsimd".into(),
            SdkSource::Git { url, .. } => format!("--git {url} cargo-gpsimd"),
            SdkSource::Checkout(folder) => format!("--path {}/host/cli", folder.display()),
        }
    }
}

fn write_all(folder: &Path, placeholders: &Placeholders<'_>) -> anyhow::Result<()> {
    let put = |path: &str, text: &str| {
        let path = folder.join(path);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
        write(&path, text.as_bytes())
    };
    put("Cargo.toml", &placeholders.manifest())?;
    put("src/lib.rs", &placeholders.put(LIB))?;
    put("tests/golden.rs", &placeholders.put(GOLDEN))?;
    put("tests/snapshots/golden__the_bits_stay_the_same.snap", BITS)?;
    put("README.md", &placeholders.put(README).replace("REPOSITORY", env!("CARGO_PKG_REPOSITORY")))?;
    // Where cargo builds: a workspace has one folder for all.
    let workspace = OpCrate::at(folder)?.workspace().clone();
    let root = folder.canonicalize().with_context(|| format!("cannot find {}", folder.display()))?;
    let target = match root.strip_prefix(workspace.root()) {
        Ok(below) => format!("{}target", "../".repeat(below.components().count())),
        Err(_) => workspace.target().display().to_string(),
    };
    put("example.py", &placeholders.put(EXAMPLE).replace("TARGET", &target))?;
    if workspace.root() == root {
        put(".gitignore", GIT_IGNORE)?;
        put(".github/workflows/test.yml", &WORKFLOW.replace("INSTALL", &placeholders.install()))?;
    }
    Ok(())
}

/// Refuses what the name of an op library cannot be, or what another crate of the build is called.
fn check_name(name: &str) -> anyhow::Result<()> {
    let is_plain = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_');
    if !is_plain {
        bail!(
            "`{name}` cannot be the name of an op library: use lower case letters, digits, - and _, and begin with a letter"
        );
    }
    ensure!(
        name.len() <= MAX_NAME,
        "`{name}` cannot be the name of an op library: it has {} characters, the vendor's limit is {MAX_NAME}",
        name.len()
    );
    let taken = [RESERVED_LIBRARY, "insta", "torch"];
    ensure!(
        !taken.contains(&name) && !name.starts_with("gpsimd"),
        "`{name}` cannot be the name of an op library: it is taken by the SDK, by the vendor's runtime or by PyTorch"
    );
    Ok(())
}
