//! One model a great many times: the same bits each time. `cargo xtask soak runtime` starts it, and watches its memory.

use std::path::Path;

use anyhow::{Context, ensure};
use gpsimd_emulator::OpLibrary;
use gpsimd_nrt::Runtime;
use gpsimd_tests::GoldenCase;

use crate::golden::{Loaded, OPS, Part, execute_once, neff};

/// After so many executions, the model is loaded anew, and all its tensors are.
const RELOAD: usize = 100;

/// Executes the first golden case of each op `executions` times, and prints how many are done after every reload.
pub(crate) fn run(runtime: &Runtime, ops: &Path, core: Option<u32>, executions: usize) -> anyhow::Result<()> {
    let library = OpLibrary::load(ops)?;
    let content = std::fs::read(ops).with_context(|| format!("cannot read {}", ops.display()))?;
    let ops = OPS.map(|name| library.op(name)).into_iter().collect::<Result<Vec<_>, _>>()?;
    let cases = ops.iter().map(|op| GoldenCase::all(op).into_iter().next().context("an op has a golden case"));
    let cases = cases.collect::<Result<Vec<_>, _>>()?;
    let parts: Vec<Part<'_>> = ops.iter().zip(&cases).map(|(op, case)| Part { op, case }).collect();
    let neff = neff(library.name(), &content, &parts)?;
    let mut first: Option<Vec<Vec<u8>>> = None;
    let mut done = 0;
    while done < executions {
        let mut loaded = Loaded::new(runtime, core, neff.clone(), &parts)?;
        for _ in 0..RELOAD.min(executions - done) {
            // What the last execution has written must not be taken for this one's.
            for (_, tensor) in loaded.outputs.iter() {
                tensor.write_bytes(&vec![0xa5; tensor.read_bytes()?.len()])?;
            }
            execute_once(&loaded.model, &loaded.inputs, &mut loaded.outputs)?;
            done += 1;
            let output = |part: &Part<'_>| {
                let tensor = loaded.outputs.get(&part.output()).context("the model has this output")?;
                anyhow::Ok(tensor.read_bytes()?)
            };
            let bits = parts.iter().map(output).collect::<anyhow::Result<Vec<_>>>()?;
            let first = first.get_or_insert_with(|| bits.clone());
            ensure!(*first == bits, "execution {done} has other bits than the first");
        }
        println!("executed {done}");
    }
    Ok(())
}
