//! DMAs that reach where they must not.

use gpsimd_emulator::{KernelError, Misuse, TcmProblem, Transfer};

use crate::assert_error;
use crate::fixtures::error;

#[test]
fn a_load_past_the_end_of_a_tensor_is_an_error() {
    assert_error!(error("load_past_end"), KernelError { misuse: Misuse::OutsideTensor { transfer: Transfer::Load, start: 79, len: 4, .. }, .. }, @"op `load_past_end`, core 2, at kernel.c:41:5: load of 4 elements from element 79 of `x` goes past its end: it has 80 elements");
}

#[test]
fn a_range_that_overflows_is_past_the_end_of_a_tensor() {
    assert_error!(error("load_with_overflow"), KernelError { misuse: Misuse::OutsideTensor { start: 0xffff_ffff_ffff_fffe, .. }, .. }, @"op `load_with_overflow`, core 0, at kernel.c:43:5: load of 4 elements from element 18446744073709551614 of `x` goes past its end: it has 80 elements");
}

#[test]
fn a_store_past_the_end_of_the_output_is_an_error() {
    assert_error!(error("store_past_end"), KernelError { misuse: Misuse::OutsideTensor { transfer: Transfer::Store, .. }, .. }, @"op `store_past_end`, core 7, at kernel.c:45:5: store of 1 element from element 80 of `y` goes past its end: it has 80 elements");
}

#[test]
fn a_store_to_an_operand_is_an_error() {
    assert_error!(error("store_to_operand"), KernelError { misuse: Misuse::StoreToOperand { .. }, .. }, @"op `store_to_operand`, core 0, at kernel.c:48:5: store to elements 3..5 of operand `x`: a kernel may write only its output, `y`");
}

#[test]
fn a_load_from_the_output_is_an_error() {
    assert_error!(error("load_from_output"), KernelError { misuse: Misuse::LoadFromOutput { .. }, .. }, @"op `load_from_output`, core 0, at kernel.c:50:5: load of elements 0..2 of output `y`: a kernel may not read its output, keep results in TCM");
}

#[test]
fn a_dma_of_a_tensor_that_does_not_exist_is_an_error() {
    assert_error!(error("no_such_tensor"), KernelError { misuse: Misuse::NoSuchTensor { index: 2, tensors: 2, .. }, .. }, @"op `no_such_tensor`, core 0, at kernel.c:52:5: load of tensor number 2, but the launch has 2 tensors");
}

#[test]
fn a_dma_to_a_null_pointer_is_an_error() {
    assert_error!(error("null_tcm"), KernelError { misuse: Misuse::BadTcm { problem: TcmProblem::Null, .. }, .. }, @"op `null_tcm`, core 0, at kernel.c:53:5: load of elements 0..2 of `x` with a null TCM pointer: check what `tcm_malloc` returned");
}

#[test]
fn a_dma_to_a_misaligned_address_is_an_error() {
    assert_error!(error("misaligned_tcm"), KernelError { misuse: Misuse::BadTcm { problem: TcmProblem::Misaligned { offset: 6, element_bytes: 4, .. }, .. }, .. }, @"op `misaligned_tcm`, core 0, at kernel.c:55:5: load of elements 0..2 of `x` at TCM byte 6, which is not a multiple of the element size, 4 bytes");
}

#[test]
fn a_dma_past_the_end_of_the_pool_is_an_error() {
    assert_error!(error("after_tcm"), KernelError { misuse: Misuse::BadTcm { problem: TcmProblem::OutsidePool { offset: 16_380, .. }, .. }, .. }, @"op `after_tcm`, core 0, at kernel.c:56:5: load of elements 0..2 of `x` leaves the TCM pool: 8 bytes from TCM byte 16380, the pool has 16384 bytes");
}

#[test]
fn a_dma_before_the_start_of_the_pool_is_an_error() {
    assert_error!(error("before_tcm"), KernelError { misuse: Misuse::BadTcm { problem: TcmProblem::OutsidePool { offset: -64, .. }, .. }, .. }, @"op `before_tcm`, core 0, at kernel.c:57:5: load of elements 0..2 of `x` leaves the TCM pool: 8 bytes from TCM byte -64, the pool has 16384 bytes");
}

#[test]
fn a_dma_to_a_freed_buffer_is_an_error() {
    assert_error!(error("freed_buffer"), KernelError { misuse: Misuse::BadTcm { problem: TcmProblem::NoBuffer { offset: 64, .. }, .. }, .. }, @"op `freed_buffer`, core 0, at kernel.c:60:5: load of elements 0..2 of `x` at TCM byte 64, where no buffer is allocated (freed, or never asked of `tcm_malloc`)");
}

#[test]
fn a_dma_past_the_end_of_a_buffer_is_an_error() {
    assert_error!(error("past_buffer"), KernelError { misuse: Misuse::BadTcm { problem: TcmProblem::OutsideBuffer { past: 4, .. }, .. }, .. }, @"op `past_buffer`, core 0, at kernel.c:62:5: load of elements 0..4 of `x` goes 4 bytes past the end of its TCM buffer: 16 bytes from byte 8 of 20");
}
