//! How kernels end.

use gpsimd_emulator::{DType, KernelError, Misuse, Tensor, bf16};

use crate::assert_error;
use crate::fixtures::{checked_engines, error, op};

#[test]
fn a_missing_version_names_the_dtype_of_the_operands() {
    let x = Tensor::from_vec(vec![bf16::ONE; 8], &[8]).unwrap();
    let error = checked_engines()[0].call(&op("no_version"), &[x.view()], &[]).unwrap_err();
    insta::assert_snapshot!(error, @"op `no_version`, core 0, at kernel.c:123:5: the kernel has no version for bf16");
}

#[test]
fn a_refusal_is_reported_of_the_lowest_core_in_its_own_words() {
    assert_error!(error("refuses"), KernelError { misuse: Misuse::Refused { .. }, .. }, @"op `refuses`, core 3, at kernel.c:120:5: rows of 0 elements have no maximum");
}

#[test]
fn a_refusal_names_the_tensors_of_the_launch_and_leaves_other_braces() {
    assert_error!(error("refuses_by_name"), KernelError { misuse: Misuse::Refused { .. }, .. }, @"op `refuses_by_name`, core 0, at kernel.c:133:5: `x` is longer than `y`, {2} and {x}");
}

#[test]
fn dropped_elements_are_an_error_unless_there_is_another() {
    assert_error!(error("drops"), KernelError { misuse: Misuse::Dropped { .. }, .. }, @"op `drops`, core 0, at kernel.c:134:5: elements for output `y` were lost: 3 elements went nowhere");
    assert_error!(error("drops_and_refuses"), KernelError { misuse: Misuse::Refused { .. }, .. }, @"op `drops_and_refuses`, core 0, at kernel.c:136:5: too long");
}

#[test]
fn a_panic_is_reported_with_its_place() {
    assert_error!(error("panics"), KernelError { misuse: Misuse::Panicked { .. }, .. }, @"op `panics`, core 0, at kernel.c:122:5: panicked: index out of bounds");
}

#[test]
fn a_dtype_without_a_version_of_the_kernel_is_an_error() {
    assert_error!(error("no_version"), KernelError { misuse: Misuse::NoVersion { dtype: DType::F32 }, .. }, @"op `no_version`, core 0, at kernel.c:123:5: the kernel has no version for f32");
}

#[test]
fn failure_without_a_reason_is_an_error() {
    assert_error!(error("fails_silently"), KernelError { misuse: Misuse::FailedSilently, .. }, @"op `fails_silently`, core 0: the kernel returned failure without a reason: report one with `fail`");
}

#[test]
fn blaming_the_device_without_its_error_is_failure_without_a_reason() {
    assert_error!(error("blames_the_device"), KernelError { misuse: Misuse::FailedSilently, .. }, @"op `blames_the_device`, core 0, at kernel.c:124:5: the kernel returned failure without a reason: report one with `fail`");
}

#[test]
fn success_after_a_failed_dma_is_an_error() {
    assert_error!(error("swallows"), KernelError { misuse: Misuse::Swallowed { .. }, .. }, @"op `swallows`, core 0, at kernel.c:126:5: the kernel returned success although a DMA failed: load of 1 element from element 80 of `x` goes past its end: it has 80 elements");
}

#[test]
fn success_after_a_reported_failure_is_an_error() {
    assert_error!(error("fails_with_success"), KernelError { misuse: Misuse::Refused { .. }, .. }, @"op `fails_with_success`, core 0, at kernel.c:127:5: not really");
}

#[test]
fn an_unknown_status_is_an_error() {
    assert_error!(error("unknown_status"), KernelError { misuse: Misuse::UnknownStatus { status: 7 }, .. }, @"op `unknown_status`, core 0: the kernel returned status 7, expected 0 (success) or 1 (failure)");
}

#[test]
fn an_unknown_failure_is_an_error() {
    assert_error!(error("unknown_failure"), KernelError { misuse: Misuse::UnknownFailure { code: 99, .. }, .. }, @"op `unknown_failure`, core 0: the kernel reported a failure of unknown code 99: something new");
}

#[test]
fn the_first_of_several_errors_of_a_core_is_reported() {
    assert_error!(error("panics_after_dma_error"), KernelError { misuse: Misuse::OutsideTensor { .. }, .. }, @"op `panics_after_dma_error`, core 0, at kernel.c:129:5: load of 1 element from element 80 of `x` goes past its end: it has 80 elements");
}

#[test]
fn a_location_without_a_column_is_file_and_line() {
    let location = error("location_of_this_file").location.unwrap();
    assert_eq!(location.to_string(), format!("kernels.c:{}", location.line));
}
