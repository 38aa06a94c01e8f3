//! [`Element`]: Rust types that tensors are read and written as.

use half::{bf16, f16};

use gpsimd_neff::NeffDType;

/// A Rust type that has the bytes of a dtype.
///
/// The dtypes of 8-bit floats have none; their tensors are read and written as bytes.
pub trait Element: bytemuck::Pod + Send + Sync {
    /// The dtypes that it has the bytes of.
    const DTYPES: &'static [NeffDType];
}

macro_rules! elements {
    ($($ty:ty: $($dtype:ident),+;)+) => {
        $(impl Element for $ty {
            const DTYPES: &'static [NeffDType] = &[$(NeffDType::$dtype),+];
        })+
    };
}

elements! {
    u8: Uint8;
    u16: Uint16;
    u32: Uint32;
    u64: Uint64;
    i8: Int8;
    i16: Int16;
    i32: Int32;
    i64: Int64;
    f32: Float32, Fp32r;
    f16: Float16;
    bf16: Bfloat16;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_same_size<T: Element>() {
        assert!(T::DTYPES.iter().all(|dtype| dtype.size() == size_of::<T>()));
    }

    #[test]
    fn an_element_is_as_large_as_its_dtypes() {
        assert_same_size::<u8>();
        assert_same_size::<u16>();
        assert_same_size::<u32>();
        assert_same_size::<u64>();
        assert_same_size::<i8>();
        assert_same_size::<i16>();
        assert_same_size::<i32>();
        assert_same_size::<i64>();
        assert_same_size::<f32>();
        assert_same_size::<f16>();
        assert_same_size::<bf16>();
    }
}
