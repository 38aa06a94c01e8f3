//! [`NeffDType`]: element types of the Neuron Runtime.

use serde::{Deserialize, Serialize};

/// Element type of a tensor of a NEFF, with the code that the Neuron Runtime gives it (`nrt_dtype_t`).
///
/// Its name, in JSON and in messages, is the code's in lower case: `float32`, `bfloat16`, `fp8_e4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NeffDType {
    /// Unsigned, 64 bit.
    Uint64 = 0x1,
    /// Signed, 8 bit.
    Int8 = 0x2,
    /// Unsigned, 8 bit.
    Uint8 = 0x3,
    /// Signed, 16 bit.
    Int16 = 0x4,
    /// Unsigned, 16 bit.
    Uint16 = 0x5,
    /// The upper half of a binary32.
    Bfloat16 = 0x6,
    /// IEEE 754 binary16.
    Float16 = 0x7,
    /// Signed, 32 bit.
    Int32 = 0x8,
    /// Unsigned, 32 bit.
    Uint32 = 0x9,
    /// IEEE 754 binary32.
    Float32 = 0xA,
    /// Binary32 in the tensor engine's reduced form.
    Fp32r = 0xB,
    /// Signed, 64 bit.
    Int64 = 0xC,
    /// 8 bit, 3 of them exponent.
    Fp8E3 = 0xD,
    /// 8 bit, 4 of them exponent.
    Fp8E4 = 0xE,
    /// 8 bit, 5 of them exponent.
    Fp8E5 = 0xF,
}

impl NeffDType {
    /// Every dtype.
    pub const ALL: [Self; 15] = [
        Self::Uint64,
        Self::Int8,
        Self::Uint8,
        Self::Int16,
        Self::Uint16,
        Self::Bfloat16,
        Self::Float16,
        Self::Int32,
        Self::Uint32,
        Self::Float32,
        Self::Fp32r,
        Self::Int64,
        Self::Fp8E3,
        Self::Fp8E4,
        Self::Fp8E5,
    ];

    /// The dtype of a code of `nrt_dtype_t`, if it is one.
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|dtype| dtype.code() == code)
    }

    /// The code of `nrt_dtype_t`.
    pub const fn code(self) -> u32 {
        self as u32
    }

    /// Bytes of an element.
    pub const fn size(self) -> usize {
        match self {
            Self::Int8 | Self::Uint8 | Self::Fp8E3 | Self::Fp8E4 | Self::Fp8E5 => 1,
            Self::Int16 | Self::Uint16 | Self::Bfloat16 | Self::Float16 => 2,
            Self::Int32 | Self::Uint32 | Self::Float32 | Self::Fp32r => 4,
            Self::Uint64 | Self::Int64 => 8,
        }
    }

    /// The dtype of an op's tensor, if an op can have such.
    pub const fn op_dtype(self) -> Option<gpsimd_abi::DType> {
        match self {
            Self::Float32 => Some(gpsimd_abi::DType::F32),
            Self::Bfloat16 => Some(gpsimd_abi::DType::Bf16),
            Self::Float16 => Some(gpsimd_abi::DType::F16),
            Self::Int32 => Some(gpsimd_abi::DType::I32),
            Self::Int16 => Some(gpsimd_abi::DType::I16),
            Self::Int8 => Some(gpsimd_abi::DType::I8),
            Self::Uint8 => Some(gpsimd_abi::DType::U8),
            _ => None,
        }
    }

    /// The name, as in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uint64 => "uint64",
            Self::Int8 => "int8",
            Self::Uint8 => "uint8",
            Self::Int16 => "int16",
            Self::Uint16 => "uint16",
            Self::Bfloat16 => "bfloat16",
            Self::Float16 => "float16",
            Self::Int32 => "int32",
            Self::Uint32 => "uint32",
            Self::Float32 => "float32",
            Self::Fp32r => "fp32r",
            Self::Int64 => "int64",
            Self::Fp8E3 => "fp8_e3",
            Self::Fp8E4 => "fp8_e4",
            Self::Fp8E5 => "fp8_e5",
        }
    }
}

impl std::fmt::Display for NeffDType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_json_are_the_names_in_messages() {
        for dtype in NeffDType::ALL {
            assert_eq!(serde_json::to_value(dtype).unwrap(), dtype.name());
            assert_eq!(NeffDType::from_code(dtype.code()), Some(dtype));
        }
        assert_eq!(NeffDType::from_code(0), None);
    }

    #[test]
    fn every_dtype_of_an_op_is_one_of_the_runtime_of_the_same_size() {
        let of_ops: Vec<_> =
            NeffDType::ALL.into_iter().filter_map(|dtype| Some((dtype.size(), dtype.op_dtype()?))).collect();
        assert_eq!(of_ops.len(), gpsimd_abi::DType::ALL.len());
        for dtype in gpsimd_abi::DType::ALL {
            assert!(of_ops.contains(&(dtype.bytes(), dtype)), "{}", dtype.name());
        }
    }
}
