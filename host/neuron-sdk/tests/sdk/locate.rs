//! What is found on a host.

use gpsimd_neuron_sdk::{Finding, FindingState, Sdk};

use crate::host::{Host, TORCH};

fn finding(sdk: &Sdk, piece: &str) -> Finding {
    sdk.findings().iter().find(|finding| finding.piece == piece).unwrap_or_else(|| panic!("no {piece}")).clone()
}

#[test]
fn of_a_bare_host_everything_is_missing() {
    let host = Host::bare();
    insta::assert_snapshot!(host.lines());
    assert!(!host.sdk().is_complete());
    assert!(!host.sdk().can_build());
}

#[test]
fn of_a_complete_host_nothing_is() {
    let host = Host::complete();
    insta::assert_snapshot!(host.lines());
    assert!(host.sdk().is_complete());
}

#[test]
fn of_half_an_installation_the_rest_is_missing() {
    let mut host = Host::bare();
    host.write("dev/neuron0", "");
    host.install("aws-neuronx-runtime-lib", "2.31.24.0");
    host.write("opt/aws/neuron/lib/libnrt.so.1", "");
    host.with_compiler("0.21.0.0");
    host.with_python("venv", &TORCH[..2]);
    host.environment.virtual_env = Some(host.path("venv"));
    insta::assert_snapshot!(host.lines());
    assert!(!host.sdk().can_build());
}

#[test]
fn versions_that_do_not_go_together_are_said() {
    let mut host = Host::complete();
    host.install("aws-neuronx-gpsimd-tools", "0.19.1.0");
    let packages = [("torch", "2.10.0"), ("torch-xla", "2.9.0"), ("torch-neuronx", "2.9.0.2.12")];
    host.with_python("opt/aws_neuronx_venv_pytorch_2_9", &packages);
    host.write("product_name", "trn2.48xlarge\n");
    insta::assert_snapshot!(host.lines());
    assert!(!host.sdk().can_build());
}

#[test]
fn tools_and_library_need_not_have_one_version() {
    let mut host = Host::complete();
    host.install("aws-neuronx-gpsimd-tools", "14.09.1.0");
    host.install("aws-neuronx-gpsimd-customop-lib", "0.25.12.0");
    let sdk = Sdk::locate_in(&host.environment);
    assert!(
        ["GPSIMD compiler", "custom-op library"].iter().all(|piece| finding(&sdk, piece).state == FindingState::Ok)
    );
}

#[test]
fn what_builds_the_part_for_the_host_is_needed() {
    let mut host = Host::complete();
    (host.headers, host.ninja) = (None, None);
    host.with_python("opt/aws_neuronx_venv_pytorch_2_9", &TORCH);
    let sdk = Sdk::locate_in(&host.environment);
    assert!(!sdk.can_build());
    let fix = |piece| finding(&sdk, piece).fix.clone().unwrap();
    assert_eq!(fix("headers of Python"), "sudo apt-get install python3-dev");
    assert!(fix("ninja").ends_with("-m pip install --extra-index-url https://pip.repos.neuron.amazonaws.com ninja"));
    host.ninja = Some("/opt/aws_neuronx_venv_pytorch_2_9/bin/ninja");
    host.with_python("opt/aws_neuronx_venv_pytorch_2_9", &TORCH);
    assert_eq!(finding(&Sdk::locate_in(&host.environment), "ninja").state, FindingState::Ok);
}

#[test]
fn later_chips_are_told_that_the_ops_run_on_the_cpu() {
    for instance in ["trn2.48xlarge", "trn3pds98.3xlarge"] {
        let host = Host::complete();
        host.write("product_name", instance);
        let sdk = Sdk::locate_in(&host.environment);
        let device = finding(&sdk, "NeuronCore-v2");
        assert_eq!(device.state, FindingState::Wrong);
        let note = device.note.clone().unwrap();
        assert!(note.ends_with("the ops of this project run on the CPU"), "{instance}: {note}");
    }
}

#[test]
fn a_package_whose_files_are_elsewhere_is_doubtful() {
    let host = Host::complete();
    std::fs::remove_dir_all(host.path("opt/aws/neuron/gpsimd")).unwrap();
    let sdk = host.sdk();
    let compiler = finding(&sdk, "GPSIMD compiler");
    assert_eq!((compiler.state, compiler.version.as_deref()), (FindingState::Doubtful, Some("0.21.0.0")));
    assert!(sdk.can_build());
}

#[test]
fn tools_are_found_wherever_they_are_in_their_folder() {
    let mut host = Host::bare();
    host.install("bash", "5.2");
    host.write("opt/aws/neuron/gpsimd/tools/ncore2gp/XtensaTools/bin/xt-clang++", "");
    let compiler = finding(&host.sdk(), "GPSIMD compiler");
    assert_eq!(compiler.state, FindingState::Ok);
    assert!(compiler.path.unwrap().ends_with("XtensaTools/bin/xt-clang++"));
}

#[test]
fn the_version_of_libnrt_is_in_its_name_where_no_package_manager_knows_it() {
    let host = Host::bare();
    host.write("opt/aws/neuron/lib/libnrt.so.2.31.24.0", "");
    std::os::unix::fs::symlink("libnrt.so.2.31.24.0", host.path("opt/aws/neuron/lib/libnrt.so.1")).unwrap();
    assert_eq!(finding(&host.sdk(), "libnrt").version.as_deref(), Some("2.31.24.0"));
}

#[test]
fn an_rpm_host_is_told_its_own_commands() {
    let host = Host::bare();
    std::fs::remove_file(host.path("bin/dpkg-query")).unwrap();
    host.program(
        "bin/rpm",
        "#!/bin/sh\necho 'package aws-neuronx-dkms is not installed'\necho 'aws-neuronx-gpsimd-tools 0.21.0.0-1 installed'\n",
    );
    let sdk = host.sdk();
    assert_eq!(finding(&sdk, "GPSIMD compiler").version.as_deref(), Some("0.21.0.0-1"));
    let fix = finding(&sdk, "custom-op library").fix.unwrap();
    assert_eq!(fix, "sudo dnf install aws-neuronx-gpsimd-customop-lib");
}

#[test]
fn a_machine_that_is_no_instance_is_not_taken_for_one() {
    let host = Host::complete();
    host.write("product_name", "Standard PC (i440FX + PIIX, 1996)\n");
    let device = finding(&host.sdk(), "NeuronCore-v2");
    assert_eq!((device.state, device.version), (FindingState::Ok, None));
}

// Python.

#[test]
fn the_interpreter_with_torch_neuronx_is_taken_before_the_active_one() {
    let mut host = Host::complete();
    host.with_python("venv", &TORCH[..1]);
    host.environment.virtual_env = Some(host.path("venv"));
    assert_eq!(host.sdk().interpreter().unwrap(), host.path("opt/aws_neuronx_venv_pytorch_2_9/bin/python"));
    host.with_python("venv", &TORCH);
    assert_eq!(host.sdk().interpreter().unwrap(), host.path("venv/bin/python"));
}

#[test]
fn an_interpreter_that_does_not_answer_is_left_alone_after_the_time_limit() {
    let mut host = Host::complete();
    host.environment.time_limit = std::time::Duration::from_millis(300);
    host.environment.virtual_env = Some(host.path("venv"));
    host.program("venv/bin/python", "#!/bin/sh\nsleep 600 | sleep 600\n");
    let start = std::time::Instant::now();
    assert_eq!(host.sdk().interpreter().unwrap(), host.path("opt/aws_neuronx_venv_pytorch_2_9/bin/python"));
    assert!(start.elapsed().as_secs() < 60);
}

#[test]
fn an_old_python_builds_but_does_not_run_gpsimd_torch() {
    let host = Host::complete();
    let answer = r#"{"python": "3.10.12", "packages": {"torch": "2.9.1"}, "has_neuron": true}"#;
    host.program("opt/aws_neuronx_venv_pytorch_2_9/bin/python", &format!("#!/bin/sh\necho '{answer}'\n"));
    let python = finding(&host.sdk(), "Python");
    assert_eq!(python.state, FindingState::Doubtful);
    assert_eq!(python.note.unwrap(), "builds op packages, but gpsimd_torch needs Python 3.11");
}

#[test]
fn a_real_interpreter_understands_what_it_is_asked() {
    let mut host = Host::bare();
    host.when_built("pass");
    for (name, version) in TORCH {
        let folder = format!("site/{}-{version}.dist-info", name.replace('-', "_"));
        host.write(&format!("{folder}/METADATA"), format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"));
    }
    let site = host.path("site");
    host.program("bin/python3", &format!("#!/bin/sh\nPYTHONPATH='{}' exec python3 -S \"$@\"\n", site.display()));
    host.environment.time_limit = std::time::Duration::from_mins(1);
    let sdk = host.sdk();
    for (name, version) in TORCH {
        assert_eq!(finding(&sdk, name).version.as_deref(), Some(version));
        assert_eq!(finding(&sdk, name).state, FindingState::Ok);
    }
    assert!(finding(&sdk, "Python").version.unwrap().starts_with("3."));
}
