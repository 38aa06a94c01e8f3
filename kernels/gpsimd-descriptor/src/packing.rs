//! [`Packing`]: how the outputs of an op lie in the one tensor that the vendor's interface returns.
//!
//! One output is that tensor. Several are packed into a tensor of rank 1, each from a multiple of [`ALIGN`] bytes on. Its
//! dtype is that of the outputs where they have one; otherwise the integer as wide as the narrowest element among them,
//! so that every DMA of an output moves whole elements of the tensor.

use gpsimd_abi::DType;

/// Where outputs begin: at multiples of so many bytes.
pub const ALIGN: usize = 64;

/// Where outputs are in the tensor that they are packed in. Everything is counted in elements of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packing {
    /// Element type of the tensor.
    pub dtype: DType,
    /// Its length.
    pub len: u64,
    /// First element of each output.
    pub starts: Vec<u64>,
}

impl Packing {
    /// Of outputs with these dtypes and numbers of elements, of which there is at least one. Tensors that fit in memory,
    /// or at most 4294967295 elements each: no sum overflows.
    pub fn of(outputs: &[(DType, u64)]) -> Self {
        let dtype = packed_dtype(outputs.iter().map(|(dtype, _)| *dtype));
        let (width, mut end) = (dtype.bytes() as u64, 0_u64);
        let mut starts = Vec::with_capacity(outputs.len());
        for (output, len) in outputs {
            let start = end.next_multiple_of(ALIGN as u64 / width);
            starts.push(start);
            end = start + len * (output.bytes() as u64 / width);
        }
        Self { dtype, len: end, starts }
    }
}

/// The dtype of the tensor that outputs of these dtypes are packed in.
pub fn packed_dtype(outputs: impl Iterator<Item = DType> + Clone) -> DType {
    let first = outputs.clone().next().unwrap_or(DType::U8);
    if outputs.clone().all(|dtype| dtype == first) {
        return first;
    }
    match outputs.map(DType::bytes).min() {
        Some(4) => DType::I32,
        Some(2) => DType::I16,
        _ => DType::U8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_of_one_dtype_keep_it() {
        let packing = Packing::of(&[(DType::F32, 5), (DType::F32, 3)]);
        assert_eq!(packing, Packing { dtype: DType::F32, len: 19, starts: vec![0, 16] });
    }

    #[test]
    fn outputs_of_one_width_are_bits_of_that_width() {
        let packing = Packing::of(&[(DType::F32, 64), (DType::I32, 1)]);
        assert_eq!(packing, Packing { dtype: DType::I32, len: 65, starts: vec![0, 64] });
        assert_eq!(packed_dtype([DType::Bf16, DType::F16].into_iter()), DType::I16);
    }

    #[test]
    fn the_narrowest_element_says_what_the_others_are_counted_in() {
        let packing = Packing::of(&[(DType::F32, 3), (DType::U8, 2), (DType::Bf16, 1)]);
        assert_eq!(packing, Packing { dtype: DType::U8, len: 130, starts: vec![0, 64, 128] });
    }

    #[test]
    fn an_empty_output_takes_no_room() {
        let packing = Packing::of(&[(DType::F32, 0), (DType::I16, 0), (DType::F32, 2)]);
        assert_eq!(packing, Packing { dtype: DType::I16, len: 4, starts: vec![0, 0, 0] });
    }
}
