//! Counts, estimates and pictures of real kernels. All hot loops are taken for vectors, whatever the compiler here says.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use gpsimd_emulator::cost::{Cost, CostModel};
use gpsimd_emulator::{DType, OperationCounts};

use super::counting::{self, Counting, Vectors};
use super::measured::{Measured, TutorialForm};
use super::operands::{Given, operands, verify_given};
use super::{calibration, comparison, roofline, table, timeline};
use crate::build::cpp::{CompilerOptions, Cpp};
use crate::workspace::{OpCrate, Workspace};

/// Of the checkout, whose ops are profiled here.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn bert_ops() -> &'static Counting {
    static BUILT: OnceLock<Counting> = OnceLock::new();
    BUILT
        .get_or_init(|| counting::build(&OpCrate::at(&root().join("kernels/bert-ops")).unwrap(), Vectors::All).unwrap())
}

/// A process loads it once.
fn tutorial() -> &'static Counting {
    static BUILT: OnceLock<Counting> = OnceLock::new();
    BUILT.get_or_init(|| calibration::kernels(&Workspace::here().unwrap()).unwrap())
}

fn measure(op: &str, given: &str, dtype: DType) -> (Measured, gpsimd_emulator::LaunchReport) {
    let counting = bert_ops();
    let given: Vec<Given> = given.split_whitespace().map(|one| one.parse().unwrap()).collect();
    let op = counting.library.op(op).unwrap();
    let operands = operands("bert_ops", &op, &given, dtype).unwrap();
    Measured::launch(&op, &operands, &counting.tile_buffers, 0, &CostModel::default()).unwrap()
}

/// Small, so that every count can be followed by hand.
const SMALL: [(&str, &str, DType); 6] = [
    ("bias_gelu_forward", "x=16x64 bias=64", DType::F32),
    ("bias_gelu_forward", "x=16x64 bias=64", DType::Bf16),
    ("bias_gelu_backward", "dy=16x64 x=16x64 bias=64", DType::F32),
    ("masked_softmax_forward", "scores=1x2x8x64 mask=1x1x1x64", DType::F32),
    ("masked_softmax_backward", "dp=1x2x8x64 p=1x2x8x64", DType::F32),
    ("adamw_step", "state=3x1024 grad=1024", DType::F32),
];

#[test]
fn the_counts_of_small_launches() {
    let mut text = String::new();
    for (op, given, dtype) in SMALL {
        let (measured, _) = measure(op, given, dtype);
        let _ = writeln!(text, "{op} {}", measured.tensors.join(", "));
        let core = &measured.cores[0];
        let _ = writeln!(text, "  core 0: {} DMAs, {} bytes", core.transfers, core.bytes);
        for (among, counts) in [("one at a time", &core.scalar), ("in vectors", &core.vector)] {
            let OperationCounts { float, fma, divide, integer, compare, memory, branch } = counts;
            let _ = writeln!(
                text,
                "  {among}: float {float}, fma {fma}, divide {divide}, integer {integer}, compare {compare}, memory \
                 {memory}, branch {branch}"
            );
        }
    }
    insta::assert_snapshot!(text);
}

#[test]
fn what_is_counted_does_not_depend_on_the_number_of_threads_or_on_luck() {
    let (first, report) = measure("masked_softmax_forward", "scores=2x3x20x64 mask=2x1x1x64", DType::F32);
    let (second, other) = measure("masked_softmax_forward", "scores=2x3x20x64 mask=2x1x1x64", DType::F32);
    assert_eq!((first, report), (second, other));
}

#[test]
fn the_steps_of_a_core_add_up_to_its_report() {
    let model = CostModel::default();
    let (measured, report) = measure("adamw_step", "state=3x100000 grad=100000", DType::Bf16);
    let of_reports = model.cores(&report);
    for ((trace, of_report), core) in report.traces.iter().zip(&of_reports).zip(&measured.cores) {
        let Cost { setup, transfer, compute } = model.core(trace);
        for (step, whole) in [(setup, of_report.setup), (transfer, of_report.transfer), (compute, of_report.compute)] {
            assert!((step - whole).abs() <= 1e-9 * whole, "{step} is not {whole}");
        }
        let dmas: Vec<_> = trace.iter().filter_map(|step| step.dma).collect();
        assert_eq!(dmas.len() as u64, core.transfers);
        assert_eq!(dmas.iter().map(|dma| dma.bytes).sum::<u64>(), core.bytes);
    }
}

#[test]
fn the_table_of_small_launches() {
    let measured: Vec<_> = SMALL.iter().map(|(op, given, dtype)| measure(op, given, *dtype).0).collect();
    insta::assert_snapshot!(table::show(&measured, &CostModel::default()));
}

#[test]
fn the_tutorials_form_of_relu_takes_what_its_kernels_take() {
    let counting = tutorial();
    let model = CostModel::default();
    let given = ["x=131072".parse::<Given>().unwrap()];
    for (name, form) in [("relu_tiles", TutorialForm::Tiles), ("relu_elements", TutorialForm::Elements)] {
        let op = counting.library.op(name).unwrap();
        let operands = operands("relu_ops", &op, &given, DType::F32).unwrap();
        let (measured, _) = Measured::launch(&op, &operands, &counting.tile_buffers, 0, &model).unwrap();
        let (found, expected) = (measured.in_tutorial_form(form, &model).unwrap(), measured.seconds());
        assert!((found - expected).abs() < 1e-3 * expected, "{name}: {found} s, expected {expected} s");
    }
}

#[test]
fn a_profile_beside_an_earlier_one() {
    let before: Vec<_> = SMALL.iter().take(1).map(|(op, given, dtype)| measure(op, given, *dtype).0).collect();
    let mut after: Vec<_> = SMALL.iter().take(3).map(|(op, given, dtype)| measure(op, given, *dtype).0).collect();
    for core in &mut after[0].cores {
        core.transfers *= 2;
        core.setup *= 2.0;
    }
    insta::assert_snapshot!(comparison::show(&before, &after));
}

/// <https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU>: complete events and metadata.
#[test]
fn a_timeline_is_in_the_trace_event_format_and_no_core_does_two_things_at_once() {
    let (measured, report) = measure("bias_gelu_forward", "x=64x3072 bias=3072", DType::F32);
    let op = bert_ops().library.op("bias_gelu_forward").unwrap();
    let text = serde_json::to_string(&timeline::Timeline::of(&op, &report, &CostModel::default())).unwrap();
    let trace: serde_json::Value = serde_json::from_str(&text).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    assert!(["ns", "ms"].contains(&trace["displayTimeUnit"].as_str().unwrap()));
    let mut ends = [0.0; 8];
    let mut names = vec![String::new(); 8];
    for event in events {
        let core = event["tid"].as_u64().unwrap() as usize;
        assert_eq!(event["pid"], 1);
        match (event["ph"].as_str().unwrap(), event["name"].as_str().unwrap()) {
            ("M", "thread_name") => names[core] = event["args"]["name"].as_str().unwrap().into(),
            ("M", "process_name") => {}
            ("X", name) => {
                let (start, took) = (event["ts"].as_f64().unwrap(), event["dur"].as_f64().unwrap());
                assert!(start >= ends[core] - 1e-6 && took > 0.0, "{event}");
                ends[core] = start + took;
                assert!(["compute", "load x", "load bias", "store y"].contains(&name), "{event}");
            }
            _ => panic!("{event}"),
        }
    }
    assert_eq!(names, (0..8).map(|core| format!("core {core}")).collect::<Vec<_>>());
    for (end, core) in ends.iter().zip(&measured.cores) {
        assert!((end * 1e-6 - core.seconds()).abs() < 1e-9, "{end} us, {} s", core.seconds());
    }
}

/// As each phase calls its tensors; and of the operands, what both load is counted.
#[test]
fn a_timeline_of_two_phases_names_the_tensors_of_each() {
    let (measured, report) = measure("layer_norm_backward", "dy=64x64 x=64x64 gamma=64 mean=64 rstd=64", DType::F32);
    let op = bert_ops().library.op("layer_norm_backward").unwrap();
    let text = serde_json::to_string(&timeline::Timeline::of(&op, &report, &CostModel::default())).unwrap();
    let trace: serde_json::Value = serde_json::from_str(&text).unwrap();
    let names = trace["traceEvents"].as_array().unwrap().iter().filter(|event| event["cat"] == "dma");
    let names: std::collections::BTreeSet<_> = names.map(|event| event["name"].as_str().unwrap()).collect();
    let stored = ["store dbeta", "store dgamma", "store dx", "store of_beta", "store of_gamma"];
    let loaded = ["dy", "gamma", "mean", "of_beta", "of_gamma", "rstd", "x"].map(|name| format!("load {name}"));
    assert!(names.into_iter().eq(loaded.iter().map(String::as_str).chain(stored)));
    // Every operand once, and every output; of mean and rstd of f32 as many as there are rows.
    assert_eq!(measured.least_bytes, 4 * (2 * 64 * 64 + 64 + 2 * 64 + 64 * 64 + 2 * 64));
}

#[test]
fn the_roofline_names_its_axes_and_every_op() {
    let measured: Vec<_> = SMALL.iter().map(|(op, given, dtype)| measure(op, given, *dtype).0).collect();
    let svg = roofline::draw(&CostModel::default(), &measured).unwrap();
    assert!(svg.starts_with("<svg "));
    for part in ["operations on floats per byte moved", "operations on floats per second, 10^9"] {
        assert!(svg.contains(part), "no `{part}`");
    }
    for op in &measured {
        assert!(svg.contains(&format!("{}: ", op.op)), "no {}", op.op);
    }
}

/// Nobody but the vendor has published more.
#[test]
fn the_model_is_near_the_published_speeds() {
    let model = CostModel::default();
    let rows = calibration::calibrate(&model, tutorial()).unwrap();
    for (what, residual) in calibration::ratios(&rows).map(|ratio| (ratio.what, ratio.residual())) {
        assert!(residual.abs() < 0.15, "{what}: {residual}");
    }
    insta::assert_snapshot!(calibration::show(&super::constants::Constants::of(&model), &rows));
}

/// On every core 1024 of the 8192 indices: 64 and more at a time, a DMA for each row, tiles of rows out.
#[test]
fn rows_that_lie_apart_are_counted_one_by_one_and_named() {
    let library = OpCrate::at(&root().join("tests/ops/index-dma-ops")).unwrap();
    let counting = counting::build(&library, Vectors::All).unwrap();
    let op = counting.library.op("gather_rows").unwrap();
    let given = ["table=1000x16", "ids=8192"].map(|given| given.parse().unwrap());
    let operands = operands("index_dma_ops", &op, &given, DType::F32).unwrap();
    let (measured, report) =
        Measured::launch(&op, &operands, &counting.tile_buffers, 0, &CostModel::default()).unwrap();
    for core in &report.cores {
        assert!(core.loads > 1024 && core.load_bytes >= 1024 * (64 + 4), "{core:?}");
        assert_eq!(core.store_bytes, 1024 * 64);
    }
    insta::assert_snapshot!(table::show(&[measured], &CostModel::default()));
}

/// On every core: 8 of the 64 indices, each a DMA in, and one in and out for the element.
#[test]
fn the_dmas_of_ops_in_cpp_are_counted_and_nothing_else() {
    let source = |name: &str| root().join("host/codegen/tests/device_api").join(name);
    let (sources, shapes, compiler) =
        ([source("dtypes.cpp")], [source("dtypes_shape.cpp")], CompilerOptions::default());
    let cpp = Cpp { sources: &sources, shapes: &shapes, is_multicore: true, compiler: &compiler };
    let counting = counting::of_cpp(&cpp, &Workspace::here().unwrap()).unwrap();
    let op = counting.library.op("take").unwrap();
    let given = ["arg0=8x128:u8", "arg1=64:i32"].map(|given| given.parse().unwrap());
    let operands = operands("dtypes", &op, &given, DType::F32).unwrap();
    let (measured, _) = Measured::launch(&op, &operands, &counting.tile_buffers, 0, &CostModel::default()).unwrap();
    assert!(measured.cores.iter().all(|core| (core.transfers, core.bytes) == (24, 8 * (4 + 1 + 1))));
    assert!(roofline::draw(&CostModel::default(), std::slice::from_ref(&measured)).unwrap().starts_with("<svg "));
    insta::assert_snapshot!(table::show(&[measured], &CostModel::default()));
}

#[test]
fn ops_of_others_need_shapes() {
    let op = bert_ops().library.op("bias_gelu_forward").unwrap();
    let error = operands("my_ops", &op, &[], DType::F32).err().unwrap();
    assert_eq!(
        format!("{error:#}"),
        "op `bias_gelu_forward`: give the shape of operand `x`, such as --shape x=8x128x3072"
    );
}

#[test]
fn a_shape_is_of_an_operand_of_one_of_the_ops() {
    let ops = ["bias_gelu_forward", "bias_gelu_backward"].map(|op| bert_ops().library.op(op).unwrap());
    let given = |text: &str| -> Vec<Given> { text.split_whitespace().map(|one| one.parse().unwrap()).collect() };
    verify_given(&ops, &given("dy=8x3072"), &[]).unwrap();
    operands("bert_ops", &ops[0], &given("dy=8x3072"), DType::F32).unwrap();
    let error = verify_given(&ops, &given("z=3"), &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no op here has an operand `z`: `bias_gelu_forward` has `x`, `bias`; `bias_gelu_backward` has `dy`, `x`, `bias`"
    );
}

#[test]
fn an_operand_is_given_once_and_as_what_it_is() {
    let ops = [bert_ops().library.op("masked_softmax_forward").unwrap()];
    let verify = |shapes: &str, scalars: &str| {
        let given = |text: &str| -> Vec<Given> { text.split_whitespace().map(|one| one.parse().unwrap()).collect() };
        verify_given(&ops, &given(shapes), &given(scalars)).map_err(|error| error.to_string())
    };
    verify("scores=1x1x3x4 mask=1x1x1x4", "scale=2").unwrap();
    let refused = [
        verify("scores=1x1x3x4 scores=1x1x4x4", ""),
        verify("scores=1x1x3x4", "scale=1 scale=2"),
        verify("scores=1x1x3x4", "scores=3"),
        verify("", "mask=1"),
        verify("scale=2", ""),
    ];
    insta::assert_snapshot!(refused.map(Result::unwrap_err).join("\n"), @"
    operand `scores` is given twice, as 1x1x3x4 and as 1x1x4x4: give it once
    operand `scale` is given twice, as 1 and as 2: give it once
    operand `scores` is given twice, as 1x1x3x4 and as 3: give it once
    operand `mask` is a tensor: give its shape with --shape mask=8x128x3072
    operand `scale` is no tensor: give its value with --scalar scale=8
    ");
}
