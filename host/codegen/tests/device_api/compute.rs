//! Factories, element-wise functions and element types against plain loops.

use gpsimd_emulator::{Element, Mode, Tensor, bf16, f16};

use crate::fixtures::{COMPUTE, engine};

fn run(op: &str, operands: &[&Tensor]) -> Tensor {
    let views: Vec<_> = operands.iter().map(|tensor| tensor.view()).collect();
    let [checked, fast] = [Mode::Checked, Mode::Fast]
        .map(|mode| engine(mode).call(&COMPUTE.op(op), &views, &[]).unwrap_or_else(|error| panic!("{error}")));
    assert_eq!(checked.bytes(), fast.bytes());
    checked
}

fn tensor<T: Element>(data: Vec<T>) -> Tensor {
    let len = data.len();
    Tensor::from_vec(data, &[len]).unwrap()
}

/// A row of the op's output, and what it is of `x` and `y`.
type Row<T> = (usize, fn(T, T) -> T);

#[test]
fn element_wise_functions() {
    let x: Vec<f32> = (0..130).map(|i| (i as f32 - 60.0) * 0.07).collect();
    let y: Vec<f32> = (0..130).map(|i| (i as f32 + 1.0) * 0.11).collect();
    let result = run("elementwise", &[&tensor(x.clone()), &tensor(y.clone())]);
    // The bits where they do not depend on whose mathematics is used.
    let exact: [Row<f32>; 14] = [
        (0, |x, _| x.abs()),
        (1, |x, _| x.ceil()),
        (2, |x, _| x.floor()),
        (13, |x, _| x.clamp(-1.0, 1.0)),
        (14, |x, y| x + y),
        (15, |x, y| x + 2.0 * y),
        (16, |x, _| x + 3.0),
        (17, |x, y| x - y),
        (18, |x, y| x - 0.5 * y),
        (19, |x, _| x - 3.0),
        (20, |x, y| x * y),
        (21, |x, _| x * 3.0),
        (22, |x, y| x / y),
        (23, |x, _| x / 3.0),
    ];
    let close: [Row<f64>; 11] = [
        (3, |x, _| x.sin()),
        (4, |x, _| x.cos()),
        (5, |x, _| x.tan()),
        (6, |_, y| y.ln()),
        (7, |_, y| y.log2()),
        (8, |_, y| y.log10()),
        (9, |x, _| x.exp()),
        (10, |x, y| y.powf(x)),
        (11, |_, y| y * y),
        (12, |x, _| x.exp2()),
        (24, |x, y| x.exp() * y),
    ];
    let rows: Vec<_> = result.as_slice::<f32>().unwrap().chunks_exact(x.len()).collect();
    for (row, function) in exact {
        let expected: Vec<_> = x.iter().zip(&y).map(|(x, y)| function(*x, *y)).collect();
        assert_eq!(rows[row], expected, "row {row}");
    }
    for (row, function) in close {
        for ((x, y), found) in x.iter().zip(&y).zip(rows[row]) {
            let expected = function(f64::from(*x), f64::from(*y));
            let error = (f64::from(*found) - expected).abs();
            assert!(error <= 1e-6 * expected.abs().max(1.0), "row {row}, x {x}, y {y}: {found}, expected {expected}");
        }
    }
}

macro_rules! integers {
    ($($name:ident: $t:ty),*) => {$(
        #[test]
        fn $name() {
            let x: Vec<$t> = (0..100).map(|i| (i * 37 % 101) as $t).chain([<$t>::MIN, <$t>::MAX]).collect();
            let y: Vec<$t> = (0..102).map(|i| (i * 53 % 127) as $t).collect();
            let result = run("integers", &[&tensor(x.clone()), &tensor(y.clone())]);
            let rows: Vec<_> = result.as_slice::<$t>().unwrap().chunks_exact(x.len()).collect();
            for (i, (&x, &y)) in x.iter().zip(&y).enumerate() {
                let found: Vec<_> = rows.iter().map(|row| row[i]).collect();
                // The product is stored before its absolute value is taken.
                let negated = x.wrapping_neg();
                let absolute = i64::from(negated).unsigned_abs() as $t;
                assert_eq!(found, [x & y, x | y, !x, x.wrapping_add(y), absolute], "{x} and {y}");
            }
        }
    )*};
}
integers!(integers_of_32_bits: i32, integers_of_16_bits: i16, integers_of_8_bits: i8, unsigned_bytes: u8);

#[test]
fn factories() {
    let floats = [1.0, 1.0, 1.0, 2.5, 2.5, 2.5, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
    assert_eq!(run("factories", &[&tensor(vec![0.0_f32])]).as_slice::<f32>().unwrap(), floats);
    let bf16s = run("factories", &[&tensor(vec![bf16::ZERO])]);
    assert_eq!(bf16s.as_slice::<bf16>().unwrap(), floats.map(bf16::from_f32));
    let f16s = run("factories", &[&tensor(vec![f16::ZERO])]);
    assert_eq!(f16s.as_slice::<f16>().unwrap(), floats.map(f16::from_f32));
    let ints = run("factories", &[&tensor(vec![0_i32])]);
    assert_eq!(ints.as_slice::<i32>().unwrap(), floats.map(|x| x as i32));
}

/// Every f16 or bf16 in f32 and back, through streams of 4 KiB.
#[test]
fn narrow_floats_convert_as_everywhere() {
    let like = tensor(vec![0.0_f32]);
    let f16s: Vec<_> = (0..=u16::MAX).map(f16::from_bits).filter(|x| !x.is_nan()).collect();
    let wide = run("convert", &[&tensor(f16s.clone()), &like]);
    assert!(wide.as_slice::<f32>().unwrap().iter().zip(&f16s).all(|(wide, x)| wide.to_bits() == x.to_f32().to_bits()));
    let bf16s: Vec<_> = (0..=u16::MAX).map(bf16::from_bits).filter(|x| !x.is_nan()).collect();
    let wide = run("convert", &[&tensor(bf16s.clone()), &like]);
    assert!(wide.as_slice::<f32>().unwrap().iter().zip(&bf16s).all(|(wide, x)| wide.to_bits() == x.to_f32().to_bits()));

    // Every rounding: halves of the last place and what is next to them, in every binade.
    let wide: Vec<_> = (0..1_u32 << 16)
        .flat_map(|high| {
            [0, 1, 0x0fff, 0x1000, 0x1001, 0x7fff, 0x8000, 0x8001].map(|low| f32::from_bits(high << 16 | low))
        })
        .filter(|x| !x.is_nan())
        .collect();
    let narrow = run("convert", &[&tensor(wide.clone()), &tensor(vec![f16::ZERO])]);
    for (narrow, x) in narrow.as_slice::<f16>().unwrap().iter().zip(&wide) {
        assert_eq!(narrow.to_bits(), f16::from_f32(*x).to_bits(), "{x:e}");
    }
    let narrow = run("convert", &[&tensor(wide.clone()), &tensor(vec![bf16::ZERO])]);
    for (narrow, x) in narrow.as_slice::<bf16>().unwrap().iter().zip(&wide) {
        assert_eq!(narrow.to_bits(), bf16::from_f32(*x).to_bits(), "{x:e}");
    }
}
