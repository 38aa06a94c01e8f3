//! `check` and `replay` of op libraries with planted faults: each is found, made small, saved, and found again.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use cargo_gpsimd::replay::Replay;
use gpsimd_emulator::Tensor;
use serde_json::Value;

/// What `cargo gpsimd` prints to standard output and to standard error, and how it ends.
fn run(library: &str, arguments: &[&str]) -> (String, String, Option<i32>) {
    run_with(library, arguments, &[])
}

fn run_with(library: &str, arguments: &[&str], variables: &[(&str, &Path)]) -> (String, String, Option<i32>) {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/faults").join(library).join("Cargo.toml");
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_cargo-gpsimd"))
        .args(arguments)
        .envs(variables.iter().copied())
        .arg("--manifest-path")
        .arg(manifest)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(stdout), text(stderr), status.code())
}

/// A counterexample, in short.
struct Found {
    kind: String,
    /// Elements of the largest operand.
    elements: usize,
    /// The tier in which it shows.
    tier: String,
    file: PathBuf,
}

/// What `check` finds of every op; none of what has no counterexample.
fn check(library: &str) -> BTreeMap<String, Option<Found>> {
    let arguments = ["check", "--json", "--seed", "1", "--cases", "300", "--tier", "package"];
    let (json, messages, status) = run(library, &arguments);
    let report: Value = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}\n{messages}"));
    assert_eq!(status, Some(1), "{messages}");
    // What moves by hand, or not at all, is not right by construction.
    let construction = report["construction"].as_object().unwrap();
    let moves_by_walk = |op: &String| library == "gradient-ops" && op != "all_but_the_last" || op == "has_no_shape";
    assert!(construction.keys().all(moves_by_walk), "{construction:?}");
    let found = |op: &Value| {
        let found = op.get("counterexample")?;
        // `x f32[3, 5], k 8`
        let shapes = found["operands"].as_str()?.split(['[', ']']).skip(1).step_by(2);
        let elements = |shape: &str| {
            shape.split(", ").filter(|size| !size.is_empty()).map(|size| size.parse::<usize>().unwrap()).product()
        };
        Some(Found {
            kind: found["kind"].as_str()?.to_owned(),
            elements: shapes.map(elements).max().unwrap_or_default(),
            tier: found["settings"].as_array()?.last()?["tier"].as_str()?.to_owned(),
            file: found["file"].as_str()?.into(),
        })
    };
    let ops = report["ops"].as_array().unwrap();
    ops.iter().map(|op| (op["op"].as_str().unwrap().to_owned(), found(op))).collect()
}

/// Every op but `right` has a counterexample of at most so many elements.
fn finds_all_but(library: &str, right: &[&str], elements: usize) -> BTreeMap<String, Option<Found>> {
    let found = check(library);
    for (op, found) in &found {
        match found {
            None => assert!(right.contains(&op.as_str()), "nothing is found of {op}"),
            Some(found) => {
                assert!(!right.contains(&op.as_str()), "{op}: {}", found.kind);
                assert!(found.elements <= elements, "{op}: {} of {} elements", found.kind, found.elements);
                assert!(found.file.is_file() && found.file.with_extension("rs").is_file() || found.kind == "Signal11");
            }
        }
    }
    found
}

fn kind<'a>(found: &'a BTreeMap<String, Option<Found>>, op: &str) -> &'a str {
    &found[op].as_ref().unwrap_or_else(|| panic!("{op}")).kind
}

#[test]
fn what_breaks_a_rule_is_found_on_a_few_elements() {
    // A share that does not fit, twice, has to be half as long as the pool, in elements of 2 bytes or more.
    let found = finds_all_but("faulty-ops", &[], 3100);
    assert_eq!(kind(&found, "exhausts_tcm"), "TcmExhausted");
    for (op, found) in found.iter().filter(|(op, _)| *op != "exhausts_tcm") {
        assert!(found.as_ref().unwrap().elements <= 2, "{op}");
    }
}

#[test]
fn what_is_left_undone_is_found_on_a_few_elements() {
    // Where it takes whole vectors on every core, and refuses what is cut otherwise.
    let found = finds_all_but("silent-ops", &[], 128);
    assert_eq!(kind(&found, "has_no_shape"), "ShapePanicked");
}

#[test]
fn what_breaks_a_rule_with_one_of_two_outputs_is_found() {
    // The one without a mistake takes the whole of its share into TCM: more cases would find that.
    finds_all_but("faulty-outputs", &["is_right"], 2);
}

#[test]
fn what_depends_on_what_must_not_matter_is_found() {
    // Words that are off alignment only a core refuses: the isa tier finds them.
    let found = finds_all_but("subtle-ops", &["is_right", "reads_off_alignment"], 300);
    for op in ["depends_on_tiles", "depends_on_cores", "forgets_a_remainder_of_1", "flushes_denormals", "mistakes_nan"]
    {
        assert_eq!(kind(&found, op), "Differs", "{op}");
    }
    assert_eq!(found["overflows_usize"].as_ref().unwrap().tier, "package");
    assert_eq!(kind(&found, "reads_from_nowhere"), "Signal11");
    // As many as it takes, although each attempt ends a process.
    assert_eq!(found["reads_from_nowhere"].as_ref().unwrap().elements, 24);

    let file = found["depends_on_cores"].as_ref().unwrap().file.display().to_string();
    let (shown, message, status) = run("subtle-ops", &["replay", &file]);
    assert_eq!(status, Some(1), "{shown}{message}");
    assert!(
        shown.contains("op `depends_on_cores` on x ") && message.contains("it is still wrong: "),
        "{shown}{message}"
    );
    let (_, message, status) = run("silent-ops", &["replay", &file]);
    assert_eq!(status, Some(1), "{message}");
    assert!(message.contains("it is of op library `subtle_ops`, this one is `silent_ops`"), "{message}");
}

#[test]
fn a_state_is_found_natively_and_told_where_there_can_be_no_package() {
    let (table, message, status) = run("stateful-ops", &["check", "--seed", "1", "--cases", "10", "--tier", "package"]);
    assert_eq!(status, Some(1), "{table}{message}");
    assert!(table.contains("there is no op package, and the native library was checked alone"), "{table}");
    assert!(table.contains("op `counts_its_tiles` is wrong on x "), "{table}");
}

#[test]
fn a_wrong_gradient_is_found_on_an_element_or_two() {
    let right = ["nearly_square_backward", "all_but_the_last", "relu", "relu_backward", "refuses_all"];
    let found = finds_all_but("gradient-ops", &right, 2);
    assert_eq!(kind(&found, "has_a_gradient_that_fails"), "GradientFails");
    for op in ["forgets_a_factor", "is_off_by_a_hundredth", "takes_a_product_for_a_sum", "forgets_the_last_element"] {
        assert_eq!(kind(&found, op), "Gradient", "{op}");
    }

    // Launched alone it would return the same bits everywhere.
    let file = &found["forgets_a_factor"].as_ref().unwrap().file;
    let test = std::fs::read_to_string(file.with_extension("rs")).unwrap();
    assert!(test.contains("\"replay\"") && test.contains(file.file_name().unwrap().to_str().unwrap()), "{test}");

    // What is not judged again is not right.
    let folder = tempfile::tempdir().unwrap();
    let replay_of = |change: &dyn Fn(&mut Replay)| {
        let mut replay = Replay::read(file).unwrap();
        change(&mut replay);
        let path = folder.path().join("other.safetensors");
        replay.write(&path).unwrap();
        run("gradient-ops", &["replay", path.to_str().unwrap()])
    };
    let other = |change: &dyn Fn(&mut Replay)| {
        let (shown, message, status) = replay_of(change);
        assert_eq!(status, Some(1), "{shown}{message}");
        message
    };
    let message = other(&|_| ());
    assert!(message.contains("it is still wrong: the gradient that it declares"), "{message}");
    let message = other(&|replay| replay.judge = "reference".into());
    assert!(message.contains("cannot be said: op `forgets_a_factor` declares no reference"), "{message}");
    let message = other(&|replay| replay.op = "relu_backward".into());
    assert!(message.contains("op `relu_backward` has no tensor `x`"), "{message}");
    let message = other(&|replay| {
        let integers = Tensor::from_vec(vec![1_i32; 4], &[4]).unwrap();
        replay.tensors.insert("x".into(), integers);
    });
    assert!(message.contains("cannot be said: the op does not take the operands: "), "{message}");
    let message = other(&|replay| {
        (replay.op, replay.judge) = ("refuses_all".into(), "gradient".into());
        let x = replay.tensors["x"].clone();
        replay.tensors = op_operands(&["_dy", "x"], &x);
    });
    assert!(message.contains("cannot be said: the op refuses the launch: "), "{message}");

    // A shape function that has come to refuse operands does so in every setting; of a gradient that says nothing.
    let scalar = Tensor::from_vec(vec![1.0_f32], &[]).unwrap();
    let refused = |replay: &mut Replay, judge: &str| {
        (replay.op, replay.judge) = ("takes_a_product_for_a_sum".into(), judge.into());
        replay.tensors = op_operands(&["x", "bias"], &scalar);
    };
    let message = other(&|replay| refused(replay, "gradient"));
    assert!(message.contains("cannot be said: the op does not take the operands: "), "{message}");
    let (shown, message, status) = replay_of(&|replay| refused(replay, "settings"));
    assert_eq!(status, Some(0), "{shown}{message}");
}

fn op_operands(names: &[&str], x: &Tensor) -> BTreeMap<String, Tensor> {
    names.iter().map(|name| ((*name).to_owned(), x.clone())).collect()
}

/// A cargo that says what it is asked for, and does not come to an end of building.
const ENDLESS_CARGO: &str =
    "#!/bin/sh\n[ \"$1\" = metadata ] && exec \"$REAL_CARGO\" \"$@\"\ntouch \"$STARTED\"\nexec sleep 600\n";

#[test]
fn ctrl_c_in_a_build_ends_the_check_and_what_an_earlier_one_found_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (cargo, started) = (folder.path().join("cargo"), folder.path().join("started"));
    std::fs::write(&cargo, ENDLESS_CARGO).unwrap();
    std::fs::set_permissions(&cargo, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (_, message, status) =
        run("gradient-ops", &["check", "--seed", "1", "--cases", "2", "--tier", "native", "--op", "relu"]);
    assert_eq!(status, Some(0), "{message}");
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/faults/gradient-ops/Cargo.toml");
    let real = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut child = Command::new(env!("CARGO_BIN_EXE_cargo-gpsimd"))
        .args(["check", "--seed", "2", "--cases", "2", "--tier", "native", "--op", "relu", "--manifest-path"])
        .arg(manifest)
        .envs([("CARGO", cargo.as_os_str()), ("REAL_CARGO", &real), ("STARTED", started.as_os_str())])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let start = Instant::now();
    while !started.exists() {
        assert!(child.try_wait().unwrap().is_none() && start.elapsed() < Duration::from_mins(2), "it does not build");
        std::thread::sleep(Duration::from_millis(20));
    }
    // As a terminal does: to the whole group.
    assert!(Command::new("kill").args(["-INT", "--", &format!("-{}", child.id())]).status().unwrap().success());
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let (shown, message) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert_eq!(status.code(), Some(130), "{shown}{message}");
    assert!(message.contains("interrupted before anything was checked") && shown.is_empty(), "{shown}{message}");
    let (table, message, status) =
        run("gradient-ops", &["check", "--resume", "--cases", "1", "--tier", "native", "--op", "relu"]);
    assert_eq!(status, Some(0), "{table}{message}");
    assert!(table.contains("seed 1"), "{table}");
}

/// `gpsimd_torch`, were it to forget the strides of operands.
const WITHOUT_STRIDES: &str = r#"
import torch

library = torch.library.Library("subtle_ops", "DEF")


class LibraryError(Exception):
    pass


def load_library(path):
    if not hasattr(library, "is_right"):
        library.is_right = library.define("is_right(Tensor x) -> Tensor")
        library.impl("is_right", lambda x: x.as_strided(x.shape, torch.empty(x.shape).stride()).clone(), "CPU")
"#;

#[test]
fn an_op_that_depends_on_strides_is_found_through_pytorch() {
    let arguments = ["check", "--seed", "1", "--cases", "60", "--tier", "native", "--op", "is_right"];
    let folder = tempfile::tempdir().unwrap();
    let package = folder.path().join("gpsimd_torch");
    std::fs::create_dir(&package).unwrap();
    std::fs::write(package.join("__init__.py"), WITHOUT_STRIDES).unwrap();
    let (table, message, status) = run_with("subtle-ops", &arguments, &[("PYTHONPATH", folder.path())]);
    if table.contains("strided operands were not tried: no PyTorch") {
        eprintln!("skipped: no Python with PyTorch; `cargo xtask test` makes one");
        return;
    }
    assert_eq!(status, Some(1), "{table}{message}");
    assert!(table.contains("op `is_right` is wrong on x ") && table.contains("[2]\n"), "{table}");
    assert!(table.contains("  with x sliced, element "), "{table}");
}

#[test]
fn what_is_not_its_reference_in_rust_is_found() {
    let check = |op| run("reference-ops", &["check", "--seed", "1", "--cases", "60", "--tier", "native", "--op", op]);
    let (table, message, status) = check("agrees_with_rust");
    assert_eq!(status, Some(0), "{table}{message}");
    assert!(table.contains("compared with its reference `halved` on "), "{table}");

    let (table, message, status) = check("is_off_where_x_is_large");
    assert_eq!(status, Some(1), "{table}{message}");
    assert!(table.contains("output `y` is not what the reference `references::itself` returns: element "), "{table}");

    let (table, message, status) = check("has_a_reference_that_panics");
    assert_eq!(status, Some(1), "{table}{message}");
    assert!(
        message.contains("the reference `references::panics` of op `has_a_reference_that_panics` failed"),
        "{message}"
    );
    assert!(message.contains("elements are too many"), "{message}");
}

/// In the workspace of this SDK, which has many.
#[test]
fn a_replay_file_says_which_of_several_libraries_is_meant() {
    let run = |arguments: &[&str]| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-gpsimd"));
        let Output { status, stdout, stderr } = command.args(arguments).current_dir(root).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(stdout), text(stderr), status.code())
    };
    let arguments = ["check", "--seed", "1", "--cases", "60", "--tier", "native", "-p", "reference-ops", "--op"];
    let (table, message, status) = run(&[&arguments[..], &["is_off_where_x_is_large"]].concat());
    assert_eq!(status, Some(1), "{table}{message}");
    let file = table.lines().find_map(|line| line.strip_prefix("  again: cargo gpsimd replay ")).unwrap();
    let (shown, message, status) = run(&["replay", file]);
    assert!(status == Some(1) && message.contains("it is still wrong: "), "{shown}{message}");
    let (shown, message, status) = run(&["debug", "--replay", file, "--debugger", "none"]);
    assert!(status == Some(0) && shown.contains("reference_ops"), "{shown}{message}");

    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut bytes = std::fs::read(root.join(file)).unwrap();
    let name = b"reference_ops";
    let place = bytes.windows(name.len()).position(|bytes| bytes == name).unwrap();
    bytes[place..place + name.len()].copy_from_slice(b"some_more_ops");
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other.safetensors");
    std::fs::write(&other, bytes).unwrap();
    for words in [&["replay"][..], &["debug", "--replay"]] {
        let (_, message, status) = run(&[words, &[other.to_str().unwrap()]].concat());
        assert_eq!(status, Some(1), "{message}");
        let told = "error: the file is of op library `some_more_ops`: the workspace ";
        assert!(message.starts_with(told) && message.contains(" has several op libraries: name one"), "{message}");
    }
}

#[test]
fn what_is_not_its_reference_is_found() {
    let check = |op| run("reference-ops", &["check", "--seed", "1", "--cases", "60", "--tier", "native", "--op", op]);
    let (table, message, status) = check("agrees");
    assert_eq!(status, Some(0), "{table}{message}");
    if table.contains("no Python with PyTorch was found") {
        eprintln!("skipped: no Python with PyTorch; `cargo xtask test` makes one");
        return;
    }
    assert!(table.contains("compared with its reference `references:signed_square` on "), "{table}");

    let (table, message, status) = check("is_another_function");
    assert_eq!(status, Some(1), "{table}{message}");
    assert!(table.contains("output `y` is not what the reference `references:square` returns: element "), "{table}");

    let (table, message, status) = check("has_a_reference_that_fails");
    assert_eq!(status, Some(1), "{table}{message}");
    assert!(message.contains("the reference `references:raises` of op `has_a_reference_that_fails`"), "{message}");
    assert!(message.contains("ValueError: no "), "{message}");
}
