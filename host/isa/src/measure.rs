//! [`measure`]: stack, TCM and instructions of every op of a program, on operands that its shape function takes.

use std::path::Path;

use gpsimd_descriptor::ElementType;
use gpsimd_descriptor::limits::TCM_POOL_BYTES;
use gpsimd_emulator::{
    DType, Engine, LaunchError, LaunchReport, Mode, Op, Scalar, Tensor, TensorType, TensorView, random_bits,
};
use serde::Serialize;

use crate::count::Counter;
use crate::error::IsaError;
use crate::library::IsaLibrary;
use crate::symbols::{Group, Symbols};

/// The shapes that operands are given, in this order of preference: a row, a broadcast mask, a batch of attention rows,
/// the state of an optimizer and its gradient. The first combination that the shape function takes is measured.
const SHAPES: [&[usize]; 5] = [&[256], &[2, 1, 1, 256], &[2, 2, 4, 256], &[3, 4096], &[4096]];

/// Bytes of a pool in which rows are cut.
const SMALL_POOL_BYTES: usize = 1024;

/// The value of every size.
const SIZE: usize = 8;

/// An op, measured with one dtype.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// Name of the op.
    pub op: String,
    /// Type of every tensor operand.
    pub operands: Vec<String>,
    /// Elements of the outputs.
    pub elements: usize,
    /// The deepest stack in bytes, with a pool of 16 KiB and with one of 1 KiB, where rows are cut.
    pub stack: u32,
    /// Most bytes of the 16 KiB pool that a core took.
    pub tcm: usize,
    /// Instructions that one core executes for all elements.
    pub instructions: Instructions,
}

/// Instructions of the base ISA, soft float among them: no measure of the vector code that the vendor's compiler makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Instructions {
    /// Of the kernels and of `core`: loads, stores, addresses, loops, calls.
    pub kernels: u64,
    /// Of soft float and the like.
    pub arithmetic: u64,
    /// Of `memcpy` and the like.
    pub memory: u64,
}

impl Instructions {
    /// All of them.
    pub const fn total(&self) -> u64 {
        self.kernels + self.arithmetic + self.memory
    }
}

/// An op that could not be measured with one dtype.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Failed {
    /// Name of the op.
    pub op: String,
    /// Type of every tensor operand.
    pub operands: Vec<String>,
    /// Bytes of the TCM pool that it had.
    pub tcm: usize,
    /// The error of the launch.
    pub error: String,
}

/// The ops of a program: what they take, and where they failed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Measurements {
    /// What ops take.
    pub ops: Vec<Measured>,
    /// Launches that failed. An op that failed with the small pool alone is among `ops`, too.
    pub failed: Vec<Failed>,
}

/// Measures every op of the program in `elf`; `folder` is for the QEMU plugin that counts.
///
/// An op whose shape function takes none of the combinations that are tried is left out; one that fails is among
/// [`Measurements::failed`], and the others are measured.
///
/// # Errors
/// When the program does not load, or there is no C compiler for the plugin.
pub fn measure(elf: &Path, folder: &Path) -> Result<Measurements, IsaError> {
    let symbols = Symbols::read(elf)?;
    let checked = IsaLibrary::load(elf)?;
    let counted = IsaLibrary::with_counter(elf, Some(Counter::build(folder, &symbols)?))?;
    let mut measurements = Measurements::default();
    let ops = &checked.library().descriptor().ops;
    for (index, op) in ops.iter().enumerate() {
        // A second phase takes what the first wrote, which no numbers that are made up are.
        if ops.iter().any(|other| other.then.as_ref().is_some_and(|then| then.op == op.name)) {
            continue;
        }
        for dtype in [DType::F32, DType::Bf16] {
            if let Some(launches) = Launches::of(&checked, index, dtype) {
                launches.measure(&checked, &counted, &symbols, &mut measurements)?;
            }
        }
    }
    Ok(measurements)
}

/// The launches of an op on the same operands.
struct Launches {
    index: usize,
    types: Vec<TensorType>,
    operands: Vec<Tensor>,
}

impl Launches {
    /// None when the op takes none of the operands that are tried.
    fn of(library: &IsaLibrary, index: usize, dtype: DType) -> Option<Self> {
        let types = operand_types(&op(library, index), dtype)?;
        let operands = types.iter().enumerate().map(|(i, ty)| numbers(i as u64, *ty)).collect();
        Some(Self { index, types, operands })
    }

    fn launch(&self, library: &IsaLibrary, engine: &Engine) -> Result<(LaunchReport, usize), LaunchError> {
        let op = op(library, self.index);
        let views: Vec<TensorView<'_>> = self.operands.iter().map(Tensor::view).collect();
        let scalars =
            op.descriptor().scalar_kinds().filter_map(|kind| Scalar::ordinary(kind, SIZE)).collect::<Vec<_>>();
        let bound = op.bind(&views, &scalars)?;
        let mut outputs: Vec<_> = bound.output_types().iter().map(|ty| Tensor::zeros(*ty)).collect();
        let report = engine.launch_bound(bound, outputs.iter_mut().map(Tensor::view_mut).collect())?;
        Ok((report, outputs.iter().map(|output| output.ty().len()).sum()))
    }

    fn measure(
        &self,
        checked: &IsaLibrary,
        counted: &IsaLibrary,
        symbols: &Symbols,
        measurements: &mut Measurements,
    ) -> Result<(), IsaError> {
        let name = op(checked, self.index).name().to_owned();
        let operands: Vec<String> = self.types.iter().map(ToString::to_string).collect();
        let failed = |tcm: usize, error: LaunchError| Failed {
            op: name.clone(),
            operands: operands.clone(),
            tcm,
            error: error.to_string(),
        };
        let (report, elements) = match self.launch(checked, &Engine::builder().tcm_bytes(TCM_POOL_BYTES).build()?) {
            Ok(run) => run,
            Err(error) => {
                measurements.failed.push(failed(TCM_POOL_BYTES, error));
                return Ok(());
            }
        };
        if let Err(error) = self.launch(checked, &Engine::builder().tcm_bytes(SMALL_POOL_BYTES).build()?) {
            measurements.failed.push(failed(SMALL_POOL_BYTES, error));
        }
        counted.take_counts();
        let engine = Engine::builder().tcm_bytes(TCM_POOL_BYTES).mode(Mode::Fast).cores(1).threads(1).build()?;
        if let Err(error) = self.launch(counted, &engine) {
            measurements.failed.push(failed(TCM_POOL_BYTES, error));
            return Ok(());
        }
        let groups = counted.take_counts().by_group(symbols);
        let of = |group| groups.get(&group).copied().unwrap_or_default();
        let instructions = Instructions {
            kernels: of(Group::Kernels) + of(Group::Core),
            arithmetic: of(Group::Arithmetic),
            memory: of(Group::Memory),
        };
        measurements.ops.push(Measured {
            op: name,
            operands,
            elements,
            stack: checked.stack_high_water(self.index),
            tcm: report.cores.iter().map(|core| core.tcm_high_water).max().unwrap_or_default(),
            instructions,
        });
        Ok(())
    }
}

fn op(library: &IsaLibrary, index: usize) -> Op {
    library.library().ops().nth(index).expect("the descriptor has as many")
}

/// The first types that the op takes, with `dtype` for every type parameter that may be it; none when it takes none, or does
/// not depend on `dtype` and this is not f32.
fn operand_types(op: &Op, dtype: DType) -> Option<Vec<TensorType>> {
    let descriptor = op.descriptor();
    if dtype != DType::F32 && !descriptor.types.iter().any(|parameter| parameter.dtypes.contains(&dtype)) {
        return None;
    }
    let dtypes: Vec<DType> = descriptor
        .tensors()
        .filter(|(_, element)| *element != ElementType::Any)
        .filter_map(|(_, element)| {
            let accepted = descriptor.accepted(element);
            if accepted.contains(&dtype) { Some(dtype) } else { accepted.first().copied() }
        })
        .collect();
    let combinations = SHAPES.len().checked_pow(dtypes.len() as u32)?;
    (0..combinations).find_map(|combination| {
        // The last operand changes slowest: what decides is the largest, which comes first.
        let shape = |i: usize| SHAPES[combination / SHAPES.len().pow(i as u32) % SHAPES.len()];
        let types: Option<Vec<_>> =
            dtypes.iter().enumerate().map(|(i, dtype)| TensorType::new(*dtype, shape(i)).ok()).collect();
        let sizes = vec![SIZE; op.descriptor().sizes().count()];
        types.filter(|types| {
            op.shape(types, &sizes).is_ok_and(|outputs| outputs.iter().any(|output| output.len() >= 4096))
        })
    })
}

/// Numbers from 0 to 1, the same every time: soft float takes its time by the bits.
fn numbers(seed: u64, ty: TensorType) -> Tensor {
    let scale = match ty.dtype() {
        DType::F32 | DType::Bf16 | DType::F16 => 1.0,
        // Indices of whatever rows there are.
        DType::I32 => 2.0,
        // Integers from 0 to 99.
        DType::I16 | DType::I8 | DType::U8 => 100.0,
    };
    Tensor::of_numbers(ty, random_bits(seed).map(|bits| scale * ((bits >> 40) as f32 / (1 << 24) as f32)))
}
