//! Reads of TCM that was never written.

use gpsimd_emulator::{KernelError, Misuse, Tensor, bf16};

use crate::assert_error;
use crate::fixtures::{checked_engines, error, op};

#[test]
fn operands_that_look_like_never_written_tcm_are_none() {
    let bits = Tensor::from_vec((0..=u16::MAX).map(bf16::from_bits).collect(), &[256, 256]).unwrap();
    let words = [0x7fa5_7fa5_u32, 0x7e5a_7e5a, 0xfe5a_fe5a, 0x7fc0_0000];
    let words = Tensor::from_vec(words.map(f32::from_bits).into(), &[4]).unwrap();
    for x in [bits, words] {
        let y = checked_engines()[1].call(&op("copy"), &[x.view()], &[]).unwrap();
        assert_eq!(y.bytes(), x.bytes());
    }
}

#[test]
fn never_written_tcm_in_a_bf16_output_is_an_error() {
    let x = Tensor::from_vec(vec![bf16::ONE; 80], &[80]).unwrap();
    let error = checked_engines()[1].call(&op("stores_unwritten_tcm"), &[x.view()], &[]).unwrap_err();
    insta::assert_snapshot!(error, @"op `stores_unwritten_tcm`, core 1, at kernel.c:102:5: store of elements 17..20 of output `y` from TCM that was never written");
}

#[test]
fn storing_tcm_that_was_never_written_is_an_error() {
    assert_error!(error("stores_unwritten_tcm"), KernelError { misuse: Misuse::TcmNeverWritten { .. }, .. }, @"op `stores_unwritten_tcm`, core 1, at kernel.c:102:5: store of elements 17..20 of output `y` from TCM that was never written");
}

#[test]
fn computing_with_tcm_that_was_never_written_is_an_error() {
    assert_error!(error("uses_unwritten_tcm"), KernelError { misuse: Misuse::DependsOnTcm { .. }, .. }, @"op `uses_unwritten_tcm`, core 1, at kernel.c:105:5: elements 11..12 of output `y` depend on TCM that was never written, or on something else that changes from run to run (a static, a clock, an address): they differ between two runs that differ only in what TCM holds at the start");
}

#[test]
fn a_maximum_over_tcm_that_was_never_written_is_an_error() {
    assert_error!(error("maximum_of_unwritten_tcm"), KernelError { misuse: Misuse::DependsOnTcm { .. }, .. }, @"op `maximum_of_unwritten_tcm`, core 1, at kernel.c:108:5: elements 10..11 of output `y` depend on TCM that was never written, or on something else that changes from run to run (a static, a clock, an address): they differ between two runs that differ only in what TCM holds at the start");
}

#[test]
fn storing_tcm_that_was_freed_is_an_error() {
    assert_error!(error("uses_freed_tcm"), KernelError { misuse: Misuse::TcmNeverWritten { .. }, .. }, @"op `uses_freed_tcm`, core 0, at kernel.c:113:5: store of elements 0..10 of output `y` from TCM that was never written");
}

#[test]
fn loading_by_tcm_that_was_never_written_is_an_error() {
    assert_error!(error("loads_by_unwritten_tcm"), KernelError { misuse: Misuse::BehaviourDependsOnTcm { .. }, .. }, @"op `loads_by_unwritten_tcm`, core 6: what the kernel does depends on TCM that was never written, or on something else that changes from run to run (a static, a clock, an address): between two runs that differ only in what TCM holds at the start, the core makes 2 loads of 44 and 1 store of 40 bytes in 320 bytes of TCM, then 1 load of 40 and 1 store of 40 bytes in 320 bytes of TCM");
}

#[test]
fn failing_by_tcm_that_was_never_written_is_an_error() {
    assert_error!(error("fails_by_unwritten_tcm"), KernelError { misuse: Misuse::BehaviourDependsOnTcm { .. }, .. }, @"op `fails_by_unwritten_tcm`, core 0, at kernel.c:117:5: what the kernel does depends on TCM that was never written, or on something else that changes from run to run (a static, a clock, an address): between two runs that differ only in what TCM holds at the start, the second fails: too large");
}

#[test]
fn printing_tcm_that_was_never_written_is_an_error() {
    assert_error!(error("prints_unwritten_tcm"), KernelError { misuse: Misuse::BehaviourDependsOnTcm { .. }, .. }, @"op `prints_unwritten_tcm`, core 3: what the kernel does depends on TCM that was never written, or on something else that changes from run to run (a static, a clock, an address): between two runs that differ only in what TCM holds at the start, the core prints different text");
}
