//! [`digest`]: the bits of a result in one number.

use gpsimd_emulator::{DType, Tensor, bf16, f16};

/// FNV-1a, 64 bit, of the tensor's bits. Every NaN counts as the same one: which of two NaNs an addition passes on is the
/// processor's choice.
pub fn digest(tensor: &Tensor) -> u64 {
    let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    canonical(tensor).iter().fold(0xcbf2_9ce4_8422_2325, fold)
}

fn canonical(tensor: &Tensor) -> Vec<u8> {
    // The dtype says what the elements are.
    const MATCHES: &str = "elements of the tensor's dtype";
    match tensor.ty().dtype() {
        DType::F32 => {
            let elements = tensor.as_slice::<f32>().expect(MATCHES).iter();
            elements.flat_map(|x| if x.is_nan() { f32::NAN } else { *x }.to_bits().to_le_bytes()).collect()
        }
        DType::Bf16 => {
            let elements = tensor.as_slice::<bf16>().expect(MATCHES).iter();
            elements.flat_map(|x| if x.is_nan() { bf16::NAN } else { *x }.to_bits().to_le_bytes()).collect()
        }
        DType::F16 => {
            let elements = tensor.as_slice::<f16>().expect(MATCHES).iter();
            elements.flat_map(|x| if x.is_nan() { f16::NAN } else { *x }.to_bits().to_le_bytes()).collect()
        }
        _ => tensor.bytes().to_vec(),
    }
}
