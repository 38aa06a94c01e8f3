//! Runs `bindgen` on a folder of headers; shared by the build script and by the test of the committed bindings.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Headers that hold what [`FUNCTIONS`] and [`TYPES`] name. An SDK may have fewer of them, with the same declarations.
const HEADERS: [&str; 4] = ["nrt_status.h", "nrt.h", "nrt_version.h", "nrt_experimental.h"];

/// The functions that [`super`] calls: the library has to have every one.
const FUNCTIONS: [&str; 24] = [
    "nrt_init",
    "nrt_close",
    "nrt_load",
    "nrt_unload",
    "nrt_get_model_nc_count",
    "nrt_get_model_instance_count",
    "nrt_get_model_tensor_info",
    "nrt_free_model_tensor_info",
    "nrt_tensor_allocate",
    "nrt_tensor_free",
    "nrt_tensor_read",
    "nrt_tensor_write",
    "nrt_tensor_copy",
    "nrt_tensor_allocate_empty",
    "nrt_tensor_attach_buffer",
    "nrt_tensor_allocate_slice",
    "nrt_allocate_tensor_set",
    "nrt_destroy_tensor_set",
    "nrt_add_tensor_to_tensor_set",
    "nrt_execute",
    "nrt_execute_repeat",
    "nrt_get_total_nc_count",
    "nrt_get_visible_nc_count",
    "nrt_get_version",
];

/// Types whose constants are wanted, besides the types of the functions.
const TYPES: &str = "NRT_STATUS|nrt_(tensor_placement|framework_type|tensor_usage|dtype)(_t)?";

/// The bindings of the headers in `include/nrt`, as Rust source.
///
/// Needs libclang, which `bindgen` panics without.
pub(crate) fn generate(include: &Path) -> Result<String, String> {
    let headers = HEADERS.map(|name| include.join("nrt").join(name));
    let mut builder = bindgen::builder()
        .clang_arg(format!("-I{}", include.display()))
        .clang_args(compiler_headers().iter().map(|folder| format!("-idirafter{}", folder.display())))
        .allowlist_function(FUNCTIONS.join("|"))
        .allowlist_type(TYPES)
        .allowlist_var("NRT_TENSOR_NAME_MAX|RT_VERSION_DETAIL_LEN")
        // A library may return any number: no Rust enum crosses the boundary.
        .default_enum_style(bindgen::EnumVariation::Consts)
        .prepend_enum_name(false)
        .dynamic_library_name("Functions")
        .dynamic_link_require_all(true)
        .wrap_unsafe_ops(true)
        .rust_target(bindgen::RustTarget::stable(85, 0).map_err(|error| error.to_string())?)
        .rust_edition(bindgen::RustEdition::Edition2024)
        .generate_comments(false)
        .disable_header_comment()
        .formatter(bindgen::Formatter::Prettyplease);
    for header in headers.iter().filter(|header| header.is_file()) {
        builder = builder.header(header.to_string_lossy());
    }
    let bindings = builder.generate().map_err(|error| error.to_string())?.to_string();
    // libloading 0.9 takes no `AsRef<OsStr>`; bindgen 0.72 is made for 0.8.
    let bindings = bindings.replace("Library::new(path)", "Library::new(path.as_ref())");
    let missing: Vec<_> = FUNCTIONS.into_iter().filter(|name| !declares(&bindings, name)).collect();
    if !missing.is_empty() {
        return Err(format!("{} declares no {}", include.join("nrt").display(), missing.join(", no ")));
    }
    Ok(format!("{bindings}pub(crate) const NAMES: [&str; {}] = {FUNCTIONS:#?};\n", FUNCTIONS.len()))
}

fn declares(bindings: &str, function: &str) -> bool {
    bindings.contains(&format!("pub unsafe fn {function}("))
}

/// `stddef.h` and its like of the C compiler, for a libclang that has come without its own.
fn compiler_headers() -> Option<PathBuf> {
    let output = Command::new("cc").arg("-print-file-name=include").output().ok()?;
    let folder = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    (folder.is_absolute() && folder.is_dir()).then_some(folder)
}
