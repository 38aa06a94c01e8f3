//! Embeddings against the native ops of other libraries that they are made of, to the bit: their own tests compare these
//! with float64; the pooler's tanh against float64. On the tier under test, with the bits of every engine.

use gpsimd_testing::{Ops, Scalar, Tensor, assert_within, bf16, digest, numbers, values};

const EPS: f32 = 1e-5;
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

fn seed() -> Tensor {
    Tensor::from_vec(vec![0x1234_5678, -7], &[2]).expect("two halves")
}

struct Case {
    places: usize,
    columns: usize,
    tables: [Tensor; 3],
    indices: [Tensor; 3],
    gamma: Tensor,
    beta: Tensor,
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
        let [gamma, beta] = [7, 8].map(|seed| tensor(numbers(seed, columns), &[columns]));
        Self { places, columns, tables: [0, 1, 2].map(table), indices: [0, 1, 2].map(index), gamma, beta }
    }

    fn forward(&self, p: f32) -> [Tensor; 4] {
        let ([word, position, token_type], [ids, positions, token_types]) = (&self.tables, &self.indices);
        ops().run_everywhere(
            "embedding_norm_forward",
            &[word, position, token_type, ids, positions, token_types, &self.gamma, &self.beta, &seed()],
            &[Scalar::I32(-1), Scalar::I32(-1), EPS.into(), p.into()],
        )
    }

    /// dword, dposition, dtoken_type, dgamma, dbeta.
    fn backward(&self, dy: &Tensor, [_, sum, mean, rstd]: &[Tensor; 4], paddings: [i32; 2], p: f32) -> [Tensor; 5] {
        let ([word, position, token_type], [ids, positions, token_types]) = (&self.tables, &self.indices);
        ops().run_everywhere(
            "embedding_norm_backward",
            &[dy, sum, word, position, token_type, ids, positions, token_types, &self.gamma, mean, rstd, &seed()],
            &[paddings[0].into(), paddings[1].into(), p.into()],
        )
    }

    fn rows(&self, data: Vec<f32>) -> Tensor {
        tensor(data, &[self.places, self.columns])
    }
}

fn cases() -> impl Iterator<Item = (Case, f32)> {
    let shapes = SHAPES.into_iter().map(|(places, columns)| Case::new(places, columns));
    shapes.zip([0.1, 0.5, 0.0, 0.1, 0.3, 0.1])
}

#[test]
fn rows_are_gathered_added_normalised_and_dropped_as_by_ops_of_their_own() {
    let (index, training) = (Ops::native(&index_ops::OP_LIBRARY), Ops::native(&training_ops::OP_LIBRARY));
    for (case, p) in cases() {
        let [y, sum, mean, rstd] = case.forward(p);
        let gathered: Vec<_> = case
            .tables
            .iter()
            .zip(&case.indices)
            .map(|(table, ids)| index.run("gather_rows", &[table, ids], &[]).as_slice::<f32>().unwrap().to_vec())
            .collect();
        let expected = (0..case.places * case.columns).map(|i| gathered[0][i] + gathered[2][i] + gathered[1][i]);
        let expected = case.rows(expected.collect());
        assert_eq!(digest(&sum), digest(&expected));
        let zero = case.rows(vec![0.0; case.places * case.columns]);
        let [u, _, of_mean, of_rstd] = training.run_all(
            "dropout_norm_forward",
            &[&expected, &zero, &case.gamma, &case.beta, &seed()],
            &[EPS.into(), 0.0.into()],
        );
        let dropped = training.run("dropout", &[&u, &seed()], &[p.into()]);
        assert_eq!([&y, &mean, &rstd].map(digest), [&dropped, &of_mean, &of_rstd].map(digest));
    }
}

#[test]
fn gradients_are_those_of_ops_of_their_own_and_padding_rows_have_none() {
    let (index, training) = (Ops::native(&index_ops::OP_LIBRARY), Ops::native(&training_ops::OP_LIBRARY));
    for ((case, p), paddings) in cases().zip([[0, -1], [-1, -1], [0, 0], [1, 1], [0, 2], [2, 0]]) {
        let outputs = case.forward(p);
        let dy = case.rows(numbers(9, case.places * case.columns));
        let found = case.backward(&dy, &outputs, paddings, p);
        let [_, sum, mean, rstd] = &outputs;
        let du = training.run("dropout", &[&dy, &seed()], &[p.into()]);
        let [_, dsum, dgamma, dbeta] =
            training.run_all("dropout_norm_backward", &[&du, sum, &case.gamma, mean, rstd, &seed()], &[0.0.into()]);
        for (table, (found, (rows, ids))) in found.iter().zip(case.tables.iter().zip(&case.indices)).enumerate() {
            let scattered = index.run("gather_rows_backward", &[&dsum, ids, rows], &[]);
            let mut scattered = scattered.as_slice::<f32>().unwrap().to_vec();
            if let Some(padding) = paddings.get(table).and_then(|padding| usize::try_from(*padding).ok()) {
                scattered[padding * case.columns..(padding + 1) * case.columns].fill(0.0);
            }
            let expected = tensor(scattered, &[TABLES[table], case.columns]);
            assert_eq!(digest(found), digest(&expected), "table {table} of {} columns", case.columns);
        }
        assert_eq!([&found[3], &found[4]].map(digest), [&dgamma, &dbeta].map(digest));
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
    let case = Case::new(9, 100);
    let narrowed = Case {
        tables: case.tables.each_ref().map(narrow),
        gamma: narrow(&case.gamma),
        beta: narrow(&case.beta),
        ..Case::new(9, 100)
    };
    let widened = Case {
        tables: narrowed.tables.each_ref().map(wide),
        gamma: wide(&narrowed.gamma),
        beta: wide(&narrowed.beta),
        ..Case::new(9, 100)
    };
    let [y, sum, ..] = narrowed.forward(0.1);
    assert_eq!(digest(&sum), digest(&narrow(&widened.forward(0.1)[1])));
    assert_eq!(y.ty(), sum.ty());
}

#[test]
fn no_places_have_no_embeddings_and_gradients_of_zero() {
    let case = Case::new(0, 7);
    let outputs = case.forward(0.1);
    assert!(outputs.iter().all(|output| output.ty().len() == 0));
    let gradients = case.backward(&case.rows(vec![]), &outputs, [0, -1], 0.1);
    assert!(gradients.iter().all(|gradient| values(gradient).iter().all(|value| *value == 0.0)));
}

#[test]
fn an_index_of_no_row_and_what_is_no_probability_are_refused() {
    let mut case = Case::new(3, 4);
    let [word, position, token_type] = &case.tables;
    case.indices[1] = Tensor::from_vec(vec![0, 23, 1], &[3]).unwrap();
    let refused = |indices: &[Tensor; 3], p: f32| {
        let [ids, positions, token_types] = indices;
        let tensors = [word, position, token_type, ids, positions, token_types, &case.gamma, &case.beta, &seed()];
        let scalars = [Scalar::I32(-1), Scalar::I32(-1), EPS.into(), p.into()];
        ops().try_run("embedding_norm_forward", &tensors, &scalars).unwrap_err().to_string()
    };
    let message = refused(&case.indices, 0.0);
    assert!(
        message.contains("index 23, element 1 of `positions`, is out of range: `position` has 23 rows"),
        "{message}"
    );
    for p in [-0.1, 1.5, f32::NAN] {
        let message = refused(&Case::new(3, 4).indices, p);
        assert!(message.contains("`p` is a probability, from 0 to 1"), "{message}");
    }
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
