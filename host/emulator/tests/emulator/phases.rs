//! An op of two phases (`tests/fixtures/phases.c`): both are one launch with one report, which says what the cores computed.

use std::sync::{Arc, OnceLock};

use gpsimd_emulator::{
    CoreReport, Engine, Launch, LaunchReport, Mode, Op, OpLibrary, OperationCounts, Operations, PrintSink, Tensor,
    TraceStep,
};

use crate::fixtures::{LEN, compile, iota};

fn shift() -> Op {
    static LIBRARY: OnceLock<OpLibrary> = OnceLock::new();
    LIBRARY.get_or_init(|| OpLibrary::load(compile("phases.c", &[])).unwrap()).op("shift").unwrap()
}

/// 2 x + the sum of x, which is 0, 1, .. 79.
fn launch(mode: Mode) -> (Tensor, LaunchReport) {
    let engine = Engine::builder()
        .mode(mode)
        .threads(3)
        .trace(true)
        .print(PrintSink::Function(Arc::new(|_| {})))
        .build()
        .unwrap();
    let (x, mut y) = (iota(LEN), iota(LEN));
    let launch = Launch { tensors: &[x.view()], scalars: &[2.0.into()], outputs: vec![y.view_mut()] };
    let report = engine.launch(&shift(), launch).unwrap();
    (y, report)
}

/// What each core computes in the first phase and in the second.
const SCALAR: [OperationCounts; 2] = {
    let none = OperationCounts { float: 0, fma: 0, divide: 0, integer: 0, compare: 0, memory: 0, branch: 0 };
    [OperationCounts { float: 9, branch: 1, ..none }, OperationCounts { float: 8, ..none }]
};

fn operations() -> Operations {
    let vector = OperationCounts { fma: 10, ..OperationCounts::default() };
    Operations { scalar: SCALAR[0] + SCALAR[1], vector }
}

#[test]
fn the_second_phase_works_on_what_the_first_returned() {
    let expected: Vec<f32> = (0..LEN).map(|x| 2.0 * x as f32 + 3160.0).collect();
    for mode in [Mode::Checked, Mode::Fast] {
        assert_eq!(launch(mode).0.as_slice::<f32>().unwrap(), expected);
    }
}

#[test]
fn the_report_is_of_both_phases() {
    for mode in [Mode::Checked, Mode::Fast] {
        let (_, report) = launch(mode);
        for core in &report.cores {
            assert_eq!((core.loads, core.load_bytes), (1 + 3, 40 + 32 + 40 + 4));
            assert_eq!((core.stores, core.store_bytes), (1 + 1, 4 + 40));
            assert_eq!(core.operations, operations());
            // Buffers are not kept from one phase to the next; in fast mode the library may have others.
            assert_eq!(core.tcm_high_water, if mode == Mode::Checked { 3 * 64 } else { 0 });
        }
        let total = report.total();
        assert_eq!((total.loads, total.load_bytes, total.stores, total.store_bytes), (32, 8 * 116, 16, 8 * 44));
        assert_eq!(total.tcm_high_water, report.cores[0].tcm_high_water, "the highest, not a sum");
        let sum = report.cores.iter().fold(Operations::default(), |sum, core: &CoreReport| sum + core.operations);
        assert_eq!(total.operations, sum);
        let printed: Vec<_> = report.printed.iter().map(|line| (line.core, line.text.as_str())).collect();
        assert_eq!((printed.len(), printed[7], printed[8]), (16, (7, "7"), (0, "-1")));
    }
}

#[test]
fn a_trace_has_the_steps_of_both_phases_with_what_was_computed_in_each() {
    let (_, report) = launch(Mode::Checked);
    let op = shift();
    let in_words = |step: &TraceStep| {
        let dma = step.dma.map(|dma| {
            let (tensor, operand) = (op.tensor_of(&dma), op.operand_of(&dma));
            format!("{} {}: {tensor} {operand:?} from {}", dma.phase, dma.transfer, dma.start)
        });
        format!("{}, {}", step.operations.scalar.total() + step.operations.vector.total(), dma.unwrap_or_default())
    };
    let steps: Vec<_> = report.traces[3].iter().map(in_words).collect();
    insta::assert_snapshot!(steps.join("\n"), @r"
    0, 0 load: x Some(0) from 30
    9, 0 store: parts None from 3
    1, 
    0, 1 load: parts None from 0
    0, 1 load: x Some(0) from 30
    0, 1 load: params None from 0
    18, 1 store: y None from 30
    0, 
    ");
    for (trace, core) in report.traces.iter().zip(&report.cores) {
        let sum = trace.iter().fold(Operations::default(), |sum, step| sum + step.operations);
        assert_eq!(sum, core.operations);
    }
}

#[test]
fn the_first_phase_is_an_op_of_its_own() {
    let (op, engine) = (shift(), Engine::builder().threads(1).build().unwrap());
    let names = |op: &Op| op.outputs().iter().map(|output| output.name.clone()).collect::<Vec<_>>();
    assert_eq!((names(&op), names(&op.first_phase())), (vec!["y".to_owned()], vec!["parts".to_owned()]));
    assert!(op.counts_operations());
    let parts = engine.call(&op.first_phase(), &[iota(LEN).view()], &[2.0.into()]).unwrap();
    let expected: Vec<f32> = (0..8).map(|core| (100 * core + 45) as f32).collect();
    assert_eq!(parts.as_slice::<f32>().unwrap(), expected);
}
