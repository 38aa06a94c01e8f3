//! Graphs that cannot be run, and why.

use gpsimd_neff::{Graph, GraphError, GraphLibrary, NeffBuilder, NeffDType, NeffError, TensorSpec};

use crate::fixtures::graph;

/// The graph of the fixtures, changed.
fn changed(change: impl FnOnce(&mut Graph)) -> Graph {
    let mut graph = graph();
    change(&mut graph);
    graph
}

fn refusals() -> Vec<GraphError> {
    let cases: &[fn(&mut Graph)] = &[
        |graph| graph.version = 7,
        |graph| graph.inputs[0].name.clear(),
        |graph| graph.inputs[0].name = "n".repeat(256),
        |graph| graph.outputs[0].name = "a\u{1b}[2J".into(),
        |graph| graph.intermediates[0].name = "x".into(),
        |graph| graph.libraries[0].name = "a.b".into(),
        |graph| graph.libraries.push(graph.libraries[0].clone()),
        |graph| {
            graph.libraries.push(GraphLibrary { name: "other".into(), file: "libbert_ops.so".into() });
        },
        |graph| graph.libraries[0].file = "../lib.so".into(),
        |graph| graph.libraries[0].file.clear(),
        |graph| graph.inputs[0].shape = vec![u32::MAX; 3],
        |graph| graph.inputs[0].shape = vec![0, u32::MAX, u32::MAX, u32::MAX],
        |graph| graph.calls[0].op = "relu".into(),
        |graph| graph.calls[0].op = ".relu".into(),
        |graph| graph.calls[1].op = "other.relu".into(),
        |graph| graph.libraries.clear(),
        |graph| graph.calls[0].tensors[1] = "z".into(),
        |graph| graph.calls[2].outputs[0] = "z".into(),
        |graph| graph.calls.swap(0, 1),
        |graph| graph.calls[0].tensors[0] = "h".into(),
        |graph| graph.calls[2].outputs[0] = "x".into(),
        |graph| graph.calls[2].outputs[0] = "h".into(),
        |graph| graph.calls[2].outputs.push("p".into()),
        |graph| drop(graph.calls.pop()),
        |graph| graph.intermediates.push(TensorSpec { name: "i".into(), dtype: NeffDType::Int8, shape: vec![] }),
    ];
    cases.iter().map(|case| changed(case).validate().unwrap_err()).collect()
}

#[test]
fn every_message() {
    let messages: Vec<_> = refusals().iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(messages.join("\n"));
}

#[test]
fn the_graph_of_the_fixtures_can_be_run() {
    assert_eq!(graph().validate(), Ok(()));
}

#[test]
fn outputs_may_be_read_and_results_may_stay_unread() {
    let unread = changed(|graph| {
        graph.calls[1].tensors[0] = "x".into();
    });
    assert_eq!(unread.validate(), Ok(()));
}

#[test]
fn names_have_up_to_255_bytes() {
    let named = |name: String| {
        changed(|graph| {
            graph.outputs[1].name.clone_from(&name);
            graph.calls[2].outputs = vec![name];
        })
    };
    assert_eq!(named("ä".repeat(127) + "b").validate(), Ok(()));
    assert!(named("ä".repeat(128)).validate().is_err());
}

#[test]
fn sizes_are_products_of_dimensions_and_bytes_of_an_element() {
    let bytes = |dtype, shape: &[u32]| TensorSpec { name: "t".into(), dtype, shape: shape.into() }.bytes();
    assert_eq!(bytes(NeffDType::Bfloat16, &[3, 5]), Some(30));
    assert_eq!(bytes(NeffDType::Float32, &[]), Some(4));
    assert_eq!(bytes(NeffDType::Float32, &[7, 0]), Some(0));
    // The last that fits an address space, and the first that does not.
    let half = 1 << 31;
    assert_eq!(bytes(NeffDType::Uint8, &[half, half - 1]), Some(((1 << 31) - 1) << 31));
    assert_eq!(bytes(NeffDType::Uint8, &[half, half, 2]), None);
    assert_eq!(bytes(NeffDType::Uint64, &[half, half]), None);
}

#[test]
fn none_of_them_is_written() {
    let graph = changed(|graph| graph.version = 7);
    let built = NeffBuilder::new("n", graph).library("libbert_ops.so", "").build();
    assert!(matches!(built, Err(NeffError::Graph(GraphError::Version { found: 7 }))));
}

#[test]
fn the_output_of_a_call_may_be_written_alone() {
    let alone = serde_json::to_string(&graph()).unwrap().replace(r#""outputs":["h"]"#, r#""output":"h""#);
    let refusal = |json: &str| {
        let error = serde_json::from_str::<Graph>(json).unwrap_err().to_string();
        error.split(" at line").next().unwrap_or_default().to_owned()
    };
    assert!(alone.contains(r#""output":"h""#));
    assert_eq!(serde_json::from_str::<Graph>(&alone).unwrap(), graph());
    let twice = alone.replace(r#""output":"h""#, r#""output":"h","outputs":["h"]"#);
    insta::assert_snapshot!(refusal(&twice), @"duplicate field `outputs`");
    let number = alone.replace(r#""output":"h""#, r#""output":7"#);
    insta::assert_snapshot!(refusal(&number), @"expected the name of a tensor, or a list of names");
}

#[test]
fn fields_that_are_not_known_are_refused() {
    let json = serde_json::to_string(&graph()).unwrap().replace("\"calls\"", "\"loops\": 3, \"calls\"");
    assert!(serde_json::from_str::<Graph>(&json).unwrap_err().to_string().contains("unknown field `loops`"));
}
