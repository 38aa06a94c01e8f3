//! Elements and rows at indices against plain loops: exact, on the tier under test, with the bits of every engine.

use gpsimd_testing::gpsimd_emulator::{Element, random_bits};
use gpsimd_testing::{Ops, Tensor, bf16, cases, f16};
use scatter_ops::OP_LIBRARY;

/// A type that is added and multiplied in f32, or modulo 2^bits.
trait Added: Element + PartialEq + core::fmt::Debug {
    fn of_bits(bits: u64) -> Self;
    fn sum(x: Self, added: &[Self]) -> Self;
    fn products(x: &[Self]) -> Vec<Self>;
    /// Greater is later, NaN the greatest.
    fn rank(self) -> (bool, f64);
}

macro_rules! added {
    (floats: $($F:ident $to:expr, $from:expr);+) => {$(
        impl Added for $F {
            fn of_bits(bits: u64) -> Self {
                $from((bits >> 40) as i32 as f32 * 1e-6 - 8.0)
            }

            fn sum(x: Self, added: &[Self]) -> Self {
                $from(added.iter().fold($to(x), |sum, x| sum + $to(*x)))
            }

            fn products(x: &[Self]) -> Vec<Self> {
                let mut product = 1.0;
                x.iter().map(|x| { product *= $to(*x); $from(product) }).collect()
            }

            fn rank(self) -> (bool, f64) {
                let x = $to(self);
                (x.is_nan(), if x.is_nan() { 0.0 } else { f64::from(x) })
            }
        }
    )+};
    (integers: $($I:ident)+) => {$(
        impl Added for $I {
            fn of_bits(bits: u64) -> Self {
                (bits >> 32) as $I
            }

            fn sum(x: Self, added: &[Self]) -> Self {
                added.iter().fold(x, |sum, x| sum.wrapping_add(*x))
            }

            fn products(x: &[Self]) -> Vec<Self> {
                let mut product: $I = 1;
                x.iter().map(|x| { product = product.wrapping_mul(*x); product }).collect()
            }

            fn rank(self) -> (bool, f64) {
                (false, f64::from(self))
            }
        }
    )+};
}

added! { floats: f32 |x: f32| x, |x: f32| x; bf16 bf16::to_f32, bf16::from_f32; f16 f16::to_f32, f16::from_f32 }
added! { integers: i32 i16 i8 u8 }

fn tensor<T: Element>(values: &[T], shape: &[usize]) -> Tensor {
    Tensor::from_vec(values.to_vec(), shape).expect("as many elements as the shape")
}

fn of<T: Element>(tensor: &Tensor) -> &[T] {
    tensor.as_slice().expect("the dtype")
}

fn random<T: Added>(len: usize, seed: u64) -> Vec<T> {
    random_bits(seed).map(T::of_bits).take(len).collect()
}

/// Indices of which some are the same.
fn indices(count: usize, len: usize, seed: u64) -> Vec<i32> {
    random_bits(seed).map(|bits| ((bits >> 33) as usize % len) as i32).take(count).collect()
}

/// Rows, elements of a row, indices of a row: short rows, rows that fit in TCM and that do not, many indices and none.
fn shapes() -> &'static [(usize, usize, usize)] {
    let all = &[
        (3, 5000, 700),
        (37, 9, 4),
        (1, 40, 3000),
        (5, 300, 300),
        (2, 1, 3),
        (1, 1, 1),
        (200, 3, 1),
        (2, 20000, 33),
        (4, 33, 0),
        (0, 5, 5),
    ];
    if cases(100) < 100 { &all[..4] } else { all }
}

fn verify_moves<T: Added>(ops: &Ops, (rows, len, per_row): (usize, usize, usize), seed: u64) {
    let (of_x, of_index) = ([rows, len], [rows, per_row]);
    let (x, src) = (random::<T>(rows * len, seed), random::<T>(rows * per_row, seed + 1));
    let index = indices(rows * per_row, len, seed + 2);
    let (mut set, mut filled) = (x.clone(), x.clone());
    let mut added = vec![vec![]; rows * len];
    let mut gathered = vec![];
    for (i, to) in index.iter().enumerate() {
        let place = i / per_row * len + *to as usize;
        gathered.push(x[place]);
        set[place] = src[i];
        filled[place] = T::of_bits(0);
        added[place].push(src[i]);
    }
    let sums: Vec<T> = x.iter().zip(&added).map(|(x, added)| T::sum(*x, added)).collect();
    let (x, src, index) = (tensor(&x, &of_x), tensor(&src, &of_index), tensor(&index, &of_index));
    let case = format!("{rows} rows of {len}, {per_row} indices each");
    let [found] = ops.run_everywhere("gather", &[&x, &index], &[]);
    assert_eq!(of::<T>(&found), gathered, "gather, {case}");
    let [found] = ops.run_everywhere("scatter", &[&x, &index, &src], &[]);
    assert_eq!(of::<T>(&found), set, "scatter, {case}");
    let value = T::of_bits(0).rank().1 as f32;
    let [found] = ops.run_everywhere("scatter_fill", &[&x, &index], &[value.into()]);
    assert_eq!(of::<T>(&found), filled, "scatter_fill, {case}");
    let [found] = ops.run_everywhere("scatter_add", &[&x, &index, &src], &[]);
    assert_eq!(of::<T>(&found), sums, "scatter_add, {case}");
}

#[test]
fn elements_move_to_and_from_indices() {
    let ops = Ops::of(&OP_LIBRARY);
    for (seed, shape) in shapes().iter().enumerate() {
        verify_moves::<f32>(&ops, *shape, 10 * seed as u64);
    }
}

#[test]
fn every_element_type_moves() {
    let ops = Ops::of(&OP_LIBRARY);
    for shape in [(2, 3000, 300), (9, 20, 10)] {
        verify_moves::<bf16>(&ops, shape, 1);
        verify_moves::<f16>(&ops, shape, 2);
        verify_moves::<i32>(&ops, shape, 3);
        verify_moves::<i16>(&ops, shape, 4);
        verify_moves::<i8>(&ops, shape, 5);
        verify_moves::<u8>(&ops, shape, 6);
    }
}

#[test]
fn the_gradient_of_gather_adds_up_in_the_order_of_the_indices() {
    let ops = Ops::of(&OP_LIBRARY);
    let (rows, len, per_row) = (3, 2500, 400);
    let (dy, index) = (random::<f32>(rows * per_row, 1), indices(rows * per_row, len, 2));
    let mut expected = vec![0.0_f32; rows * len];
    for (i, to) in index.iter().enumerate() {
        expected[i / per_row * len + *to as usize] += dy[i];
    }
    let x = tensor(&vec![f32::NAN; rows * len], &[rows, len]);
    let operands = [&tensor(&dy, &[rows, per_row]), &tensor(&index, &[rows, per_row]), &x];
    let [dx] = ops.run_everywhere("gather_backward", &operands, &[]);
    assert_eq!(of::<f32>(&dx), expected);
}

fn verify_extremes<T: Added>(ops: &Ops, x: &[T], len: usize) {
    let rows = x.len() / len;
    for least in [false, true] {
        let expected: Vec<i32> = x
            .chunks(len)
            .map(|row| {
                let is_before = |a: &T, b: &T| {
                    let (a, b) = (a.rank(), b.rank());
                    if a.0 || b.0 {
                        a.0 && !b.0
                    } else if least {
                        a.1 < b.1
                    } else {
                        a.1 > b.1
                    }
                };
                (0..len).fold(0, |first, i| if is_before(&row[i], &row[first]) { i } else { first }) as i32
            })
            .collect();
        let [found] = ops.run_everywhere("argmax", &[&tensor(x, &[rows, len])], &[least.into()]);
        assert_eq!(of::<i32>(&found), expected, "{rows} rows of {len}, least: {least}");
    }
}

#[test]
fn the_first_of_the_greatest_and_of_the_least_is_found() {
    let ops = Ops::of(&OP_LIBRARY);
    for (rows, len) in [(1, 1), (70, 3), (9, 2000), (2, 40_000)] {
        verify_extremes(&ops, &random::<f32>(rows * len, len as u64), len);
        let few: Vec<f32> =
            random_bits(3).map(|bits| [0.0, -0.0, 1.0, -1.0][(bits >> 60) as usize % 4]).take(rows * len).collect();
        verify_extremes(&ops, &few, len);
        let notable = [f32::NEG_INFINITY, f32::INFINITY, -f32::NAN, 2.0];
        let notable: Vec<f32> =
            random_bits(4).map(|bits| notable[(bits >> 60) as usize % 4]).take(rows * len).collect();
        verify_extremes(&ops, &notable, len);
    }
    verify_extremes(&ops, &[f32::INFINITY, f32::INFINITY], 2);
    verify_extremes(&ops, &[f32::NEG_INFINITY, f32::NEG_INFINITY], 2);
    verify_extremes(&ops, &[i32::MIN, i32::MIN, i32::MAX, i32::MAX], 2);
    verify_extremes(&ops, &random::<bf16>(600, 1), 200);
    verify_extremes(&ops, &random::<f16>(600, 2), 200);
    verify_extremes(&ops, &random::<i16>(600, 3), 200);
    verify_extremes(&ops, &random::<i8>(600, 4), 200);
    verify_extremes(&ops, &random::<u8>(600, 5), 200);
}

fn verify_products<T: Added>(ops: &Ops, x: &[T], len: usize) {
    let expected: Vec<T> = x.chunks(len).flat_map(T::products).collect();
    let [found] = ops.run_everywhere("cumprod", &[&tensor(x, &[x.len() / len, len])], &[]);
    assert_eq!(of::<T>(&found), expected, "rows of {len}");
}

#[test]
fn products_are_those_of_plain_loops() {
    let ops = Ops::of(&OP_LIBRARY);
    for (rows, len) in [(1, 1), (3, 50), (4, 70), (33, 5), (6, 1500)] {
        let x: Vec<f32> = random::<f32>(rows * len, 7).into_iter().map(|x| 1.0 + x * 1e-3).collect();
        verify_products(&ops, &x, len);
        verify_products(&ops, &random::<i32>(rows * len, 8), len);
    }
    let odd = |x: i32| x | 1;
    verify_products(&ops, &random::<i16>(400, 9).into_iter().map(|x| odd(x.into()) as i16).collect::<Vec<_>>(), 100);
    verify_products(&ops, &random::<i8>(400, 9).into_iter().map(|x| odd(x.into()) as i8).collect::<Vec<_>>(), 100);
    verify_products(&ops, &random::<u8>(400, 9).into_iter().map(|x| odd(x.into()) as u8).collect::<Vec<_>>(), 100);
    let near_one = |x: f32| 1.0 + x * 0.01;
    verify_products(
        &ops,
        &random::<f32>(400, 9).into_iter().map(|x| bf16::from_f32(near_one(x))).collect::<Vec<_>>(),
        100,
    );
    verify_products(
        &ops,
        &random::<f32>(400, 9).into_iter().map(|x| f16::from_f32(near_one(x))).collect::<Vec<_>>(),
        100,
    );
}

/// The sum over j of dy\[j\] times the product of all elements up to j but i.
fn gradient_of_products(dy: &[f32], x: &[f32]) -> Vec<f64> {
    let gradient = |i: usize| {
        let mut product: f64 = x[..i].iter().copied().map(f64::from).product();
        let mut sum = 0.0;
        for j in i..x.len() {
            product *= if j == i { 1.0 } else { f64::from(x[j]) };
            sum += f64::from(dy[j]) * product;
        }
        sum
    };
    (0..x.len()).map(gradient).collect()
}

#[test]
fn the_gradient_of_products_is_that_of_float64() {
    let ops = Ops::of(&OP_LIBRARY);
    for (rows, len) in [(1, 1), (5, 20), (4, 300)] {
        for zeros in 0..3 {
            let mut x: Vec<f32> = random::<f32>(rows * len, 7).into_iter().map(|x| 1.0 + x * 1e-2).collect();
            for i in 0..zeros {
                x[(i * 7 + 3) % (rows * len)] = 0.0;
            }
            let dy = random::<f32>(rows * len, 8);
            let shape = [rows, len];
            let of_x = tensor(&x, &shape);
            let y = ops.run("cumprod", &[&of_x], &[]);
            let [dx] = ops.run_everywhere("cumprod_backward", &[&tensor(&dy, &shape), &of_x, &y], &[]);
            let expected = dy.chunks(len).zip(x.chunks(len)).flat_map(|(dy, x)| gradient_of_products(dy, x));
            for (i, (found, expected)) in of::<f32>(&dx).iter().zip(expected).enumerate() {
                let error = (f64::from(*found) - expected).abs();
                assert!(
                    error <= 1e-4 * expected.abs().max(1.0),
                    "{rows} rows of {len}, {zeros} zeros, {i}: {found}, {expected}"
                );
            }
        }
    }
}

#[test]
fn what_is_multiplied_by_zero_is_zero_also_where_it_overflows() {
    let ops = Ops::of(&OP_LIBRARY);
    let x = tensor(&[2.0_f32, 0.0, 1e30, 1e30, 1.0], &[5]);
    let y = ops.run("cumprod", &[&x], &[]);
    assert_eq!(of::<f32>(&y), [2.0, 0.0, 0.0, 0.0, 0.0]);
    let dx = ops.run("cumprod_backward", &[&tensor(&[1.0_f32; 5], &[5]), &x, &y], &[]);
    assert_eq!(of::<f32>(&dx), [1.0, f32::INFINITY, 0.0, 0.0, 0.0]);
}

#[test]
fn tokens_are_in_the_order_of_their_experts() {
    let ops = Ops::of(&OP_LIBRARY);
    for (tokens, count) in [(1, 1), (500, 3), (3000, 8), (700, 40), (0, 5), (10, 300)] {
        let experts = indices(tokens, count, 11);
        let mut order: Vec<i32> = (0..tokens as i32).collect();
        order.sort_by_key(|i| experts[*i as usize]);
        let mut counts = vec![0; count];
        for expert in &experts {
            counts[*expert as usize] += 1;
        }
        let operand = tensor(&experts, &[tokens]);
        let [found, of_experts] = ops.run_everywhere("expert_order", &[&operand], &[count.into()]);
        assert_eq!(of::<i32>(&found), order, "{tokens} tokens, {count} experts");
        assert_eq!(of::<i32>(&of_experts), counts, "{tokens} tokens, {count} experts");
    }
}

#[test]
fn an_index_out_of_range_is_an_error_that_says_which_and_where() {
    let ops = Ops::of(&OP_LIBRARY);
    let (x, src) = (tensor(&vec![0.0_f32; 2 * 3000], &[2, 3000]), tensor(&[0.0_f32; 4], &[2, 2]));
    let refused = |name: &str, operands: &[&Tensor], scalars: &[gpsimd_testing::Scalar]| {
        let message = ops.try_run(name, operands, scalars).unwrap_err().to_string();
        let (place, why) = message.split_once(": index").unwrap_or_else(|| panic!("{message}"));
        assert!(place.starts_with(&format!("op `{name}`, core ")), "{message}");
        format!("index{why}")
    };
    for (values, index, element) in
        [([0, 1, -5, 0], -5, 2), ([0, 1, 2, 3000], 3000, 3), ([i32::MIN, 0, 0, 0], i32::MIN, 0)]
    {
        let of_index = tensor(&values, &[2, 2]);
        let expected =
            format!("index {index}, element {element} of `index`, is out of range: there are 3000 to choose from");
        assert_eq!(refused("gather", &[&x, &of_index], &[]), expected);
        assert_eq!(refused("gather_backward", &[&src, &of_index, &x], &[]), expected);
        assert_eq!(refused("scatter", &[&x, &of_index, &src], &[]), expected);
        assert_eq!(refused("scatter_fill", &[&x, &of_index], &[1.0_f32.into()]), expected);
        assert_eq!(refused("scatter_add", &[&x, &of_index, &src], &[]), expected);
    }
    let nothing = tensor::<f32>(&[], &[2, 0]);
    let of_index = tensor(&[0, 0, 0, 0], &[2, 2]);
    for name in ["gather", "scatter_fill"] {
        let scalars: &[gpsimd_testing::Scalar] = if name == "gather" { &[] } else { &[1.0_f32.into()] };
        let message = refused(name, &[&nothing, &of_index], scalars);
        assert_eq!(message, "index 0, element 0 of `index`, is out of range: there are 0 to choose from");
    }
    let message = refused("expert_order", &[&tensor(&[0, 3, 1], &[3])], &[3_usize.into()]);
    assert_eq!(message, "index 3, element 1 of `experts`, is out of range: there are 3 to choose from");
}

#[test]
fn operands_of_other_shapes_are_refused() {
    let ops = Ops::of(&OP_LIBRARY);
    let x = tensor(&[0.0_f32; 6], &[2, 3]);
    let refused = |name: &str, operands: &[&Tensor]| ops.try_run(name, operands, &[]).unwrap_err().to_string();
    let index = tensor(&[0, 0, 0], &[3, 1]);
    assert_eq!(
        refused("gather", &[&x, &index]),
        "op `gather`: operand `index` has 3 elements in dimension 0, expected 2"
    );
    let index = tensor(&[0, 0], &[2, 1]);
    assert_eq!(
        refused("scatter", &[&x, &index, &x]),
        "op `scatter`: operand `src` has 3 elements in dimension 1, expected 1"
    );
    let message = ops.try_run("argmax", &[&tensor::<f32>(&[], &[2, 0])], &[false.into()]).unwrap_err().to_string();
    assert_eq!(message, "op `argmax`: the last dimension of x is 0: there is no greatest of no elements");
}
