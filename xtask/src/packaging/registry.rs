//! A registry in a folder: the packed crates, and the third-party crates of the lock file, as cargo has downloaded them.
//!
//! What is built from it is built from `.crate` files alone, whatever is on crates.io. Cargo calls it a local registry
//! (<https://doc.rust-lang.org/cargo/reference/source-replacement.html#local-registry-sources>): the files, and an index with
//! a line of JSON for each version
//! (<https://doc.rust-lang.org/cargo/reference/registry-index.html#json-schema>).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use cargo_gpsimd::files;
use cargo_metadata::{Dependency, DependencyKind, Metadata, Package};
use sha2::{Digest, Sha256};

/// A line of the index.
#[derive(serde::Serialize)]
struct Entry<'a> {
    name: &'a str,
    vers: String,
    deps: Vec<Dep<'a>>,
    cksum: String,
    features: &'a BTreeMap<String, Vec<String>>,
    yanked: bool,
    links: Option<&'a str>,
    /// The version of the format in which features may say `dep:`.
    v: u32,
}

#[derive(serde::Serialize)]
struct Dep<'a> {
    name: &'a str,
    req: String,
    features: &'a [String],
    optional: bool,
    default_features: bool,
    target: Option<String>,
    kind: String,
    /// The name of the package, where that of the dependency is another.
    package: Option<&'a str>,
}

/// Writes the registry to `folder`, with our crates of the folder `packed` and all `others` that come from a registry, and
/// says whether a crate of ours is not what it was there before.
pub(super) fn write(folder: &Path, ours: &[&Package], packed: &Path, others: &[&Metadata]) -> anyhow::Result<bool> {
    let mut has_changed = false;
    let mut lines: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let others = others.iter().flat_map(|metadata| &metadata.packages).filter(|package| package.source.is_some());
    let mut seen = BTreeSet::new();
    for package in ours.iter().copied().chain(others) {
        let name = format!("{}-{}.crate", package.name, package.version);
        if !seen.insert(name.clone()) {
            continue;
        }
        let is_ours = package.source.is_none();
        let file = if is_ours { packed.join(&name) } else { downloaded(package, &name)? };
        let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let copy = folder.join(&name);
        if fs::read(&copy).is_ok_and(|found| found == bytes) {
            // As before.
        } else {
            has_changed |= is_ours;
            files::copy(&file, &copy)?;
        }
        let line = serde_json::to_string(&entry(package, is_ours, &bytes))?;
        lines.entry(folder.join("index").join(place(&package.name))).or_default().push(line);
    }
    for (path, lines) in lines {
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
        fs::write(&path, lines.join("\n")).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(has_changed)
}

/// The `.crate` file that cargo downloaded, which it keeps beside what it unpacked.
fn downloaded(package: &Package, name: &str) -> anyhow::Result<PathBuf> {
    let parts: Option<(&Path, &std::ffi::OsStr)> = package
        .manifest_path
        .as_std_path()
        .ancestors()
        .nth(2)
        .and_then(|index| Some((index.parent()?.parent()?, index.file_name()?)));
    let (registry, index) = parts.with_context(|| format!("{} is in no registry", package.manifest_path))?;
    let file = registry.join("cache").join(index).join(name);
    ensure!(
        file.is_file(),
        "{} is missing: the dependencies have to come from a registry, not from vendored sources",
        file.display()
    );
    Ok(file)
}

fn entry<'a>(package: &'a Package, is_ours: bool, bytes: &[u8]) -> Entry<'a> {
    // Nobody builds the tests of a dependency. Those of ours depend on crates that are not published; what others' do has to
    // be there for features that name it.
    let needed = |dependency: &&Dependency| !is_ours || dependency.kind != DependencyKind::Development;
    Entry {
        name: &package.name,
        vers: package.version.to_string(),
        deps: package.dependencies.iter().filter(needed).map(dep).collect(),
        cksum: format!("{:x}", Sha256::digest(bytes)),
        features: &package.features,
        yanked: false,
        links: package.links.as_deref().filter(|_| !is_ours),
        v: 2,
    }
}

fn dep(dependency: &Dependency) -> Dep<'_> {
    let renamed = dependency.rename.as_deref();
    Dep {
        name: renamed.unwrap_or(&dependency.name),
        req: dependency.req.to_string(),
        features: &dependency.features,
        optional: dependency.optional,
        default_features: dependency.uses_default_features,
        target: dependency.target.as_ref().map(ToString::to_string),
        kind: dependency.kind.to_string(),
        package: renamed.map(|_| dependency.name.as_str()),
    }
}

/// Where the index has a crate: `ca/rg/cargo`.
fn place(name: &str) -> PathBuf {
    let name = name.to_lowercase();
    match name.len() {
        1 => Path::new("1").join(name),
        2 => Path::new("2").join(name),
        3 => Path::new("3").join(&name[..1]).join(name),
        _ => Path::new(&name[..2]).join(&name[2..4]).join(&name),
    }
}
