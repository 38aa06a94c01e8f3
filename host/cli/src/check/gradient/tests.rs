use gpsimd_emulator::gpsimd_abi::LibraryTable;
use gpsimd_emulator::{OpLibrary, Scalar, TensorType};

use super::*;
use crate::libraries::Libraries;

/// What is found of an op on operands of these shapes.
fn find(table: &'static LibraryTable, op: &str, shapes: &[&[usize]], scalars: &[Scalar]) -> (Option<Finding>, u64) {
    let tensors = shapes.iter().enumerate().map(|(seed, shape)| {
        let ty = TensorType::new(DType::F32, shape).unwrap();
        // At least as large as what is tried, with either sign.
        let away_from_zero = |x: f32| if x.abs() < 0.01 { 0.5 } else { x };
        Tensor::of_numbers(ty, normal(seed as u64 + 1, ty.len()).into_iter().map(away_from_zero))
    });
    let tensors = tensors.collect();
    find_on(table, op, &Operands { tensors, scalars: scalars.to_vec() })
}

fn find_on(table: &'static LibraryTable, op: &str, operands: &Operands) -> (Option<Finding>, u64) {
    let library = OpLibrary::from_static(table).unwrap();
    let op = library.op(op).unwrap();
    let mut launcher = Launcher::new(Libraries::of(library));
    let reference = launcher.launch(op.name(), operands, &Setting::REFERENCE).unwrap();
    let mut gradients = Gradients::default();
    let case = Case { op: &op, operands, reference: &reference };
    let found = gradients.judge(&mut launcher, &case, &mut Random::new(1, 1)).unwrap();
    (found, gradients.comparisons())
}

fn faults(op: &str, shapes: &[&[usize]]) -> String {
    find(&gradient_ops::OP_LIBRARY, op, shapes, &[]).0.map_or_else(|| "nothing".to_owned(), |finding| finding.message)
}

#[test]
fn gradients_that_are_right_pass() {
    let right = |op: &str, shapes: &[&[usize]], scalars: &[Scalar]| {
        let (finding, comparisons) = find(&bert_ops::OP_LIBRARY, op, shapes, scalars);
        assert_eq!(finding, None, "{op} {shapes:?}");
        assert!(comparisons >= shapes.len() as u64, "{op}: {comparisons}");
    };
    for rows in [1, 3, 17] {
        for columns in [1, 2, 13, 16, 40] {
            right("bias_gelu_forward", &[&[rows, columns], &[columns]], &[]);
            if columns > 1 {
                right("layer_norm_forward", &[&[rows, columns], &[columns], &[columns]], &[Scalar::F32(1e-5)]);
            }
        }
    }
}

#[test]
fn a_wrong_gradient_is_found_at_every_size() {
    for len in [1, 2, 16, 17, 100, 1009] {
        let found = faults("forgets_a_factor", &[&[len]]);
        assert!(found.contains("operand `x` is wrong") && found.contains("`grad` says"), "{found}");
        assert!(faults("is_off_by_a_hundredth", &[&[len]]).contains("nearly_square_backward"));
        assert!(faults("forgets_the_last_element", &[&[len]]).contains("says 0.0"));
        let found = faults("takes_a_product_for_a_sum", &[&[3, len], &[len]]);
        assert!(found.contains("is wrong"), "{len}: {found}");
    }
}

#[test]
fn a_gradient_that_fails_is_found() {
    let found = faults("has_a_gradient_that_fails", &[&[3]]);
    assert!(found.contains("`refuses_all` fails: ") && found.contains("not one element is welcome"), "{found}");
}

#[test]
fn a_gradient_that_is_no_number_is_told_with_the_derivative() {
    for len in [1, 3, 40] {
        let zeros = Tensor::zeros(TensorType::new(DType::F32, &[len]).unwrap());
        let operands = Operands { tensors: vec![zeros], scalars: Vec::new() };
        let (found, _) = find_on(&excepted_ops::OP_LIBRARY, "divides_by_0", &operands);
        let found = found.unwrap().message;
        assert!(found.contains("`ratio_backward` says NaN") && !found.contains("NaN by finite"), "{found}");
    }
    assert_eq!(find(&excepted_ops::OP_LIBRARY, "divides_by_0", &[&[5]], &[]).0, None);
}

#[test]
fn where_there_are_two_derivatives_either_is_right() {
    assert_eq!(faults("relu", &[&[50]]), "nothing");
    for len in 1..20 {
        let zeros = Tensor::zeros(TensorType::new(DType::F32, &[len]).unwrap());
        let (found, comparisons) =
            find_on(&gradient_ops::OP_LIBRARY, "relu", &Operands { tensors: vec![zeros], scalars: Vec::new() });
        assert_eq!(found, None);
        assert!(comparisons > 0);
    }
}

#[test]
fn what_rounding_hides_is_not_tried() {
    let huge = Tensor::from_vec(vec![1e30_f32, 1.0], &[2]).unwrap();
    let operands = Operands { tensors: vec![huge], scalars: Vec::new() };
    assert_eq!(find_on(&gradient_ops::OP_LIBRARY, "forgets_a_factor", &operands), (None, 0));
}

/// Operands of `excepted_ops` beside an x of 3 rows of 2.
fn excepted(op: &str, index: Option<&[i32]>, row: Option<i32>) -> (Option<Finding>, u64) {
    let x = Tensor::from_vec(vec![0.5_f32, 1.5, -2.0, 0.25, 3.0, -1.0], &[3, 2]).unwrap();
    let index = index.map(|index| Tensor::from_vec(index.to_vec(), &[3, 2]).unwrap());
    let tensors = [x].into_iter().chain(index).collect();
    find_on(&excepted_ops::OP_LIBRARY, op, &Operands { tensors, scalars: row.into_iter().map(Scalar::I32).collect() })
}

#[test]
fn what_is_declared_not_to_be_the_derivative_is_left_out() {
    // Six elements and two directions; two of a row that is there are left out.
    for (row, compared) in [(-1, 8), (0, 6), (1, 6), (2, 6), (3, 8)] {
        let (found, comparisons) = excepted("keeps_a_row", None, Some(row));
        assert_eq!((found, comparisons), (None, compared), "row {row}");
    }
}

#[test]
fn what_is_declared_hides_nothing_elsewhere() {
    for row in -1..4 {
        let message = excepted("is_wrong_in_other_rows", None, Some(row)).0.expect("it is wrong in other rows").message;
        assert!(message.contains(if row == 0 { "element 2" } else { "element 0" }), "row {row}: {message}");
    }
    let found = |index: &[i32]| excepted("is_wrong_where_it_is_last", Some(index), None).0;
    for (index, element) in [([0, 1, 0, 1, 2, 3], 0), ([1, 1, 0, 1, 2, 3], 1), ([1, 1, 7, 7, -2, -2], 1)] {
        let message = found(&index).expect("the last of equal ones counts").message;
        assert!(message.contains(&format!("along its element {element}, of 6")), "{index:?}: {message}");
    }
}
