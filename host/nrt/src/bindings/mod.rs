//! Declarations of libnrt, made by `bindgen`; the build script says from which headers.
#![allow(
    missing_docs,
    dead_code,
    unreachable_pub,
    non_camel_case_types,
    non_snake_case,
    clippy::all,
    clippy::pedantic,
    clippy::undocumented_unsafe_blocks
)]

include!(env!("GPSIMD_NRT_BINDINGS"));

#[cfg(test)]
mod tests {
    use crate::Status;
    use gpsimd_neff::NeffDType;

    #[test]
    fn codes_of_dtypes_are_those_of_the_header() {
        let codes = [
            super::NRT_DTYPE_UINT64,
            super::NRT_DTYPE_INT8,
            super::NRT_DTYPE_UINT8,
            super::NRT_DTYPE_INT16,
            super::NRT_DTYPE_UINT16,
            super::NRT_DTYPE_BFLOAT16,
            super::NRT_DTYPE_FLOAT16,
            super::NRT_DTYPE_INT32,
            super::NRT_DTYPE_UINT32,
            super::NRT_DTYPE_FLOAT32,
            super::NRT_DTYPE_FP32R,
            super::NRT_DTYPE_INT64,
            super::NRT_DTYPE_FP8_E3,
            super::NRT_DTYPE_FP8_E4,
            super::NRT_DTYPE_FP8_E5,
        ];
        assert_eq!(NeffDType::ALL.map(NeffDType::code), codes);
    }

    #[test]
    fn names_and_codes_of_statuses_are_those_of_the_header() {
        // The constants have no list of their own: the bindings' text has them.
        let constants = include_str!("documented.rs").lines().filter_map(|line| {
            let (name, code) = line.strip_prefix("pub const ")?.strip_suffix(';')?.split_once(": NRT_STATUS = ")?;
            Some((name, code.parse().ok()?))
        });
        let documented: Vec<(&str, u32)> = constants.filter(|(name, _)| *name != "NRT_SUCCESS").collect();
        let ours: Vec<(&str, u32)> = Status::DOCUMENTED.iter().map(|status| (status.name(), status.code())).collect();
        assert_eq!(ours, documented);
        assert_eq!(documented.len(), 27);
    }
}
