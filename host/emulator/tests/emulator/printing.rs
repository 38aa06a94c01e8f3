//! What kernels print.

use std::sync::{Arc, Mutex};

use gpsimd_emulator::{Engine, Launch, Mode, PrintSink, PrintedLine};

use crate::fixtures::{LEN, iota, op};

fn printed_by(name: &str, mode: Mode, threads: usize) -> (Vec<String>, Option<Vec<PrintedLine>>) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    let sink = PrintSink::Function(Arc::new(move |line| sink.lock().unwrap().push(line.to_owned())));
    let engine = Engine::builder().mode(mode).threads(threads).print(sink).build().unwrap();
    let (x, mut y) = (iota(LEN), iota(LEN));
    let launch = Launch { tensors: &[x.view()], scalars: &[], outputs: vec![y.view_mut()] };
    let report = engine.launch(&op(name), launch);
    let lines = lines.lock().unwrap().clone();
    (lines, report.ok().map(|report| report.printed))
}

#[test]
fn lines_come_in_the_order_of_the_cores_once() {
    for (mode, threads) in [(Mode::Checked, 1), (Mode::Checked, 8), (Mode::Fast, 1), (Mode::Fast, 3)] {
        let (lines, report) = printed_by("prints", mode, threads);
        insta::allow_duplicates! {
            insta::assert_snapshot!(lines.join("\n"), @r"
            [prints core 0] part of 10 elements
            [prints core 0] floats 0.1 0.1, signed -3
            [prints core 3] part of 10 elements
            [prints core 3] floats 0.1 0.1, signed -6
            [prints core 6] part of 10 elements
            [prints core 6] floats 0.1 0.1, signed -9
            ");
        }
        let report = report.unwrap();
        assert_eq!(report.len(), 6);
        assert_eq!(report[1], PrintedLine { core: 0, text: "floats 0.1 0.1, signed -3".into() });
    }
}

#[test]
fn lines_of_a_failed_launch_are_shown() {
    let (lines, _) = printed_by("prints_unwritten_tcm", Mode::Checked, 2);
    assert_eq!(lines, ["[prints_unwritten_tcm core 3] NaN"]);
}
