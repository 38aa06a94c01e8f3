//! [`CType`]: how C writes a type of the interface.

use std::ffi::c_void;

use gpsimd_abi as abi;

/// How C writes a type. Memory without a type of its own is `void` in C and `u8` in Rust.
pub(crate) trait CType {
    /// Whether it is a function.
    const IS_FUNCTION: bool = false;

    fn c() -> String;
}

macro_rules! c_types {
    ($($rust:ty: $c:literal),* $(,)?) => {$(
        impl CType for $rust {
            fn c() -> String {
                $c.into()
            }
        }
    )*};
}
c_types! {
    (): "void",
    c_void: "void",
    u8: "void",
    u32: "uint32_t",
    u64: "uint64_t",
    i64: "int64_t",
    f64: "double",
    usize: "size_t",
    [u8; 8]: "char[8]",
    [u64; abi::MAX_RANK]: "uint64_t[GPSIMD_MAX_RANK]",
    abi::Text: "gpsimd_text",
    abi::RawTensorType: "gpsimd_tensor_type",
    abi::RawShapeError: "gpsimd_shape_error",
    abi::LaunchTensor: "gpsimd_tensor",
    abi::Location: "gpsimd_location",
    abi::DeviceTable: "gpsimd_device",
    abi::OpFunctions: "gpsimd_op",
    abi::LibraryTable: "gpsimd_library",
}

impl<T: CType> CType for *const T {
    fn c() -> String {
        format!("{} const *", T::c())
    }
}

impl<T: CType> CType for *mut T {
    fn c() -> String {
        format!("{} *", T::c())
    }
}

macro_rules! functions {
    ($(($($argument:ident),*))*) => {$(
        impl<R: CType, $($argument: CType),*> CType for unsafe extern "C" fn($($argument),*) -> R {
            const IS_FUNCTION: bool = true;

            fn c() -> String {
                let arguments: &[String] = &[$($argument::c()),*];
                let arguments = if arguments.is_empty() { "void".into() } else { arguments.join(", ") };
                format!("{} (*)({arguments})", R::c())
            }
        }
    )*};
}
functions! { () (A) (A, B) (A, B, C) (A, B, C, D) (A, B, C, D, E) (A, B, C, D, E, F) }
