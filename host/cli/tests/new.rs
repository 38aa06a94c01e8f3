//! `new`: what it makes, where, and what it refuses. That the crate builds and passes its tests is for `cargo xtask test
//! packaging`.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn new(folder: &Path, arguments: &[&str]) -> (bool, String) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_cargo-gpsimd"))
        .args(["gpsimd", "new"])
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.success(), text(stdout) + &text(stderr))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn outside_of_a_workspace_it_has_a_repository_and_a_workflow_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let (is_made, messages) = new(folder.path(), &["my-ops"]);
    assert!(is_made, "{messages}");
    assert_eq!(messages, "made the op library my_ops in my-ops\nnext: cd my-ops && cargo gpsimd test\n");
    let made = folder.path().join("my-ops");
    let version = env!("CARGO_PKG_VERSION");
    let manifest = read(&made.join("Cargo.toml"));
    assert!(manifest.contains(&format!("gpsimd = \"{version}\"\n")), "{manifest}");
    assert!(manifest.contains(&format!("gpsimd-testing = \"{version}\"\n")), "{manifest}");
    assert!(read(&made.join(".github/workflows/test.yml")).contains("cargo install cargo-gpsimd\n"));
    assert!(read(&made.join(".gitignore")).contains("/target/"));
    assert!(read(&made.join("example.py")).contains("\"target/gpsimd/my_ops/libmy_ops.so\""));
    for path in ["src/lib.rs", "tests/golden.rs"] {
        let formatted = Command::new("rustfmt").args(["--check", "--edition", "2024"]).arg(made.join(path)).output();
        let formatted = formatted.unwrap();
        assert!(formatted.status.success(), "{}", String::from_utf8_lossy(&formatted.stdout));
    }
}

#[test]
fn inside_of_a_workspace_it_is_a_member() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("Cargo.toml"), "[workspace]\nresolver = \"3\"\nmembers = [\"app\"]\n").unwrap();
    fs::create_dir_all(folder.path().join("app/src")).unwrap();
    fs::write(folder.path().join("app/src/lib.rs"), "").unwrap();
    fs::write(folder.path().join("app/Cargo.toml"), "[package]\nname = \"app\"\n").unwrap();
    let (is_made, messages) = new(folder.path(), &["crates/my-ops", "--sdk", env!("CARGO_MANIFEST_DIR")]);
    assert!(is_made, "{messages}");
    assert!(read(&folder.path().join("Cargo.toml")).contains("members = [\"app\", \"crates/my-ops\"]"));
    let made = folder.path().join("crates/my-ops");
    assert!(read(&made.join("Cargo.toml")).contains("kernels/gpsimd\" }"));
    assert!(read(&made.join("example.py")).contains("\"../../target/gpsimd/my_ops/libmy_ops.so\""));
    assert!(!made.join(".github").exists());
}

#[test]
fn what_it_refuses() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("there")).unwrap();
    let refused = |arguments: &[&str]| {
        let (is_made, message) = new(folder.path(), arguments);
        assert!(!is_made, "{message}");
        message.replace(&folder.path().canonicalize().unwrap().display().to_string(), "FOLDER")
    };
    let messages = [
        refused(&["there"]),
        refused(&["My-Ops"]),
        refused(&["ops für alle"]),
        refused(&["2ops"]),
        refused(&["a-name-that-is-longer-than-the-vendor-takes"]),
        refused(&["builtin"]),
        refused(&["gpsimd"]),
        refused(&["loop"]),
        refused(&[".."]),
        refused(&["ops", "--sdk", "there"]),
        refused(&["ops", "--sdk", "nowhere"]),
    ];
    insta::assert_snapshot!(messages.join("\n"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left");
}
