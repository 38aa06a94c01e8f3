//! Processes that want the same NeuronCores.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use tempfile::TempDir;

use crate::fixtures::{Build, expect_success, run};

const CORES: &str = "GPSIMD_EMULATED_CORES";
const VISIBLE: &str = "NEURON_RT_VISIBLE_CORES";
const NUMBER: &str = "NEURON_RT_NUM_CORES";

/// A process that has its cores until it is dropped.
struct Holder {
    process: Child,
    cores: u32,
    _folder: TempDir,
}

impl Holder {
    fn start(locks: &Path, settings: &[(&str, &str)]) -> Self {
        let mut run = run("processes", "holds_its_cores", Build::Plain);
        let command = run.command.env("GPSIMD_EMULATED_LOCK_DIR", locks).envs(settings.iter().copied());
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let cores = line.trim().parse().expect("the process has its cores");
        Self { process, cores, _folder: run.folder }
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        self.process.wait().unwrap();
    }
}

fn expect(case: &str, locks: &Path, settings: &[(&str, &str)]) -> String {
    let mut run = run("processes", case, Build::Sanitized);
    let command = run.command.env("GPSIMD_EMULATED_LOCK_DIR", locks).envs(settings.iter().copied());
    let output = command.output().unwrap();
    expect_success(case, &output);
    String::from_utf8(output.stderr).unwrap()
}

fn locks() -> (TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let locks = folder.path().join("locks");
    (folder, locks)
}

#[test]
fn cores_of_another_process_are_busy_until_it_closes() {
    let (_folder, locks) = locks();
    let holder = Holder::start(&locks, &[]);
    assert_eq!(holder.cores, 2);
    let log = expect("finds_its_cores_busy", &locks, &[]);
    assert!(log.contains("ERROR nrt_init: NeuronCore 0 is in use by another process"), "{log}");
    drop(holder);
    expect("finds_its_cores_free", &locks, &[]);
}

#[test]
fn cores_of_a_process_that_was_killed_are_free() {
    let (_folder, locks) = locks();
    Holder::start(&locks, &[]).kill();
    expect("finds_its_cores_free", &locks, &[]);
}

#[test]
fn processes_share_the_cores_that_they_name() {
    let (_folder, locks) = locks();
    let _first = Holder::start(&locks, &[(VISIBLE, "0")]);
    expect("finds_its_cores_free", &locks, &[(VISIBLE, "1")]);
    expect("finds_its_cores_busy", &locks, &[(VISIBLE, "0")]);
    expect("finds_its_cores_busy", &locks, &[(VISIBLE, "0-1")]);
}

#[test]
fn processes_that_want_a_number_of_cores_get_free_ones() {
    let (_folder, locks) = locks();
    let first = Holder::start(&locks, &[(CORES, "3"), (NUMBER, "1")]);
    let _second = Holder::start(&locks, &[(CORES, "3"), (NUMBER, "2")]);
    expect("finds_its_cores_busy", &locks, &[(CORES, "3"), (NUMBER, "1")]);
    drop(first);
    expect("finds_its_cores_free", &locks, &[(CORES, "3"), (NUMBER, "1")]);
    expect("finds_its_cores_busy", &locks, &[(CORES, "3"), (NUMBER, "2")]);
}

#[test]
fn a_folder_that_cannot_be_made_is_a_resource() {
    let (folder, _) = locks();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let log = expect("has_no_folder_for_locks", &file.join("locks"), &[]);
    assert!(log.contains("GPSIMD_EMULATED_LOCK_DIR names another folder"), "{log}");
}
