//! Every mistake of a C++ op is an error that says what, where and on which core.

use gpsimd_emulator::{Engine, LaunchError, Mode, PrintSink, Tensor, TensorType};

use crate::fixtures::{Fixture, MISUSE, MISUSE_MULTICORE, engine};

fn run(fixture: &Fixture, op: &str, engine: &Engine, which: i32) -> Result<Tensor, LaunchError> {
    let x = Tensor::from_vec((0..80).map(|i| i as f32).collect(), &[80]).unwrap();
    let which = Tensor::from_vec(vec![which], &[1]).unwrap();
    engine.call(&fixture.op(op), &[x.view(), which.view()], &[])
}

fn one_core(which: i32) -> String {
    run(&MISUSE, "one_core", &engine(Mode::Checked), which).unwrap_err().to_string()
}

fn cores(which: i32) -> String {
    run(&MISUSE_MULTICORE, "cores", &engine(Mode::Checked), which).unwrap_err().to_string()
}

/// What is verified in fast mode, too.
fn in_both_modes(which: i32) -> String {
    let checked = one_core(which);
    let fast = run(&MISUSE, "one_core", &engine(Mode::Fast), which).unwrap_err().to_string();
    assert_eq!(checked, fast);
    checked
}

#[test]
fn using_what_an_exhausted_pool_gave() {
    insta::assert_snapshot!(in_both_modes(0), @"op `one_core`, core 0, at misuse.cpp:22: load of elements 0..80 of `arg0` with a null TCM pointer: `tcm_malloc` of 20000 bytes in line 13 of misuse.cpp gave null, 16384 were left");
}

#[test]
fn a_load_past_the_end() {
    insta::assert_snapshot!(in_both_modes(1), @"op `one_core`, core 0, at misuse.cpp:26: load of 41 elements from element 40 of `arg0` goes past its end: it has 80 elements");
}

#[test]
fn a_store_past_the_end() {
    insta::assert_snapshot!(in_both_modes(2), @"op `one_core`, core 0, at misuse.cpp:30: store of 81 elements from element 0 of `output` goes past its end: it has 80 elements");
}

#[test]
fn another_element_type_than_the_tensors() {
    insta::assert_snapshot!(in_both_modes(3), @"op `one_core`, core 0, at misuse.cpp:34: `tensor_to_tcm<c10::BFloat16>` of `arg0`, which is f32: its element type is float");
}

#[test]
fn a_load_past_the_end_of_a_tcm_buffer() {
    insta::assert_snapshot!(one_core(4), @"op `one_core`, core 0, at misuse.cpp:37: load of elements 0..8 of `arg0` goes 16 bytes past the end of its TCM buffer: 32 bytes from byte 0 of 16");
}

#[test]
fn a_load_into_freed_tcm() {
    insta::assert_snapshot!(in_both_modes(5), @"op `one_core`, core 0, at misuse.cpp:43: load of elements 0..16 of `arg0` with TCM that was freed");
}

#[test]
fn freeing_twice() {
    insta::assert_snapshot!(in_both_modes(6), @"op `one_core`, core 0, at misuse.cpp:49: `tcm_free` of what `tcm_malloc` did not give, or what was freed before");
}

#[test]
fn freeing_null_is_no_mistake() {
    for mode in [Mode::Checked, Mode::Fast] {
        assert_eq!(run(&MISUSE, "one_core", &engine(mode), 7).unwrap().as_slice::<f32>().unwrap(), [0.0; 80]);
    }
}

#[test]
fn tcm_that_is_never_freed() {
    insta::assert_snapshot!(in_both_modes(8), @"op `one_core`, core 0, at misuse.cpp:13: the op returned with these 64 bytes of TCM not freed: call `tcm_free` before");
}

#[test]
fn an_index_out_of_range() {
    insta::assert_snapshot!(in_both_modes(9), @"op `one_core`, core 0, at misuse.cpp:59: index 80 in dimension 0 of `torch::zeros`, which has 80 elements there (the accessor of this line)");
}

#[test]
fn an_accessor_of_another_rank() {
    insta::assert_snapshot!(in_both_modes(10), @"op `one_core`, core 0, at misuse.cpp:62: `accessor` of 2 dimensions of `arg0`, which has 1");
}

#[test]
fn an_accessor_of_another_element_type() {
    insta::assert_snapshot!(in_both_modes(11), @"op `one_core`, core 0, at misuse.cpp:65: `accessor<int32_t>` of `arg0`, which is f32: its element type is float");
}

#[test]
fn reading_past_the_end_of_a_stream() {
    insta::assert_snapshot!(in_both_modes(12), @"op `one_core`, core 0, at misuse.cpp:69: `read` past the end of `arg0`: it has 80 elements");
}

#[test]
fn writing_past_the_end_of_a_stream() {
    insta::assert_snapshot!(in_both_modes(13), @"op `one_core`, core 0, at misuse.cpp:74: `write` past the end of `torch::zeros`: it has 80 elements");
}

#[test]
fn a_stream_after_it_was_closed() {
    insta::assert_snapshot!(in_both_modes(14), @"op `one_core`, core 0, at misuse.cpp:80: `read` of a stream of `arg0` that is closed");
}

#[test]
fn returning_another_type_than_the_shape_function_says() {
    insta::assert_snapshot!(in_both_modes(16), @"op `one_core`, core 0: the op returned a tensor of type f32[8, 10], its shape function says f32[80]");
}

#[test]
fn returning_nothing() {
    insta::assert_snapshot!(in_both_modes(17), @"op `one_core`, core 0: the op returned no tensor, and did not write its output with `get_dst_tensor`");
}

#[test]
fn writing_to_an_operand() {
    insta::assert_snapshot!(in_both_modes(18), @"op `one_core`, core 0, at misuse.cpp:89: store to elements 3..4 of operand `arg0`: a kernel may write only its output, `output`");
}

#[test]
fn abort() {
    insta::assert_snapshot!(in_both_modes(19), @"op `one_core`, core 0: panicked: `abort` was called");
}

#[test]
fn a_failed_assertion() {
    insta::assert_snapshot!(in_both_modes(20), @"op `one_core`, core 0, at misuse.cpp:95: panicked: assertion `x.numel() == 81` failed");
}

#[test]
fn a_trap() {
    insta::assert_snapshot!(in_both_modes(21), @"op `one_core`, core 0, at misuse.cpp:98: panicked: unreachable");
}

#[test]
fn a_failed_check() {
    insta::assert_snapshot!(in_both_modes(22), @"op `one_core`, core 0, at misuse.cpp:100: expected a multiple of 3 elements, found [80]");
}

#[test]
fn sizes_that_differ() {
    insta::assert_snapshot!(in_both_modes(23), @"op `one_core`, core 0, at misuse.cpp:103: `torch::add`: `torch::zeros` is f32[79], but `arg0` is f32[80]");
}

#[test]
fn a_function_of_floats_on_integers() {
    insta::assert_snapshot!(in_both_modes(24), @"op `one_core`, core 0, at misuse.cpp:106: `torch::sin` of a tensor of i32: it is for floating-point numbers");
}

#[test]
fn a_load_past_the_end_of_an_own_tensor() {
    insta::assert_snapshot!(in_both_modes(25), @"op `one_core`, core 0, at misuse.cpp:109: load of 80 elements from element 1 of `torch::zeros` goes past its end: it has 80 elements");
}

#[test]
fn a_load_of_an_own_tensor_to_null() {
    insta::assert_snapshot!(in_both_modes(26), @"op `one_core`, core 0, at misuse.cpp:112: load of elements 0..80 of `torch::zeros` with a null TCM pointer: check what `tcm_malloc` returned");
}

#[test]
fn elements_that_a_stream_left_out() {
    insta::assert_snapshot!(one_core(27), @"op `one_core`: no core wrote elements 79..80 of output `output`, all after the last that was written: the kernel stops too early, or its shape function asks for too large an output, f32[80] for `arg0` f32[80], `arg1` i32[1]");
}

#[test]
fn returning_what_nobody_wrote() {
    insta::assert_snapshot!(one_core(28), @"op `one_core`, core 0: store of elements 0..80 of output `output` from TCM that was never written");
}

#[test]
fn reading_the_output() {
    insta::assert_snapshot!(in_both_modes(29), @"op `one_core`, core 0, at misuse.cpp:124: load of elements 0..1 of output `output`: a kernel may not read its output, keep results in TCM");
}

#[test]
fn a_store_to_an_own_tensor_past_the_end_of_a_tcm_buffer() {
    insta::assert_snapshot!(in_both_modes(30), @"op `one_core`, core 0, at misuse.cpp:128: store of elements 0..9 of `torch::zeros` goes 4 bytes past the end of its TCM buffer");
}

#[test]
fn a_function_of_integers_on_floats() {
    insta::assert_snapshot!(in_both_modes(31), @"op `one_core`, core 0, at misuse.cpp:131: `torch::bitwise_not` of a tensor of f32: it is for integers");
}

#[test]
fn an_element_accessor_on_several_cores() {
    insta::assert_snapshot!(cores(0), @"op `cores`, core 0, at misuse.cpp:140: `accessor` of `arg0` in multicore mode, where tensors are reached through `tcm_accessor` alone: use that, or build the library for one core (`--single-core` here, `multicore=False` of `custom_op.load`)");
}

#[test]
fn a_stream_on_several_cores() {
    insta::assert_snapshot!(cores(1), @"op `cores`, core 0, at misuse.cpp:143: `read_stream_accessor` of `arg0` in multicore mode, where tensors are reached through `tcm_accessor` alone: use that, or build the library for one core (`--single-core` here, `multicore=False` of `custom_op.load`)");
}

#[test]
fn returning_a_tensor_on_several_cores() {
    insta::assert_snapshot!(cores(2), @"op `cores`: no core wrote elements 0..80 of output `output`");
}

#[test]
fn several_cores_writing_one_element() {
    insta::assert_snapshot!(cores(3), @"op `cores`, core 0, at misuse.cpp:151: elements 0..80 of output `output` are also written by core 1 (at misuse.cpp:151): give every core a part of its own (`core.share`, or by `get_cpu_id` in C++)");
}

#[test]
fn the_first_core_prints() {
    let lines = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let sink = std::sync::Arc::clone(&lines);
    let print = PrintSink::Function(std::sync::Arc::new(move |line| sink.lock().unwrap().push(line.to_owned())));
    let engine = Engine::builder().mode(Mode::Fast).print(print).build().unwrap();
    run(&MISUSE_MULTICORE, "cores", &engine, 4).unwrap();
    assert_eq!(*lines.lock().unwrap(), ["[cores core 0] core 0 of 8, 12.50%", "[cores core 0] and a line"]);
}

#[test]
fn any_dtype_reaches_an_op_that_checks_it_itself() {
    let x = Tensor::zeros(TensorType::new(gpsimd_emulator::DType::U8, &[80]).unwrap());
    let which = Tensor::from_vec(vec![1_i32], &[1]).unwrap();
    let error = engine(Mode::Checked).call(&MISUSE.op("one_core"), &[x.view(), which.view()], &[]).unwrap_err();
    insta::assert_snapshot!(error, @"op `one_core`, core 0, at misuse.cpp:26: `tensor_to_tcm<float>` of `arg0`, which is u8: its element type is uint8_t");
}
