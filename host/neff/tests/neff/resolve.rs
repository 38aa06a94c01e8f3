//! Graphs that do not fit their op libraries, and why.

use bert_ops::OP_LIBRARY;
use gpsimd_emulator::OpLibrary;
use gpsimd_neff::{Graph, NeffDType, ResolveError, TensorSpec};

use crate::fixtures::graph;

/// The graph of the fixtures with the four dimensions that the softmax takes, changed.
fn resolved(change: impl FnOnce(&mut Graph)) -> Result<Vec<String>, ResolveError> {
    let mut graph = graph();
    let Graph { inputs, intermediates, outputs, .. } = &mut graph;
    let of_two = inputs.iter_mut().chain(intermediates).chain(outputs).filter(|spec| spec.shape.len() == 2);
    of_two.for_each(|spec| drop(spec.shape.splice(0..0, [1, 1])));
    change(&mut graph);
    let library = OpLibrary::from_static(&OP_LIBRARY).unwrap();
    let calls = graph.resolve(|name| (name == library.name()).then_some(&library))?;
    let shown = calls.iter().map(|call| {
        let operands: Vec<_> = call.operands.iter().map(ToString::to_string).collect();
        format!("{} = {}({})", call.outputs[0], call.op.descriptor().name, operands.join(", "))
    });
    Ok(shown.collect())
}

#[test]
fn every_call_has_its_op_and_its_types() {
    let calls = [
        "f32[1, 1, 4, 8] = bias_gelu_forward(f32[1, 1, 4, 8], f32[8])",
        "f32[1, 1, 4, 8] = bias_gelu_forward(f32[1, 1, 4, 8], f32[8])",
        "f32[1, 1, 4, 8] = masked_softmax_forward(f32[1, 1, 4, 8], f32[1, 1, 1, 8])",
    ];
    assert_eq!(resolved(|_| ()).unwrap(), calls);
}

#[test]
fn a_tensor_that_no_call_reads_may_be_of_any_type() {
    let unread = TensorSpec { name: "unread".into(), dtype: NeffDType::Int64, shape: vec![1; 9] };
    assert!(resolved(|graph| graph.inputs.push(unread)).is_ok());
}

#[test]
fn every_message() {
    let changes: &[fn(&mut Graph)] = &[
        |graph| graph.version = 7,
        |graph| graph.calls[0].op = "bert_ops.relu".into(),
        |graph| drop(graph.calls[0].tensors.pop()),
        |graph| graph.calls[0].tensors.push("mask".into()),
        |graph| graph.calls[0].scalars.push(1.into()),
        |graph| graph.calls[2].scalars.clear(),
        |graph| graph.calls[2].scalars[0] = true.into(),
        |graph| graph.calls[2].scalars[0] = 1e39.into(),
        |graph| graph.calls[2].scalars[0] = "0.125".repeat(20).into(),
        |graph| {
            let second = TensorSpec { name: "q".into(), ..graph.outputs[1].clone() };
            graph.outputs.push(second);
            graph.calls[2].outputs.push("q".into());
        },
        |graph| graph.inputs[1].shape = vec![7],
        |graph| graph.inputs[1].dtype = NeffDType::Bfloat16,
        |graph| graph.inputs[0].dtype = NeffDType::Int32,
        |graph| graph.inputs[2].dtype = NeffDType::Fp8E4,
        |graph| graph.inputs[2].shape = vec![1; 9],
        |graph| graph.outputs[1].shape = vec![1, 1, 8, 4],
        |graph| graph.outputs[1].dtype = NeffDType::Int64,
        |graph| graph.intermediates[0].dtype = NeffDType::Bfloat16,
        |graph| {
            graph.libraries[0].name = "other".into();
            graph.calls.iter_mut().for_each(|call| call.op = call.op.replace("bert_ops", "other"));
        },
    ];
    let messages: Vec<_> = changes.iter().map(|change| resolved(change).unwrap_err().to_string()).collect();
    insta::assert_snapshot!(messages.join("\n"));
}
