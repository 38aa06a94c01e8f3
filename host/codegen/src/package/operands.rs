//! What an op takes on the device.

use gpsimd_descriptor::OpDescriptor;

/// Names of the kernel function's parameters. In C++ they end in `_`, as no word does that means something there.
pub(super) fn parameters(op: &OpDescriptor) -> Vec<String> {
    op.launch_operands().map(str::to_string).collect()
}

/// Schema of the op on the device: a size is the length of a tensor, scalars are packed into one, and so are several
/// outputs.
pub(super) fn schema(op: &OpDescriptor) -> String {
    let operands: Vec<_> = parameters(op).iter().map(|name| format!("Tensor {name}")).collect();
    format!("{}({}) -> Tensor", op.name, operands.join(", "))
}
