//! Where things are.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// The root of the checkout.
pub fn root() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        manifest.ancestors().nth(2).expect("the crate is two folders below the root").into()
    });
    &ROOT
}

/// The build folder.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// What the project's own commands build and keep.
pub fn artifacts() -> PathBuf {
    target().join("gpsimd")
}
