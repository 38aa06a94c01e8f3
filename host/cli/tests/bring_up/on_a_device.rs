//! On a Trn1 whose SDK is a fake.

use std::time::{Duration, Instant};

use crate::host::Host;
use crate::{Bench, small_ops};

#[test]
fn all_is_well_on_a_complete_host_and_a_second_run_takes_what_the_first_has_done() {
    let bench = Bench::new();
    let first = bench.run(&["--fresh", "--seconds", "60"]);
    assert!(first.is_well(), "{}\n{}", first.stdout, first.stderr);
    assert_eq!(first.report["engine"], "neuron");
    assert_eq!(first.cases("scale", "equal"), 9);
    assert_eq!(first.cases("relu_elements", "equal"), 9);
    assert!(first.report["times"].as_array().unwrap().iter().all(|time| time["outcome"] == "measured"));
    let host = &first.report["host"];
    let piece = |name: &str| host["pieces"].as_array().unwrap().iter().find(|piece| piece["name"] == name).unwrap();
    assert_eq!(piece("neuronx-cc")["version"], "2.23.5");
    assert!(host["environment"].as_array().unwrap().contains(&serde_json::json!(["NEURON_RT_NUM_CORES", "1"])));
    assert!(bench.calls() > 100);

    let second = bench.run(&["--seconds", "60"]);
    assert_eq!(second.report["cases"], first.report["cases"]);
    assert_eq!(second.report["times"], first.report["times"]);
    assert_eq!(bench.calls(), 0);
    assert!(second.stderr.contains("results are of earlier runs"), "{}", second.stderr);
}

#[test]
fn a_host_without_the_sdk_gets_a_report_that_says_what_is_missing() {
    let bench = Bench::on(Host::bare());
    let ended = bench.run(&["--fresh"]);
    assert_eq!((ended.status, ended.states()), (1, vec!["failed", "failed", "unfinished", "unfinished", "unfinished"]));
    assert!(ended.failures("check").contains("GPSIMD compiler: missing"), "{}", ended.failures("check"));
    assert!(ended.stderr.contains("fix: sudo apt-get install aws-neuronx-gpsimd-tools"), "{}", ended.stderr);
    assert!(ended.failures("build").contains("small_ops: the Neuron SDK that builds op packages is not complete"));
    // What builds without an SDK is described all the same.
    assert_eq!(ended.report["libraries"][0]["manifest"]["ops"][0]["name"], "scale");
}

#[test]
fn a_package_that_does_not_build_is_told_and_the_others_go_on() {
    let bench = Bench::new();
    bench.fault("small_ops_neuron build");
    let ended = bench.run(&["--fresh", "--seconds", "30"]);
    assert_eq!((ended.status, ended.step("build")), (1, ("failed", "1 of 2 op libraries are built")));
    assert!(ended.failures("build").contains("small_ops.cpp:7:1: a mistake in"), "{}", ended.failures("build"));
    assert_eq!((ended.cases("scale", "equal"), ended.cases("relu_tiles", "equal")), (0, 9));
    assert_eq!(ended.step("times").0, "passed");
}

#[test]
fn a_library_that_cannot_be_loaded_is_told_once() {
    let bench = Bench::new();
    bench.fault("small_ops_neuron load");
    let ended = bench.run(&["--fresh", "--seconds", "30"]);
    assert_eq!((ended.status, ended.step("cases").0), (1, "failed"));
    assert_eq!((ended.cases("scale", "failed"), ended.cases("scale", "not_tried")), (1, 8));
    assert!(
        ended.failures("cases").contains("RuntimeError: cannot unpack <folder>/libsmall_ops_neuron.so"),
        "{}",
        ended.failures("cases")
    );
    assert_eq!(ended.cases("relu_tiles", "equal"), 9);
}

#[test]
fn other_bits_are_told_with_their_place_and_size() {
    let bench = Bench::new();
    bench.fault("relu_tiles wrong");
    let ended = bench.run(&["--fresh", "--seconds", "30"]);
    assert_eq!((ended.status, ended.step("cases").0), (1, "failed"));
    let cases = ended.report["cases"].as_array().unwrap();
    let case = cases.iter().find(|case| case["op"] == "relu_tiles" && case["case"] == "f32_7x1009").unwrap();
    assert_eq!((case["outcome"].as_str(), &case["at"]), (Some("different"), &serde_json::json!([0, 3])));
    assert_eq!((&case["output"], &case["differing"]), (&"y".into(), &1.into()));
    assert!(
        ended
            .failures("cases")
            .contains("relu_ops::relu_tiles: f32_7x1009: `y` has other bits in 1 of 7063 elements, by ")
    );
    assert!(ended.page.contains("class=\"different\">different</span>"));
    // Its times are what they are.
    assert_eq!(ended.step("times").0, "passed");

    // What was wrong is tried again.
    bench.mend();
    bench.calls();
    let ended = bench.run(&["--seconds", "30"]);
    assert!(ended.is_well() && ended.cases("relu_tiles", "equal") == 9, "{}", ended.stdout);
    assert!(bench.calls() < 20);
}

#[test]
fn a_case_that_hangs_and_one_that_crashes_end_its_process_alone() {
    let bench = Bench::new();
    for (fault, what) in [
        ("scale hang", "no answer within 2 s"),
        (
            "scale crash",
            "the process ended (signal: 6 (SIGABRT)) after\ngpsimd: op `scale`, core 3: a message of the kernel",
        ),
    ] {
        bench.fault(fault);
        let ended = bench.run(&["--fresh", "--seconds", "60", "--time-limit", "2"]);
        assert_eq!((ended.status, ended.step("cases").0), (1, "failed"), "{}", ended.stderr);
        assert_eq!((ended.cases("scale", "failed"), ended.cases("scale", "not_tried")), (3, 6), "{fault}");
        let failures = ended.failures("cases");
        assert!(failures.contains(what), "{failures}");
        assert!(failures.contains("small_ops: given up: 3 processes in a row ended or hung"), "{failures}");
        assert_eq!(ended.cases("relu_tiles", "equal"), 9);
        assert_eq!(ended.step("times").0, "failed");
    }
}

#[test]
fn an_error_of_the_runtime_is_told_for_each_case_and_times_that_fail_are_told() {
    let bench = Bench::new();
    bench.fault("scale error");
    let ended = bench.run(&["--fresh", "--seconds", "30"]);
    assert_eq!(ended.cases("scale", "failed"), 9);
    let failures = ended.failures("cases");
    assert!(
        failures
            .contains("RuntimeError: NRT_EXEC_COMPLETED_WITH_ERR (1004) in <folder>/x.cpp, and 8 other cases of it"),
        "{failures}"
    );

    bench.fault("scale time");
    let ended = bench.run(&["--fresh", "--seconds", "30"]);
    assert_eq!((ended.status, ended.step("cases").0, ended.step("times").0), (1, "passed", "failed"));
    assert!(
        ended
            .failures("times")
            .contains("small_ops::scale (x f32[64, 1024], factor 0.5): RuntimeError: GPSIMD EXCEPTION"),
        "{}",
        ended.failures("times")
    );
}

#[test]
fn what_is_not_a_neuron_core_is_refused() {
    let bench = Bench::new();
    let ended = bench.ended(bench.command(&small_ops(), &["--fresh"]).env("PJRT_DEVICE", "CPU"));
    assert_eq!((ended.status, ended.step("cases").0), (1, "failed"));
    assert!(ended.failures("cases").contains("XLA's device is CPU, expected NEURON: unset PJRT_DEVICE"));
    assert_eq!(bench.calls(), 0);
}

#[test]
fn stopped_in_a_build_or_in_a_case_it_keeps_what_is_done_and_goes_on_later() {
    let bench = Bench::new();
    for (fault, step) in [("small_ops_neuron build-hang", "build"), ("relu_tiles hang", "cases")] {
        bench.fault(fault);
        let _ = std::fs::remove_file(bench.host.path("started"));
        let mut child = bench.command(&small_ops(), &["--fresh"]).spawn().unwrap();
        let start = Instant::now();
        while !bench.host.path("started").exists() {
            assert!(child.try_wait().unwrap().is_none(), "it ended before {step}");
            assert!(start.elapsed() < Duration::from_mins(5), "{step} does not begin");
            std::thread::sleep(Duration::from_millis(50));
        }
        std::process::Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status().unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130), "{step}");
    }
    bench.mend();
    bench.calls();
    let ended = bench.run(&["--seconds", "60"]);
    assert!(ended.is_well(), "{}", ended.stdout);
    // The cases of `small_ops` were done when it was stopped.
    assert!(ended.stderr.contains("9 results are of earlier runs"), "{}", ended.stderr);
}

/// Whatever anybody says: the fakes name folders, a host and a user.
#[test]
fn the_report_has_nothing_private() {
    let bench = Bench::new();
    let here = std::env::current_dir().unwrap();
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    for fault in ["small_ops_neuron build", "scale crash", "scale error"] {
        bench.fault(fault);
        let ended = bench.run(&["--fresh", "--seconds", "10"]);
        let text = format!("{}{}", ended.report, ended.page);
        let folder = bench.host.path("").display().to_string();
        for private in
            [&*here.to_string_lossy(), &folder, "/home/", "/tmp/", "somebody", "ip-10-0-0-7", hostname.trim()]
        {
            let at = text.find(private).map(|at| &text[at.saturating_sub(100)..(at + 100).min(text.len())]);
            assert!(at.is_none() || private.len() < 3 || private == "localhost", "{fault}: {private}: {at:?}");
        }
    }
}
