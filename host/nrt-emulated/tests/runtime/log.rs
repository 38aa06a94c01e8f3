//! What stands in the log.

use crate::fixtures::{Build, pass};

/// Lines of the log of a case, without the number of the process; every line says whose it is.
fn log(program: &str, case: &str, settings: &[(&str, &str)]) -> Vec<String> {
    let lines = pass(program, case, Build::Sanitized, settings);
    let line = |line: &str| {
        let rest = line.strip_prefix("[gpsimd emulated nrt ").unwrap_or_else(|| panic!("whose is `{line}`?"));
        rest.split_once("] ").unwrap().1.to_owned()
    };
    lines.lines().map(line).collect()
}

#[test]
fn a_second_free_is_an_error_in_the_log() {
    let lines = log("tensors", "a_second_free_is_reported_and_harmless", &[]);
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(lines[0].starts_with("ERROR nrt_tensor_free: 0x"), "{}", lines[0]);
    assert!(lines[0].ends_with(" is no tensor: it was freed, or never given by this runtime"), "{}", lines[0]);
    assert_eq!(lines[1], "ERROR nrt_tensor_free: 0x0 is no tensor");
}

#[test]
fn what_fails_is_an_error_in_the_log_with_the_message_of_the_emulator() {
    let lines = log("execution", "an_access_out_of_bounds_is_oob", &[]);
    assert_eq!(lines.len(), 4, "{lines:#?}");
    assert_eq!(
        lines[0],
        "ERROR nrt_execute: op `past_the_end`, core 0, at ops.c:21:1: load of 1 element from element 8 of `x` goes past \
         its end: it has 8 elements"
    );
}

#[test]
fn a_good_run_is_silent_unless_asked() {
    assert_eq!(log("execution", "a_graph_of_calls_is_computed", &[]), [""; 0]);
    let info = log("execution", "a_graph_of_calls_is_computed", &[("NEURON_RT_LOG_LEVEL", "INFO")]);
    let identity =
        concat!("INFO nrt_init: gpsimd emulated runtime ", env!("CARGO_PKG_VERSION"), ", no Neuron device; ");
    assert_eq!(info, [format!("{identity}2 of 2 emulated NeuronCores from number 0, Checked")]);
    let debug = log("execution", "a_graph_of_calls_is_computed", &[("NEURON_RT_LOG_LEVEL", "DEBUG")]);
    assert!(debug.iter().any(|line| line.starts_with("DEBUG nrt_load: ")), "{debug:#?}");
    assert!(debug.iter().any(|line| line.starts_with("DEBUG nrt_execute: ")), "{debug:#?}");
}

#[test]
fn what_a_program_leaves_is_a_warning() {
    let lines = log("lifecycle", "close_frees_what_the_program_has_left", &[("NEURON_RT_LOG_LEVEL", "WARN")]);
    let left = ["1 models", "5 tensors", "2 tensor sets", "1 arrays of tensor information"];
    assert_eq!(lines, left.map(|left| format!("WARN nrt_close: {left} not freed by the program")));
}

#[test]
fn quiet_is_without_a_line() {
    let lines = log("clients", "quiet_is_without_a_line", &[]);
    assert_eq!(lines, ["ERROR nrt_barrier: called before nrt_init: call it first, once in a process"]);
}

#[test]
fn what_is_not_emulated_is_named_in_the_log() {
    let lines = log("clients", "what_needs_hardware_fails", &[]);
    assert!(
        lines.iter().any(|line| line.starts_with("ERROR nrt_get_dmabuf_fd: nrt_get_dmabuf_fd is not emulated here")),
        "{lines:#?}"
    );
}

#[test]
fn kernels_print_when_there_is_a_queue_and_the_level_is_info() {
    let printed = |settings: &[(&str, &str)]| {
        let lines = log("execution", "kernels_print", settings);
        lines.iter().any(|line| line == "INFO nrt_execute: [prints core 0] a line of the kernel")
    };
    let queue = ("NEURON_RT_GPSIMD_STDOUT_QUEUE_SIZE_BYTES", "131072");
    assert!(printed(&[("NEURON_RT_LOG_LEVEL", "INFO"), queue]));
    assert!(!printed(&[("NEURON_RT_LOG_LEVEL", "WARN"), queue]));
    assert!(!printed(&[("NEURON_RT_LOG_LEVEL", "INFO")]));
    let odd = [("NEURON_RT_LOG_LEVEL", "INFO"), ("NEURON_RT_GPSIMD_STDOUT_QUEUE_SIZE_BYTES", "100000")];
    assert!(!printed(&odd));
    let lines = log("execution", "kernels_print", &odd);
    assert!(lines[0].contains("expected a power of two up to 131072"), "{lines:#?}");
}
