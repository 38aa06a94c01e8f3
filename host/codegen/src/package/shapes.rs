//! The shape functions of a package.

use std::fmt::Write as _;

use gpsimd_descriptor::{ElementType, OpDescriptor};

use super::comments::heading;
use super::dtypes::dtypes;
use super::kernels::output_limits;
use super::neuron_library;
use crate::cpp::{Emitted, PRELUDE};
use crate::image::Image;

/// `<name>_shape.cpp`
pub(super) fn shape_functions(image: &Image<'_>, shapes: &Emitted) -> String {
    let mut text = heading(image, "Shape functions");
    text += "#include <stdio.h>\n#include <torch/torch.h>\n#include \"torchneuron/register.h\"\n\n";
    text += "#define GPSIMD_TRAP\n[[noreturn]] static void gpsimd_trap(const char* message) {\n  TORCH_CHECK(false, \
             message);\n  abort();\n}\n\n";
    text += PRELUDE;
    let _ = write!(
        text,
        "\nenum {{ MEMORY_BYTES = {}, MAX_OPERANDS = {} }};\n{}{}\n{}{}\n{}\n{}{}",
        image.memory.pool_start,
        image.descriptor.ops.iter().map(|op| op.tensors().count() + op.sizes().count()).max().unwrap_or(0),
        output_limits(image),
        dtypes(&image.descriptor),
        shapes.instance,
        include_str!("types.hpp"),
        include_str!("packing.hpp"),
        include_str!("shape.hpp"),
        shapes.code.text(),
    );
    for (op, functions) in image.descriptor.ops.iter().zip(&image.ops) {
        let names: Vec<_> =
            op.tensors().map(|(name, _)| name).chain(op.sizes()).map(|name| format!("{name}_")).collect();
        let mut declared: Vec<_> = names.iter().map(|name| format!("torch::Tensor {name}")).collect();
        if op.scalars().next().is_some() {
            declared.push("torch::Tensor /* params */".into());
        }
        let tensors = op.tensors().map(|(name, element)| operand(op, name, element));
        let operands: Vec<_> = tensors.chain(op.sizes().map(|name| format!("{{\"{name}\", \"\", 0, -1}}"))).collect();
        let _ = writeln!(
            text,
            "torch::Tensor {0}_shape({1}) {{\n  const torch::Tensor tensors[] = {{{2}}};\n  const Operand operands[] = \
             {{{3}}};\n  return infer(\"{0}\", tensors, operands, {4}, {5}, {6});\n}}\n",
            op.name,
            declared.join(", "),
            names.join(", "),
            operands.join(", "),
            names.len(),
            op.outputs.len(),
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
    let dtypes = op.accepted(element);
    let parameter = if let ElementType::Parameter(index) = element { index as i32 } else { -1 };
    let expected = gpsimd_descriptor::any_of(dtypes);
    let bits = dtypes.iter().fold(0, |bits, dtype| bits | 1 << *dtype as u32);
    format!("{{\"{name}\", \"{expected}\", {bits}, {parameter}}}")
}
