//! What a launch costs besides the kernel: `cargo test --release -p gpsimd-emulator --test emulator -- --ignored
//! --nocapture overhead`.

use std::time::Instant;

use gpsimd_emulator::{Engine, Launch, Mode};

use crate::fixtures::{iota, op};

/// The median of many launches, in microseconds.
fn microseconds(engine: &Engine, len: usize) -> f64 {
    let (step, mut state, op) = (iota(len), iota(len), op("add"));
    let mut times: Vec<_> = (0..2_000)
        .map(|_| {
            let launch = Launch { tensors: &[step.view()], scalars: &[], outputs: vec![state.view_mut()] };
            let start = Instant::now();
            engine.launch_in_place(&op, launch).unwrap();
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

#[test]
#[ignore = "a measurement"]
fn overhead_of_a_launch() {
    for (mode, threads) in [(Mode::Fast, 1), (Mode::Fast, 2), (Mode::Checked, 1), (Mode::Checked, 2)] {
        let engine = Engine::builder().mode(mode).threads(threads).build().unwrap();
        for len in [8, 2_048, 8_192, 131_072] {
            let median = microseconds(&engine, len);
            eprintln!("{mode:?}, {threads} threads, {len} elements: {median:.2} us");
        }
    }
}
