//! [`Workspace`] and [`OpCrate`]: where a command works, found as cargo finds it.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use cargo_metadata::{CrateType, DependencyKind, Metadata, MetadataCommand, Package, Target};

/// The cargo workspace that a command works in.
#[derive(Clone, Debug)]
pub struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// That of the current folder; where there is none, the folder itself.
    pub fn here() -> anyhow::Result<Self> {
        let here = std::env::current_dir().context("the current folder is gone")?;
        if here.ancestors().any(|folder| folder.join("Cargo.toml").is_file()) {
            return Ok(Self::of(&metadata(None)?));
        }
        Ok(Self { target: here.join("target"), root: here })
    }

    fn of(metadata: &Metadata) -> Self {
        Self { root: metadata.workspace_root.clone().into(), target: metadata.target_directory.clone().into() }
    }

    /// The folder of its `Cargo.toml`.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The build folder.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// What these commands build and keep.
    pub fn artifacts(&self) -> PathBuf {
        self.target.join("gpsimd")
    }
}

/// The crate of an op library.
#[derive(Clone, Debug)]
pub struct OpCrate {
    workspace: Workspace,
    manifest: PathBuf,
    package: String,
    library: String,
    /// 0, or one more than that of an op library that it takes ops from.
    level: usize,
}

impl OpCrate {
    /// The crate in a folder.
    pub fn at(folder: &Path) -> anyhow::Result<Self> {
        ensure!(folder.is_dir(), "{} is not a folder: name the folder of an op library's crate", folder.display());
        let manifest = folder.join("Cargo.toml");
        ensure!(manifest.is_file(), "{} is not a crate: it has no Cargo.toml", folder.display());
        Selection { package: None, manifest_path: Some(manifest) }.find()
    }

    /// The crate, built where `workspace` builds and with its tools: what both use is built once.
    pub(crate) fn built_in(mut self, workspace: &Workspace) -> Self {
        self.workspace.clone_from(workspace);
        self
    }

    /// The workspace that it is in.
    pub fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    /// Its `Cargo.toml`.
    pub fn manifest(&self) -> &Path {
        &self.manifest
    }

    /// The folder of its `Cargo.toml`.
    pub fn folder(&self) -> &Path {
        self.manifest.parent().unwrap_or(Path::new("."))
    }

    /// Its name, as cargo knows it.
    pub fn package(&self) -> &str {
        &self.package
    }

    /// Name of its library: that of the op library, unless `op_library!` says otherwise.
    pub fn library(&self) -> &str {
        &self.library
    }

    /// What selects it for a command that gets a file of its op library, which is called `name`: nothing, where that is the
    /// crate's own name.
    pub(crate) fn selecting_words(&self, name: &str) -> String {
        if self.library == name { String::new() } else { format!("-p {} ", self.package) }
    }

    /// The folder of the crate `gpsimd` that it depends on.
    pub(crate) fn sdk(&self) -> anyhow::Result<PathBuf> {
        let mut command = MetadataCommand::new();
        let metadata = command.manifest_path(&self.manifest).exec().context("cannot find the crate `gpsimd`")?;
        let sdk = metadata.packages.iter().find(|package| package.name.as_str() == "gpsimd");
        let folder = sdk.and_then(|package| package.manifest_path.parent());
        folder.map(|folder| folder.as_std_path().to_path_buf()).context("the workspace has no crate `gpsimd`")
    }

    /// Where it is compiled. Op libraries that others take ops from are other code there, without an entry of their own (see
    /// `LIBRARY_VARIABLE`): in one folder they would be compiled again whenever the other of both is asked for.
    pub(crate) fn build_folder(&self) -> PathBuf {
        let folder = match self.level {
            0 => "op-libraries".into(),
            1 => "composed-libraries".into(),
            level => format!("composed-libraries-{level}"),
        };
        self.workspace.target.join(folder)
    }
}

/// Which crate, said as to cargo.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Selection {
    /// Package of the op library [default: that of the current folder]
    #[arg(short, long, value_name = "NAME")]
    package: Option<String>,
    /// Path to its Cargo.toml, or to that of its workspace
    #[arg(long, value_name = "PATH")]
    manifest_path: Option<PathBuf>,
}

impl Selection {
    /// A package by its name.
    pub fn named(package: &str, manifest_path: Option<PathBuf>) -> Self {
        Self { package: Some(package.into()), manifest_path }
    }

    /// The selected crate. Without a choice it is the package of the current folder, or the only op library of a
    /// workspace.
    pub fn find(&self) -> anyhow::Result<OpCrate> {
        let nearest = nearest(self.manifest_path.as_deref())?;
        let metadata = metadata(Some(&nearest))?;
        let members = metadata.workspace_packages();
        let current = members.iter().find(|package| is_same(package.manifest_path.as_std_path(), &nearest));
        let chosen = match (&self.package, current) {
            (Some(name), _) => members.iter().find(|package| package.name.as_str() == name).with_context(|| {
                format!("the workspace {} has no package `{name}`; {}", metadata.workspace_root, listed(&members))
            })?,
            (None, Some(package)) => package,
            (None, None) => only(&metadata, &members)?,
        };
        op_crate(&metadata, chosen, &members)
    }

    /// As [`find`](Self::find), for a file of op library `name`: without a choice it is the member of the workspace that is
    /// called so, if there is one.
    pub(crate) fn find_of(&self, name: &str) -> anyhow::Result<OpCrate> {
        let nearest = nearest(self.manifest_path.as_deref())?;
        let metadata = metadata(Some(&nearest))?;
        let members = metadata.workspace_packages();
        let is_package = members.iter().any(|package| is_same(package.manifest_path.as_std_path(), &nearest));
        let is_chosen = self.package.is_some() || self.manifest_path.is_some() && is_package;
        let is_called_so =
            |package: &&&Package| op_library(package).is_ok_and(|target| target.name.replace('-', "_") == name);
        match members.iter().find(is_called_so).filter(|_| !is_chosen) {
            Some(package) => op_crate(&metadata, package, &members),
            None => self.find().with_context(|| format!("the file is of op library `{name}`")),
        }
    }
}

/// The crate of a package, if it is an op library.
fn op_crate(metadata: &Metadata, package: &Package, members: &[&Package]) -> anyhow::Result<OpCrate> {
    let target = op_library(package).map_err(|problem| {
        anyhow::anyhow!("package `{}` is not an op library: {problem}; {}", package.name, listed(members))
    })?;
    Ok(OpCrate {
        workspace: Workspace::of(metadata),
        manifest: package.manifest_path.clone().into(),
        package: package.name.to_string(),
        library: target.name.replace('-', "_"),
        level: level(package, members),
    })
}

/// How far an op library is from one that takes ops from no other of the workspace.
fn level(package: &Package, members: &[&Package]) -> usize {
    let normal = package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
    let libraries = normal.filter_map(|dependency| {
        members.iter().find(|member| member.name.as_str() == dependency.name && op_library(member).is_ok())
    });
    libraries.map(|library| level(library, members) + 1).max().unwrap_or(0)
}

/// What a command works on that takes all op libraries of a workspace.
pub(crate) struct OpCrates {
    /// Where they are.
    pub(crate) workspace: Workspace,
    /// The crates.
    pub(crate) crates: Vec<OpCrate>,
    /// Folder of golden files, if the workspace names one.
    pub(crate) golden: Option<PathBuf>,
}

/// What a workspace says for commands that take all of its op libraries: `[workspace.metadata.gpsimd]`.
#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Packages of its op libraries that are meant, if not all are.
    libraries: Option<Vec<String>>,
    /// Folder of golden files.
    golden: Option<PathBuf>,
}

impl OpCrates {
    /// The packages that are named; without any that of the current folder, otherwise those that the workspace names, otherwise
    /// all of its op libraries.
    pub(crate) fn find(packages: &[String], manifest_path: Option<&Path>) -> anyhow::Result<Self> {
        let nearest = nearest(manifest_path)?;
        let metadata = metadata(Some(&nearest))?;
        let settings = match metadata.workspace_metadata.get("gpsimd") {
            Some(settings) => serde_json::from_value(settings.clone())
                .with_context(|| format!("[workspace.metadata.gpsimd] of {}/Cargo.toml", metadata.workspace_root))?,
            None => Settings::default(),
        };
        let members = metadata.workspace_packages();
        let is_current = |package: &&&Package| is_same(package.manifest_path.as_std_path(), &nearest);
        let all = || members.iter().filter(|package| op_library(package).is_ok());
        let names: Vec<String> = if !packages.is_empty() {
            packages.to_vec()
        } else if let Some(package) = members.iter().find(is_current) {
            vec![package.name.to_string()]
        } else {
            settings.libraries.unwrap_or_else(|| all().map(|package| package.name.to_string()).collect())
        };
        let workspace = Workspace::of(&metadata);
        ensure!(
            !names.is_empty(),
            "no member of the workspace {} is an op library: make one with `cargo gpsimd new`",
            metadata.workspace_root
        );
        let crates = names.iter().map(|name| Selection::named(name, Some(nearest.clone())).find());
        Ok(Self {
            crates: crates.collect::<anyhow::Result<_>>()?,
            golden: settings.golden.map(|folder| workspace.root().join(folder)),
            workspace,
        })
    }
}

/// The `Cargo.toml` that is given, or that of the current folder.
fn nearest(manifest_path: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(path) = manifest_path {
        return path.canonicalize().with_context(|| format!("cannot find {}", path.display()));
    }
    let here = std::env::current_dir().context("the current folder is gone")?;
    here.ancestors().map(|folder| folder.join("Cargo.toml")).find(|manifest| manifest.is_file()).context(
        "there is no Cargo.toml here or above: go to an op library's folder, or make one with `cargo gpsimd new`",
    )
}

/// The only op library of a workspace whose root is not a package.
fn only<'a>(metadata: &Metadata, members: &'a [&'a Package]) -> anyhow::Result<&'a Package> {
    let default = metadata.workspace_default_packages();
    let is_default = |package: &Package| default.iter().any(|other| other.id == package.id);
    let mut libraries = members.iter().filter(|package| op_library(package).is_ok() && is_default(package));
    match (libraries.next(), libraries.next()) {
        (Some(library), None) => Ok(library),
        (Some(_), Some(_)) => {
            bail!("the workspace {} has several op libraries: {}", metadata.workspace_root, listed(members))
        }
        (None, _) => bail!(
            "no member of the workspace {} is an op library: make one with `cargo gpsimd new`",
            metadata.workspace_root
        ),
    }
}

/// The library of a package that is an op library, or what keeps it from being one.
fn op_library(package: &Package) -> Result<&Target, &'static str> {
    let is_library = |target: &&Target| target.is_lib() || target.is_cdylib() || target.is_rlib();
    let target = package.targets.iter().find(is_library).ok_or("it has no library")?;
    if !target.crate_types.contains(&CrateType::CDyLib) {
        return Err("its [lib] needs crate-type = [\"cdylib\", \"rlib\"]");
    }
    let uses_gpsimd = package.dependencies.iter().any(|dependency| dependency.name == "gpsimd");
    uses_gpsimd.then_some(target).ok_or("it does not depend on `gpsimd`")
}

/// The op libraries that can be named.
fn listed(members: &[&Package]) -> String {
    let names: Vec<_> =
        members.iter().filter(|package| op_library(package).is_ok()).map(|package| package.name.as_str()).collect();
    if names.is_empty() {
        "there is no op library here".into()
    } else {
        format!("name one with -p: {}", names.join(", "))
    }
}

/// Whether two paths lead to one file; the second has no links.
pub(crate) fn is_same(path: &Path, file: &Path) -> bool {
    path.canonicalize().is_ok_and(|path| path == file) || path == file
}

/// What cargo says of the workspace of a manifest, or of the current folder, without dependencies.
pub(crate) fn metadata(manifest: Option<&Path>) -> anyhow::Result<Metadata> {
    let mut command = MetadataCommand::new();
    command.no_deps();
    if let Some(manifest) = manifest {
        command.manifest_path(manifest);
    }
    command.exec().map_err(|error| match error {
        cargo_metadata::Error::CargoMetadata { stderr } => {
            let place = manifest.map_or_else(|| "the workspace".to_owned(), |manifest| manifest.display().to_string());
            anyhow::anyhow!("cargo cannot read {place}:\n{}", stderr.trim_end())
        }
        error => error.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_is_named_to_replay_where_its_op_library_is_called_otherwise() {
        let krate = OpCrate::at(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../kernels/bert-ops")).unwrap();
        assert_eq!(krate.selecting_words("bert_ops"), "");
        assert_eq!(krate.selecting_words("ops_of_bert"), "-p bert-ops ");
    }

    /// In the same folder, the one library would be compiled again for the other.
    #[test]
    fn a_library_is_not_compiled_where_others_take_ops_from_it() {
        let folder = |name: &str| {
            let kernels = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../kernels");
            OpCrate::at(&kernels.join(name)).unwrap().build_folder().file_name().unwrap().to_owned()
        };
        assert_eq!(folder("bert-ops"), "op-libraries");
        // Takes ops from bert-ops and index-ops.
        assert_eq!(folder("training-ops"), "composed-libraries");
        // Take ops from training-ops.
        assert_eq!(folder("activation-ops"), "composed-libraries-2");
        assert_eq!(folder("nn-ops"), "composed-libraries-2");
    }
}
