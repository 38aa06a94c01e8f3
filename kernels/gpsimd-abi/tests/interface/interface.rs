//! Every type and constant of the interface.

use std::mem::{align_of, offset_of, size_of};

use gpsimd_abi as abi;

use crate::c_types::CType;

/// A type that both sides lay out alike.
pub(crate) struct Type {
    pub(crate) c: &'static str,
    pub(crate) bytes: usize,
    pub(crate) align: usize,
    pub(crate) fields: Vec<Field>,
}

pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) offset: usize,
    pub(crate) bytes: usize,
    pub(crate) ty: String,
    pub(crate) is_function: bool,
}

impl Field {
    fn of<T, F: CType>(name: &'static str, offset: usize, _: impl Fn(&T) -> &F) -> Self {
        Self { name, offset, bytes: size_of::<F>(), ty: F::c(), is_function: F::IS_FUNCTION }
    }
}

/// The types. Does not compile unless every field is named.
macro_rules! types {
    ($($c:ident = $rust:ident { $($field:ident),* $(,)? })*) => {
        pub(crate) fn types() -> Vec<Type> {
            vec![$({
                fn _names_every_field(abi::$rust { $($field: _),* }: &abi::$rust) {}
                Type {
                    c: stringify!($c),
                    bytes: size_of::<abi::$rust>(),
                    align: align_of::<abi::$rust>(),
                    fields: vec![$(
                        Field::of(stringify!($field), offset_of!(abi::$rust, $field), |of: &abi::$rust| &of.$field),
                    )*],
                }
            }),*]
        }
    };
}
types! {
    gpsimd_text = Text { data, len }
    gpsimd_tensor_type = RawTensorType { dtype, rank, dims }
    gpsimd_shape_error = RawShapeError { code, operand, dim, expected, found, message }
    gpsimd_tensor = LaunchTensor { ty, len, direct, rows }
    gpsimd_location = Location { file, line, column }
    gpsimd_device = DeviceTable {
        context, core_id, core_count, tensors, tensor_count, in_place, tcm, tcm_bytes, output_count, tcm_top, tcm_alloc,
        tcm_free, tcm_left, load, store, print_text, print_float, print_signed, print_unsigned, fail, claim,
    }
    gpsimd_op = OpFunctions { run, shape }
    gpsimd_library = LibraryTable { magic, abi_version, op_count, descriptor, cpu_features, ops }
}

#[test]
fn every_type_of_the_interface_is_listed() {
    // Both sides of a reference are Rust: no op package has one, and the header of packages does not know its tensor.
    let of_references = 1;
    assert_eq!(include_str!("../../src/lib.rs").matches("#[repr(C)]\n").count(), types().len() + of_references);
}

/// The constants: names in C and values.
pub(crate) fn constants() -> Vec<(String, usize)> {
    macro_rules! named {
        ($($name:ident),* $(,)?) => { vec![$((stringify!($name), abi::$name as usize)),*] };
    }
    let constants = named! {
        MAX_RANK, MAX_OUTPUTS, TCM_ALIGN, TCM_BELOW, STATUS_OK, STATUS_FAILED, FAILURE_REFUSED, FAILURE_PANIC, FAILURE_DEVICE,
        FAILURE_DTYPE, FAILURE_DROPPED, FAILURE_LEAKED, SHAPE_ERROR_RANK, SHAPE_ERROR_DIM, SHAPE_ERROR_MIN_RANK,
        SHAPE_ERROR_BROADCAST, SHAPE_ERROR_MESSAGE, SHAPE_ERROR_PANIC,
    };
    let dtypes = abi::DType::ALL.map(|dtype| (dtype.name().to_uppercase(), dtype as usize));
    let constants = constants.into_iter().map(|(name, value)| (name.to_owned(), value));
    constants.chain(dtypes).map(|(name, value)| (format!("GPSIMD_{name}"), value)).collect()
}
