//! Fits to times that are made up from constants that are known, and to times that say less than that.

use gpsimd_emulator::random_bits;

use super::*;
use crate::bring_up::report::Quartiles;

/// What a core does in launches of this op, which differ in size alone: per element.
struct Profile {
    op: &'static str,
    bytes: f64,
    dma: u64,
    scalar: f64,
    vector: f64,
    divisions: f64,
}

const fn profile(op: &'static str, bytes: f64, dma: u64, scalar: f64, vector: f64, divisions: f64) -> Profile {
    Profile { op, bytes, dma, scalar, vector, divisions }
}

/// Ops of all kinds: large DMAs and small ones, vectors, scalars, divisions.
const OPS: [Profile; 8] = [
    profile("gelu", 8.0, 3072, 0.3, 40.0, 1.0),
    profile("softmax", 8.0, 4096, 1.0, 30.0, 0.5),
    profile("adamw", 28.0, 2048, 0.5, 25.0, 2.0),
    profile("sort", 12.0, 2048, 300.0, 0.0, 0.0),
    profile("gather", 8.0, 64, 3.0, 0.5, 0.0),
    profile("copy", 8.0, 4096, 0.1, 0.5, 0.0),
    profile("normalise", 8.0, 1024, 2.0, 12.0, 8.0),
    profile("relu", 8.0, 4096, 7.0, 0.0, 0.0),
];

const SIZES: [f64; 3] = [512.0, 8192.0, 131_072.0];

fn work(profile: &Profile, elements: f64) -> Work {
    let bytes = profile.bytes * elements;
    Work {
        dmas: (bytes / profile.dma as f64).ceil() as u64,
        bytes: bytes as u64,
        scalar: (profile.scalar * elements) as u64,
        scalar_divisions: 0,
        vector: (profile.vector * elements) as u64,
        vector_divisions: (profile.divisions * elements) as u64,
    }
}

fn seconds(work: &Work, launch: f64, model: &CostModel) -> f64 {
    let cycles =
        |operations: u64, divisions: u64| operations as f64 * model.cycles + divisions as f64 * model.divide_cycles;
    let cycles = cycles(work.scalar, work.scalar_divisions) + cycles(work.vector, work.vector_divisions) / model.lanes;
    launch + work.dmas as f64 * model.dma_setup + work.bytes as f64 / model.dma_bandwidth + cycles / model.clock
}

/// Launches of the ops on cores of which the last has least to do, with times that a function says of the work of the first.
fn times<'a>(ops: impl IntoIterator<Item = &'a Profile>, seconds: impl Fn(&Work, f64) -> f64) -> Vec<Time> {
    let mut noise = random_bits(7).map(|bits| (bits >> 40) as f64 / (1 << 24) as f64 * 2.0 - 1.0);
    let mut times = Vec::new();
    for profile in ops {
        for elements in SIZES {
            let (first, last) = (work(profile, elements), work(profile, elements / 2.0));
            let median = seconds(&first, noise.next().unwrap());
            let quartiles = Quartiles { warm_up: 3, runs: 9, least: median, lower: median, median, upper: median };
            times.push(Time {
                library: "ops".into(),
                op: profile.op.into(),
                launch: profile.op.into(),
                operands: format!("x f32[{elements}]"),
                cores: vec![first, last],
                modelled: Some(0.0),
                outcome: TimeOutcome::Measured(quartiles),
            });
        }
    }
    times
}

/// A device unlike the model.
fn device() -> CostModel {
    CostModel { dma_setup: 1.3e-6, dma_bandwidth: 9e9, cycles: 0.6, divide_cycles: 17.0, ..CostModel::default() }
}

fn is_near(found: f64, expected: f64, part: f64) -> bool {
    (found / expected - 1.0).abs() < part
}

#[track_caller]
fn expect_near(fit: &Fit, device: &CostModel, part: f64) {
    let model = fit.model(&CostModel::default());
    let pairs = [
        (model.dma_setup, device.dma_setup),
        (model.dma_bandwidth, device.dma_bandwidth),
        (model.cycles, device.cycles),
        (model.divide_cycles, device.divide_cycles),
    ];
    assert!(pairs.iter().all(|(found, expected)| is_near(*found, *expected, part)), "{fit:#?}");
}

fn constant<'a>(fit: &'a Fit, name: &str) -> &'a Fitted {
    fit.constants.iter().find(|constant| constant.name == name).unwrap()
}

#[test]
fn constants_are_found_again_from_exact_times() {
    let times = times(&OPS, |work, _| seconds(work, 80e-6, &device()));
    let fit = fit(&times, &CostModel::default()).unwrap();
    expect_near(&fit, &device(), 1e-6);
    assert!(is_near(constant(&fit, LAUNCH).value, 80.0, 1e-6), "{fit:#?}");
    assert!(fit.constants.iter().all(|constant| constant.is_determined), "{fit:#?}");
    assert!(fit.residual.unwrap() < 1e-9 && fit.left_out.unwrap() < 1e-6, "{fit:#?}");
}

#[test]
fn constants_are_found_again_from_times_with_noise() {
    let times = times(&OPS, |work, noise| seconds(work, 20e-6, &device()) * (1.0 + 0.03 * noise));
    let fit = fit(&times, &CostModel::default()).unwrap();
    expect_near(&fit, &device(), 0.2);
    assert!(fit.residual.unwrap() < 0.03, "{fit:#?}");
}

/// All DMAs are of 4 KiB: how long one takes is known, and not what of it is latency.
#[test]
fn what_the_times_cannot_tell_apart_stays_as_the_model_has_it() {
    let ops: Vec<_> = OPS.iter().map(|one| Profile { dma: 4096, bytes: 8.0, ..*one }).collect();
    let fit = fit(&times(&ops, |work, _| seconds(work, 20e-6, &device())), &CostModel::default()).unwrap();
    let bandwidth = constant(&fit, "DMA, bandwidth");
    assert!(!bandwidth.is_determined && bandwidth.value == bandwidth.before, "{fit:#?}");
    assert!(bandwidth.why.starts_with("the times cannot tell it from the others"), "{}", bandwidth.why);
    let (model, device) = (fit.model(&CostModel::default()), device());
    let of_a_dma = |model: &CostModel| model.dma_setup + 4096.0 / model.dma_bandwidth;
    assert!(is_near(of_a_dma(&model), of_a_dma(&device), 0.01), "{fit:#?}");
    assert!(is_near(model.cycles, device.cycles, 0.01), "{fit:#?}");
}

#[test]
fn what_no_launch_has_is_not_determined() {
    let ops: Vec<_> = OPS.iter().map(|one| Profile { divisions: 0.0, ..*one }).collect();
    let fit = fit(&times(&ops, |work, _| seconds(work, 20e-6, &device())), &CostModel::default()).unwrap();
    let division = constant(&fit, "division, square root");
    assert_eq!((division.is_determined, division.value), (false, 8.0));
    assert_eq!(division.why, "no launch that was timed has any");
    assert!(constant(&fit, "operation").is_determined);
}

/// Its divisions alone are many, and its times are wrong.
#[test]
fn what_rests_on_one_op_is_not_determined() {
    let ops = OPS.map(|one| Profile { divisions: if one.op == "normalise" { 8.0 } else { 0.02 }, ..one });
    let fit = fit(&times(&ops, |work, _| seconds(work, 20e-6, &device())), &CostModel::default()).unwrap();
    assert!(constant(&fit, "division, square root").is_determined, "exact times: the others say the same\n{fit:#?}");
    let slow = |work: &Work, noise: f64| {
        let factor = if work.vector_divisions > work.vector / 4 { 3.0 } else { 1.0 + 0.02 * noise };
        seconds(work, 20e-6, &device()) * factor
    };
    let fit = self::fit(&times(&ops, slow), &CostModel::default()).unwrap();
    let division = constant(&fit, "division, square root");
    assert!(!division.is_determined, "{fit:#?}");
    assert!(division.why.starts_with("it rests on `normalise`"), "{}", division.why);
}

/// Its divisions take longer than those of the others, which say how long without it.
#[test]
fn what_one_op_changes_much_is_not_determined() {
    let slow = |work: &Work, _: f64| {
        let is_normalise = work.vector_divisions > work.vector / 2;
        let device = CostModel { divide_cycles: if is_normalise { 34.0 } else { 17.0 }, ..device() };
        seconds(work, 20e-6, &device)
    };
    let fit = fit(&times(&OPS, slow), &CostModel::default()).unwrap();
    let division = constant(&fit, "division, square root");
    assert!(!division.is_determined, "{fit:#?}");
    assert!(division.why.starts_with("it rests on `normalise`: without its times it would be 1."), "{}", division.why);
}

#[test]
fn times_of_another_machine_leave_the_model_as_it_is() {
    // Each op takes what it likes.
    let unlike = |work: &Work, noise: f64| (work.bytes as f64).sqrt() * 1e-6 * (4.0 * noise).exp();
    let fit = fit(&times(&OPS, unlike), &CostModel::default()).unwrap();
    assert_eq!(fit.model(&CostModel::default()), CostModel::default(), "{fit:#?}");
    assert!(fit.constants.iter().all(|constant| !constant.is_determined));
    assert!(fit.verdict.ends_with("stays as it is"), "{}", fit.verdict);
}

#[test]
fn a_handful_of_times_is_too_few() {
    let times = times(&OPS[..2], |work, _| seconds(work, 20e-6, &device()));
    let fit = fit(&times, &CostModel::default()).unwrap();
    assert_eq!(fit.model(&CostModel::default()), CostModel::default());
    assert_eq!(fit.constants[0].why, "6 times are too few");
}

#[test]
fn nothing_is_fitted_to_nothing() {
    assert_eq!(fit(&[], &CostModel::default()), None);
    let mut times = times(&OPS, |work, _| seconds(work, 20e-6, &device()));
    for time in &mut times {
        time.cores.clear();
    }
    assert_eq!(fit(&times, &CostModel::default()), None);
}
