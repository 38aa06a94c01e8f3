//! Embeddings against the native ops of other libraries that they are made of, to the bit: their own tests compare these
//! with float64; the pooler's tanh against float64. On the tier under test, with the bits of every engine.

use gpsimd_testing::{Ops, Scalar, Tensor, assert_within, bf16, digest, numbers, values};

/// Rows of the tables.
const TABLES: [usize; 3] = [40, 23, 2];
/// Places and columns. A default pool holds 2496 f32; there are 8 cores and 8 parts of the rows.
const SHAPES: [(usize, usize); 6] = [(1, 1), (3, 2), (20, 16), (9, 100), (700, 33), (17, 3000)];

fn ops() -> Ops {
    Ops::of(&embedding_ops::OP_LIBRARY)
}

fn tensor(data: Vec<f32>, shape: &[usize]) -> Tensor {
    Tensor::from_vec(data, shape).expect("as many numbers as the shape has")
}

struct Case {
    places: usize,
    columns: usize,
    tables: [Tensor; 3],
    indices: [Tensor; 3],
}

impl Case {
    fn new(places: usize, columns: usize) -> Self {
        let table = |i: usize| tensor(numbers(i as u64 + 1, TABLES[i] * columns), &[TABLES[i], columns]);
        // Every table has a row that is named often, and one that nobody names.
        let index = |i: usize| {
            let rows = TABLES[i].saturating_sub(1).max(1);
            let ids = (0..places).map(|place| if place % 3 == 0 { 0 } else { (place * (i + 5) % rows) as i32 });
            Tensor::from_vec(ids.collect::<Vec<_>>(), &[places]).expect("as many indices as places")
        };
        Self { places, columns, tables: [0, 1, 2].map(table), indices: [0, 1, 2].map(index) }
    }

    fn sum(&self) -> Tensor {
        let ([word, position, token_type], [ids, positions, token_types]) = (&self.tables, &self.indices);
        let tensors = [word, position, token_type, ids, positions, token_types];
        let [sum] = ops().run_everywhere("embedding_sum_forward", &tensors, &[Scalar::I32(-1); 3]);
        sum
    }

    /// The gradients of word, position and `token_type`.
    fn scattered(&self, dy: &Tensor, [word, position]: [i32; 2]) -> [Tensor; 3] {
        let gradient = |i: usize, padding: i32| {
            let tensors = [dy, &self.indices[i], &self.tables[i]];
            let [gradient] = ops().run_everywhere("embedding_rows_backward", &tensors, &[padding.into()]);
            gradient
        };
        [gradient(0, word), gradient(1, position), gradient(2, -1)]
    }

    fn rows(&self, data: Vec<f32>) -> Tensor {
        tensor(data, &[self.places, self.columns])
    }
}

fn cases() -> impl Iterator<Item = Case> {
    SHAPES.into_iter().map(|(places, columns)| Case::new(places, columns))
}

#[test]
fn rows_are_gathered_as_by_an_op_of_their_own_and_added() {
    let index = Ops::native(&index_ops::OP_LIBRARY);
    for case in cases() {
        let pairs = case.tables.iter().zip(&case.indices);
        let gathered: Vec<_> = pairs
            .map(|(table, ids)| index.run("gather_rows", &[table, ids], &[]).as_slice::<f32>().unwrap().to_vec())
            .collect();
        let expected = (0..case.places * case.columns).map(|i| gathered[0][i] + gathered[2][i] + gathered[1][i]);
        assert_eq!(digest(&case.sum()), digest(&case.rows(expected.collect())));
    }
}

#[test]
fn gradients_of_tables_are_those_of_an_op_of_their_own_and_padding_rows_have_none() {
    let index = Ops::native(&index_ops::OP_LIBRARY);
    for (case, paddings) in cases().zip([[0, -1], [-1, -1], [0, 0], [1, 1], [0, 2], [2, 0]]) {
        let dy = case.rows(numbers(9, case.places * case.columns));
        let found = case.scattered(&dy, paddings);
        for (table, (found, (rows, ids))) in found.iter().zip(case.tables.iter().zip(&case.indices)).enumerate() {
            let expected = index.run("gather_rows_backward", &[&dy, ids, rows], &[]);
            let mut expected = expected.as_slice::<f32>().unwrap().to_vec();
            if let Some(padding) = paddings.get(table).and_then(|padding| usize::try_from(*padding).ok()) {
                expected[padding * case.columns..(padding + 1) * case.columns].fill(0.0);
            }
            let expected = tensor(expected, &[TABLES[table], case.columns]);
            assert_eq!(digest(found), digest(&expected), "table {table} of {} columns", case.columns);
        }
    }
}

#[test]
fn tables_in_bf16_are_added_in_f32_and_the_sum_is_rounded_once() {
    let narrow = |tensor: &Tensor| {
        let data = tensor.as_slice::<f32>().unwrap().iter().map(|x| bf16::from_f32(*x)).collect();
        Tensor::from_vec::<bf16>(data, tensor.ty().shape()).unwrap()
    };
    let wide = |narrow: &Tensor| {
        let data = narrow.as_slice::<bf16>().unwrap().iter().map(|x| x.to_f32()).collect();
        tensor(data, narrow.ty().shape())
    };
    let narrowed = Case { tables: Case::new(9, 100).tables.each_ref().map(narrow), ..Case::new(9, 100) };
    let widened = Case { tables: narrowed.tables.each_ref().map(wide), ..Case::new(9, 100) };
    assert_eq!(digest(&narrowed.sum()), digest(&narrow(&widened.sum())));
}

#[test]
fn no_places_have_no_embeddings_and_gradients_of_zero() {
    let case = Case::new(0, 7);
    let empty = case.rows(vec![]);
    assert_eq!(case.sum().ty().len(), 0);
    let gradients = case.scattered(&empty, [0, -1]);
    assert!(gradients.iter().all(|gradient| values(gradient).iter().all(|value| *value == 0.0)));
}

#[test]
fn an_index_of_no_row_is_refused() {
    let case = Case::new(3, 4);
    let [word, position, token_type] = &case.tables;
    let [ids, _, token_types] = &case.indices;
    let positions = Tensor::from_vec(vec![0, 23, 1], &[3]).unwrap();
    let tensors = [word, position, token_type, ids, &positions, token_types];
    let paddings = [Scalar::I32(-1); 3];
    let message = ops().try_run("embedding_sum_forward", &tensors, &paddings).unwrap_err().to_string();
    assert!(
        message.contains("index 23, element 1 of `positions`, is out of range: `position` has 23 rows"),
        "{message}"
    );
}

#[test]
fn tanh_and_its_gradient_are_those_of_float64() {
    for (rows, columns) in [(1, 1), (3, 5), (16, 384), (5, 5000)] {
        let x = tensor(numbers(1, rows * columns), &[rows, columns]);
        let bias = tensor(numbers(2, columns), &[columns]);
        let [y] = ops().run_everywhere("bias_tanh_forward", &[&x, &bias], &[]);
        let u = 2.0_f64.powi(-24);
        let of_bias = values(&bias);
        let sums = values(&x).into_iter().enumerate().map(|(i, x)| f64::from((x + of_bias[i % columns]) as f32));
        // 1.41 ulp, of at most 2 u of the value each.
        assert_within(&y, sums.map(|sum| (sum.tanh(), 3.0 * u * sum.tanh().abs())));
        let dy = tensor(numbers(3, rows * columns), &[rows, columns]);
        let [dx] = ops().run_everywhere("bias_tanh_backward", &[&dy, &y], &[]);
        let exact = values(&dy).into_iter().zip(values(&y)).map(|(dy, y)| dy * (1.0 - y) * (1.0 + y));
        assert_within(&dx, exact.map(|exact| (exact, 4.0 * u * exact.abs())));
    }
}
