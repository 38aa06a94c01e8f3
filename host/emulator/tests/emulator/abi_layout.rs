//! The C header has the layout of the Rust crate.

use std::ffi::{CStr, c_char};
use std::mem::{offset_of, size_of};

use gpsimd_emulator::gpsimd_abi as abi;

use crate::fixtures::compile;

#[repr(C)]
struct Entry {
    ty: *const c_char,
    field: *const c_char,
    bytes: usize,
}

/// Sizes and offsets as a C compiler has them: type, field (none for the size of the type), bytes.
fn in_c() -> Vec<(String, String, usize)> {
    // SAFETY: the library has no initialisers; the symbols have these types in `layout.c`, and it stays loaded.
    unsafe {
        let library = libloading::Library::new(compile("layout.c", &[])).unwrap();
        let len = **library.get::<*const usize>(b"gpsimd_layout_len").unwrap();
        let entries = *library.get::<*const Entry>(b"gpsimd_layout").unwrap();
        let text = |text| CStr::from_ptr(text).to_str().unwrap().to_owned();
        let entries = std::slice::from_raw_parts(entries, len);
        entries.iter().map(|entry| (text(entry.ty), text(entry.field), entry.bytes)).collect()
    }
}

/// The same in Rust. Does not compile unless every field is named.
macro_rules! layout {
    ($($c:ident = $rust:ident { $($field:ident),* $(,)? })*) => {{
        $({
            fn _names_every_field(abi::$rust { $($field: _),* }: &abi::$rust) {}
        })*
        [$(
            vec![(stringify!($c).to_owned(), String::new(), size_of::<abi::$rust>())],
            $(vec![(stringify!($c).to_owned(), stringify!($field).to_owned(), offset_of!(abi::$rust, $field))],)*
        )*].concat()
    }};
}

#[test]
fn the_c_header_has_the_layout_of_the_rust_crate() {
    let in_rust = layout! {
        gpsimd_text = Text { data, len }
        gpsimd_tensor_type = RawTensorType { dtype, rank, dims }
        gpsimd_shape_error = RawShapeError { code, operand, dim, expected, found, message }
        gpsimd_tensor = LaunchTensor { ty, len, direct, rows }
        gpsimd_location = Location { file, line, column }
        gpsimd_device = DeviceTable {
            context, core_id, core_count, tensors, tensor_count, in_place, tcm, tcm_bytes, reserved, tcm_top, tcm_alloc,
            tcm_free, tcm_left, load, store, print_text, print_float, print_signed, print_unsigned, fail,
            claim,
        }
        gpsimd_op = OpFunctions { run, shape }
        gpsimd_library = LibraryTable { magic, abi_version, op_count, descriptor, cpu_features, ops }
    };
    assert_eq!(in_c(), in_rust);
}
