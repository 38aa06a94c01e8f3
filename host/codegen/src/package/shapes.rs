//! The shape functions of a package.

use std::fmt::Write as _;

use gpsimd_descriptor::{ElementType, OpDescriptor};

use super::comments::heading;
use super::dtypes::dtypes;
use super::kernels::output_limits;
use super::neuron_library;
use crate::cpp::{Definition, Emitted, PRELUDE, Source};
use crate::image::Image;

/// `<name>_shape.cpp`, and where its functions are.
pub(super) fn shape_functions(image: &Image<'_>, shapes: &Emitted) -> (String, Vec<Definition>) {
    let mut source = Source::default();
    source.append(&heading(image, "Shape functions"));
    source.append("#include <stdio.h>\n#include <torch/torch.h>\n#include \"torchneuron/register.h\"\n\n");
    source.append(
        "#define GPSIMD_TRAP\n[[noreturn]] static void gpsimd_trap(const char* message) {\n  TORCH_CHECK(false, \
             message);\n  abort();\n}\n\n",
    );
    source.append(PRELUDE);
    let _ = write!(
        source,
        "\nenum {{ MEMORY_BYTES = {}, MAX_OPERANDS = {} }};\n{}{}\n{}{}\n{}\n{}",
        image.memory.pool_start,
        image.descriptor.ops.iter().map(|op| op.tensors().count() + op.sizes().count()).max().unwrap_or(0),
        output_limits(image),
        dtypes(&image.descriptor),
        shapes.instance,
        include_str!("types.hpp"),
        include_str!("packing.hpp"),
        include_str!("shape.hpp"),
    );
    let before = source.append_source(&shapes.code);
    let mut definitions: Vec<_> = shapes.definitions.iter().map(|definition| definition.below(before)).collect();
    for (op, functions) in image.descriptor.ops.iter().zip(&image.ops) {
        let names: Vec<_> =
            op.tensors().map(|(name, _)| name).chain(op.sizes()).map(|name| format!("{name}_")).collect();
        let mut declared: Vec<_> = names.iter().map(|name| format!("torch::Tensor {name}")).collect();
        if op.scalars().next().is_some() {
            declared.push("torch::Tensor /* params */".into());
        }
        let tensors = op.tensors().map(|(name, element)| operand(op, name, element));
        let operands: Vec<_> = tensors.chain(op.sizes().map(|name| format!("{{\"{name}\", \"\", 0, -1}}"))).collect();
        let first = source.next_line();
        let _ = writeln!(
            source,
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
        definitions.push(Definition {
            function: format!("{}_shape", op.name),
            rust: None,
            lines: first..=source.next_line() - 2,
            hot_loops: Vec::new(),
        });
    }
    let _ = writeln!(source, "NEURON_LIBRARY({}, m) {{", neuron_library(&image.descriptor.name));
    for op in &image.descriptor.ops {
        let _ = writeln!(source, "  m.def(\"{0}\", &{0}_shape, \"{0}\");", op.name);
    }
    source.append("}\n");
    (source.into_text(), definitions)
}

/// An operand as `shape.hpp` takes it.
fn operand(op: &OpDescriptor, name: &str, element: ElementType) -> String {
    let dtypes = op.accepted(element);
    let parameter = if let ElementType::Parameter(index) = element { index as i32 } else { -1 };
    let expected = gpsimd_descriptor::any_of(dtypes);
    let bits = dtypes.iter().fold(0, |bits, dtype| bits | 1 << *dtype as u32);
    format!("{{\"{name}\", \"{expected}\", {bits}, {parameter}}}")
}
