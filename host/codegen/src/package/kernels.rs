//! The kernels of a package, and the functions that PyTorch calls them by.

use std::fmt::Write as _;

use gpsimd_abi::{DType, FAILURE_DEVICE, FAILURE_DROPPED, FAILURE_PANIC};
use gpsimd_descriptor::OpDescriptor;

use super::comments::{comment, heading};
use super::dtypes::dtypes;
use super::operands::parameters;
use crate::cpp::{Definition, Emitted, PRELUDE, Source};
use crate::image::{Image, MemoryMap};

/// `<name>.cpp`, with `counters` before all that may use them, and where its functions are.
pub(super) fn kernels(image: &Image<'_>, runs: &Emitted, counters: &str) -> (String, Vec<Definition>) {
    let mut source = Source::default();
    source.append(&heading(image, "Kernels"));
    source.append("#include <torch/torch.h>\n#include <neuron/neuron-utils.hpp>\n\n");
    source.append(counters);
    source.append(PRELUDE);
    let MemoryMap { total, pool_start, pool, .. } = image.memory;
    let _ = write!(
        source,
        "\nenum {{ TCM_BYTES = {total}, POOL_START = {pool_start}, POOL_BYTES = {pool} }};\n\
         enum {{ FAILURE_PANIC = {FAILURE_PANIC}, FAILURE_DEVICE = {FAILURE_DEVICE}, FAILURE_DROPPED = {FAILURE_DROPPED} }};\n\n\
         {}\n",
        dtypes(&image.descriptor)
    );
    source.append(&output_limits(image));
    // The instance comes before the device that is kept in it, and the device before the functions that call it.
    source.append(&runs.instance);
    source.append(include_str!("types.hpp"));
    source.append("\n");
    source.append(include_str!("packing.hpp"));
    source.append("\n");
    source.append(include_str!("device.hpp"));
    let before = source.append_source(&runs.code);
    let mut definitions: Vec<_> = runs.definitions.iter().map(|definition| definition.below(before)).collect();
    for (op, functions) in image.descriptor.ops.iter().zip(&image.ops) {
        let parameters = parameters(op);
        let declared: Vec<_> = parameters.iter().map(|name| format!("const torch::Tensor& {name}_")).collect();
        let pointers: Vec<_> = parameters.iter().map(|name| format!("&{name}_")).collect();
        source.append(&comment(&op.doc));
        let first = source.next_line();
        let _ = writeln!(
            source,
            "torch::Tensor {}({}) {{\n  const torch::Tensor* const operands[] = {{{}}};\n  return launch(operands, {}, \
             {}, {});\n}}",
            op.name,
            declared.join(", "),
            pointers.join(", "),
            parameters.len(),
            runs.functions[functions.run as usize],
            outputs(op, &runs.functions[functions.shape as usize]),
        );
        let lines = first..=source.next_line() - 1;
        definitions.push(Definition { function: op.name.clone(), rust: None, lines, hot_loops: Vec::new() });
        source.append("\n");
    }
    (source.into_text(), definitions)
}

/// What `packing.hpp` needs to know of a library.
pub(super) fn output_limits(image: &Image<'_>) -> String {
    let most = image.descriptor.ops.iter().map(|op| op.outputs.len()).max().unwrap_or(1);
    format!(
        "enum {{ MAX_OUTPUTS = {most}, DTYPE_I32 = {}, DTYPE_I16 = {}, DTYPE_U8 = {} }};\n\n",
        DType::I32 as u32,
        DType::I16 as u32,
        DType::U8 as u32
    )
}

/// The outputs of an op as `device.hpp` takes them. Of one, the tensor that is returned has the type.
fn outputs(op: &OpDescriptor, shape: &str) -> String {
    match op.outputs.len() {
        1 => "Outputs{1, nullptr, 0}".into(),
        several => format!("Outputs{{{several}, {shape}, {}}}", op.tensors().count() + op.sizes().count()),
    }
}
