//! Tensors are read and written as what they hold, within their bounds.

use gpsimd_neff::NeffDType;
use gpsimd_nrt::{Error, NrtTensor, Placement, Runtime, TensorSet};
use half::bf16;

use crate::fake::Fake;

fn tensor(runtime: &Runtime, dtype: NeffDType, len: usize) -> NrtTensor {
    NrtTensor::allocate(runtime, Placement::Device(0), "t", dtype, len).unwrap()
}

#[test]
fn what_is_written_is_read_back() {
    let runtime = Fake::new().runtime();
    let t = tensor(&runtime, NeffDType::Bfloat16, 4);
    let values = [1.0, -2.0, 0.5, 3.0].map(bf16::from_f32);
    t.write(0, &values[..3]).unwrap();
    t.write(3, &values[3..]).unwrap();
    assert_eq!(t.read_all::<bf16>().unwrap(), values);
    let mut middle = [bf16::ZERO; 2];
    t.read(1, &mut middle).unwrap();
    assert_eq!(middle, values[1..3]);
    assert_eq!(t.read_bytes().unwrap(), bytemuck::bytes_of(&values));
    assert_eq!((t.len(), t.is_empty(), t.dtype()), (4, false, NeffDType::Bfloat16));
}

#[test]
fn elements_of_another_dtype_are_an_error() {
    let runtime = Fake::new().runtime();
    let t = tensor(&runtime, NeffDType::Bfloat16, 4);
    let error = t.write(0, &[1.0f32]).unwrap_err();
    assert_eq!(error.to_string(), "tensor `t` holds bfloat16, not float32: convert the elements");
    assert!(matches!(t.read_all::<u16>(), Err(Error::DType { .. })));
    assert!(matches!(t.detach::<half::f16>(), Err(Error::DType { .. })));
    // Binary32 in both forms.
    tensor(&runtime, NeffDType::Fp32r, 1).write(0, &[1.0f32]).unwrap();
}

#[test]
fn bytes_are_of_all_elements() {
    let runtime = Fake::new().runtime();
    let t = tensor(&runtime, NeffDType::Fp8E4, 3);
    t.write_bytes(&[1, 2, 3]).unwrap();
    assert_eq!(t.read_bytes().unwrap(), [1, 2, 3]);
    let error = t.write_bytes(&[1, 2]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "tensor `t` holds fp8_e4, not 2 bytes for 3 elements: give the bytes of every element"
    );
}

#[test]
fn no_call_is_made_beyond_the_end() {
    let fake = Fake::new();
    let runtime = fake.runtime();
    let (t, other) = (tensor(&runtime, NeffDType::Int32, 4), tensor(&runtime, NeffDType::Int32, 2));
    let error = t.write(3, &[1, 2]).unwrap_err();
    assert_eq!(error.to_string(), "elements 3..5 of tensor `t`, which has 4");
    assert!(matches!(t.read(4, &mut [0]), Err(Error::Range { .. })));
    assert!(matches!(t.read(usize::MAX, &mut [0]), Err(Error::Range { .. })));
    assert!(matches!(t.slice("s", 2..5), Err(Error::Range { .. })));
    #[expect(clippy::reversed_empty_ranges, reason = "that is what is tried")]
    let reversed = t.slice("s", 3..2);
    assert!(matches!(reversed, Err(Error::Range { .. })));
    assert!(matches!(t.copy_to(0, &other, 0, 3), Err(Error::Range { .. })));
    assert!(matches!(t.copy_to(2, &other, 0, usize::MAX), Err(Error::Range { .. })));
    t.write::<i32>(4, &[]).unwrap();
    t.read::<i32>(0, &mut []).unwrap();
    assert!(!fake.calls().iter().any(|call| call.contains("OUT")));
}

#[test]
fn a_slice_is_part_of_its_source() {
    let fake = Fake::new();
    let runtime = fake.runtime();
    let t = tensor(&runtime, NeffDType::Int32, 8);
    let slice = t.slice("s", 2..6).unwrap();
    let inner = slice.slice("i", 1..3).unwrap();
    assert_eq!(fake.calls()[2..], ["tensor 2 s slice of 1 at 8 size 16", "tensor 3 i slice of 2 at 4 size 8"]);
    inner.write(0, &[7, 8]).unwrap();
    assert_eq!(t.read_all::<i32>().unwrap(), [0, 0, 0, 7, 8, 0, 0, 0]);
    drop((t, slice));
    assert_eq!(inner.read_all::<i32>().unwrap(), [7, 8]);
    drop(inner);
    assert_eq!(fake.calls()[4..], ["free tensor 3", "free tensor 2", "free tensor 1"]);
}

#[test]
fn a_copy_is_between_memories_or_parts_that_do_not_overlap() {
    let runtime = Fake::new().runtime();
    let (a, b) = (tensor(&runtime, NeffDType::Int32, 4), tensor(&runtime, NeffDType::Int32, 4));
    a.write(0, &[1, 2, 3, 4]).unwrap();
    a.copy_to(1, &b, 2, 2).unwrap();
    assert_eq!(b.read_all::<i32>().unwrap(), [0, 0, 2, 3]);
    a.copy_to(0, &a, 2, 2).unwrap();
    assert_eq!(a.read_all::<i32>().unwrap(), [1, 2, 1, 2]);
    // The part of the slice is where it is in the whole.
    let end = a.slice("end", 2..4).unwrap();
    assert!(matches!(end.copy_to(0, &a, 3, 1), Ok(())));
    let error = end.copy_to(0, &a, 1, 2).unwrap_err();
    assert!(matches!(&error, Error::Overlap { written, other } if written == "t" && other == "end"), "{error}");
    assert!(matches!(a.copy_to(0, &tensor(&runtime, NeffDType::Float32, 4), 0, 1), Err(Error::DType { .. })));
}

#[test]
fn an_attached_buffer_is_the_tensors_memory_until_it_is_given_back() {
    let fake = Fake::new();
    let runtime = fake.runtime();
    let t = NrtTensor::attach(&runtime, "t", vec![1.0f32, 2.0, 3.0]).unwrap();
    assert_eq!(fake.calls()[1..], ["tensor 1 t empty", "attach 1 size 12"]);
    assert_eq!((t.dtype(), t.len()), (NeffDType::Float32, 3));
    assert_eq!(t.read_all::<f32>().unwrap(), [1.0, 2.0, 3.0]);
    t.write(1, &[9.0f32]).unwrap();
    assert_eq!(t.detach::<f32>().unwrap(), [1.0, 9.0, 3.0]);
    assert_eq!(fake.calls().last().unwrap(), "free tensor 1");
}

#[test]
fn an_attached_buffer_is_not_given_back_while_it_is_used() {
    let fake = Fake::new();
    let runtime = fake.runtime();
    let t = NrtTensor::attach(&runtime, "t", vec![1u8, 2]).unwrap();
    let mut set = TensorSet::new(&runtime).unwrap();
    set.insert("t", &t).unwrap();
    assert!(matches!(t.detach::<u8>(), Err(Error::InUse { .. })));
    let t = set.get("t").unwrap().clone();
    drop(set);
    let slice = t.slice("s", 0..1).unwrap();
    assert!(matches!(t.detach::<u8>(), Err(Error::InUse { .. })));
    // The slice keeps the buffer.
    assert_eq!(slice.read_all::<u8>().unwrap(), [1]);
    assert!(matches!(slice.detach::<u8>(), Err(Error::NotAttached { .. })));
    assert_eq!(fake.calls().iter().filter(|call| call.starts_with("free tensor")).count(), 2);
}

#[test]
fn memory_of_the_runtime_is_not_given_back() {
    let runtime = Fake::new().runtime();
    assert!(matches!(tensor(&runtime, NeffDType::Uint8, 1).detach::<u8>(), Err(Error::NotAttached { .. })));
}

#[test]
fn placements_are_those_of_the_header() {
    let fake = Fake::new();
    let runtime = fake.runtime();
    for placement in [Placement::Device(1), Placement::Host, Placement::Virtual] {
        NrtTensor::allocate(&runtime, placement, "t", NeffDType::Uint8, 2).unwrap();
    }
    let calls = fake.calls();
    let made: Vec<_> = calls.iter().filter(|call| call.starts_with("tensor")).collect();
    assert_eq!(
        made,
        [
            "tensor 1 t placement 0 vnc 1 size 2",
            "tensor 2 t placement 1 vnc -1 size 2",
            "tensor 3 t placement 2 vnc -1 size 2"
        ]
    );
}

#[test]
fn names_and_sizes_that_c_has_no_room_for_are_errors() {
    let runtime = Fake::new().runtime();
    let named = |name: &str| NrtTensor::allocate(&runtime, Placement::Host, name, NeffDType::Uint8, 1);
    for name in ["", "a\0b", &"x".repeat(256)] {
        assert!(matches!(named(name), Err(Error::Name { .. })), "{name:?}");
    }
    named(&"x".repeat(255)).unwrap();
    let error = NrtTensor::allocate(&runtime, Placement::Host, "t", NeffDType::Int32, usize::MAX / 4 + 2).unwrap_err();
    assert!(matches!(error, Error::Size { .. }), "{error}");
    let error = NrtTensor::allocate(&runtime, Placement::Device(u32::MAX), "t", NeffDType::Int32, 1).unwrap_err();
    assert!(matches!(error, Error::Number { what: "NeuronCore", .. }), "{error}");
}
