//! Under emulation, in a crate of one's own.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::host::Host;
use crate::{Bench, Ended};

/// A crate as `cargo gpsimd new` makes it, in a folder of this host.
fn new_crate(host: &Host) -> PathBuf {
    let made = Command::new(env!("CARGO_BIN_EXE_cargo-gpsimd"))
        .args(["new", "fresh-ops", "--sdk", concat!(env!("CARGO_MANIFEST_DIR"), "/../..")])
        .current_dir(host.path(""))
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    host.path("fresh-ops")
}

/// Without what differs from run to run and from machine to machine.
fn redacted(mut report: Value) -> Value {
    let redact = |value: &mut Value| *value = "[..]".into();
    redact(&mut report["written"]);
    redact(&mut report["gpsimd"]["commit"]);
    redact(&mut report["host"]);
    for library in report["libraries"].as_array_mut().unwrap() {
        redact(&mut library["compiler"]);
        redact(&mut library["manifest"]);
        library["sha256"].as_array_mut().unwrap().iter_mut().for_each(|file| redact(&mut file[1]));
    }
    for time in report["times"].as_array_mut().unwrap() {
        for name in ["runs", "least", "lower", "median", "upper"] {
            redact(&mut time[name]);
        }
        // Those of the first core, which has the most to do; with GCC, which says nothing of vectors, they are others.
        time["cores"].as_array_mut().unwrap().truncate(1);
        for name in ["scalar", "scalar_divisions", "vector", "vector_divisions"] {
            redact(&mut time["cores"][0][name]);
        }
        redact(&mut time["modelled"]);
    }
    redact(&mut report["fit"]);
    redact(&mut report["steps"][0]["summary"]);
    redact(&mut report["steps"][4]["summary"]);
    report["cases"].as_array_mut().unwrap().truncate(4);
    report["times"].as_array_mut().unwrap().truncate(3);
    report
}

#[test]
fn a_new_crate_is_brought_up_without_device_or_sdk_and_its_report_calibrates_the_model() {
    let bench = Bench::on(Host::bare());
    let library = new_crate(&bench.host);
    let ended: Ended = bench.run_on(&library, &["--emulated", "--fresh", "--seconds", "20"]);
    assert_eq!((ended.status, ended.states()), (0, vec!["passed"; 5]), "{}\n{}", ended.stdout, ended.stderr);
    assert!(ended.page.contains("<strong>Emulated.</strong>"));
    insta::assert_json_snapshot!(redacted(ended.report));

    let report = bench.host.path("report/report.json");
    let calibrate = |report: &PathBuf| {
        let output = Command::new(env!("CARGO_BIN_EXE_cargo-gpsimd"))
            .args(["profile", "--calibration"])
            .arg(report)
            .current_dir(&library)
            .env("CARGO_TARGET_DIR", crate::target())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| bench.host.shown(&String::from_utf8(bytes).unwrap());
        (output.status.success(), text(output.stdout) + &text(output.stderr))
    };
    let (is_good, text) = calibrate(&report);
    assert!(is_good && text.contains("by an EMULATED bring-up: times of a CPU"), "{text}");
    assert!(text.contains("not by the report: ") && text.contains("version of ReLU"), "{text}");
    std::fs::write(&report, "{\"format\": 7}").unwrap();
    let (is_good, text) = calibrate(&report);
    assert!(!is_good && text.contains("its format is 7, expected 1"), "{text}");
}

#[test]
fn an_op_that_no_library_has_is_an_error_before_any_step() {
    let bench = Bench::on(Host::bare());
    let refused = |packages: &[&str], op: &str| {
        let arguments = [&["--emulated", "--op", "scale", "--op", "relu_tiles", "--op", op], packages].concat();
        let output = bench.command(&crate::small_ops(), &arguments).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(!text.contains("[1/5]"), "{text}");
        text
    };
    let text = refused(&[], "nope");
    assert!(text.contains("error: library `small_ops` has no op `nope`, it has `scale`"), "{text}");
    let text = refused(&["-p", "small-ops", "-p", "element-ops"], "nope");
    assert!(
        text.contains("error: no op library here has an op `nope`: `small_ops` has `scale`; `element_ops` has `"),
        "{text}"
    );
}
