//! What cores do to the output, and to the operand that it replaces.

use gpsimd_emulator::{KernelError, Launch, Misuse};

use crate::assert_error;
use crate::fixtures::{checked_engines, error, error_in_place, error_out_of_place, iota, op, run};

#[test]
fn one_core_may_write_an_element_twice() {
    assert_eq!(run("written_twice_by_one_core").unwrap(), iota(80));
}

#[test]
fn an_op_that_replaces_an_operand_gives_the_same_in_place() {
    let (state, step, op) = (iota(1000), iota(1000), op("add"));
    for engine in checked_engines() {
        let sum = engine.call(&op, &[state.view(), step.view()], &[]).unwrap();
        let mut replaced = state.clone();
        let launch = Launch { tensors: &[step.view()], scalars: &[], outputs: vec![replaced.view_mut()] };
        engine.launch_in_place(&op, launch).unwrap();
        assert_eq!(replaced, sum);
        assert_eq!(sum.as_slice::<f32>().unwrap()[999], 1998.0);
    }
}

#[test]
fn two_cores_writing_one_element_is_an_error() {
    assert_error!(error("overlapping"), KernelError { misuse: Misuse::WriteConflict { other: 3, .. }, .. }, @"op `overlapping`, core 1, at kernel.c:12:5: elements 18..20 of output `y` are also written by core 3 (at kernel.c:92:5): give every core a part of its own (`core.share`, or by `get_cpu_id` in C++)");
}

#[test]
fn an_element_that_nobody_writes_is_an_error() {
    assert_error!(error("unwritten"), KernelError { misuse: Misuse::NeverWritten { missing: 20, .. }, .. }, @"op `unwritten`: no core wrote elements 20..30 of output `y`, nor others: 20 in all");
    // Of an end that is missing, the types say which length was taken for which.
    assert_error!(error("leaves_the_end"), KernelError { misuse: Misuse::NeverWritten { missing: 20, .. }, .. }, @"op `leaves_the_end`: no core wrote elements 60..80 of output `y`, all after the last that was written: the kernel stops too early, or its shape function asks for too large an output, f32[80] for `x` f32[80]");
}

#[test]
fn an_output_that_nobody_writes_is_an_error() {
    assert_error!(error("nothing"), KernelError { misuse: Misuse::NeverWritten { missing: 80, .. }, .. }, @"op `nothing`: no core wrote elements 0..80 of output `y`");
}

#[test]
fn loading_a_replaced_element_again_is_an_error_in_place() {
    assert_error!(error_in_place("reread"), KernelError { misuse: Misuse::ReadAfterReplace { .. }, .. }, @"op `reread`, core 0, at kernel.c:94:5: load of elements 0..2 of `state`, which this core has replaced before: in place the new values would be read; load before storing");
}

#[test]
fn loading_a_replaced_element_again_is_an_error_out_of_place_too() {
    assert_error!(error_out_of_place("reread"), KernelError { misuse: Misuse::ReadAfterReplace { .. }, .. }, @"op `reread`, core 0, at kernel.c:94:5: load of elements 0..2 of `state`, which this core has replaced before: in place the new values would be read; load before storing");
}

#[test]
fn loading_an_element_that_another_core_replaces_is_an_error_in_place() {
    assert_error!(error_in_place("read_neighbour"), KernelError { misuse: Misuse::ReadReplacedByOther { writer: 0, .. }, .. }, @"op `read_neighbour`, core 1, at kernel.c:96:5: load of elements 9..10 of `state`, which core 0 replaces (at kernel.c:24:5): in place either value could be read");
}

#[test]
fn loading_an_element_that_another_core_replaces_is_an_error_out_of_place_too() {
    assert_error!(error_out_of_place("read_neighbour"), KernelError { misuse: Misuse::ReadReplacedByOther { writer: 0, .. }, .. }, @"op `read_neighbour`, core 1, at kernel.c:96:5: load of elements 9..10 of `state`, which core 0 replaces (at kernel.c:24:5): in place either value could be read");
}

#[test]
fn a_failed_launch_in_place_gives_the_operand_back() {
    assert_error!(error_in_place("add_then_refuse"), KernelError { misuse: Misuse::Refused { .. }, .. }, @"op `add_then_refuse`, core 5, at kernel.c:30:5: no more steps");
}
