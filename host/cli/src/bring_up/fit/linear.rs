//! [`solve`]: least squares of a few unknowns, with how far the result can be trusted.

/// The least-squares solution of a system.
pub(super) struct Solution {
    /// The unknowns.
    pub(super) values: Vec<f64>,
    /// Their standard errors, by the residuals that are left.
    pub(super) errors: Vec<f64>,
    /// Lengths of the columns.
    pub(super) lengths: Vec<f64>,
    /// Of the columns, scaled to the same length: the largest singular value over the least.
    pub(super) condition: f64,
    /// What of each column is in the combination of all that the system says least about.
    pub(super) weakest: Vec<f64>,
}

/// Solves rows of coefficients and right sides. None if there are fewer rows than unknowns or a number that is not finite.
///
/// By the eigenvectors of the normal equations of the scaled columns. Their condition number is squared there, which leaves
/// nine digits where it is 1000.
pub(super) fn solve(rows: &[(Vec<f64>, f64)]) -> Option<Solution> {
    let count = rows.first()?.0.len();
    let is_finite = rows.iter().all(|(row, right)| row.iter().chain([right]).all(|number| number.is_finite()));
    if rows.len() < count || !is_finite {
        return None;
    }
    let lengths: Vec<f64> =
        (0..count).map(|column| rows.iter().map(|(row, _)| row[column] * row[column]).sum::<f64>().sqrt()).collect();
    let scaled = |row: &[f64], column: usize| if lengths[column] > 0.0 { row[column] / lengths[column] } else { 0.0 };
    let sum = |of: &dyn Fn(&[f64], f64) -> f64| rows.iter().map(|(row, right)| of(row, *right)).sum::<f64>();
    let normal: Vec<Vec<f64>> =
        (0..count).map(|i| (0..count).map(|j| sum(&|row, _| scaled(row, i) * scaled(row, j))).collect()).collect();
    let right: Vec<f64> = (0..count).map(|i| sum(&|row, right| scaled(row, i) * right)).collect();

    let Eigen { values, vectors } = eigen(normal);
    let largest = values.iter().copied().fold(0.0, f64::max);
    let weakest = (0..count).min_by(|a, b| values[*a].total_cmp(&values[*b]))?;
    // Of what the system says nothing about, the solution has nothing.
    let inverse: Vec<f64> =
        values.iter().map(|value| if *value > largest * 1e-14 { value.recip() } else { 0.0 }).collect();
    let solved: Vec<f64> = (0..count)
        .map(|i| {
            let of_vector = |k: usize| {
                let along: f64 = (0..count).map(|j| vectors[j][k] * right[j]).sum();
                vectors[i][k] * inverse[k] * along
            };
            (0..count).map(of_vector).sum()
        })
        .collect();
    let left: f64 = sum(&|row, right| {
        let predicted: f64 = (0..count).map(|column| scaled(row, column) * solved[column]).sum();
        (predicted - right).powi(2)
    });
    let variance = left / (rows.len() - count).max(1) as f64;
    let of_column = |i: usize| (0..count).map(|k| vectors[i][k].powi(2) * inverse[k]).sum::<f64>();
    let unscaled = |column: usize, value: f64| if lengths[column] > 0.0 { value / lengths[column] } else { 0.0 };
    Some(Solution {
        values: (0..count).map(|column| unscaled(column, solved[column])).collect(),
        errors: (0..count).map(|column| unscaled(column, (variance * of_column(column)).sqrt())).collect(),
        condition: (largest / values[weakest].max(largest * f64::EPSILON)).sqrt(),
        weakest: (0..count).map(|column| vectors[column][weakest]).collect(),
        lengths,
    })
}

/// Eigenvalues, and the eigenvectors as columns.
struct Eigen {
    values: Vec<f64>,
    vectors: Vec<Vec<f64>>,
}

/// Of a symmetric matrix, by Jacobi's rotations: Golub and Van Loan, Matrix Computations, 8.5.
fn eigen(mut matrix: Vec<Vec<f64>>) -> Eigen {
    let count = matrix.len();
    let mut vectors: Vec<Vec<f64>> =
        (0..count).map(|i| (0..count).map(|j| if i == j { 1.0 } else { 0.0 }).collect()).collect();
    // It converges quadratically: a handful of sweeps is enough for a matrix of this size.
    for _ in 0..30 {
        for p in 0..count {
            for q in p + 1..count {
                if matrix[p][q] == 0.0 {
                    continue;
                }
                let theta = (matrix[q][q] - matrix[p][p]) / (2.0 * matrix[p][q]);
                let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
                let cosine = t.hypot(1.0).recip();
                let sine = t * cosine;
                let rotate = |a: f64, b: f64| (cosine * a - sine * b, sine * a + cosine * b);
                for row in &mut matrix {
                    (row[p], row[q]) = rotate(row[p], row[q]);
                }
                let (above, below) = matrix.split_at_mut(q);
                for (upper, lower) in above[p].iter_mut().zip(&mut below[0]) {
                    (*upper, *lower) = rotate(*upper, *lower);
                }
                for row in &mut vectors {
                    (row[p], row[q]) = rotate(row[p], row[q]);
                }
            }
        }
    }
    Eigen { values: (0..count).map(|i| matrix[i][i].max(0.0)).collect(), vectors }
}
