//! Allocation of TCM.

use gpsimd_emulator::{Engine, KernelError, Launch, LaunchError, Misuse, Mode};

use crate::assert_error;
use crate::fixtures::{checked_engines, engine, error, iota, op, run};

#[test]
fn an_exhausted_pool_that_the_kernel_handles_is_no_error() {
    assert_eq!(run("exhausted_and_handled").unwrap(), iota(80));
}

#[test]
fn buffers_that_live_at_the_end_are_no_error_and_count_in_the_high_water_mark() {
    let (x, mut y) = (iota(80), iota(80));
    let launch = Launch { tensors: &[x.view()], scalars: &[], outputs: vec![y.view_mut()] };
    let report = checked_engines()[0].launch(&op("never_freed"), launch).unwrap();
    // 1, 0 and 65 bytes, and the tile of 256.
    assert_eq!(report.cores[3].tcm_high_water, 64 + 128 + 256);
}

#[test]
fn a_buffer_takes_whole_multiples_of_64_bytes_and_is_aligned_to_64() {
    for mode in [Mode::Checked, Mode::Fast] {
        let y = engine(mode, 1).call(&op("tcm_accounts"), &[iota(4).view()], &[]).unwrap();
        assert_eq!(y.as_slice::<f32>().unwrap(), [16384.0, 16256.0, 0.0, 16256.0], "{mode:?}");
    }
}

#[test]
fn the_size_of_the_pool_can_be_set() {
    let engine = Engine::builder().tcm_bytes(128).build().unwrap();
    let y = engine.call(&op("tcm_accounts"), &[iota(4).view()], &[]).unwrap();
    assert_eq!(y.as_slice::<f32>().unwrap(), [128.0, 0.0, 0.0, 0.0]);
}

#[test]
fn a_buffer_one_line_larger_than_the_pool_is_one_too_many() {
    for mode in [Mode::Checked, Mode::Fast] {
        let run = |bytes| {
            let engine = Engine::builder().mode(mode).tcm_bytes(bytes).build().unwrap();
            engine.call(&op("copy"), &[iota(80).view()], &[])
        };
        assert_eq!(run(256).unwrap(), iota(80));
        let LaunchError::Kernel(error) = run(192).unwrap_err() else { panic!("the kernel's error") };
        assert_eq!(error.misuse, Misuse::TcmExhausted { asked: 256, left: 192, pool: 192, held: None });
    }
}

#[test]
fn a_pool_of_an_impossible_size_is_an_error() {
    for (bytes, message) in [
        (0, "a TCM pool has 64 to 65536 bytes, a multiple of 64, found 0"),
        (100, "a TCM pool has 64 to 65536 bytes, a multiple of 64, found 100"),
        (65600, "a TCM pool has 64 to 65536 bytes, a multiple of 64, found 65600"),
    ] {
        assert_eq!(Engine::builder().tcm_bytes(bytes).build().unwrap_err().to_string(), message);
    }
}

#[test]
fn an_exhausted_pool_that_the_kernel_fails_for_is_an_error() {
    assert_error!(error("exhausted"), KernelError { misuse: Misuse::TcmExhausted { asked: 16_000, left: 15_360, pool: 16_384, held: None }, .. }, @"op `exhausted`, core 4, at kernel.c:71:5: the TCM pool is exhausted: 16000 bytes asked, 15360 of 16384 left; use smaller tiles");
}

#[test]
fn freeing_out_of_order_is_an_error() {
    assert_error!(error("freed_out_of_order"), KernelError { misuse: Misuse::FreeOutOfOrder { offset: 0, top: 192 }, .. }, @"op `freed_out_of_order`, core 0, at kernel.c:76:5: `tcm_free` of the buffer at TCM byte 0 while what was allocated after it is in use, up to byte 192: free in reverse order, as scopes do");
}

#[test]
fn freeing_twice_is_an_error() {
    assert_error!(error("freed_twice"), KernelError { misuse: Misuse::FreeOfNothing { offset: 0 }, .. }, @"op `freed_twice`, core 0, at kernel.c:79:5: `tcm_free` of TCM byte 0, where no buffer starts (freed before, or never allocated)");
}

#[test]
fn freeing_what_was_never_allocated_is_an_error() {
    assert_error!(error("freed_before_pool"), KernelError { misuse: Misuse::FreeOfNothing { offset: -1 }, .. }, @"op `freed_before_pool`, core 0, at kernel.c:80:5: `tcm_free` of TCM byte -1, where no buffer starts (freed before, or never allocated)");
}
