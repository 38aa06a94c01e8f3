//! Operands and results of every element type, also of several in one op.

use gpsimd_emulator::gpsimd_descriptor::{ElementType, OperandKind};
use gpsimd_emulator::{DType, Mode, Tensor, bf16, f16};

use crate::fixtures::{DTYPES, engine};

const VALUES: [u8; 10] = [0, 1, 2, 3, 5, 8, 13, 21, 34, 55];

/// The values, which every element type holds, as this one.
fn values(dtype: DType) -> Tensor {
    let shape = [VALUES.len()];
    let tensor = match dtype {
        DType::F32 => Tensor::from_vec(VALUES.map(f32::from).to_vec(), &shape),
        DType::Bf16 => Tensor::from_vec(VALUES.map(|value| bf16::from_f32(value.into())).to_vec(), &shape),
        DType::F16 => Tensor::from_vec(VALUES.map(|value| f16::from_f32(value.into())).to_vec(), &shape),
        DType::I32 => Tensor::from_vec(VALUES.map(i32::from).to_vec(), &shape),
        DType::I16 => Tensor::from_vec(VALUES.map(i16::from).to_vec(), &shape),
        DType::I8 => Tensor::from_vec(VALUES.map(|value| value as i8).to_vec(), &shape),
        DType::U8 => Tensor::from_vec(VALUES.to_vec(), &shape),
    };
    tensor.unwrap()
}

fn run(op: &str, operands: &[&Tensor]) -> Tensor {
    let views: Vec<_> = operands.iter().map(|tensor| tensor.view()).collect();
    let [checked, fast] = [Mode::Checked, Mode::Fast]
        .map(|mode| engine(mode).call(&DTYPES.op(op), &views, &[]).unwrap_or_else(|error| panic!("{error}")));
    assert_eq!(checked.bytes(), fast.bytes());
    checked
}

#[test]
fn every_dtype_is_taken_and_given() {
    let index = Tensor::from_vec(vec![9_i32, 0, 4, 4, 1, 8, 2, 3, 7, 6, 5], &[11]).unwrap();
    for dtype in DType::ALL {
        let x = values(dtype);
        let y = run("take", &[&x, &index]);
        assert_eq!(y.ty().dtype(), dtype);
        let element = |i: usize| &x.bytes()[i * dtype.bytes()..][..dtype.bytes()];
        let expected: Vec<u8> =
            index.as_slice::<i32>().unwrap().iter().flat_map(|i| element(*i as usize)).copied().collect();
        assert_eq!(y.bytes(), expected, "{dtype:?}");
    }
}

#[test]
fn every_dtype_becomes_every_other() {
    for from in DType::ALL {
        for to in DType::ALL {
            let (x, expected) = (values(from), values(to));
            assert_eq!(run("cast", &[&x, &expected]).bytes(), expected.bytes(), "{from:?} to {to:?}");
        }
    }
}

#[test]
fn the_descriptor_leaves_element_types_to_the_op() {
    let op = DTYPES.op("take");
    let kinds: Vec<_> = op.descriptor().operands.iter().map(|operand| operand.kind).collect();
    assert_eq!(kinds, [OperandKind::Tensor(ElementType::Any); 2]);
    assert_eq!(op.descriptor().outputs[0].element, ElementType::Any);
}
