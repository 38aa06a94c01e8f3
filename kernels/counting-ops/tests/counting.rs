//! Counts and marks against plain loops: exact, on the tier under test, with the bits of every engine.

use counting_ops::OP_LIBRARY;
use gpsimd_testing::gpsimd_emulator::random_bits;
use gpsimd_testing::{Ops, Scalar, Tensor, cases};

fn tensor(values: Vec<i32>, shape: &[usize]) -> Tensor {
    Tensor::from_vec(values, shape).expect("as many elements as the shape")
}

fn indices(count: usize, below: usize, seed: u64) -> Vec<i32> {
    random_bits(seed).map(|bits| ((bits >> 33) as usize % below) as i32).take(count).collect()
}

/// Indices and counts: none, fewer and more than there are parts; counts that fit in TCM and that do not.
#[test]
fn indices_are_counted() {
    let ops = Ops::of(&OP_LIBRARY);
    let all = [(0, 3), (1, 1), (5000, 7), (300, 300), (40, 20_000), (0, 0), (17, 2), (20_000, 1700), (90_000, 4000)];
    for (seed, (count, length)) in all.iter().take(if cases(100) < 100 { 5 } else { 9 }).enumerate() {
        // The last count stays 0, where there are two.
        let x = indices(*count, (*length).max(2) - 1, seed as u64);
        let mut expected = vec![0_i32; *length];
        for x in &x {
            expected[*x as usize] += 1;
        }
        let [counts] = ops.run_everywhere("bincount", &[&tensor(x, &[*count])], &[(*length).into()]);
        assert_eq!(counts.as_slice::<i32>().unwrap(), expected, "{count} indices, {length} counts");
    }
}

#[test]
fn indices_of_any_rank_are_counted() {
    let x = tensor(vec![1, 0, 3, 1, 1, 3], &[1, 3, 2]);
    let [counts] = Ops::of(&OP_LIBRARY).run_everywhere("bincount", &[&x], &[5_usize.into()]);
    assert_eq!(counts.as_slice::<i32>().unwrap(), [1, 3, 0, 2, 0]);
}

/// Indices, classes and strides: rows that are parts of a tile and that are many tiles, and no row.
#[test]
fn indices_are_marked() {
    let ops = Ops::of(&OP_LIBRARY);
    let all = [(700, 9, 1), (3, 5000, 2), (50, 33, 2), (1, 1, 1), (0, 5, 2), (3000, 1, 1), (2, 20_000, 1), (4, 3, 0)];
    for (seed, (count, classes, stride)) in all.iter().take(if cases(100) < 100 { 3 } else { 8 }).enumerate() {
        let x = indices(*count, *classes, seed as u64);
        let row = classes * stride;
        let mut expected = vec![0_i32; count * row];
        for (row, x) in expected.chunks_mut(row.max(1)).zip(&x) {
            row[*x as usize * stride] = 1;
        }
        let operand = tensor(x, &[*count]);
        let [y] = ops.run_everywhere("one_hot", &[&operand], &[(*classes).into(), (*stride).into()]);
        assert_eq!(y.ty().shape(), [*count, row]);
        assert_eq!(y.as_slice::<i32>().unwrap(), expected, "{count} indices, {classes} classes, stride {stride}");
    }
}

#[test]
fn an_index_that_is_out_of_range_is_an_error() {
    let ops = Ops::of(&OP_LIBRARY);
    let refused = |name: &str, x: &Tensor, sizes: &[Scalar]| {
        let error = ops.try_run(name, &[x], sizes).unwrap_err().to_string();
        error.lines().next().unwrap_or_default().to_owned()
    };
    for (index, count) in [(-1, 3_usize), (3, 3), (i32::MIN, 3), (0, 0)] {
        let x = tensor(vec![index, 0, 0], &[3]);
        for (name, sizes) in [("bincount", vec![count.into()]), ("one_hot", vec![count.into(), 1_usize.into()])] {
            let message = refused(name, &x, &sizes);
            let expected =
                format!("index {index}, element 0 of `x`, is out of range: there are {count} to choose from");
            assert!(message.contains(&expected), "{name}: {message}");
        }
    }
    // Where counts do not fit in TCM, whichever of them are a core's own.
    let mut far = vec![0; 30_000];
    far[29_999] = 25_000;
    let message = refused("bincount", &tensor(far, &[30_000]), &[25_000_usize.into()]);
    assert!(message.contains("index 25000, element 29999 of `x`, is out of range"), "{message}");
}

#[test]
fn sizes_that_no_tensor_has_are_refused() {
    let ops = Ops::of(&OP_LIBRARY);
    let x = tensor(vec![0], &[1]);
    let refused = |name, sizes: &[Scalar]| ops.try_run(name, &[&x], sizes).unwrap_err().to_string();
    assert!(refused("bincount", &[(1_usize << 31).into()]).contains("more than 2^31 - 1 indices or counts"));
    assert!(refused("one_hot", &[(1_usize << 31).into(), 2_usize.into()]).contains("more than 2^32 - 1 elements"));
    let x = tensor(vec![0], &[1; 8]);
    let message = ops.try_run("one_hot", &[&x], &[1_usize.into(), 1_usize.into()]).unwrap_err().to_string();
    assert!(message.contains("more than 8 dimensions"), "{message}");
}
