//! `cargo gpsimd neff run`: a NEFF through libnrt, on zeros or on raw files.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, ensure};
use gpsimd_neff::Neff;
use gpsimd_nrt::{Libnrt, Model, NrtTensor, Placement, Runtime, TensorInfo, TensorSet};

use crate::numbers::whole;
use crate::workspace::Workspace;
use crate::{emulated_runtime, files};

const LIBRARY: &str = "NEURON_RT_LIBRARY";

/// Run a NEFF once through libnrt, and show its inputs and outputs.
///
/// One of `neff pack` runs on the emulated Neuron Runtime, which is built if need be; any other through the libnrt.so.1 of
/// this host. `$NEURON_RT_LIBRARY` names another one.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n\
\x20 cargo gpsimd neff run model.neff --core 0\n\
\x20 cargo gpsimd neff run model.neff --input x=x.bin --output y=y.bin")]
pub(super) struct Run {
    /// The NEFF
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Run on this NeuronCore, by its number among those of this process [default: the runtime chooses]
    #[arg(long, value_name = "N", value_parser = whole(0..=u32::MAX))]
    core: Option<u32>,
    /// Raw content of an input; inputs that are not given are zeros
    #[arg(long, value_name = "NAME=FILE", value_parser = named_file)]
    input: Vec<(String, PathBuf)>,
    /// Write the raw content of an output to a file
    #[arg(long, value_name = "NAME=FILE", value_parser = named_file)]
    output: Vec<(String, PathBuf)>,
    /// Checkout of the SDK, or URL of its git repository, to build the emulated runtime from
    #[arg(long, value_name = "DIR|URL")]
    sdk: Option<String>,
}

impl Run {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let neff = fs::read(&self.file).with_context(|| format!("cannot read {}", self.file.display()))?;
        // What is not a NEFF is for the runtime to refuse.
        let is_emulated = Neff::parse(&neff).is_ok_and(|neff| neff.graph().is_some());
        let library = if is_emulated && std::env::var_os(LIBRARY).is_none() {
            Libnrt::open_at(&emulated_runtime::build(&Workspace::here()?, self.sdk.as_deref())?)?
        } else {
            Libnrt::open()?
        };
        let runtime = Runtime::init(&library)?;
        let emulated = if runtime.is_emulated() { ", EMULATED: no device is used" } else { "" };
        println!("libnrt    {}{emulated}", library.path().display());
        println!("version   {}", runtime.version());
        println!("cores     {} of {} are this process's", library.visible_cores()?, library.total_cores()?);
        execute(&runtime, neff, &self)
    }
}

fn named_file(text: &str) -> Result<(String, PathBuf), String> {
    let (name, file) = text.split_once('=').ok_or_else(|| format!("expected NAME=FILE, found `{text}`"))?;
    Ok((name.to_owned(), PathBuf::from(file)))
}

/// Runs it once and prints what it has and returns.
fn execute(runtime: &Runtime, neff: Vec<u8>, options: &Run) -> anyhow::Result<()> {
    let Run { file, core, input: given, output: wanted, .. } = options;
    let core = *core;
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
            files::replace(file, |file| file.write_all(&content))?;
            println!("          written to {}", file.display());
        }
    }
    Ok(())
}

fn allocate(runtime: &Runtime, core: Option<u32>, info: &TensorInfo) -> anyhow::Result<NrtTensor> {
    Ok(NrtTensor::for_info(runtime, Placement::Device(core.unwrap_or(0)), info)?)
}

fn shown(info: &TensorInfo) -> String {
    let dtype = info.dtype().map_or_else(|_| format!("dtype {:#x}", info.dtype_code), |dtype| dtype.to_string());
    format!("{} {dtype} {:?}, {} bytes", info.name, info.shape, info.size)
}
