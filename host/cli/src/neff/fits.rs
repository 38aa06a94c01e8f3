//! Whether a graph fits its op libraries: what would fail when the emulated runtime loads it fails when it is packed.

use std::collections::HashMap;

use anyhow::{Context, bail, ensure};
use gpsimd_emulator::{Engine, OpLibrary, TensorType};
use gpsimd_neff::{Call, Graph, TensorSpec};

/// Looks up every op that is called, and compares what it takes and gives with what the graph says.
///
/// `graph` is valid as far as can be said without the libraries.
pub(super) fn verify(graph: &Graph, libraries: &[OpLibrary]) -> anyhow::Result<()> {
    let engine = Engine::builder().build()?;
    for entry in &graph.libraries {
        ensure!(
            libraries.iter().any(|library| library.name() == entry.name),
            "`libraries` names `{}`: give its file with --library",
            entry.name
        );
    }
    let tensors = graph.tensors().map(|spec| Ok((spec.name.as_str(), ty(spec)?)));
    let tensors: HashMap<_, _> = tensors.collect::<anyhow::Result<_>>()?;
    for (index, call) in graph.calls.iter().enumerate() {
        verify_call(call, &engine, libraries, &tensors).with_context(|| format!("calls[{index}] `{}`", call.op))?;
    }
    Ok(())
}

fn verify_call(
    call: &Call,
    engine: &Engine,
    libraries: &[OpLibrary],
    tensors: &HashMap<&str, TensorType>,
) -> anyhow::Result<()> {
    let (library, op) = call.op_path().context("expected `<library>.<op>`")?;
    let library = libraries.iter().find(|found| found.name() == library).context("its library is not there")?;
    let op = library.op(op)?;
    let find =
        |name: &String| tensors.get(name.as_str()).copied().with_context(|| format!("there is no tensor `{name}`"));
    let operands = call.tensors.iter().map(find).collect::<anyhow::Result<Vec<_>>>()?;
    let expected = engine.shape(&op, &operands)?;
    let scalars: Vec<_> = op.descriptor().scalars().collect();
    if scalars.len() != call.scalars.len() {
        let found = call.scalars.len();
        match scalars.as_slice() {
            [] => bail!("it takes no scalars, found {found}"),
            names => bail!("it takes {} scalars ({}), found {found}", names.len(), names.join(", ")),
        }
    }
    let declared = find(&call.output)?;
    ensure!(declared == expected, "its result is {expected}, but `{}` is declared as {declared}", call.output);
    Ok(())
}

/// The type that an op sees.
fn ty(spec: &TensorSpec) -> anyhow::Result<TensorType> {
    let dtype = spec.dtype.op_dtype();
    let dtype = dtype.with_context(|| format!("tensor `{}` is {}, which no op takes", spec.name, spec.dtype))?;
    let shape: Vec<_> = spec.shape.iter().map(|&size| size as usize).collect();
    TensorType::new(dtype, &shape).with_context(|| format!("tensor `{}`", spec.name))
}

#[cfg(test)]
mod tests {
    use gpsimd_neff::NeffDType;

    use super::*;

    fn example() -> Graph {
        serde_json::from_str(include_str!("example.json")).unwrap()
    }

    fn verified(graph: &Graph) -> anyhow::Result<()> {
        graph.validate()?;
        verify(graph, &[OpLibrary::from_static(&bert_ops::OP_LIBRARY)?])
    }

    #[test]
    fn the_graph_of_the_help_fits() {
        verified(&example()).unwrap();
    }

    #[test]
    fn every_message() {
        let changes: &[fn(&mut Graph)] = &[
            |graph| graph.calls[0].op = "bert_ops.relu".into(),
            |graph| drop(graph.calls[0].tensors.pop()),
            |graph| graph.calls[0].tensors.push("mask".into()),
            |graph| graph.calls[0].scalars.push(1.0),
            |graph| graph.calls[1].scalars.clear(),
            |graph| graph.inputs[1].shape = vec![15],
            |graph| graph.inputs[1].dtype = NeffDType::Bfloat16,
            |graph| graph.inputs[0].dtype = NeffDType::Int32,
            |graph| graph.inputs[2].dtype = NeffDType::Fp8E4,
            |graph| graph.inputs[2].shape = vec![1; 9],
            |graph| graph.outputs[0].shape = vec![2, 4, 16, 8],
            |graph| graph.intermediates[0].dtype = NeffDType::Bfloat16,
            |graph| {
                let other = gpsimd_neff::GraphLibrary { name: "other".into(), file: "other.so".into() };
                graph.libraries.push(other);
            },
        ];
        let messages: Vec<_> = changes
            .iter()
            .map(|change| {
                let mut graph = example();
                change(&mut graph);
                format!("{:#}", verified(&graph).unwrap_err())
            })
            .collect();
        insta::assert_snapshot!(messages.join("\n"));
    }
}
