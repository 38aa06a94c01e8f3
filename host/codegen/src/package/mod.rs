//! [`Package`]: the op package of a kernel image: the C++ of the kernels and of their shape functions, the script that
//! builds it on a Trn1 or Inf2 host, and the manifest.

mod build_script;
mod comments;
mod dtypes;
mod kernels;
mod operands;
mod shapes;
mod source_map;

use std::collections::{BTreeMap, BTreeSet};

use gpsimd_descriptor::OpDescriptor;
use gpsimd_descriptor::limits::TCM_POOL_BYTES;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::cpp::{Definition, Emitted, Options, RED_ZONE, Refused, emit_roots};
use crate::error::ImageError;
use crate::hot_loops::HotLoop;
use crate::image::{Image, OpFunctions};
use build_script::build_script;
use kernels::kernels;
use operands::schema;
use shapes::shape_functions;

pub use source_map::{SourceFunction, SourceMap};

/// Calls of recursive functions that may be open. Our assumption: a call takes 128 bytes of a core's stack, of which about
/// 8 KiB are in local memory (custom-c++-operators-devguide).
const DEEPEST_RECURSION: u32 = 64;

/// Bytes of `TensorType` and `ShapeError` of the ABI in a core's memory: as `types.hpp` has them.
const TYPE_BYTES: usize = size_of::<gpsimd_abi::RawTensorType>();
const SHAPE_ERROR_BYTES: usize = 40;

/// What `device.hpp` defines of the imports of module `gpsimd`; `fma` and `sqrt` are instructions.
const DEVICE_CALLS: [&str; 19] = [
    "core_id",
    "core_count",
    "tensor_dtype",
    "tensor_rank",
    "tensor_dim",
    "tensor_len",
    "tcm_left",
    "tcm_alloc",
    "tcm_free",
    "load",
    "store",
    "fail_text",
    "fail_number",
    "fail",
    "start_panic",
    "print_text",
    "print_float",
    "print_signed",
    "print_unsigned",
];

/// An op package: text files that are the same for the same image.
#[derive(Clone, Debug)]
pub struct Package {
    /// Name of the library.
    pub name: String,
    /// The kernels: `<name>.cpp`.
    pub kernels: String,
    /// Where their functions are in that, and those that PyTorch calls.
    pub definitions: Vec<Definition>,
    /// Their shape functions: `<name>_shape.cpp`.
    pub shapes: String,
    /// `build.py`.
    pub build_script: String,
    /// `manifest.json`.
    pub manifest: Manifest,
    /// `source_map.json`.
    pub source_map: SourceMap,
}

/// What is in a package.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Name, as in `torch.ops.<name>`.
    pub library: String,
    /// Name that the Neuron SDK registers it under, `<name>_neuron`: `torch.ops.<name>` is `gpsimd_torch`'s, which has scalars,
    /// several outputs and gradients, which the SDK's ops lack, and calls these with the scalars packed into `params`.
    pub neuron_library: String,
    /// Version of the crate that holds the kernels.
    pub version: String,
    /// Version of the code generator.
    pub generator: String,
    /// SHA-256 of the kernel image.
    pub image_sha256: String,
    /// Bytes that the library takes from `tcm_malloc`, of [`tcm_limit`](Self::tcm_limit).
    pub tcm: u32,
    /// The pool.
    pub tcm_limit: u32,
    /// Bytes of stack in that.
    pub stack: u32,
    /// Bytes of tile buffers in that.
    pub tile_buffers: u32,
    /// The ops.
    pub ops: Vec<ManifestOp>,
}

/// An op of a package.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ManifestOp {
    /// Name, as in `torch.ops.<neuron_library>.<name>`; also of the kernel function.
    pub name: String,
    /// Schema, as PyTorch writes it.
    pub schema: String,
    /// Name of the shape function.
    pub shape_function: String,
    /// The deepest that its stack gets, in bytes; none where calls may be recursive.
    pub stack: Option<u32>,
    /// Bytes of WebAssembly of the functions that it runs, shared ones too.
    pub code: usize,
    /// Lines of C++ of the same.
    pub lines: usize,
    /// C++ names of the functions that it runs.
    pub functions: Vec<String>,
}

impl Package {
    /// Generates the package of an image.
    ///
    /// # Errors
    /// When a function has an instruction that no C++ is generated for, calls what is not there, or needs more stack than
    /// there is.
    pub fn generate(image: &Image<'_>, wasm: &[u8]) -> Result<Self, ImageError> {
        let library = &image.descriptor;
        let runs = image.emit(image.kernel_roots(), None)?;
        let shapes = image.emit(image.ops.iter().map(|op| op.shape).collect(), None)?;
        let (mut ops, mut of_kernels) = (Vec::new(), BTreeSet::new());
        for (op, functions) in library.ops.iter().zip(&image.ops) {
            let mut run = runs.reached_from(functions.run);
            of_kernels.extend(run.iter().filter_map(|index| runs.functions.get(*index as usize).cloned()));
            image.check_calls(&op.name, Caller::Kernel, &run)?;
            image.check_calls(&op.name, Caller::ShapeFunction, &shapes.reached_from(functions.shape))?;
            if op.outputs.len() > 1 {
                image.check_room_for_types(op)?;
                run.extend(runs.reached_from(functions.shape));
            }
            let defined = run.iter().filter(|index| **index >= image.module.import_count());
            let names: BTreeSet<&str> = defined.clone().map(|index| &*runs.functions[*index as usize]).collect();
            let definitions = runs.definitions.iter().filter(|definition| names.contains(&*definition.function));
            ops.push(ManifestOp {
                name: op.name.clone(),
                schema: schema(op),
                shape_function: format!("{}_shape", op.name),
                stack: runs.stack_of(functions.run),
                code: defined.clone().map(|index| image.module.code_bytes(*index)).sum(),
                lines: definitions.map(|definition| definition.lines.clone().count()).sum(),
                functions: defined.map(|index| runs.functions[*index as usize].clone()).collect(),
            });
        }
        image.check_stack(&runs, &shapes)?;
        let manifest = Manifest {
            library: library.name.clone(),
            neuron_library: neuron_library(&library.name),
            version: library.version.clone(),
            generator: env!("CARGO_PKG_VERSION").into(),
            image_sha256: format!("{:x}", Sha256::digest(wasm)),
            tcm: image.memory.allocation(),
            tcm_limit: TCM_POOL_BYTES as u32,
            stack: image.memory.stack,
            tile_buffers: image.memory.pool,
            ops,
        };
        let (kernels, mut definitions) = kernels(image, &runs, "");
        // Of a shape function, which computes sizes once in a launch, no loop runs often.
        for definition in definitions.iter_mut().filter(|definition| !of_kernels.contains(&definition.function)) {
            definition.hot_loops.clear();
        }
        let (shape_source, shape_definitions) = shape_functions(image, &shapes);
        let mut source_map = SourceMap::default();
        source_map.add(format!("{}.cpp", library.name), &definitions, |function| {
            let runs = |op: &&ManifestOp| op.name == function || op.functions.iter().any(|name| name == function);
            manifest.ops.iter().filter(runs).map(|op| op.name.clone()).collect()
        });
        source_map.add(format!("{}_shape.cpp", library.name), &shape_definitions, |function| {
            let runs = |(op, functions): &(&ManifestOp, &OpFunctions)| {
                let mut reached = shapes.reached_from(functions.shape).into_iter();
                op.shape_function == function || reached.any(|index| shapes.functions[index as usize] == function)
            };
            manifest.ops.iter().zip(&image.ops).filter(runs).map(|(op, _)| op.name.clone()).collect()
        });
        Ok(Self {
            name: library.name.clone(),
            kernels,
            definitions,
            shapes: shape_source,
            build_script: build_script(&library.name),
            manifest,
            source_map,
        })
    }

    /// The kernels of an image, for this CPU, that also count what they compute, by kind of operation: see
    /// `gpsimd_operations` of `operations.hpp`. `vectors` are the hot loops of the package that the compiler vectorises.
    ///
    /// # Errors
    /// As [`Self::generate`].
    pub fn counting_kernels(image: &Image<'_>, vectors: &[HotLoop]) -> Result<String, ImageError> {
        let mut count = BTreeSet::new();
        let mut places = BTreeMap::new();
        for hot in vectors {
            let place = places.entry(&hot.function).or_insert(0);
            if hot.is_vectorized() {
                count.insert((hot.function.clone(), *place));
            }
            *place += 1;
        }
        let runs = image.emit(image.kernel_roots(), Some(count))?;
        Ok(kernels(image, &runs, include_str!("operations.hpp")).0)
    }

    /// The files of the package: names and contents.
    pub fn files(&self) -> [(String, String); 5] {
        let manifest = serde_json::to_string_pretty(&self.manifest).unwrap_or_default() + "\n";
        let source_map = serde_json::to_string(&self.source_map).unwrap_or_default() + "\n";
        [
            (format!("{}.cpp", self.name), self.kernels.clone()),
            (format!("{}_shape.cpp", self.name), self.shapes.clone()),
            ("build.py".into(), self.build_script.clone()),
            ("manifest.json".into(), manifest),
            ("source_map.json".into(), source_map),
        ]
    }
}

impl Image<'_> {
    /// What kernels are made of: a core asks the shape functions of ops with several outputs, too, as the vendor tells it
    /// the type of one.
    fn kernel_roots(&self) -> Vec<u32> {
        let shapes = self.descriptor.ops.iter().zip(&self.ops).filter(|(op, _)| op.outputs.len() > 1);
        self.ops.iter().map(|op| op.run).chain(shapes.map(|(_, functions)| functions.shape)).collect()
    }

    /// Emits functions of ops, with all that they call.
    fn emit(&self, roots: Vec<u32>, count: Option<BTreeSet<(String, usize)>>) -> Result<Emitted, ImageError> {
        let options = Options {
            roots,
            stack: Some(self.stack_pointer),
            deepest_recursion: Some(DEEPEST_RECURSION),
            zeroed: self.memory.zeroed(),
            bounds_checks: false,
            count,
        };
        emit_roots(&self.module, &options).map_err(|Refused { root: refused, error }| {
            let is_of = |functions: &OpFunctions| [functions.run, functions.shape].contains(&refused);
            let op = self.descriptor.ops.iter().zip(&self.ops).find(|(_, functions)| is_of(functions));
            match op {
                Some((op, _)) => error.in_op(&op.name),
                None => error,
            }
        })
    }

    /// On a core the types of operands and outputs are in the pool while a shape function runs.
    fn check_room_for_types(&self, op: &OpDescriptor) -> Result<(), ImageError> {
        let types = op.tensors().count() + op.sizes().count() + op.outputs.len();
        let needed = types * TYPE_BYTES + SHAPE_ERROR_BYTES;
        if needed > self.memory.pool as usize {
            return Err(ImageError::Limit {
                what: format!("room in tile buffers for the types of operands and outputs of op `{}`", op.name),
                found: needed as u64,
                limit: u64::from(self.memory.pool),
                unit: " bytes",
                help: "give tile buffers more with `tcm: BYTES` in op_library!",
            });
        }
        Ok(())
    }

    fn check_stack(&self, runs: &Emitted, shapes: &Emitted) -> Result<(), ImageError> {
        for (op, functions) in self.descriptor.ops.iter().zip(&self.ops) {
            let shape = shapes.stack_of(functions.shape).unwrap_or(0);
            let run = runs.stack_of(functions.run).unwrap_or(0);
            let needed = run.max(shape).saturating_add(RED_ZONE);
            if needed > self.memory.stack {
                return Err(ImageError::Limit {
                    what: format!("stack of op `{}`", op.name),
                    found: u64::from(needed),
                    limit: u64::from(self.memory.stack),
                    unit: " bytes",
                    help: "keep less in local arrays; tile buffers come from `core.tcm()`",
                });
            }
        }
        Ok(())
    }

    /// What a kernel or a shape function calls has to be there.
    fn check_calls(&self, op: &str, caller: Caller, reached: &BTreeSet<u32>) -> Result<(), ImageError> {
        let (caller, present, reason) = match caller {
            Caller::Kernel => {
                ("kernel", &DEVICE_CALLS[..], "which the device does not have: it has what the `gpsimd` crate offers")
            }
            Caller::ShapeFunction => (
                "shape function",
                &["fail_text", "fail", "start_panic"][..],
                "which the host, where shapes are computed, does not have: use nothing but the types of the operands",
            ),
        };
        let mut imports = reached.iter().filter_map(|import| self.module.imports.get(*import as usize));
        match imports.find(|import| import.module != "gpsimd" || !present.contains(&import.name)) {
            Some(import) => {
                let name = format!("{}.{}", import.module, import.name);
                Err(ImageError::Call { op: op.into(), caller, called: name, reason })
            }
            None => Ok(()),
        }
    }
}

/// Whose calls are looked at.
#[derive(Clone, Copy)]
enum Caller {
    Kernel,
    ShapeFunction,
}

fn neuron_library(name: &str) -> String {
    format!("{name}_neuron")
}
