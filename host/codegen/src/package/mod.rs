//! [`Package`]: the op package of a kernel image: the C++ of the kernels and of their shape functions, the script that
//! builds it on a Trn1 or Inf2 host, and the manifest.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use gpsimd_abi::{DType, FAILURE_DEVICE, FAILURE_DROPPED, FAILURE_PANIC};
use gpsimd_descriptor::limits::TCM_POOL_BYTES;
use gpsimd_descriptor::{ElementType, LibraryDescriptor, OpDescriptor};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::cpp::{Emitted, Options, PRELUDE, RED_ZONE, emit};
use crate::error::ImageError;
use crate::host_build::ARITHMETIC_FLAGS;
use crate::hot_loops::{HotLoop, LANES};
use crate::image::{Image, MemoryMap};

/// Calls of functions that recur that may be open. Our assumption: a call takes 128 bytes of a core's stack, of which about
/// 8 KiB are in local memory (custom-c++-operators-devguide).
const DEEPEST_RECURSION: u32 = 64;

/// What `device.hpp` defines of the imports of module `gpsimd`; `fma` and `sqrt` are instructions.
const DEVICE_CALLS: [&str; 20] = [
    "core_id",
    "core_count",
    "tensor_count",
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
    /// Their shape functions: `<name>_shape.cpp`.
    pub shapes: String,
    /// `build.py`.
    pub build_script: String,
    /// `manifest.json`.
    pub manifest: Manifest,
}

/// What is in a package.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Name, as in `torch.ops.<name>`.
    pub library: String,
    /// Name that the Neuron SDK registers it under, `<name>_neuron`: `torch.ops.<name>` is `gpsimd_torch`'s, which has scalars
    /// and gradients that the SDK's ops lack, and calls these with the scalars packed into `params`.
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
    /// The deepest that its stack gets, in bytes; none where calls may recur.
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
        let options = |roots| image.options(roots);
        let mut ops = Vec::new();
        for (op, functions) in library.ops.iter().zip(&image.ops) {
            let emit = |function| emit(&image.module, &options(vec![function])).map_err(|error| error.in_op(&op.name));
            let (run, shape) = (emit(functions.run)?, emit(functions.shape)?);
            image.check_calls(&op.name, Caller::Kernel, &run)?;
            image.check_calls(&op.name, Caller::ShapeFunction, &shape)?;
            ops.push(ManifestOp {
                name: op.name.clone(),
                schema: schema(op),
                shape_function: format!("{}_shape", op.name),
                stack: run.stack.get(&functions.run).copied().flatten(),
                code: run.emitted.iter().map(|index| image.module.code_bytes(*index)).sum(),
                lines: run.source.lines().count(),
                functions: run.emitted.iter().map(|index| run.functions[*index as usize].clone()).collect(),
            });
        }
        let runs = emit(&image.module, &options(image.ops.iter().map(|op| op.run).collect()))?;
        let shapes = emit(&image.module, &options(image.ops.iter().map(|op| op.shape).collect()))?;
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
        Ok(Self {
            name: library.name.clone(),
            kernels: kernels(image, &runs),
            shapes: shape_functions(image, &shapes),
            build_script: build_script(&library.name),
            manifest,
        })
    }

    /// The kernels of an image, for this CPU, that also count what they compute, by kind of operation: see
    /// `gpsimd_operations` of `operations.hpp`. `vectors` are the hot loops of the package that the compiler makes vectors of.
    ///
    /// # Errors
    /// As [`Self::generate`].
    pub fn counting_kernels(image: &Image<'_>, vectors: &[HotLoop]) -> Result<String, ImageError> {
        let mut count = BTreeSet::new();
        let mut places = BTreeMap::new();
        for hot in vectors {
            let place = places.entry(&hot.function).or_insert(0);
            if hot.width.is_some_and(|width| width >= LANES) {
                count.insert((hot.function.clone(), *place));
            }
            *place += 1;
        }
        let roots = image.ops.iter().map(|op| op.run).collect();
        let runs = emit(&image.module, &Options { count: Some(count), ..image.options(roots) })?;
        let kernels = kernels(image, &runs);
        let (start, rest) = kernels.split_at(kernels.find(PRELUDE).unwrap_or(0));
        Ok(format!("{start}{}{rest}", include_str!("operations.hpp")))
    }

    /// The files of the package: names and contents.
    pub fn files(&self) -> [(String, String); 4] {
        let manifest = serde_json::to_string_pretty(&self.manifest).unwrap_or_default() + "\n";
        [
            (format!("{}.cpp", self.name), self.kernels.clone()),
            (format!("{}_shape.cpp", self.name), self.shapes.clone()),
            ("build.py".into(), self.build_script.clone()),
            ("manifest.json".into(), manifest),
        ]
    }
}

impl Image<'_> {
    fn options(&self, roots: Vec<u32>) -> Options {
        Options {
            roots,
            stack: Some(self.stack_pointer),
            deepest_recursion: Some(DEEPEST_RECURSION),
            zeroed: self.memory.zeroed(),
            bounds_checks: false,
            count: None,
        }
    }

    fn check_stack(&self, runs: &Emitted, shapes: &Emitted) -> Result<(), ImageError> {
        for (op, functions) in self.descriptor.ops.iter().zip(&self.ops) {
            let shape = shapes.stack.get(&functions.shape).copied().flatten().unwrap_or(0);
            let run = runs.stack.get(&functions.run).copied().flatten().unwrap_or(0);
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
    fn check_calls(&self, op: &str, caller: Caller, emitted: &Emitted) -> Result<(), ImageError> {
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
        let mut imports = emitted.imports.iter().filter_map(|import| self.module.imports.get(*import as usize));
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

fn heading(image: &Image<'_>, what: &str) -> String {
    let library = &image.descriptor;
    format!(
        "// {what} of op library {} {}, generated from its kernel image by gpsimd-codegen {}. Do not edit.\n",
        library.name,
        library.version,
        env!("CARGO_PKG_VERSION"),
    )
}

/// `<name>.cpp`
fn kernels(image: &Image<'_>, runs: &Emitted) -> String {
    let mut text = heading(image, "Kernels");
    text += "#include <torch/torch.h>\n#include <neuron/neuron-utils.hpp>\n\n";
    text += PRELUDE;
    let imports = include_str!("device.hpp");
    // The instance comes before the device that is kept in it, and the device before the functions that call it.
    let (instance, functions) = split_at_functions(&runs.source);
    let MemoryMap { total, pool_start, pool, .. } = image.memory;
    let _ = write!(
        text,
        "\nenum {{ TCM_BYTES = {total}, POOL_START = {pool_start}, POOL_BYTES = {pool} }};\n\
         enum {{ FAILURE_PANIC = {FAILURE_PANIC}, FAILURE_DEVICE = {FAILURE_DEVICE}, FAILURE_DROPPED = {FAILURE_DROPPED} }};\n\n\
         {dtypes}\n{instance}{imports}{functions}",
        dtypes = dtypes(&image.descriptor),
    );
    for (op, functions) in image.descriptor.ops.iter().zip(&image.ops) {
        let parameters = parameters(op);
        let declared: Vec<_> = parameters.iter().map(|name| format!("const torch::Tensor& {name}_")).collect();
        let pointers: Vec<_> = parameters.iter().map(|name| format!("&{name}_")).collect();
        text += &comment(&op.doc);
        let _ = writeln!(
            text,
            "torch::Tensor {}({}) {{\n  const torch::Tensor* const operands[] = {{{}}};\n  return launch(operands, {}, \
             {});\n}}\n",
            op.name,
            declared.join(", "),
            pointers.join(", "),
            parameters.len(),
            runs.functions[functions.run as usize],
        );
    }
    text
}

/// `<name>_shape.cpp`
fn shape_functions(image: &Image<'_>, shapes: &Emitted) -> String {
    let mut text = heading(image, "Shape functions");
    text += "#include <stdio.h>\n#include <torch/torch.h>\n#include \"torchneuron/register.h\"\n\n";
    text += "#define GPSIMD_TRAP\n[[noreturn]] static void gpsimd_trap(const char* message) {\n  TORCH_CHECK(false, \
             message);\n  abort();\n}\n\n";
    text += PRELUDE;
    let (instance, functions) = split_at_functions(&shapes.source);
    let _ = write!(
        text,
        "\nenum {{ MEMORY_BYTES = {}, MAX_OPERANDS = {} }};\n{}\n{instance}{}{functions}",
        image.memory.pool_start,
        image.descriptor.ops.iter().map(|op| op.tensors().count()).max().unwrap_or(0),
        dtypes(&image.descriptor),
        include_str!("shape.hpp")
    );
    for (op, functions) in image.descriptor.ops.iter().zip(&image.ops) {
        let mut declared: Vec<_> = op.tensors().map(|(name, _)| format!("torch::Tensor {name}_")).collect();
        if op.scalars().next().is_some() {
            declared.push("torch::Tensor /* params */".into());
        }
        let names: Vec<_> = op.tensors().map(|(name, _)| format!("{name}_")).collect();
        let operands: Vec<_> = op.tensors().map(|(name, element)| operand(op, name, element)).collect();
        let _ = writeln!(
            text,
            "torch::Tensor {0}_shape({1}) {{\n  const torch::Tensor tensors[] = {{{2}}};\n  const Operand operands[] = \
             {{{3}}};\n  return infer(\"{0}\", tensors, operands, {4}, {5});\n}}\n",
            op.name,
            declared.join(", "),
            names.join(", "),
            operands.join(", "),
            names.len(),
            shapes.functions[functions.shape as usize],
        );
    }
    let _ = writeln!(text, "NEURON_LIBRARY({}, m) {{", neuron_library(&image.descriptor.name));
    for op in &image.descriptor.ops {
        let _ = writeln!(text, "  m.def(\"{0}\", &{0}_shape, \"{0}\");", op.name);
    }
    text + "}\n"
}

/// An operand as `shape.hpp` takes it.
fn operand(op: &OpDescriptor, name: &str, element: ElementType) -> String {
    let (dtypes, parameter) = match element {
        ElementType::Fixed(dtype) => (vec![dtype], -1),
        ElementType::Parameter(index) => (op.dtypes(index).to_vec(), index as i32),
        ElementType::Any => (DType::ALL.to_vec(), -1),
    };
    let expected = gpsimd_descriptor::any_of(&dtypes);
    let bits = dtypes.iter().fold(0, |bits, dtype| bits | 1 << *dtype as u32);
    format!("{{\"{name}\", \"{expected}\", {bits}, {parameter}}}")
}

/// The dtypes of the library's tensors: `GPSIMD_DTYPES(X)` calls `X` with code, name and C++ type of each.
fn dtypes(library: &LibraryDescriptor) -> String {
    let mut used = BTreeSet::new();
    for op in &library.ops {
        used.extend(op.scalars().next().map(|_| DType::F32 as u32));
        for element in op.tensors().map(|(_, element)| element).chain([op.output.element]) {
            match element {
                ElementType::Fixed(dtype) => used.extend([dtype as u32]),
                ElementType::Parameter(index) => used.extend(op.dtypes(index).iter().map(|dtype| *dtype as u32)),
                ElementType::Any => used.extend(DType::ALL.map(|dtype| dtype as u32)),
            }
        }
    }
    let of = |dtype| match dtype {
        DType::F32 => ("kFloat", "float"),
        DType::Bf16 => ("kBFloat16", "c10::BFloat16"),
        DType::F16 => ("kHalf", "c10::Half"),
        DType::I32 => ("kInt", "int32_t"),
        DType::I16 => ("kShort", "int16_t"),
        DType::I8 => ("kChar", "int8_t"),
        DType::U8 => ("kByte", "uint8_t"),
    };
    let used = DType::ALL.into_iter().filter(|dtype| used.contains(&(*dtype as u32)));
    let used =
        used.map(|dtype| (dtype as u32, of(dtype))).map(|(code, (name, ty))| format!(" X({code}u, {name}, {ty})"));
    format!("#define GPSIMD_DTYPES(X){}\n", used.collect::<String>())
}

/// The emitted source up to the end of `instantiate` and what checks the stack, and the functions.
fn split_at_functions(source: &str) -> (&str, &str) {
    source.split_at(source.find(crate::cpp::FUNCTIONS).unwrap_or(0))
}

/// Names of the kernel function's parameters. In C++ they end in `_`, as no word does that means something there.
fn parameters(op: &OpDescriptor) -> Vec<String> {
    let params = op.scalars().next().map(|_| "params");
    op.tensors().map(|(name, _)| name).chain(params).map(str::to_string).collect()
}

/// Schema of the op on the device: scalars are packed into one tensor.
fn schema(op: &OpDescriptor) -> String {
    let operands: Vec<_> = parameters(op).iter().map(|name| format!("Tensor {name}")).collect();
    format!("{}({}) -> Tensor", op.name, operands.join(", "))
}

/// A doc comment as a C++ comment: no line of it can become code.
fn comment(doc: &str) -> String {
    let is_text = |c: char| {
        !c.is_control() && !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
    };
    doc.lines().fold(String::new(), |text, line| {
        let line: String = line.chars().map(|c| if is_text(c) { c } else { ' ' }).collect();
        let line = line.trim_end();
        // A backslash at the end, also written as a trigraph, goes on with the next line.
        let end = if line.ends_with('\\') || line.ends_with("??/") { " ." } else { "" };
        text + format!("// {line}{end}").trim_end() + "\n"
    })
}

fn neuron_library(name: &str) -> String {
    format!("{name}_neuron")
}

fn build_script(name: &str) -> String {
    let neuron_library = neuron_library(name);
    // Both of the vendor's compilers get these after their own `-Os`.
    let flags: Vec<_> = ["-O3"].iter().chain(&ARITHMETIC_FLAGS).map(|flag| format!("\"{flag}\"")).collect();
    format!(
        r#""""Builds lib{neuron_library}.so beside this file, on a Trn1 or Inf2 host with the Neuron SDK, and loads it.

    python build.py

Needs torch_neuronx and the packages aws-neuronx-gpsimd-tools and aws-neuronx-gpsimd-customop-lib.
"""

import pathlib

from torch_neuronx.xla_impl import custom_op

FOLDER = pathlib.Path(__file__).resolve().parent

custom_op.load(
    name="{neuron_library}",
    compute_srcs=[str(FOLDER / "{name}.cpp")],
    shape_srcs=[str(FOLDER / "{name}_shape.cpp")],
    extra_cflags=[{flags}],
    build_directory=str(FOLDER),
    multicore=True,
    verbose=True,
)
"#,
        flags = flags.join(", "),
    )
}
