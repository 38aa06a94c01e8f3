//! Building an op package with an SDK that succeeds, fails, or is not there.

use std::fs;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use gpsimd_neuron_sdk::{Built, PackageBuild, PackageBuildError};
use serde_json::json;

use crate::host::{Host, archive, file_names, members, metadata};

const SUCCEED: &str = "print('compiling', source.name)
shutil.copy(host / 'library.a', pathlib.Path(build_directory) / f'lib{name}.so')";

fn build_within(host: &Host, time_limit: Duration, stop: &AtomicBool) -> Result<Built, PackageBuildError> {
    let (package, _) = host.package();
    host.sdk().build(&PackageBuild { package: &package, output: &host.path("out/neuron"), time_limit, stop })
}

fn build(host: &Host) -> Result<Built, PackageBuildError> {
    fs::create_dir_all(host.path("out")).unwrap();
    build_within(host, Duration::from_mins(1), &AtomicBool::new(false))
}

/// A host with an SDK whose builder does this.
fn that(python: &str) -> Host {
    let host = Host::complete();
    host.when_built(python);
    host.write("library.a", archive(&members(&metadata())));
    host
}

/// The message of the error.
fn failure(host: &Host) -> String {
    host.shown(&build(host).unwrap_err().to_string())
}

#[test]
fn a_package_becomes_a_library_in_a_folder_of_its_own() {
    let host = that(SUCCEED);
    let built = build(&host).unwrap();
    assert_eq!(built.library, host.path("out/neuron/libsmall_ops_neuron.so"));
    assert_eq!(built.contents.ops, ["scale"]);
    assert_eq!(built.contents.schemas, 1);
    assert_eq!(fs::read_to_string(&built.log).unwrap(), "compiling small_ops.cpp\n");
    assert_eq!(file_names(&host.path("out")), ["neuron", "neuron.log"]);
    assert!(!host.path("package/libsmall_ops_neuron.so").exists());
}

#[test]
fn the_builder_gets_the_packages_sources_and_flags() {
    let host = that(
        "assert name == 'small_ops_neuron' and multicore\n\
                     assert [pathlib.Path(p).name for p in compute_srcs + shape_srcs] == ['small_ops.cpp', 'small_ops_shape.cpp']\n\
                     assert '-ffp-contract=off' in extra_cflags\n\
                     shutil.copy(host / 'library.a', pathlib.Path(build_directory) / f'lib{name}.so')",
    );
    build(&host).unwrap();
}

#[test]
fn an_error_of_the_compiler_names_the_op_and_the_rust_function() {
    let host = that(
        "lines = source.read_text().splitlines()
line = next(i for i, text in enumerate(lines, 1) if text.startswith('static u32 ') and 'Op_run(' in text and text.endswith('{')) + 2
for core in range(8):
    print(f\"{source}:{line}:7: error: use of undeclared identifier 'n3'\", file=sys.stderr)
raise RuntimeError('Error compiling ' + str(source))",
    );
    let message = failure(&host);
    // The line moves with the generator.
    let line = message.split("small_ops.cpp:").nth(1).unwrap().split(':').next().unwrap().to_owned();
    insta::assert_snapshot!(message.replace(&format!(":{line}:"), ":[line]:"), @r"
    the op package does not compile:
      op `scale`, Rust function `<small_ops::_::__GpsimdOp as gpsimd::ops::Op>::run`: small_ops.cpp:[line]:7: use of undeclared identifier 'n3'
    the sources are generated: please report this; the full log is /out/neuron.log
    ");
}

#[test]
fn an_error_in_a_function_of_several_layers_names_the_path_that_the_source_gives() {
    let host = that("lines = source.read_text().splitlines()
line = next(i for i, text in enumerate(lines, 1) if text.startswith('static') and 'gpsimd_tcm' in text and text.endswith('{'))
print(f'{source}:{line}:1: error: a', file=sys.stderr)
print(f'{source}:40:1: error: b', file=sys.stderr)
print(f'/opt/include/neuron-utils.hpp:4:2: fatal error: c', file=sys.stderr)
sys.exit(1)");
    let Err(PackageBuildError::Compiler { errors, .. }) = build(&host) else { panic!("no compiler error") };
    assert_eq!(errors.len(), 3);
    assert!(errors[0].function.as_ref().unwrap().starts_with("gpsimd::tcm::"), "{errors:?}");
    assert_eq!(errors[0].ops, ["scale"]);
    assert_eq!((&errors[1].function, &errors[1].ops[..]), (&None, &[][..]));
    assert_eq!(errors[2].place, "neuron-utils.hpp:4:2");
}

#[test]
fn a_shape_function_that_does_not_compile_names_its_op() {
    let host = that(
        "shapes = pathlib.Path(shape_srcs[0])
lines = shapes.read_text().splitlines()
line = next(i for i, text in enumerate(lines, 1) if text.startswith('torch::Tensor scale_shape('))
print(f'{shapes}:{line}:15: error: too many arguments', file=sys.stderr)
sys.exit(1)",
    );
    let Err(PackageBuildError::Compiler { errors, .. }) = build(&host) else { panic!("no compiler error") };
    assert_eq!(errors[0].ops, ["scale"]);
}

#[test]
fn a_missing_licence_is_not_taken_for_an_error_of_the_source() {
    let host = that(
        "print(f'{source}:1:1: error: License checkout failed: XTENSA_ncore2gp', file=sys.stderr)
print('FlexNet Licensing error:-97,121', file=sys.stderr)
sys.exit(1)",
    );
    insta::assert_snapshot!(failure(&host), @r"
    the GPSIMD compiler got no licence: /out/neuron.new/small_ops.cpp:1:1: error: License checkout failed: XTENSA_ncore2gp
    the licence comes with the package aws-neuronx-gpsimd-tools: install that again, and see that $LM_LICENSE_FILE is unset or names its file; the full log is /out/neuron.log
    ");
}

#[test]
fn a_module_that_is_missing_is_named() {
    let host = that(SUCCEED);
    fs::remove_dir_all(host.path("site/torch_neuronx")).unwrap();
    insta::assert_snapshot!(failure(&host), @"/opt/aws_neuronx_venv_pytorch_2_9/bin/python has no module `torch_neuronx`, which the build needs: activate the environment that has it, or see `cargo gpsimd doctor`; the full log is /out/neuron.log");
}

#[test]
fn a_failure_of_unknown_reason_shows_the_end_of_the_log() {
    let host = that("for line in range(20):\n    print('line', line)\nsys.exit(3)");
    insta::assert_snapshot!(failure(&host), @r"
    build.py failed (exit status: 3) after
    line 10
    line 11
    line 12
    line 13
    line 14
    line 15
    line 16
    line 17
    line 18
    line 19
    the full log is /out/neuron.log
    ");
}

#[test]
fn a_library_of_other_ops_is_not_left_behind() {
    let host = that(SUCCEED);
    build(&host).unwrap();
    let before = fs::read(host.path("out/neuron/libsmall_ops_neuron.so")).unwrap();
    host.write("library.a", archive(&members(&json!({ "ops": ["scale", "offset"] }))));
    insta::assert_snapshot!(failure(&host), @"the library that was built is not that of the package: /out/neuron.new/libsmall_ops_neuron.so: metadata.json lists `offset`, `scale` as its ops, expected `scale`; build it again from this package; the full log is /out/neuron.log");
    assert_eq!(fs::read(host.path("out/neuron/libsmall_ops_neuron.so")).unwrap(), before);
}

#[test]
fn a_builder_that_leaves_no_library_is_an_error() {
    let message = failure(&that("pass"));
    assert!(message.contains("cannot read /out/neuron.new/libsmall_ops_neuron.so"), "{message}");
}

#[test]
fn a_build_that_takes_too_long_ends_with_all_its_compilers() {
    let host = that("import subprocess\nsubprocess.run(['sh', '-c', f'sleep 600; touch {host}/late'])");
    fs::create_dir_all(host.path("out")).unwrap();
    let error = build_within(&host, Duration::from_millis(1500), &AtomicBool::new(false)).unwrap_err();
    assert!(matches!(error, PackageBuildError::TimeLimit { .. }), "{error}");
    let all = std::process::Command::new("ps").args(["-eo", "args"]).output();
    if let Ok(all) = all {
        assert!(!String::from_utf8_lossy(&all.stdout).contains(&format!("touch {}", host.path("late").display())));
    }
}

#[test]
fn a_build_that_is_stopped_leaves_what_was_there() {
    let host = that(SUCCEED);
    build(&host).unwrap();
    host.when_built("time.sleep(600)");
    let error = build_within(&host, Duration::from_mins(10), &AtomicBool::new(true)).unwrap_err();
    assert!(matches!(error, PackageBuildError::Stopped), "{error}");
    assert!(host.path("out/neuron/libsmall_ops_neuron.so").exists());
    host.when_built(SUCCEED);
    build(&host).unwrap();
    assert_eq!(file_names(&host.path("out")), ["neuron", "neuron.log"]);
}

#[test]
fn what_a_build_before_left_is_not_in_the_next_one() {
    let host = that(SUCCEED);
    host.write("out/neuron.new/wrapper.o", "of a build that was killed");
    build(&host).unwrap();
    let files = [
        "build.py",
        "libsmall_ops_neuron.so",
        "manifest.json",
        "small_ops.cpp",
        "small_ops_shape.cpp",
        "source_map.json",
    ];
    assert_eq!(file_names(&host.path("out/neuron")), files);
}

#[test]
fn without_an_sdk_the_doctors_lines_say_what_is_missing() {
    insta::assert_snapshot!(failure(&Host::bare()), @r"
    the Neuron SDK that builds op packages is not complete on this host:
    missing  GPSIMD compiler    (package aws-neuronx-gpsimd-tools)
                                not where it was looked for, in /opt/aws/neuron
                                fix: sudo apt-get install aws-neuronx-gpsimd-tools
    missing  custom-op library  (package aws-neuronx-gpsimd-customop-lib)
                                not where it was looked for, in /opt/aws/neuron
                                fix: sudo apt-get install aws-neuronx-gpsimd-customop-lib
    missing  Python
                                fix: install Python, or activate the virtual environment of the Deep Learning AMI
    missing  headers of Python
                                fix: sudo apt-get install python3-dev
    missing  ninja
                                fix: python3 -m pip install --extra-index-url https://pip.repos.neuron.amazonaws.com ninja
    missing  torch              (package torch)
                                fix: python3 -m pip install --extra-index-url https://pip.repos.neuron.amazonaws.com 'torch==2.9.*' 'torch-xla==2.9.*' 'torch-neuronx==2.9.0.2.15.32035' 'neuronx-cc==2.26.6360.0'
    missing  torch-xla          (package torch-xla)
                                fix: python3 -m pip install --extra-index-url https://pip.repos.neuron.amazonaws.com 'torch==2.9.*' 'torch-xla==2.9.*' 'torch-neuronx==2.9.0.2.15.32035' 'neuronx-cc==2.26.6360.0'
    missing  torch-neuronx      (package torch-neuronx)
                                fix: python3 -m pip install --extra-index-url https://pip.repos.neuron.amazonaws.com 'torch==2.9.*' 'torch-xla==2.9.*' 'torch-neuronx==2.9.0.2.15.32035' 'neuronx-cc==2.26.6360.0'
    `cargo gpsimd doctor` shows everything; `cargo gpsimd build` without --neuron builds what runs here
    ");
}

#[test]
fn versions_that_do_not_work_are_refused_before_the_build() {
    let mut host = that(SUCCEED);
    host.with_python(
        "opt/aws_neuronx_venv_pytorch_2_9",
        &[("torch", "2.10.0"), ("torch-xla", "2.10.0"), ("torch-neuronx", "2.10.0")],
    );
    insta::assert_snapshot!(failure(&host), @r"
    the Neuron SDK that builds op packages is not complete on this host:
    wrong    torch  2.10.0  (package torch)
                    PyTorch 2.9 is the last that Neuron supports through PyTorch/XLA
                    fix: /opt/aws_neuronx_venv_pytorch_2_9/bin/python -m pip install --extra-index-url https://pip.repos.neuron.amazonaws.com 'torch==2.9.*' 'torch-xla==2.9.*' 'torch-neuronx==2.9.0.2.15.32035' 'neuronx-cc==2.26.6360.0'
    `cargo gpsimd doctor` shows everything; `cargo gpsimd build` without --neuron builds what runs here
    ");
}

#[test]
fn a_folder_that_is_no_package_is_refused() {
    let host = that(SUCCEED);
    let (folder, output) = (host.path("site"), host.path("out/neuron"));
    let stop = AtomicBool::new(false);
    let build = PackageBuild { package: &folder, output: &output, time_limit: Duration::from_secs(1), stop: &stop };
    let error = host.sdk().build(&build).unwrap_err();
    assert!(error.to_string().contains("/site is no op package: its manifest.json cannot be read"), "{error}");
}
