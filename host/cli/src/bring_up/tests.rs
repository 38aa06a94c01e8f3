//! Reports as people may send them: whole, cut off, with other numbers in them.

use serde_json::{Value, json};

use super::report::Report;
use super::*;

/// A report with something of every kind in it.
fn report() -> Value {
    let time = |op: &str, size: u64, outcome: Value| {
        let mut time = json!({
            "library": "my_ops", "op": op, "launch": op, "operands": format!("x f32[{size}]"), "modelled": 1e-6 * size as f64,
            "cores": [{ "dmas": size / 8, "bytes": 4 * size, "scalar": size, "scalar_divisions": 0, "vector": 9 * size, "vector_divisions": size / 3 }],
        });
        time.as_object_mut().unwrap().extend(outcome.as_object().unwrap().clone());
        time
    };
    let measured = |seconds: f64| json!({ "outcome": "measured", "warm_up": 3, "runs": 9, "least": seconds, "lower": seconds, "median": 1.5 * seconds, "upper": 2.0 * seconds });
    let case = |outcome: Value| {
        let mut case = json!({ "library": "my_ops", "op": "silu", "case": "f32_<tails>", "operands": "x f32[3, 5]" });
        case.as_object_mut().unwrap().extend(outcome.as_object().unwrap().clone());
        case
    };
    let different = json!({
        "outcome": "different", "output": "y", "elements": 15, "differing": 2, "ulps": 4, "at": [1, 2], "expected": "1.0 (0x3f800000)",
        "found": "1.0000005 (0x3f800004)", "accuracy": { "native": 0.5, "found": null },
    });
    let mut times: Vec<Value> = (1..9).map(|index| time("silu", 100 * index, measured(1e-5 * index as f64))).collect();
    times.push(time("gelu", 10, json!({ "outcome": "failed", "error": "NRT_TIMEOUT (5)" })));
    times.push(time("gelu", 20, json!({ "outcome": "not_tried", "why": "no time" })));
    json!({
        "format": 1,
        "engine": "neuron",
        "written": "2026-11-26T15:00:00Z",
        "gpsimd": { "version": "0.1.0", "commit": null },
        "host": {
            "system": "Ubuntu 24.04", "processor": "8 x a CPU", "driver": "2.25.4.0",
            "pieces": [{ "name": "NeuronCore-v2", "state": "ok", "version": "trn1.2xlarge", "note": null }],
            "versions": [["torch", "2.9.1"]], "environment": [["NEURON_RT_NUM_CORES", "1"]],
        },
        "settings": { "seed": 1, "seconds": 60, "time_limit": 600, "ops": ["silu"] },
        "steps": [{ "name": "cases", "state": "failed", "summary": "1 equal", "failures": ["my_ops::silu: <b>"] }],
        "libraries": [{ "name": "my_ops", "manifest": null, "sha256": [["my_ops.cpp", "0123"]], "compiler": null, "error": "no" }],
        "cases": [
            case(json!({ "outcome": "equal", "elements": 15 })), case(different),
            case(json!({ "outcome": "failed", "error": "hung" })), case(json!({ "outcome": "not_tried", "why": "no time" })),
        ],
        "times": times,
        "fit": null,
    })
}

fn parse(value: &Value) -> anyhow::Result<Report> {
    Report::parse(value.to_string().as_bytes())
}

/// All that is done with a report that somebody sends.
fn use_all_of(mut report: Report) -> String {
    report.fit = fit::fit(&report.times, &CostModel::default());
    page::html(&report).unwrap() + &summary::text(&report) + &serde_json::to_string(&report).unwrap()
}

#[test]
fn what_is_written_is_read_again() {
    let report = parse(&report()).unwrap();
    assert_eq!(parse(&serde_json::to_value(&report).unwrap()).unwrap(), report);
}

#[test]
fn the_page_shows_every_kind_of_result_and_takes_no_text_for_markup() {
    let page = page::html(&parse(&report()).unwrap()).unwrap();
    for text in [
        "Bring-up: trn1.2xlarge",
        "my_ops::silu: &lt;b&gt;",
        "f32_&lt;tails&gt;",
        "most by 4 ulps, at [1, 2]",
        "NRT_TIMEOUT (5)",
        "not tried: no time",
        ">inf</td>",
        "NEURON_RT_NUM_CORES",
        "<circle",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    assert!(!page.contains("<b>") && !page.contains("http"), "{page}");
}

#[test]
fn what_cannot_be_a_report_is_refused_with_why() {
    let with = |change: &dyn Fn(&mut Value)| {
        let mut value = report();
        change(&mut value);
        format!("{:#}", parse(&value).unwrap_err())
    };
    let of_text = |text: &str| format!("{:#}", Report::parse(text.as_bytes()).unwrap_err());
    let whole = report().to_string();
    let messages = [
        of_text(""),
        of_text("<html>"),
        of_text("[]"),
        of_text(&whole[..whole.len() / 2]),
        with(&|report| report["format"] = 2.into()),
        with(&|report| report["format"] = "1".into()),
        with(&|report| report["engine"] = "cuda".into()),
        with(&|report| drop(report.as_object_mut().unwrap().remove("times"))),
        with(&|report| report["times"][0]["median"] = (-1.0).into()),
        with(&|report| report["times"][0]["runs"] = 0.into()),
        with(&|report| report["times"][0]["cores"][0]["dmas"] = (-1).into()),
        with(&|report| report["times"][0]["cores"] = vec![report["times"][0]["cores"][0].clone(); 9].into()),
        with(&|report| report["times"][0]["modelled"] = (-1e-9).into()),
        with(&|report| report["cases"][1]["at"] = "here".into()),
    ];
    insta::assert_snapshot!(messages.join("\n"));
}

/// Every value of a report, in turn, becomes something that it should not be.
#[test]
fn no_value_that_is_changed_makes_anything_panic() {
    fn places(value: &Value, at: &str, found: &mut Vec<String>) {
        found.push(at.to_owned());
        match value {
            Value::Array(values) => {
                values.iter().enumerate().for_each(|(index, value)| places(value, &format!("{at}/{index}"), found));
            }
            Value::Object(values) => {
                values.iter().for_each(|(name, value)| places(value, &format!("{at}/{name}"), found));
            }
            _ => {}
        }
    }
    let whole = report();
    let mut found = Vec::new();
    places(&whole, "", &mut found);
    let others = [
        json!(null),
        json!(0),
        json!(1),
        json!(-1),
        json!(u64::MAX),
        json!(1e308),
        json!(5e-324),
        json!(-0.0),
        json!(0.5),
        json!(""),
        json!("{{ 1 }} \u{0}</pre>"),
        json!([]),
        json!({}),
        json!(true),
        json!([u64::MAX, u64::MAX]),
    ];
    let mut taken = 0;
    for place in found {
        for other in &others {
            let mut value = whole.clone();
            *value.pointer_mut(&place).unwrap() = other.clone();
            if let Ok(report) = parse(&value) {
                taken += 1;
                use_all_of(report);
            }
        }
    }
    assert!(taken > 100, "{taken}");
}
