//! The process that launches ops under emulation.

use std::fs;
use std::io::{Write, stdin, stdout};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use gpsimd_emulator::gpsimd_descriptor::{OperandKind, ScalarType};
use gpsimd_emulator::{DType, Engine, Mode, Op, OpLibrary, Scalar, Tensor, TensorType, TensorView};

use super::{Answer, Placed, Repeat, Request};
use crate::bring_up::launches::{packed, result_type};
use crate::causes;

/// Launch the ops of a library, as standard input says. `cargo gpsimd bring-up` starts it.
#[derive(clap::Args)]
pub(crate) struct BringUpWorker {
    /// The library
    #[arg(value_name = "FILE")]
    library: PathBuf,
}

impl BringUpWorker {
    /// Answers until there are no requests.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let library = match OpLibrary::load(&self.library) {
            Ok(library) => library,
            Err(error) => return answer(&Answer { error: Some(error.to_string()), ..Answer::default() }),
        };
        answer(&Answer { device: Some("CPU".into()), ..Answer::default() })?;
        for line in stdin().lines() {
            let request: Request = serde_json::from_str(&line.context("cannot read a request")?)?;
            let launched = launch(&library, &request);
            answer(&launched.unwrap_or_else(|error| Answer { error: Some(causes(&error)), ..Answer::default() }))?;
        }
        Ok(())
    }
}

fn answer(answer: &Answer) -> anyhow::Result<()> {
    let mut output = stdout().lock();
    writeln!(output, "{}", serde_json::to_string(answer)?)?;
    Ok(output.flush()?)
}

fn launch(library: &OpLibrary, request: &Request) -> anyhow::Result<Answer> {
    let op = library.op(&request.op)?.first_phase();
    let bytes = fs::read(&request.file).context("cannot read the operands")?;
    let tensors = request.tensors.iter().map(|placed| tensor(placed, &bytes)).collect::<anyhow::Result<Vec<_>>>()?;
    let scalars = scalars(&op, request)?;
    let views: Vec<TensorView<'_>> = tensors.iter().map(Tensor::view).collect();
    if let Some(repeat) = request.time {
        return time(&op, &views, &scalars, repeat);
    }
    let outputs = Engine::builder().build()?.call_all(&op, &views, &scalars)?;
    let result = packed(&outputs);
    fs::write(&request.result, &result).context("cannot write the result")?;
    let ty = result_type(&outputs.iter().map(Tensor::ty).collect::<Vec<_>>())?;
    Ok(Answer { result: Some((ty.dtype().name().into(), ty.shape().to_vec())), ..Answer::default() })
}

fn time(op: &Op, views: &[TensorView<'_>], scalars: &[Scalar], repeat: Repeat) -> anyhow::Result<Answer> {
    let engine = Engine::builder().mode(Mode::Fast).build()?;
    let once = || {
        let start = Instant::now();
        engine.call_all(op, views, scalars).map(|_| start.elapsed().as_secs_f64())
    };
    for _ in 0..repeat.warm_up {
        once()?;
    }
    let (mut seconds, start) = (Vec::new(), Instant::now());
    let limit = Duration::from_secs_f64(repeat.seconds);
    while seconds.len() < repeat.least || (seconds.len() < repeat.most && start.elapsed() < limit) {
        seconds.push(once()?);
    }
    Ok(Answer { seconds, ..Answer::default() })
}

fn tensor(placed: &Placed, bytes: &[u8]) -> anyhow::Result<Tensor> {
    let dtype = DType::ALL.into_iter().find(|dtype| dtype.name() == placed.dtype);
    let ty = TensorType::new(dtype.with_context(|| format!("`{}` is no dtype", placed.dtype))?, &placed.shape)?;
    let bytes = bytes.get(placed.at..placed.at + ty.bytes()).context("the file of operands is too short")?;
    Ok(Tensor::from_bytes(ty, bytes)?)
}

/// Scalars of their bits, and sizes.
fn scalars(op: &Op, request: &Request) -> anyhow::Result<Vec<Scalar>> {
    let (mut sizes, mut params) = (request.sizes.iter(), request.params.iter());
    let scalars = op.descriptor().scalar_kinds().map(|kind| {
        Some(match kind {
            OperandKind::Size => Scalar::Size(*sizes.next()?),
            OperandKind::Scalar(ScalarType::F32) => Scalar::F32(f32::from_bits(params.next()?.cast_unsigned())),
            OperandKind::Scalar(ScalarType::I32) => Scalar::I32(*params.next()?),
            OperandKind::Scalar(ScalarType::U32) => Scalar::U32(params.next()?.cast_unsigned()),
            OperandKind::Scalar(ScalarType::Bool) => Scalar::Bool(*params.next()? != 0),
            OperandKind::Tensor(_) => return None,
        })
    });
    let scalars = scalars.collect::<Option<Vec<_>>>();
    ensure!(scalars.is_some(), "`{}` has more scalars or sizes than the request", op.name());
    Ok(scalars.unwrap_or_default())
}
