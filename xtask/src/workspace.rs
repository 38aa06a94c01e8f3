//! Where things are.

use std::path::{Path, PathBuf};

use cargo_gpsimd::workspace::OpCrate;

/// Crates whose op libraries come with the Python package.
pub(crate) const BUNDLED: [&str; 10] = [
    "kernels/activation-ops",
    "kernels/bert-ops",
    "kernels/counting-ops",
    "kernels/embedding-ops",
    "kernels/index-ops",
    "kernels/nn-ops",
    "kernels/sampling-ops",
    "kernels/scatter-ops",
    "kernels/sort-ops",
    "kernels/training-ops",
];

/// The root of the checkout.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace")
}

/// The build folder.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// What the project's own commands build and keep.
pub(crate) fn artifacts() -> PathBuf {
    target().join("gpsimd")
}

/// An op library of the checkout, by the folder of its crate.
pub(crate) fn op_crate(folder: &str) -> anyhow::Result<OpCrate> {
    OpCrate::at(&root().join(folder))
}

#[cfg(test)]
mod tests {
    use cargo_metadata::MetadataCommand;

    use super::*;

    #[test]
    fn what_comes_with_the_python_package_is_what_a_bring_up_tries() {
        let metadata = MetadataCommand::new().current_dir(root()).no_deps().exec().expect("the workspace");
        let of_bring_up = metadata.workspace_metadata["gpsimd"]["libraries"].as_array().expect("a list");
        let bundled = BUNDLED.map(|folder| folder.rsplit('/').next().unwrap_or(folder));
        assert!(of_bring_up.iter().map(|name| name.as_str().expect("a name")).eq(bundled), "{of_bring_up:?}");
    }
}
