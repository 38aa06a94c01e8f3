//! The dtypes of a library, as the headers of a package take them.

use std::collections::BTreeSet;

use gpsimd_abi::DType;
use gpsimd_descriptor::LibraryDescriptor;

/// The dtypes of the library's tensors: `GPSIMD_DTYPES(X)` calls `X` with code, name and C++ type of each.
pub(super) fn dtypes(library: &LibraryDescriptor) -> String {
    let mut used = BTreeSet::new();
    for op in &library.ops {
        used.extend(op.scalars().next().map(|_| DType::F32 as u32));
        for element in op.tensors().map(|(_, element)| element).chain([op.output.element]) {
            used.extend(op.accepted(element).iter().map(|dtype| *dtype as u32));
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
