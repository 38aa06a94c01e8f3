//! The tile walk on any shape, broadcast, pool, number of cores and mode, against the definition element by element.
#![allow(missing_docs, reason = "a test binary's op library is nobody's interface")]

use gpsimd::prelude::*;
use gpsimd_emulator::{Engine, Launch, LaunchError, Mode, Op, OpLibrary, Tensor, TensorView};
use gpsimd_tests::without_lines;
use insta::assert_snapshot;
use proptest::prelude::*;

#[expect(clippy::unnecessary_wraps, reason = "the signature of a shape function")]
fn like_first<const N: usize>(types: [&TensorType; N]) -> Result<TensorType, ShapeError> {
    Ok(*types[0])
}
fn like_1(x: &TensorType) -> Result<TensorType, ShapeError> {
    like_first([x])
}
fn like_2(x: &TensorType, a: &TensorType) -> Result<TensorType, ShapeError> {
    like_first([x, a])
}
fn like_3(x: &TensorType, a: &TensorType, b: &TensorType) -> Result<TensorType, ShapeError> {
    like_first([x, a, b])
}
fn like_a(_: &TensorType, a: &TensorType) -> Result<TensorType, ShapeError> {
    like_first([a])
}

/// y = x + 2 a + 3 b
#[custom_op(shape = like_3)]
fn adds<T: Float>(core: &Core, x: Input<T>, a: Input<T>, b: Input<T>, y: Output<T>) -> OpResult {
    core.map((&x, &a, &b), y, |(x, a, b)| T::from_f32(x.to_f32() + 2.0 * a.to_f32() + 3.0 * b.to_f32()))
}

/// y = x a + the sum over the row of x a, which is made of the numbers kept.
#[custom_op(shape = like_2)]
fn keeps(core: &Core, x: Input<f32>, a: Input<f32>, y: Output<f32>) -> OpResult {
    core.rows((&x, &a), y).keeping::<f32>().each(|row| {
        let mut products = row.keep(|(x, a)| x * a);
        let sum = products.fold(Lanes::splat(0.0), |sum, product| sum + product)?.sum();
        products.map(|product, _| product + sum)
    })
}

/// The sums of the row up to every element, plus the row's number.
#[custom_op(shape = like_1, replaces = x)]
fn accumulates(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    core.rows(&x, y).each(|row| {
        let mut sum = row.index() as f32;
        row.map(|x| {
            sum += x;
            sum
        })
    })
}

/// state: `[3, N]` -> a + g, b g, c - a
#[custom_op(shape = like_2, replaces = state)]
fn updates(core: &Core, state: Input<f32>, g: Input<f32>, new: Output<f32>) -> OpResult {
    let len = g.len();
    let [a, b, c] = [state.part(..len), state.part(len..2 * len), state.part(2 * len..)];
    let (new_a, rest) = new.split_at(len);
    let (new_b, new_c) = rest.split_at(len);
    core.map((&a, &b, &c, &g), (new_a, new_b, new_c), |(a, b, c, g)| (a + g, b * g, c - a))
}

/// state: `[2, N]` -> its rows in the other order: each operand lies where the other's output does.
#[custom_op(shape = like_1, replaces = state)]
fn swaps(core: &Core, state: Input<f32>, new: Output<f32>) -> OpResult {
    let len = state.len() / 2;
    let (a, b) = (state.part(..len), state.part(len..));
    let (new_a, new_b) = new.split_at(len);
    core.map((&b, &a), (new_a, new_b), |(b, a)| (b, a))
}

/// y = x + a, of two dtypes.
#[custom_op(shape = like_a)]
fn widens(core: &Core, x: Input<bf16>, a: Input<f32>, y: Output<f32>) -> OpResult {
    core.map((&x, &a), y, |(x, a)| x.to_f32() + a)
}

/// Writes parts of two sizes.
#[custom_op(shape = like_1)]
fn writes_parts_of_two_sizes(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    let (first, rest) = y.split_at(3);
    core.map(&x.part(..3), (first, rest), |x| (x, x))
}

fn one_more(x: &TensorType, _to: &TensorType) -> Result<TensorType, ShapeError> {
    x.with_shape(&[x.dim(0) + 1, x.dim(1)])
}

/// Scatters to one row more than there are.
#[custom_op(shape = one_more)]
fn scatters_to_more(core: &Core, x: Input<f32>, to: Input<i32>, y: Output<f32>) -> OpResult {
    core.scatter_rows(&x, &to, y)
}

/// Rows of x in another order, gathered or, of an odd number, scattered: from what it may replace.
#[custom_op(shape = like_2, replaces = x)]
fn permutes(core: &Core, x: Input<f32>, order: Input<i32>, y: Output<f32>) -> OpResult {
    if x.dim(0) % 2 == 1 { core.scatter_rows(&x, &order, y) } else { core.map(&x.rows_at(&order), y, |x| x) }
}

fn middle(x: &TensorType) -> Result<TensorType, ShapeError> {
    x.expect_rank(2)?.with_shape(&[x.dim(0), x.dim(1).saturating_sub(4)])
}

/// The columns of x without two at either end, narrowed one by one.
#[custom_op(shape = middle)]
fn narrows_twice(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    core.map(&x.narrow(1, 1..).narrow(1, 1..).narrow(1, ..y.dim(1)), y, |x| x)
}

op_library! {
    name: "walk_ops",
    ops: [
        adds,
        keeps,
        accumulates,
        updates,
        swaps,
        widens,
        writes_parts_of_two_sizes,
        scatters_to_more,
        permutes,
        narrows_twice,
    ],
}

fn op(name: &str) -> Op {
    OpLibrary::from_static(&OP_LIBRARY).expect("the library").op(name).expect("the op")
}

/// Small integers, which f32 and bf16 add and multiply exactly in any order.
fn integers(shape: &[usize], seed: usize) -> Tensor {
    let value = |i: usize| ((i * 7 + i / 5 + seed * 13) % 9) as f32 - 4.0;
    Tensor::from_vec((0..shape.iter().product()).map(value).collect(), shape).expect("a tensor")
}

/// The element of an operand that meets element `index` of a tensor of `shape`.
fn element(operand: &Tensor, shape: &[usize], mut index: usize) -> f32 {
    let own = operand.ty();
    let (mut at, mut stride) = (0, 1);
    for (i, &size) in shape.iter().enumerate().rev() {
        let Some(dim) = (i + own.rank()).checked_sub(shape.len()) else { break };
        if own.shape()[dim] != 1 {
            at += index % size * stride;
        }
        stride *= own.shape()[dim];
        index /= size;
    }
    operand.as_slice::<f32>().expect("f32")[at]
}

#[derive(Debug, Clone)]
struct Setup {
    cores: usize,
    tcm_bytes: usize,
}

impl Setup {
    /// From pools that hold one vector of each tensor to such that hold everything.
    fn any() -> impl Strategy<Value = Self> {
        (1..=8_usize, 5..100_usize).prop_map(|(cores, lines)| Self { cores, tcm_bytes: 64 * lines })
    }

    fn engines(&self) -> [Engine; 3] {
        let engine = Engine::builder().cores(self.cores).threads(2).tcm_bytes(self.tcm_bytes);
        [
            engine.clone().build(),
            engine.clone().mode(Mode::Fast).build(),
            engine.clone().mode(Mode::Fast).direct(false).build(),
        ]
        .map(|engine| engine.expect("an engine"))
    }

    /// The result, the same in every mode.
    fn run(&self, name: &str, operands: &[&Tensor]) -> Tensor {
        let views: Vec<_> = operands.iter().map(|operand| operand.view()).collect();
        let [checked, fast, copying] =
            self.engines().map(|engine| engine.call(&op(name), &views, &[]).unwrap_or_else(|error| panic!("{error}")));
        assert_eq!(checked, fast);
        assert_eq!(checked, copying);
        checked
    }

    /// The same in the place of `state`.
    fn run_in_place(&self, name: &str, state: &Tensor, others: &[&Tensor]) -> Tensor {
        let views: Vec<TensorView<'_>> = others.iter().map(|operand| operand.view()).collect();
        let results = self.engines().map(|engine| {
            let mut state = state.clone();
            let launch = Launch { tensors: &views, scalars: &[], outputs: vec![state.view_mut()] };
            engine.launch_in_place(&op(name), launch).unwrap_or_else(|error| panic!("{error}"));
            state
        });
        assert_eq!(results[0], results[1]);
        assert_eq!(results[0], results[2]);
        results[0].clone()
    }
}

/// A shape, and one that is broadcast to it, its last dimension aside: sizes of 1, and fewer dimensions.
fn shapes(operands: usize) -> impl Strategy<Value = (Vec<usize>, Vec<Vec<usize>>)> {
    let last = prop_oneof![0..4_usize, 14..19_usize, 60..70_usize, Just(150)];
    let outer = prop::collection::vec(prop_oneof![4 => 1..5_usize, 1 => Just(0)], 0..4);
    (outer, last).prop_flat_map(move |(mut shape, last)| {
        shape.push(last);
        let rank = shape.len();
        let one = (prop::collection::vec(any::<bool>(), rank), 0..rank);
        (Just(shape), prop::collection::vec(one, operands)).prop_map(move |(shape, choices)| {
            let broadcast = |(ones, skipped): (Vec<bool>, usize)| -> Vec<usize> {
                let size = |i: usize| if ones[i] && i + 1 < rank { 1 } else { shape[i] };
                (skipped..rank).map(size).collect()
            };
            let operands = choices.into_iter().map(broadcast).collect();
            (shape, operands)
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_map_is_the_formula_at_every_element((shape, others) in shapes(2), setup in Setup::any()) {
        let (x, a, b) = (integers(&shape, 0), integers(&others[0], 1), integers(&others[1], 2));
        let expected = (0..x.ty().len())
            .map(|i| element(&x, &shape, i) + 2.0 * element(&a, &shape, i) + 3.0 * element(&b, &shape, i))
            .collect();
        prop_assert_eq!(setup.run("adds", &[&x, &a, &b]), Tensor::from_vec(expected, &shape).expect("a tensor"));
    }

    #[test]
    fn a_row_that_keeps_values_is_the_formula_whatever_fits((shape, others) in shapes(1), setup in Setup::any()) {
        let (x, a) = (integers(&shape, 3), integers(&others[0], 4));
        let products: Vec<f32> =
            (0..x.ty().len()).map(|i| element(&x, &shape, i) * element(&a, &shape, i)).collect();
        let columns = shape[shape.len() - 1].max(1);
        let sums: Vec<f32> = products.chunks(columns).map(|row| row.iter().sum()).collect();
        let expected = products.iter().enumerate().map(|(i, product)| product + sums[i / columns]).collect();
        prop_assert_eq!(setup.run("keeps", &[&x, &a]), Tensor::from_vec(expected, &shape).expect("a tensor"));
    }

    #[test]
    fn a_row_is_mapped_in_its_order_in_place_and_not((shape, _) in shapes(0), setup in Setup::any()) {
        let x = integers(&shape, 5);
        let columns = shape[shape.len() - 1].max(1);
        let mut expected = x.as_slice::<f32>().expect("f32").to_vec();
        for (number, row) in expected.chunks_mut(columns).enumerate() {
            let mut sum = number as f32;
            for x in row {
                sum += *x;
                *x = sum;
            }
        }
        let expected = Tensor::from_vec(expected, &shape).expect("a tensor");
        prop_assert_eq!(&setup.run("accumulates", &[&x]), &expected);
        prop_assert_eq!(&setup.run_in_place("accumulates", &x, &[]), &expected);
    }

    #[test]
    fn several_outputs_are_written_in_place_and_not(len in 0..600_usize, setup in Setup::any()) {
        let (state, g) = (integers(&[3, len], 6), integers(&[len], 7));
        let (s, gs) = (state.as_slice::<f32>().expect("f32"), g.as_slice::<f32>().expect("f32"));
        let expected = (0..3 * len)
            .map(|i| match i / len {
                0 => s[i] + gs[i],
                1 => s[i] * gs[i - len],
                _ => s[i] - s[i - 2 * len],
            })
            .collect();
        let expected = Tensor::from_vec(expected, &[3, len]).expect("a tensor");
        prop_assert_eq!(&setup.run("updates", &[&state, &g]), &expected);
        prop_assert_eq!(&setup.run_in_place("updates", &state, &[&g]), &expected);
    }
}

#[test]
fn operands_of_two_dtypes_meet() {
    let setup = Setup { cores: 3, tcm_bytes: 512 };
    let x = Tensor::from_vec((0..100).map(|i| gpsimd_emulator::bf16::from_f32(i as f32)).collect(), &[100]);
    let sums = setup.run("widens", &[&x.expect("a tensor"), &integers(&[100], 0)]);
    let a = integers(&[100], 0);
    let expected = a.as_slice::<f32>().expect("f32").iter().zip(0_u8..).map(|(a, i)| f32::from(i) + a);
    assert_eq!(sums.as_slice::<f32>().expect("f32"), expected.collect::<Vec<_>>());
}

#[test]
fn operands_that_lie_where_other_outputs_do_are_read_before_they_are_written() {
    for (cores, tcm_bytes) in [(1, 4096), (1, 256), (8, 256)] {
        let setup = Setup { cores, tcm_bytes };
        let state = integers(&[2, 140], 1);
        let swapped = setup.run("swaps", &[&state]);
        let (before, after) = (state.as_slice::<f32>().expect("f32"), swapped.as_slice::<f32>().expect("f32"));
        assert_eq!((&after[..140], &after[140..]), (&before[140..], &before[..140]));
        assert_eq!(setup.run_in_place("swaps", &state, &[]), swapped);
    }
}

fn message(name: &str, operands: &[&Tensor]) -> String {
    let views: Vec<_> = operands.iter().map(|operand| operand.view()).collect();
    let [checked, fast] = [Mode::Checked, Mode::Fast].map(|mode| {
        let engine = Engine::builder().mode(mode).build().expect("an engine");
        let Err(LaunchError::Kernel(error)) = engine.call(&op(name), &views, &[]) else { panic!("{name} fails") };
        error
    });
    assert_eq!(checked, fast);
    without_lines(checked)
}

#[test]
fn an_operand_of_a_size_that_cannot_be_broadcast_is_an_error() {
    assert_snapshot!(message("adds", &[&integers(&[4, 3, 5], 0), &integers(&[2, 5], 0), &integers(&[5], 0)]));
}

#[test]
fn a_last_dimension_is_not_broadcast() {
    assert_snapshot!(message("adds", &[&integers(&[4, 5], 0), &integers(&[5], 0), &integers(&[4, 1], 0)]));
}

#[test]
fn an_operand_of_more_dimensions_than_the_output_is_an_error() {
    assert_snapshot!(message("adds", &[&integers(&[5], 0), &integers(&[5], 0), &integers(&[1, 5], 0)]));
}

#[test]
fn outputs_of_two_sizes_are_an_error() {
    assert_snapshot!(message("writes_parts_of_two_sizes", &[&integers(&[10], 0)]));
}

#[test]
fn a_row_that_nothing_is_scattered_to_is_an_error() {
    let to = Tensor::from_vec(vec![9, 1, 0, 2, 4, 5, 6, 8, 7], &[9]).expect("a tensor");
    assert_snapshot!(message("scatters_to_more", &[&integers(&[9, 2], 0), &to]));
}

#[test]
fn a_dimension_is_narrowed_in_what_it_was_narrowed_to() {
    let engine = Engine::builder().build().expect("an engine");
    let y = engine.call(&op("narrows_twice"), &[integers(&[3, 9], 0).view()], &[]).expect("a launch");
    let x = integers(&[3, 9], 0);
    let expected = x.as_slice::<f32>().unwrap().chunks(9).flat_map(|row| row[2..7].to_vec());
    assert_eq!(y.as_slice::<f32>().unwrap(), expected.collect::<Vec<_>>());
}

#[test]
fn rows_that_lie_apart_are_not_read_from_what_is_replaced_in_place() {
    for rows in [20_usize, 21] {
        let order: Vec<i32> = (0..rows as i32).rev().collect();
        let (x, order) = (integers(&[rows, 2], 0), Tensor::from_vec(order, &[rows]).expect("a tensor"));
        for mode in [Mode::Checked, Mode::Fast] {
            let engine = Engine::builder().mode(mode).build().expect("an engine");
            let mut in_place = x.clone();
            let launch = Launch { tensors: &[order.view()], scalars: &[], outputs: vec![in_place.view_mut()] };
            let error = engine.launch_in_place(&op("permutes"), launch).expect_err("in place");
            assert_snapshot!(format!("in_place_{rows}_{mode:?}"), without_lines(error));
            // Out of place, checked mode says what it would be in place.
            let y = engine.call(&op("permutes"), &[x.view(), order.view()], &[]);
            assert_eq!(y.is_err(), mode == Mode::Checked);
        }
    }
}

#[test]
fn a_pool_without_room_for_a_vector_of_each_tensor_is_exhausted() {
    let engine = Engine::builder().tcm_bytes(128).build().expect("an engine");
    let operands = [integers(&[4, 50], 0), integers(&[50], 0), integers(&[50], 0)];
    let views: Vec<_> = operands.iter().map(Tensor::view).collect();
    assert_snapshot!(without_lines(engine.call(&op("adds"), &views, &[]).expect_err("no room")));
}
