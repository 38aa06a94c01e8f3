//! Runs of equal elements and what masks select, against plain loops: exact, with the bits of every engine.

use gpsimd_testing::gpsimd_emulator::{Element, random_bits};
use gpsimd_testing::{Ops, Tensor, bf16, cases, digest, f16};
use sort_ops::OP_LIBRARY;

/// Elements that are equal to the one before, but for one in `one_in`.
fn bits(len: usize, one_in: u64) -> Vec<u64> {
    let mut value = 0;
    let next = |bits: u64| {
        if bits.is_multiple_of(one_in) {
            value = bits >> 60;
        }
        value
    };
    random_bits(len as u64 + one_in).map(next).take(len).collect()
}

fn verify_runs<T: Element + PartialEq>(ops: &Ops, x: &[T], shape: &[usize]) {
    let x_of_shape = Tensor::from_vec(x.to_vec(), shape).unwrap();
    let (mut expected, mut of_elements, mut of_runs) = (Vec::new(), Vec::new(), Vec::new());
    for (i, x_i) in x.iter().enumerate() {
        if i == 0 || *x_i != x[i - 1] {
            expected.push(*x_i);
            of_runs.push(0);
        }
        *of_runs.last_mut().unwrap() += 1;
        of_elements.push(expected.len() as i32 - 1);
    }
    let runs = expected.len() as i32;
    of_runs.resize(x.len(), 0);
    expected.resize(x.len(), T::zeroed());
    let expected = digest(&Tensor::from_vec(expected, &[x.len()]).unwrap());
    for (with_inverse, with_lengths) in [(1_usize, 1_usize), (0, 1), (1, 0), (0, 0)] {
        let sizes = [with_inverse.into(), with_lengths.into()];
        let [values, inverse, lengths, count] = ops.run_everywhere("unique_consecutive", &[&x_of_shape], &sizes);
        assert_eq!(count.as_slice::<i32>().unwrap(), [runs]);
        assert_eq!(digest(&values), expected);
        assert_eq!(inverse.ty().shape(), if with_inverse == 0 { &[0] } else { shape });
        assert_eq!(inverse.as_slice::<i32>().unwrap(), &of_elements[..with_inverse * x.len()]);
        assert_eq!(lengths.as_slice::<i32>().unwrap(), &of_runs[..with_lengths * x.len()]);
    }
}

fn lengths() -> &'static [usize] {
    if cases(100) < 100 { &[0, 1, 700] } else { &[0, 1, 2, 63, 64, 65, 700, 16_384, 16_385, 70_000] }
}

#[test]
fn flags_are_0_or_1() {
    let ops = Ops::of(&OP_LIBRARY);
    let (x, counts) = (Tensor::from_vec(vec![1.0_f32], &[1]).unwrap(), Tensor::from_vec(vec![1], &[1]).unwrap());
    for sizes in [[2_usize, 0], [0, 2]] {
        let sizes = sizes.map(gpsimd_testing::Scalar::from);
        for (op, operands) in
            [("unique_consecutive", &[&x][..]), ("unique_consecutive_of_parts", &[&x, &counts, &counts])]
        {
            let message = ops.try_run(op, operands, &sizes).unwrap_err().to_string();
            assert!(message.contains("with_inverse and with_lengths are 0 or 1"), "{op}: {message}");
        }
    }
}

#[test]
fn runs_of_every_length_are_found() {
    let ops = Ops::of(&OP_LIBRARY);
    for len in lengths() {
        for one_in in [1, 3, 50, 40_000] {
            let x: Vec<f32> = bits(*len, one_in).into_iter().map(|bits| bits as f32).collect();
            verify_runs(&ops, &x, &[*len]);
        }
    }
}

#[test]
fn runs_of_every_element_type_are_found() {
    let (ops, bits) = (Ops::of(&OP_LIBRARY), bits(900, 3));
    let as_f32 = |bits: &u64| *bits as f32;
    verify_runs(&ops, &bits.iter().map(|x| bf16::from_f32(as_f32(x))).collect::<Vec<_>>(), &[30, 30]);
    verify_runs(&ops, &bits.iter().map(|x| f16::from_f32(as_f32(x))).collect::<Vec<_>>(), &[2, 15, 30]);
    verify_runs(&ops, &bits.iter().map(|x| *x as i32 - 8).collect::<Vec<_>>(), &[900]);
    verify_runs(&ops, &bits.iter().map(|x| *x as i16 - 8).collect::<Vec<_>>(), &[900]);
    verify_runs(&ops, &bits.iter().map(|x| *x as i8 - 8).collect::<Vec<_>>(), &[900]);
    verify_runs(&ops, &bits.iter().map(|x| *x as u8).collect::<Vec<_>>(), &[900]);
}

#[test]
fn every_nan_is_a_run_and_zeros_are_one() {
    let x = [f32::NAN, f32::NAN, 0.0, -0.0, 0.0, f32::INFINITY, f32::INFINITY, f32::NAN];
    verify_runs(&Ops::of(&OP_LIBRARY), &x, &[2, 4]);
    verify_runs(&Ops::of(&OP_LIBRARY), &[3.0_f32], &[]);
}

fn verify_mask<T: Element>(ops: &Ops, x: &[T], mask: &[u8], shape: &[usize]) {
    let of_mask = Tensor::from_vec(mask.to_vec(), shape).unwrap();
    let operands = [&Tensor::from_vec(x.to_vec(), shape).unwrap(), &of_mask];
    let [values, count] = ops.run_everywhere("masked_select", &operands, &[]);
    let mut expected: Vec<T> = x.iter().zip(mask).filter(|(_, mask)| **mask != 0).map(|(x, _)| *x).collect();
    assert_eq!(count.as_slice::<i32>().unwrap(), [expected.len() as i32]);
    expected.resize(x.len(), T::zeroed());
    assert_eq!(digest(&values), digest(&Tensor::from_vec(expected, &[x.len()]).unwrap()));
}

#[test]
fn masks_select_elements_in_their_order() {
    let ops = Ops::of(&OP_LIBRARY);
    for len in lengths() {
        for one_in in [1, 3, 50, u64::MAX] {
            let mask: Vec<u8> = random_bits(one_in).map(|bits| u8::from(bits % one_in == 0) * 3).take(*len).collect();
            let x: Vec<f32> = (0..*len).map(|i| i as f32).collect();
            verify_mask(&ops, &x, &mask, &[*len]);
            // What is selected of x goes back to where it was.
            let values: Vec<f32> = (1..=*len).map(|i| i as f32).collect();
            let operands =
                [&Tensor::from_vec(values, &[*len]).unwrap(), &Tensor::from_vec(mask.clone(), &[*len]).unwrap()];
            let [dx] = ops.run_everywhere("masked_select_backward", &operands, &[]);
            let mut selected = 0.0;
            for (dx, mask) in dx.as_slice::<f32>().unwrap().iter().zip(mask) {
                selected += f32::from(u8::from(mask != 0));
                assert_eq!(*dx, if mask != 0 { selected } else { 0.0 });
            }
        }
    }
}

#[test]
fn every_element_type_is_selected() {
    let (ops, bits) = (Ops::of(&OP_LIBRARY), bits(900, 1));
    let mask: Vec<u8> = bits.iter().map(|bits| (bits % 3) as u8).collect();
    verify_mask(&ops, &bits.iter().map(|x| bf16::from_f32(*x as f32)).collect::<Vec<_>>(), &mask, &[30, 30]);
    verify_mask(&ops, &bits.iter().map(|x| f16::from_f32(*x as f32)).collect::<Vec<_>>(), &mask, &[2, 15, 30]);
    verify_mask(&ops, &bits.iter().map(|x| *x as i32 - 8).collect::<Vec<_>>(), &mask, &[900]);
    verify_mask(&ops, &bits.iter().map(|x| *x as i16 - 8).collect::<Vec<_>>(), &mask, &[900]);
    verify_mask(&ops, &bits.iter().map(|x| *x as i8 - 8).collect::<Vec<_>>(), &mask, &[900]);
    verify_mask(&ops, &bits.iter().map(|x| *x as u8).collect::<Vec<_>>(), &mask, &[900]);
    verify_mask(&ops, &[1.0_f32], &[1], &[]);
}

#[test]
fn a_mask_of_another_shape_is_refused() {
    let ops = Ops::of(&OP_LIBRARY);
    let (x, mask) =
        (Tensor::from_vec(vec![1.0_f32; 6], &[2, 3]).unwrap(), Tensor::from_vec(vec![1_u8; 6], &[6]).unwrap());
    let error = ops.try_run("masked_select", &[&x, &mask], &[]).unwrap_err();
    assert!(error.to_string().contains("`mask`"), "{error}");
}
