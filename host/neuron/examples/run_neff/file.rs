//! A NEFF from a file, on zeros or on raw files.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, ensure};
use gpsimd_neuron::nrt::{Model, Placement, Runtime, Tensor, TensorInfo, TensorSet};

/// Runs it once and prints what it has and gives.
pub(crate) fn run(
    runtime: &Runtime,
    file: &Path,
    core: Option<u32>,
    given: &[(String, PathBuf)],
    wanted: &[(String, PathBuf)],
) -> anyhow::Result<()> {
    let neff = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let model = Model::load(runtime, neff, core).with_context(|| file.display().to_string())?;
    println!("model     {} on {} NeuronCores, {} times", file.display(), model.core_count(), model.instance_count());
    for (files, infos, kind) in [(given, model.inputs(), "input"), (wanted, model.outputs(), "output")] {
        let unknown = files.iter().find(|(name, _)| infos.iter().all(|info| info.name != *name));
        let names: Vec<_> = infos.iter().map(|info| info.name.as_str()).collect();
        ensure!(unknown.is_none(), "the model has no {kind} `{}`; there are {}", unknown.unwrap().0, names.join(", "));
    }

    let (mut inputs, mut outputs) = (TensorSet::new(runtime)?, TensorSet::new(runtime)?);
    for info in model.inputs() {
        let tensor = allocate(runtime, core, info)?;
        let content = match given.iter().find(|(name, _)| *name == info.name) {
            Some((_, file)) => fs::read(file).with_context(|| format!("cannot read {}", file.display()))?,
            None => vec![0; info.size],
        };
        tensor.write_bytes(&content)?;
        inputs.insert(&info.name, &tensor)?;
        println!("input     {}", shown(info));
    }
    for info in model.outputs() {
        outputs.insert(&info.name, &allocate(runtime, core, info)?)?;
    }
    let start = Instant::now();
    model.execute(&inputs, &mut outputs)?;
    println!("executed  in {:.3} ms", start.elapsed().as_secs_f64() * 1e3);
    for info in model.outputs() {
        let content = outputs.get(&info.name).context("put there above")?.read_bytes()?;
        println!("output    {}", shown(info));
        if let Some((_, file)) = wanted.iter().find(|(name, _)| *name == info.name) {
            fs::write(file, content).with_context(|| format!("cannot write {}", file.display()))?;
            println!("          written to {}", file.display());
        }
    }
    Ok(())
}

pub(crate) fn allocate(runtime: &Runtime, core: Option<u32>, info: &TensorInfo) -> anyhow::Result<Tensor> {
    Ok(Tensor::for_info(runtime, Placement::Device(core.unwrap_or(0)), info)?)
}

fn shown(info: &TensorInfo) -> String {
    let dtype = info.dtype().map_or_else(|_| format!("dtype {:#x}", info.dtype_code), |dtype| dtype.to_string());
    format!("{} {dtype} {:?}, {} bytes", info.name, info.shape, info.size)
}
