//! `doctor` and `build --neuron` on a host with an SDK that the test fakes: what they print, and how they end.

#[path = "../../neuron-sdk/tests/sdk/host.rs"]
#[allow(dead_code, reason = "written for the tests of the SDK, which need more of it")]
mod host;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use host::{Host, archive, members, metadata};
use serde_json::Value;

/// The command on a host; its own package manager comes first, and its Python is the active environment.
fn gpsimd(host: &Host, arguments: &[&str]) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-gpsimd"));
    command
        .args(arguments)
        .env("NEURON_SDK_ROOT", host.path("opt/aws/neuron"))
        .env("VIRTUAL_ENV", host.path("opt/aws_neuronx_venv_pytorch_2_9"))
        .env("PATH", format!("{}:{path}", host.path("bin").display()));
    command
}

fn run(host: &Host, arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = gpsimd(host, arguments).output().unwrap();
    let text = |bytes: Vec<u8>| host.shown(&String::from_utf8(bytes).unwrap());
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[test]
fn the_doctor_finds_the_sdk_and_fails_only_when_asked_about_it() {
    let host = Host::complete();
    let (status, json, _) = run(&host, &["doctor", "--json"]);
    let report: Value = serde_json::from_str(&json).unwrap();
    let find = |piece: &str| report["neuron"].as_array().unwrap().iter().find(|line| line["piece"] == piece).unwrap();
    assert_eq!(status, 0);
    assert_eq!(find("GPSIMD compiler")["path"], "/opt/aws/neuron/gpsimd/bin/xt-clang++");
    assert_eq!(find("torch-neuronx")["version"], "2.9.0.2.12");

    let (status, lines, error) = run(&Host::bare(), &["doctor", "--neuron"]);
    assert_eq!(status, 4);
    assert!(lines.starts_with("to develop without a Trainium\nok       rustc"), "{lines}");
    assert!(lines.contains("missing  custom-op library  (package aws-neuronx-gpsimd-customop-lib)"), "{lines}");
    assert!(error.contains("required components are missing to build and run on Trn1 or Inf2"), "{error}");
}

#[test]
fn without_an_sdk_nothing_is_built_and_the_status_is_5() {
    let host = Host::bare();
    let out = host.path("out");
    let (status, _, error) = run(&host, &["build", "--neuron", "-p", "bert-ops", "--out", out.to_str().unwrap()]);
    assert_eq!(status, 5, "{error}");
    assert!(error.contains("fix: sudo apt-get install aws-neuronx-gpsimd-tools"), "{error}");
    assert!(!out.exists());
}

#[test]
fn a_package_is_built_or_its_error_told() {
    let host = Host::complete();
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("../codegen/tests/package/small-ops/Cargo.toml");
    let out = host.path("out");
    let arguments = ["build", "--neuron", "--manifest-path", library.to_str().unwrap(), "--out", out.to_str().unwrap()];
    host.write("library.a", archive(&members(&metadata())));
    host.when_built("shutil.copy(host / 'library.a', pathlib.Path(build_directory) / f'lib{name}.so')");
    let (status, lines, error) = run(&host, &arguments);
    assert_eq!(status, 0, "{error}");
    let last = lines.lines().last().unwrap();
    assert_eq!(last, "neuron   /out/neuron/libsmall_ops_neuron.so: 10 members, 1 ops");
    // Both builds of the package are there, in different folders.
    assert!(host.path("out/package/libsmall_ops.so").exists());
    assert!(host.path("out/neuron/libsmall_ops_neuron.so").exists());

    host.when_built(
        "line = [i for i, text in enumerate(source.read_text().splitlines(), 1) if text.startswith('torch::Tensor scale(')][0]\n\
         print(f'{source}:{line}:15: error: a mistake', file=sys.stderr)\nsys.exit(1)",
    );
    let (status, _, error) = run(&host, &arguments);
    assert_eq!(status, 6, "{error}");
    assert!(error.contains("\n  op `scale`: small_ops.cpp:") && error.contains(":15: a mistake\n"), "{error}");
    assert!(error.contains("the full log is /out/neuron.log"), "{error}");

    // Ctrl-C, once the builder runs.
    host.when_built("(host / 'started').touch()\ntime.sleep(600)");
    let mut child = gpsimd(&host, &arguments).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    while !host.path("started").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before the builder ran");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("the build was stopped; what was built before is as it was")
    );
    assert!(host.path("out/neuron/libsmall_ops_neuron.so").exists());
}
