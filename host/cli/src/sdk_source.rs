//! [`SdkSource`]: where a workspace takes the SDK's crates from. A crate that a command makes for it takes them from there,
//! too: one from crates.io beside one of a folder would be another crate.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use cargo_metadata::MetadataCommand;

use crate::workspace::{Workspace, metadata};

/// Where the SDK's crates come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SdkSource {
    /// A registry: crates.io when its index is not named.
    Registry {
        /// The index, as cargo names it.
        index: Option<String>,
    },
    /// A git repository.
    Git {
        /// Its URL.
        url: String,
        /// The commit; that of the default branch when there is none.
        rev: Option<String>,
    },
    /// A checkout of the SDK.
    Checkout(PathBuf),
}

const CRATES_IO: [&str; 2] =
    ["registry+https://github.com/rust-lang/crates.io-index", "registry+sparse+https://index.crates.io/"];

impl SdkSource {
    /// The source of a command line: a folder or a URL.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        if text.contains("://") || text.starts_with("git@") {
            return Ok(Self::Git { url: text.into(), rev: None });
        }
        let folder = Path::new(text).canonicalize().with_context(|| format!("there is no folder {text}"))?;
        let source = Self::Checkout(folder);
        source.folder_of("gpsimd")?;
        Ok(source)
    }

    /// Where the packages of a workspace take `gpsimd` from; crates.io where none does.
    pub fn of(workspace: &Workspace) -> anyhow::Result<Self> {
        let manifest = workspace.root().join("Cargo.toml");
        if !manifest.is_file() {
            return Ok(Self::Registry { index: None });
        }
        let metadata = MetadataCommand::new().manifest_path(&manifest).exec();
        let metadata = metadata.with_context(|| format!("cargo cannot resolve {}", manifest.display()))?;
        let Some(gpsimd) = metadata.packages.iter().find(|package| package.name.as_str() == "gpsimd") else {
            return Ok(Self::Registry { index: None });
        };
        let Some(source) = &gpsimd.source else {
            let sdk = metadata_root(gpsimd.manifest_path.as_std_path())?;
            return Ok(Self::Checkout(sdk));
        };
        Self::of_package(&source.repr)
    }

    /// As cargo writes the source of a package.
    fn of_package(source: &str) -> anyhow::Result<Self> {
        if CRATES_IO.contains(&source) {
            return Ok(Self::Registry { index: None });
        }
        if let Some(index) = source.strip_prefix("registry+").or_else(|| source.strip_prefix("sparse+").map(|_| source))
        {
            return Ok(Self::Registry { index: Some(index.into()) });
        }
        if let Some(git) = source.strip_prefix("git+") {
            let (url, rev) = git.split_once('#').map_or((git, None), |(url, rev)| (url, Some(rev.to_owned())));
            let url = url.split_once('?').map_or(url, |(url, _)| url);
            return Ok(Self::Git { url: url.into(), rev });
        }
        bail!("`gpsimd` comes from {source}, where the SDK's other crates cannot be looked for")
    }

    /// The value of a dependency on one of the SDK's crates, in TOML.
    pub fn dependency(&self, name: &str) -> anyhow::Result<String> {
        let version = env!("CARGO_PKG_VERSION");
        Ok(match self {
            Self::Registry { index: None } => text(version),
            Self::Registry { index: Some(index) } => {
                format!("{{ version = {}, registry-index = {} }}", text(version), text(index))
            }
            Self::Git { url, rev: None } => format!("{{ git = {} }}", text(url)),
            Self::Git { url, rev: Some(rev) } => format!("{{ git = {}, rev = {} }}", text(url), text(rev)),
            Self::Checkout(_) => format!("{{ path = {} }}", text(&self.folder_of(name)?.to_string_lossy())),
        })
    }

    fn folder_of(&self, name: &str) -> anyhow::Result<PathBuf> {
        let Self::Checkout(sdk) = self else { bail!("`{name}` is in no folder") };
        let members = metadata(Some(&sdk.join("Cargo.toml")))?.packages;
        let member = members.into_iter().find(|package| package.name.as_str() == name);
        let member =
            member.with_context(|| format!("{} is no checkout of the SDK: it has no `{name}`", sdk.display()))?;
        Ok(member.manifest_path.parent().context("a manifest is in a folder")?.into())
    }
}

fn metadata_root(manifest: &Path) -> anyhow::Result<PathBuf> {
    Ok(metadata(Some(manifest))?.workspace_root.into())
}

/// A string in TOML: one in JSON is.
pub(crate) fn text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_is_as_cargo_wrote_where_gpsimd_comes_from() {
        let dependency = |source| SdkSource::of_package(source).unwrap().dependency("gpsimd-abi").unwrap();
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(dependency(CRATES_IO[0]), format!("\"{version}\""));
        assert_eq!(
            dependency("registry+https://example.com/index"),
            format!("{{ version = \"{version}\", registry-index = \"https://example.com/index\" }}")
        );
        assert_eq!(
            dependency("sparse+https://example.com/index/"),
            format!("{{ version = \"{version}\", registry-index = \"sparse+https://example.com/index/\" }}")
        );
        assert_eq!(
            dependency("git+https://example.com/sdk?branch=main#0123abcd"),
            "{ git = \"https://example.com/sdk\", rev = \"0123abcd\" }"
        );
    }

    #[test]
    fn a_folder_without_the_sdk_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("src")).unwrap();
        std::fs::write(folder.path().join("src/lib.rs"), "").unwrap();
        std::fs::write(folder.path().join("Cargo.toml"), "[package]\nname = \"a\"\n[workspace]\n").unwrap();
        let error = SdkSource::parse(folder.path().to_str().unwrap()).unwrap_err().to_string();
        assert!(error.ends_with("is no checkout of the SDK: it has no `gpsimd`"), "{error}");
        assert!(SdkSource::parse("no such folder").is_err());
    }
}
