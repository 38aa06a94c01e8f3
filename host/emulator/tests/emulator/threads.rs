//! The number of threads, who runs them, and how many launch at once make no difference.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gpsimd_emulator::{Engine, Launch, Mode, Workers};
use proptest::prelude::*;

use crate::fixtures::{engine, iota, op, run};

#[test]
fn the_number_of_threads_makes_no_difference() {
    // More than is launched on the calling thread alone.
    let (x, step) = (iota(100_003), iota(100_003));
    let results: Vec<_> = [1, 2, 3, 8]
        .into_iter()
        .flat_map(|threads| [Mode::Checked, Mode::Fast].map(|mode| engine(mode, threads)))
        .map(|engine| engine.call(&op("add"), &[x.view(), step.view()], &[]).unwrap())
        .collect();
    assert!(results.iter().all(|result| *result == results[0]));
    assert_eq!(results[0].as_slice::<f32>().unwrap()[100_002], 200_004.0);
}

#[test]
fn an_error_is_the_same_in_every_repetition() {
    let first = run("overlapping").unwrap_err();
    for _ in 0..50 {
        assert_eq!(run("overlapping").unwrap_err(), first);
    }
}

#[test]
fn many_threads_launch_on_one_engine_at_once() {
    for mode in [Mode::Checked, Mode::Fast] {
        let engine = engine(mode, 3);
        std::thread::scope(|scope| {
            for thread in 0..6 {
                let engine = &engine;
                scope.spawn(move || {
                    for repetition in 0..20 {
                        let x = iota(5_000 + 100 * thread + repetition);
                        assert_eq!(engine.call(&op("copy"), &[x.view()], &[]).unwrap(), x);
                        assert!(engine.call(&op("refuses"), &[x.view()], &[]).is_err());
                    }
                });
            }
        });
    }
}

#[test]
fn the_order_of_the_cores_makes_no_difference() {
    let x = iota(100_003);
    for (seed, mode) in (0..4).flat_map(|seed| [Mode::Checked, Mode::Fast].map(|mode| (seed, mode))) {
        let engine = Engine::builder().mode(mode).threads(3).schedule(seed).build().unwrap();
        assert_eq!(engine.call(&op("copy"), &[x.view()], &[]).unwrap(), x);
    }
}

#[test]
fn the_core_that_runs_first_makes_no_difference() {
    let x = iota(100_003);
    for core in [0, 3, 7] {
        let engine = Engine::builder().threads(3).first_core(core).build().unwrap();
        assert_eq!(engine.call(&op("copy"), &[x.view()], &[]).unwrap(), x);
    }
}

/// Workers of a host program that are out of order, start a core twice, and forget another.
struct Careless {
    calls: AtomicUsize,
}

impl Workers for Careless {
    fn threads(&self) -> usize {
        2
    }

    fn dispatch(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        for index in (1..tasks).rev().chain([4, tasks + 1, usize::MAX]) {
            std::thread::scope(|scope| scope.spawn(|| task(index)).join().unwrap());
        }
    }
}

#[test]
fn workers_of_the_host_program_run_every_core_once() {
    let workers = Arc::new(Careless { calls: AtomicUsize::new(0) });
    let shared: Arc<dyn Workers> = workers.clone();
    let engine = Engine::builder().workers(shared).build().unwrap();
    let (state, step) = (iota(80), iota(80));
    let mut replaced = state.clone();
    let launch = Launch { tensors: &[step.view()], scalars: &[], outputs: vec![replaced.view_mut()] };
    engine.launch_in_place(&op("add"), launch).unwrap();
    assert_eq!(replaced.as_slice::<f32>().unwrap()[79], 158.0);
    assert_eq!(workers.calls.load(Ordering::Relaxed), 2, "checked mode runs twice");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_shape_on_any_engine_gives_the_same(
        len in 0..3_000_usize, cores in 1..=8_usize, threads in 1..=8_usize, lines in 8..64_usize, fast: bool,
    ) {
        let mode = if fast { Mode::Fast } else { Mode::Checked };
        let engine = Engine::builder().cores(cores).threads(threads).tcm_bytes(64 * lines).mode(mode).build().unwrap();
        let (state, step) = (iota(len), iota(len));
        let sum = engine.call(&op("add"), &[state.view(), step.view()], &[]).unwrap();
        let expected: Vec<f32> = (0..len).map(|i| 2.0 * i as f32).collect();
        prop_assert_eq!(sum.as_slice::<f32>().unwrap(), &expected[..]);
    }
}
