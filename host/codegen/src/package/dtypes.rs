//! The dtypes of a library, as the headers of a package take them.

use std::collections::BTreeSet;

use gpsimd_abi::DType;
use gpsimd_descriptor::{LibraryDescriptor, OpDescriptor, OutputDescriptor};

/// The integers that the op's outputs may be packed in, where they differ in dtype.
fn packed_dtypes(op: &OpDescriptor) -> impl Iterator<Item = DType> {
    let widths = |output: &OutputDescriptor| op.accepted(output.element).iter().map(|dtype| dtype.bytes());
    let differs = op.outputs.iter().any(|output| output.element != op.outputs[0].element);
    // The narrowest element is no wider than the widest of any output.
    let limit = op.outputs.iter().filter_map(|output| widths(output).max()).min().unwrap_or(0);
    let packed = [DType::I32, DType::I16, DType::U8].into_iter();
    packed.filter(move |packed| {
        let mut all = op.outputs.iter().flat_map(widths);
        differs && packed.bytes() <= limit && all.any(|width| width == packed.bytes())
    })
}

/// The dtypes of the library's tensors: `GPSIMD_DTYPES(X)` calls `X` with code, name and C++ type of each.
pub(super) fn dtypes(library: &LibraryDescriptor) -> String {
    let mut used = BTreeSet::new();
    for op in &library.ops {
        used.extend(op.scalars().next().map(|_| DType::I32 as u32));
        let outputs = op.outputs.iter().map(|output| output.element);
        for element in op.tensors().map(|(_, element)| element).chain(outputs) {
            used.extend(op.accepted(element).iter().map(|dtype| *dtype as u32));
        }
        used.extend(packed_dtypes(op).map(|dtype| dtype as u32));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Those that outputs with these elements, in JSON, may be packed in.
    fn packed(outputs: &[&str]) -> Vec<DType> {
        let output = |(i, element): (usize, &&str)| format!(r#"{{"name": "y{i}", "element": {element}}}"#);
        let outputs: Vec<_> = outputs.iter().enumerate().map(output).collect();
        let types = r#"[{"name": "T", "dtypes": ["f32", "bf16"]}, {"name": "U", "dtypes": ["i32", "i16", "u8"]}]"#;
        let library = format!(
            r#"{{"name": "ops", "version": "1", "ops": [{{"name": "op", "doc": "", "file": "", "operands": [],
                "gradients": [], "types": {types}, "outputs": [{}]}}]}}"#,
            outputs.join(", ")
        );
        packed_dtypes(&LibraryDescriptor::parse(library.as_bytes()).unwrap().ops[0]).collect()
    }

    #[test]
    fn outputs_of_one_dtype_need_no_other() {
        assert_eq!(packed(&[r#""f32""#]), []);
        assert_eq!(packed(&[r#""f32""#, r#""f32""#]), []);
        assert_eq!(packed(&[r#"{"parameter": 0}"#, r#"{"parameter": 0}"#]), []);
    }

    #[test]
    fn outputs_of_different_dtypes_may_be_integers_of_every_width_that_can_be_the_narrowest() {
        assert_eq!(packed(&[r#""f32""#, r#""i32""#]), [DType::I32]);
        assert_eq!(packed(&[r#""f32""#, r#""u8""#]), [DType::U8]);
        assert_eq!(packed(&[r#"{"parameter": 0}"#, r#""i32""#]), [DType::I32, DType::I16]);
        assert_eq!(packed(&[r#"{"parameter": 1}"#, r#""bf16""#]), [DType::I16, DType::U8]);
    }
}
