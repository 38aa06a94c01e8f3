//! The timeline of a launch in the Trace Event Format, which Perfetto and Chrome's about:tracing open.

use gpsimd_emulator::cost::CostModel;
use gpsimd_emulator::{LaunchReport, Op, Transfer};
use serde::Serialize;

/// The file: <https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU>.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Timeline {
    trace_events: Vec<Event>,
    display_time_unit: &'static str,
    other_data: OtherData,
}

#[derive(Serialize)]
struct OtherData {
    about: &'static str,
}

/// A thing that a core does; or, with the phase `M`, the name of a row.
#[derive(Serialize)]
struct Event {
    name: String,
    #[serde(rename = "cat")]
    category: &'static str,
    /// `X`: from `ts` for `dur`, in microseconds.
    #[serde(rename = "ph")]
    phase: char,
    ts: f64,
    dur: f64,
    pid: u32,
    tid: u32,
    args: serde_json::Value,
}

impl Timeline {
    /// Of a launch that was traced.
    pub(super) fn of(op: &Op, report: &LaunchReport, model: &CostModel) -> Self {
        let row = |name: &str, tid: u32, value: String| Event {
            name: name.into(),
            category: "__metadata",
            phase: 'M',
            ts: 0.0,
            dur: 0.0,
            pid: 1,
            tid,
            args: serde_json::json!({ "name": value }),
        };
        let mut events = vec![row("process_name", 0, format!("GPSIMD engine: {} (modelled)", op.name()))];
        for (core, trace) in (0..).zip(&report.traces) {
            events.push(row("thread_name", core, format!("core {core}")));
            let mut now = 0.0;
            for step in trace {
                let computed = model.compute(&step.operations).total() * 1e6;
                if computed > 0.0 {
                    let operations = step.operations;
                    events.push(Event {
                        name: "compute".into(),
                        category: "compute",
                        phase: 'X',
                        ts: now,
                        dur: computed,
                        pid: 1,
                        tid: core,
                        args: serde_json::json!({
                            "in vectors": operations.vector.total(), "one at a time": operations.scalar.total(),
                        }),
                    });
                    now += computed;
                }
                let Some(dma) = step.dma else { continue };
                let took = model.dma(&dma).total() * 1e6;
                let way = if dma.transfer == Transfer::Load { "load" } else { "store" };
                events.push(Event {
                    name: format!("{way} {}", op.tensor_of(&dma)),
                    category: "dma",
                    phase: 'X',
                    ts: now,
                    dur: took,
                    pid: 1,
                    tid: core,
                    args: serde_json::json!({ "bytes": dma.bytes, "first element": dma.start, "TCM": dma.tcm }),
                });
                now += took;
            }
        }
        let about = "estimated by gpsimd's cost model from exact counts; nothing has run on a Trainium";
        Self { trace_events: events, display_time_unit: "ns", other_data: OtherData { about } }
    }
}
