//! Where standard output or standard error cannot be written: an end that is a command's own, and no panic.

use std::fs::File;
use std::io::pipe;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

fn ops() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/faults/reference-ops/Cargo.toml")
}

/// A command in a folder.
fn command(folder: &TempDir, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-gpsimd"));
    command.args(words).current_dir(folder.path());
    command
}

/// Its exit status, and what it writes to standard error.
fn ended(command: &mut Command) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = command.stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

/// Where nobody reads.
fn closed() -> Stdio {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    writer.into()
}

#[cfg(target_os = "linux")]
fn full() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

/// Commands that print results, without those that take long.
const COMMANDS: [&[&str]; 5] = [
    &["new", "my-ops"],
    &["doctor", "--json"],
    &["profile", "--op", "agrees_with_rust", "--shape", "x=3x5", "--manifest-path", "OPS"],
    &["debug", "agrees_with_rust", "--shape", "x=3x5", "--dump", "launch", "--manifest-path", "OPS"],
    &["check", "--op", "agrees_with_rust", "--cases", "1", "--tier", "native", "--manifest-path", "OPS"],
];

/// Each in a folder of its own.
fn of_each(mut test: impl FnMut(&[&str], &mut Command)) {
    let ops = ops().display().to_string();
    for words in COMMANDS {
        let words: Vec<_> = words.iter().map(|word| if *word == "OPS" { &ops } else { *word }).collect();
        let folder = tempfile::tempdir().unwrap();
        test(&words, &mut command(&folder, &words));
    }
}

#[test]
fn who_closes_the_pipe_has_read_enough() {
    of_each(|words, command| {
        let (status, messages) = ended(command.stdout(closed()));
        assert_eq!(status, Some(0), "{words:?}: {messages}");
        assert!(!messages.contains("error") && !messages.contains("panicked"), "{words:?}: {messages}");
    });
}

#[test]
fn a_command_that_fails_fails_where_nobody_reads() {
    let folder = tempfile::tempdir().unwrap();
    let ops = ops().display().to_string();
    let arguments = ["check", "--op", "is_off_where_x_is_large", "--cases", "60", "--seed", "1", "--tier", "native"];
    let mut check = command(&folder, &[&arguments[..], &["--manifest-path", &ops]].concat());
    let (status, messages) = ended(check.stdout(closed()));
    assert_eq!(status, Some(1), "{messages}");
    assert!(messages.ends_with("error: 1 of 1 ops have a counterexample, or refuse everything\n"), "{messages}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_an_error() {
    of_each(|words, command| {
        let (status, messages) = ended(command.stdout(full()));
        assert_eq!(status, Some(1), "{words:?}: {messages}");
        let told = "error: cannot write to standard output: No space left on device (os error 28)\n";
        assert!(messages.ends_with(told), "{words:?}: {messages}");
    });
    for words in [["--help"], ["--version"]] {
        let (status, messages) = ended(command(&tempfile::tempdir().unwrap(), &words).stdout(full()));
        assert_eq!(status, Some(1), "{words:?}: {messages}");
        assert!(messages.starts_with("error: cannot write to standard output: "), "{words:?}: {messages}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn the_exit_status_is_the_same_where_nothing_can_be_told() {
    for stderr in [full as fn() -> Stdio, closed] {
        let status = |words: &[&str]| {
            let folder = tempfile::tempdir().unwrap();
            command(&folder, words).stdout(Stdio::null()).stderr(stderr()).status().unwrap().code()
        };
        assert_eq!(status(&["new", "My-Ops"]), Some(1));
        assert_eq!(status(&["new", "--nothing-like-it"]), Some(2));
        assert_eq!(status(&["new", "my-ops"]), Some(0));
        // None that builds: cargo fails where it cannot say what it compiles, or that it waits.
        assert_eq!(status(&["doctor"]), Some(0));
    }
}

#[test]
fn a_cause_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let told = |words: &[&str]| ended(command(&folder, words).stdout(Stdio::null())).1;
    let missing = "No such file or directory (os error 2)\n";
    assert_eq!(told(&["replay", "none"]), format!("error: cannot replay none: it cannot be read: {missing}"));
    assert_eq!(told(&["neff", "none"]), format!("error: cannot read none: {missing}"));
    File::create(folder.path().join("empty")).unwrap();
    let told = told(&["debug", "--replay", "empty"]);
    assert_eq!(told, "error: cannot replay empty: it is not a whole safetensors file: header too small\n");
}
