//! The adapter: the source that answers an op library's C entry point for C++ ops.

use std::fmt::Write;

use gpsimd_abi::ENTRY_POINT;
use gpsimd_descriptor::limits::MAX_OPS;
use gpsimd_descriptor::{LibraryDescriptor, OpDescriptor};

use super::error::HostBuildError;
use super::kernel::{Kernel, Passes};

/// Tensors of a launch that `gpsimd/adapter.hpp` has room for.
const MAX_TENSORS: usize = 64;

/// The adapter of a library whose op `i` has the kernel function `kernels[i]`.
///
/// # Errors
/// When there are more ops or operands than can be.
pub(super) fn adapter(
    library: &LibraryDescriptor,
    kernels: &[Kernel],
    is_multicore: bool,
) -> Result<String, HostBuildError> {
    let refused = |problem| Err(HostBuildError::Refused { library: library.name.clone(), problem });
    if library.ops.len() > MAX_OPS {
        return refused(format!("it has {} ops, the vendor's limit is {MAX_OPS}", library.ops.len()));
    }
    let json = serde_json::to_vec(library).expect("a descriptor is plain data");
    // What no host would load is not built.
    if let Err(error) = LibraryDescriptor::parse(&json) {
        return refused(error.to_string());
    }
    let mut source = String::from(
        "// Written by the build of this library.\n#include <gpsimd/adapter.hpp>\n#include <gpsimd/numbers.hpp>\n\n",
    );
    let mut table = String::new();
    let mut kernels_declared = String::new();
    let mut ops = String::new();
    for (index, (op, kernel)) in library.ops.iter().zip(kernels).enumerate() {
        let mut names: Vec<_> = op.launch_operands().collect();
        let (operands, scalars) = (names.len(), op.scalars().count());
        names.extend(op.outputs.iter().map(|output| output.name.as_str()));
        if names.len() > MAX_TENSORS {
            let most = MAX_TENSORS - op.outputs.len();
            return refused(format!("op `{}` has {operands} operands, at most {most} can be", op.name));
        }
        // A package's shape function takes its scalars as one more tensor; others are not told of theirs.
        let in_shape = if kernel.takes_numbers() { 0 } else { scalars };
        let call = call(kernel, op);
        let names = names.iter().map(|name| literal(name)).collect::<Vec<_>>().join(", ");
        let name = literal(&op.name);
        // What is written to a String cannot fail.
        let _ = writeln!(kernels_declared, "torch::Tensor {}({});", kernel.name, kernel.declared());
        let unused = if operands == 0 { "" } else { "t" };
        let _ = write!(
            ops,
            "
torch::Tensor call_{index}(const torch::Tensor *{unused}) {{ {call} }}
const char *const names_{index}[] = {{{names}}};
const gpsimd::AdaptedOp op_{index} = {{{name}, names_{index}, {is_multicore}, {in_shape}, call_{index}}};
uint32_t run_{index}(const gpsimd_device *device) {{ return gpsimd::run(op_{index}, device); }}
uint32_t shape_{index}(const gpsimd_tensor_type *operands, uint32_t count, gpsimd_tensor_type *outputs,
                 uint32_t output_count, gpsimd_shape_error *error) {{
  return gpsimd::shape(op_{index}, operands, count, outputs, output_count, error);
}}
"
        );
        let _ = write!(table, "{{run_{index}, shape_{index}}}, ");
    }
    let _ = write!(
        source,
        "{kernels_declared}
namespace {{
{ops}
const gpsimd_op ops[] = {{{table}}};
const char descriptor[] =
{};
const gpsimd_library library = {{
    {{'g', 'p', 's', 'i', 'm', 'd', 0, 0}},
    GPSIMD_ABI_VERSION,
    {},
    {{descriptor, sizeof descriptor - 1}},
    {{gpsimd::CPU_FEATURES, sizeof gpsimd::CPU_FEATURES - 1}},
    ops,
}};

}}  // namespace

extern \"C\" __attribute__((visibility(\"default\"))) const gpsimd_library *{ENTRY_POINT}() {{ return &library; }}
",
        json.chunks(100).map(|part| format!("    {}", literal_bytes(part))).collect::<Vec<_>>().join("\n"),
        library.ops.len(),
    );
    Ok(source)
}

/// The statements that call a kernel function with the tensors `t` of a launch, the numbers last.
fn call(kernel: &Kernel, op: &OpDescriptor) -> String {
    let tensors = kernel.parameters.iter().filter(|parameter| parameter.passes == Passes::Tensor).count();
    let (mut tensor, mut scalars) = (0, op.scalars().enumerate());
    let (mut statements, mut arguments) = (String::new(), Vec::new());
    for (place, parameter) in kernel.parameters.iter().enumerate() {
        let value = match parameter.passes {
            Passes::Tensor => {
                tensor += 1;
                format!("t[{}]", tensor - 1)
            }
            Passes::Number(from) => {
                let (index, (name, _)) = scalars.next().expect("a scalar operand for each number");
                format!("gpsimd::number<{from}>(t[{tensors}], {index}, {})", literal(name))
            }
        };
        if parameter.cpp.starts_with("const ") {
            arguments.push(value);
        } else {
            // What may be changed is a variable; numbers are read in their order.
            let declared = parameter.cpp.trim_end_matches(" &");
            // What is written to a String cannot fail.
            let _ = write!(statements, "{declared} a{place} = {value}; ");
            arguments.push(format!("a{place}"));
        }
    }
    format!("{statements}return ::{}({});", kernel.name, arguments.join(", "))
}

fn literal(text: &str) -> String {
    literal_bytes(text.as_bytes())
}

/// A C string literal. Bytes are escaped in octal, three digits each: what follows cannot become part of them.
fn literal_bytes(bytes: &[u8]) -> String {
    let mut literal = String::from("\"");
    for &byte in bytes {
        match byte {
            // `?` could start a trigraph.
            b'"' | b'\\' | b'?' => literal.extend(['\\', byte as char]),
            b' '..=b'~' => literal.push(byte as char),
            _ => {
                let _ = write!(literal, "\\{byte:03o}");
            }
        }
    }
    literal.push('"');
    literal
}
