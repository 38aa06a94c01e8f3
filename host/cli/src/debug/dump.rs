//! `--dump`: a recorded launch in a folder.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, ensure};
use gpsimd_emulator::cost::CostModel;
use gpsimd_emulator::{Engine, Event, LaunchReport, PrintSink, Recorder, Recording, Tensor, UNWRITTEN};
use safetensors::tensor::TensorView;

use super::Launch;
use super::index::{About, Counts, Index};
use super::page;
use crate::causes;
use crate::check::Launcher;
use crate::files;
use crate::libraries::Libraries;
use crate::process::shown_path;
use crate::profile::counting::{self, Vectors};
use crate::replay::{Mode, Setting, file_dtype};
use crate::workspace::OpCrate;

/// Most steps of a core that are kept, and bytes of its DMAs.
const STEPS: usize = 20_000;
const DATA: usize = 64 << 20;

/// Writes the folder, and says what came of the launch.
pub(super) fn write(library: &OpCrate, libraries: Libraries, launch: &Launch, folder: &Path) -> anyhow::Result<()> {
    // Where tensors are reached in place there are no DMAs.
    let setting = Setting { copies: launch.setting.mode == Mode::Fast, ..launch.setting.clone() };
    let recorder = Recorder::new(STEPS, DATA);
    let printed = Arc::new(Mutex::new(Vec::new()));
    let mut launcher = Launcher::new(libraries);
    launcher.record(recorder.clone());
    let lines = Arc::clone(&printed);
    launcher.set_print(PrintSink::Function(Arc::new(move |line| {
        if let Ok(mut lines) = lines.lock() {
            lines.push(line.to_owned());
        }
    })));
    launcher.set_time_limit(Some(Duration::from_mins(1)));
    let outcome = launcher.launch(launch.op.name(), &launch.operands, &setting)?;
    let mut recordings = recorder.take();
    // Launches before are not the one that is asked for.
    let phases = 1 + usize::from(launch.op.descriptor().then.is_some());
    let before = setting.launches_before * phases;
    recordings.drain(..before.min(recordings.len()));

    let (counts, times) = match &outcome {
        Err(_) => (None, "DMAs by the cost model; a launch that failed has no count of what it computed".to_owned()),
        Ok(_) => match count(library, launch, &setting) {
            Ok(report) if Counts(&report).are_of(&recordings) => {
                (Some(report), "DMAs and computation by the cost model; nothing has run on a Trainium".to_owned())
            }
            Ok(_) => {
                (None, "DMAs by the cost model; the counted launch made others, so computation is not in them".into())
            }
            Err(error) => {
                (None, format!("DMAs by the cost model; what is computed was not counted: {}", causes(&error)))
            }
        },
    };
    let native = launcher.libraries().native();
    let about = About {
        library: native.name().to_owned(),
        op: launch.op.name().to_owned(),
        setting: setting.to_string(),
        operands: launch.operands.describe(launch.op.descriptor()),
        error: outcome.as_ref().err().map(ToString::to_string),
        finding: launch.finding.clone(),
        printed: printed.lock().map(|lines| lines.clone()).unwrap_or_default(),
        tcm_bytes: setting.tcm_bytes.unwrap_or(native.descriptor().tcm_bytes as usize),
        unwritten: (setting.mode == Mode::Checked).then(|| UNWRITTEN.map(|byte| format!("{byte:02x}")).concat()),
        times,
    };
    let mut index = Index::new(about, &recordings, counts.as_ref().map(Counts).as_ref(), &CostModel::default());

    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for (core, in_index) in index.cores.iter_mut().enumerate() {
        in_index.file = Some(format!("core{core}.safetensors"));
        save(folder, &format!("core{core}.safetensors"), &data(&recordings, core)?)?;
    }
    if let Ok(outputs) = &outcome {
        let named = launch.op.outputs().iter().zip(outputs);
        let views = named.map(|(output, tensor)| Ok((output.name.clone(), view(tensor)?)));
        let views = views.collect::<anyhow::Result<Vec<_>>>()?;
        save(folder, "outputs.safetensors", &safetensors::serialize(views, None)?)?;
    }
    save(folder, "index.json", serde_json::to_string_pretty(&index)?.as_bytes())?;
    save(folder, "launch.html", page::render(&index, &recordings)?.as_bytes())?;
    tell(&index, folder);
    ensure!(outcome.is_ok(), "op `{}` failed", launch.op.name());
    Ok(())
}

/// Launches the op once more, of a library that counts what it computes.
fn count(library: &OpCrate, launch: &Launch, setting: &Setting) -> anyhow::Result<LaunchReport> {
    let counting = counting::build(library, Vectors::Compiler)?;
    let mut engine = Engine::builder()
        .cores(setting.cores)
        .mode(gpsimd_emulator::Mode::Fast)
        .direct(false)
        .trace(true)
        .time_limit(Duration::from_mins(1))
        .print(PrintSink::Function(Arc::new(|_| {})));
    if let Some(bytes) = setting.tcm_bytes {
        engine = engine.tcm_bytes(bytes);
    }
    let op = counting.library.op(launch.op.name())?;
    let views = launch.operands.views();
    let bound = op.bind(&views, &launch.operands.scalars)?;
    let mut outputs: Vec<_> = bound.output_types().iter().map(|ty| Tensor::zeros(*ty)).collect();
    Ok(engine.build()?.launch_bound(bound, outputs.iter_mut().map(Tensor::view_mut).collect())?)
}

/// The elements of a core's DMAs, each under the number of its step.
fn data(recordings: &[Recording], core: usize) -> anyhow::Result<Vec<u8>> {
    let mut views = Vec::new();
    let mut number = 0;
    for recording in recordings {
        for step in &recording.cores[core].steps {
            if let Event::Dma { dma, data: Some(data) } = &step.event {
                let dtype = recording.tensors[dma.tensor as usize].1.dtype();
                let len = data.len() / dtype.bytes();
                views.push((format!("{number:06}"), TensorView::new(file_dtype(dtype), vec![len], data)?));
            }
            number += 1;
        }
    }
    let about =
        HashMap::from([("about".to_owned(), "DMAs of a core by the number of their step in index.json".to_owned())]);
    Ok(safetensors::serialize(views, Some(about))?)
}

fn view(tensor: &Tensor) -> anyhow::Result<TensorView<'_>> {
    let ty = tensor.ty();
    Ok(TensorView::new(file_dtype(ty.dtype()), ty.shape().to_vec(), tensor.bytes())?)
}

fn save(folder: &Path, name: &str, content: &[u8]) -> anyhow::Result<()> {
    files::replace(&folder.join(name), |file| file.write_all(content))
}

/// What came of the launch, and where it is.
fn tell(index: &Index, folder: &Path) {
    let steps: usize = index.cores.iter().map(|core| core.steps.len()).sum();
    let left_out: u64 = index.cores.iter().map(|core| core.steps_left_out).sum();
    let about = index.about();
    println!("op `{}` on {}: {}", about.op, about.operands, about.setting);
    match &about.error {
        Some(error) => println!("it failed, and is recorded as far as it came: {error}"),
        None => println!("it returned"),
    }
    println!("times: {}", about.times);
    println!(
        "recorded: {steps} DMAs and TCM buffers{}",
        if left_out > 0 { format!(", {left_out} more left out") } else { String::new() }
    );
    println!("open {}", shown_path(&folder.join("launch.html")));
}
