//! [`Fit`]: the cost model's constants, by least squares from measured times; and which of them the times do not determine.
//!
//! A launch takes what its slowest core takes, and a fixed time for being launched that the model does not have:
//!
//! t = launch + DMAs x setup + bytes / bandwidth + operations x cycle + divisions x division
//!
//! It is linear in five numbers. Rows are weighted so that their relative errors count, and columns scaled to the same
//! length, so that the condition number says how well the numbers can be told apart. A number that the times do not determine
//! stays as the model has it, and what is left is fitted again.

mod linear;
#[cfg(test)]
mod tests;

use gpsimd_emulator::cost::CostModel;
use serde::{Deserialize, Serialize};

use super::report::{Time, TimeOutcome, Work};
use linear::{Solution, solve};

/// Numbers that are fitted.
const COUNT: usize = 5;
/// Times that there have to be more than numbers.
const SPARE_TIMES: usize = 5;
/// A number whose standard error is a larger part of it is not determined.
const LARGEST_ERROR: f64 = 0.25;
/// A number that changes by more when an op's times are left out rests on these alone.
const LARGEST_CHANGE: f64 = 1.5;
/// With a larger condition number the columns are the same but for noise.
const LARGEST_CONDITION: f64 = 1e3;
/// With larger residuals, half of them, the times are not those of the model.
const LARGEST_RESIDUAL: f64 = 0.25;

/// What measured times say of the constants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fit {
    /// Launches that it is fitted to.
    pub(crate) launches: usize,
    /// One line: whether the constants can be used.
    pub(crate) verdict: String,
    /// The numbers.
    pub(crate) constants: Vec<Fitted>,
    /// Ratio of the largest to the least singular value of the columns that are fitted; none if none is.
    pub(crate) condition: Option<f64>,
    /// Relative errors of the model with these constants and of the model as it was, each with a fitted time of a launch: the median of their magnitudes.
    pub(crate) residual: Option<f64>,
    /// The launches with the largest relative errors, with these.
    pub(crate) worst: Vec<(String, f64)>,
    /// As `residual`, each launch predicted by a fit without the times of its op.
    pub(crate) left_out: Option<f64>,
}

/// A number of the fit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fitted {
    /// As the model calls it.
    pub(crate) name: String,
    /// In `unit`: fitted, or as the model has it.
    pub(crate) value: f64,
    /// Unit of the values.
    pub(crate) unit: String,
    /// What the model has.
    pub(crate) before: f64,
    /// Whether the times determine it.
    pub(crate) is_determined: bool,
    /// Standard error as a part of the value, or why the times do not determine it.
    pub(crate) why: String,
}

/// A time, as a row of the system.
struct Row<'a> {
    op: &'a str,
    launch: String,
    cores: &'a [Work],
    seconds: f64,
}

/// A number of the fit, in the order of the columns.
#[derive(Clone, Copy, PartialEq)]
struct Number {
    name: &'static str,
    unit: &'static str,
}

/// What launching takes, which is not the model's.
pub(crate) const LAUNCH: &str = "launch";

/// As [`CostModel::constants`] calls them but for the first.
const NUMBERS: [Number; COUNT] = [
    Number { name: LAUNCH, unit: "us" },
    Number { name: "DMA, fixed cost", unit: "us" },
    Number { name: "DMA, bandwidth", unit: "GB/s" },
    Number { name: "operation", unit: "cycles" },
    Number { name: "division, square root", unit: "cycles" },
];

/// Which number is given up first where two cannot be told apart: that of which the model's value is surest.
const GIVEN_UP: [usize; COUNT] = [4, 2, 3, 1, 0];

/// Fits to all times that were measured and whose work is known; none if there is none.
pub(crate) fn fit(times: &[Time], model: &CostModel) -> Option<Fit> {
    let rows: Vec<_> = times.iter().filter_map(Row::of).collect();
    let before = seconds_of(model);
    if rows.is_empty() {
        return None;
    }
    let mut held: [Option<String>; COUNT] = [const { None }; COUNT];
    let solution = loop {
        let free: Vec<usize> = (0..COUNT).filter(|column| held[*column].is_none()).collect();
        if rows.len() < free.len() + SPARE_TIMES {
            let why = format!("{} times are too few", rows.len());
            for column in &free {
                held[*column] = Some(why.clone());
            }
        }
        let Some(solution) = (!free.is_empty()).then(|| settle(&rows, &before, &held, model.lanes)).flatten() else {
            break None;
        };
        let Some((column, why)) = undetermined(&rows, &before, &held, &solution, model.lanes) else {
            break Some(solution);
        };
        held[column] = Some(why);
    };
    Some(Fit::of(&rows, &before, held, solution.as_ref(), model))
}

impl<'a> Row<'a> {
    fn of(time: &'a Time) -> Option<Self> {
        let TimeOutcome::Measured(quartiles) = &time.outcome else { return None };
        let launch = format!("{}::{} ({})", time.library, time.launch, time.operands);
        (!time.cores.is_empty()).then(|| Self { op: &time.op, launch, cores: &time.cores, seconds: quartiles.median })
    }

    /// What the numbers are multiplied with, of the core that is slowest by these numbers.
    fn columns(&self, numbers: &[f64; COUNT], lanes: f64) -> [f64; COUNT] {
        let of_core = |work: &Work| {
            let operations = work.scalar as f64 + work.vector as f64 / lanes;
            let divisions = work.scalar_divisions as f64 + work.vector_divisions as f64 / lanes;
            [1.0, work.dmas as f64, work.bytes as f64, operations, divisions]
        };
        let slowest = self.cores.iter().map(of_core).max_by(|a, b| dot(a, numbers).total_cmp(&dot(b, numbers)));
        slowest.unwrap_or([1.0, 0.0, 0.0, 0.0, 0.0])
    }

    /// The relative error of a prediction.
    fn residual(&self, numbers: &[f64; COUNT], lanes: f64) -> f64 {
        dot(&self.columns(numbers, lanes), numbers) / self.seconds - 1.0
    }
}

fn dot(a: &[f64; COUNT], b: &[f64; COUNT]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The model's constants in seconds.
fn seconds_of(model: &CostModel) -> [f64; COUNT] {
    [0.0, model.dma_setup, 1.0 / model.dma_bandwidth, model.cycles / model.clock, model.divide_cycles / model.clock]
}

/// A number in its unit.
fn in_unit(column: usize, seconds: f64, model: &CostModel) -> f64 {
    match column {
        0 | 1 => seconds * 1e6,
        2 => 1e-9 / seconds,
        _ => seconds * model.clock,
    }
}

/// Numbers that are fitted while others are held, with the slowest core of every launch chosen by them. None if there is no
/// solution.
fn settle(rows: &[Row<'_>], before: &[f64; COUNT], held: &[Option<String>; COUNT], lanes: f64) -> Option<Fitting> {
    let free: Vec<usize> = (0..COUNT).filter(|column| held[*column].is_none()).collect();
    let mut numbers = *before;
    let mut found = None;
    // Which core is the slowest changes with the numbers; a handful of times is enough for cores that do much the same.
    for _ in 0..8 {
        let system = rows.iter().map(|row| {
            let columns = row.columns(&numbers, lanes);
            let rest: f64 = (0..COUNT).filter(|column| !free.contains(column)).map(|c| columns[c] * before[c]).sum();
            let columns = free.iter().map(|column| columns[*column] / row.seconds).collect();
            (columns, (row.seconds - rest) / row.seconds)
        });
        let solution = solve(&system.collect::<Vec<_>>())?;
        let mut next = *before;
        free.iter().zip(&solution.values).for_each(|(column, value)| next[*column] = *value);
        let is_settled = next == numbers;
        numbers = next;
        found = Some(Fitting { numbers, free: free.clone(), solution });
        if is_settled {
            break;
        }
    }
    found
}

/// A solution with what was held in its place.
struct Fitting {
    numbers: [f64; COUNT],
    free: Vec<usize>,
    solution: Solution,
}

/// The number that is determined least, with why, if one is not.
fn undetermined(
    rows: &[Row<'_>],
    before: &[f64; COUNT],
    held: &[Option<String>; COUNT],
    fitting: &Fitting,
    lanes: f64,
) -> Option<(usize, String)> {
    let Fitting { numbers, free, solution } = fitting;
    if let Some(index) = (0..free.len()).find(|index| solution.lengths[*index] == 0.0) {
        return Some((free[index], "no launch that was timed has any".into()));
    }
    if solution.condition > LARGEST_CONDITION {
        let mixed = |column: &&usize| {
            free.iter().position(|one| one == *column).is_some_and(|index| solution.weakest[index].abs() > 0.3)
        };
        let column = GIVEN_UP.iter().find(mixed).or(free.first())?;
        let why = format!("the times cannot tell it from the others (condition number {:.0})", solution.condition);
        return Some((*column, why));
    }
    let errors = free.iter().zip(&solution.errors).map(|(column, error)| {
        let value = numbers[*column];
        // What is not above 0 is determined least.
        (*column, value, if value > 0.0 { error / value } else { f64::INFINITY })
    });
    let (column, value, error) = errors.max_by(|a, b| a.2.total_cmp(&b.2))?;
    if value <= 0.0 {
        return Some((column, "its best value would not be above 0".into()));
    }
    if error > LARGEST_ERROR {
        return Some((column, format!("its standard error is {:.0}% of it", 100.0 * error)));
    }
    let mut ops: Vec<&str> = rows.iter().map(|row| row.op).collect();
    ops.sort_unstable();
    ops.dedup();
    let mut largest = (1.0, 0, "");
    for op in ops {
        let others: Vec<_> = without(rows, op);
        let Some(other) = settle(&others, before, held, lanes) else { continue };
        for column in free {
            let (with, without) = (numbers[*column], other.numbers[*column]);
            let change = if without > 0.0 { (with / without).max(without / with) } else { f64::INFINITY };
            if change > largest.0 {
                largest = (change, *column, op);
            }
        }
    }
    let (change, column, op) = largest;
    let factor = if change.is_finite() { format!("{change:.1} times another") } else { "below 0".into() };
    (change > LARGEST_CHANGE).then(|| (column, format!("it rests on `{op}`: without its times it would be {factor}")))
}

fn without<'a>(rows: &[Row<'a>], op: &str) -> Vec<Row<'a>> {
    let others = rows.iter().filter(|row| row.op != op);
    others.map(|row| Row { op: row.op, launch: row.launch.clone(), cores: row.cores, seconds: row.seconds }).collect()
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.map(f64::abs).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len().checked_sub(1)? / 2).copied()
}

impl Fit {
    fn of(
        rows: &[Row<'_>],
        before: &[f64; COUNT],
        mut held: [Option<String>; COUNT],
        fitting: Option<&Fitting>,
        model: &CostModel,
    ) -> Self {
        let lanes = model.lanes;
        let fitted = fitting.map(|fitting| fitting.numbers);
        let residual = fitted.and_then(|numbers| median(rows.iter().map(|row| row.residual(&numbers, lanes))));
        let is_of_the_model = residual.is_some_and(|residual| residual <= LARGEST_RESIDUAL);
        let mut left_out = Vec::new();
        for row in rows.iter().filter(|_| is_of_the_model) {
            let other = settle(&without(rows, row.op), before, &held, lanes);
            left_out.extend(other.map(|other| row.residual(&other.numbers, lanes)));
        }
        let verdict = match (residual, is_of_the_model) {
            (None, _) => "the times determine no constant: the model stays as it is".to_owned(),
            (Some(residual), false) => format!(
                "the times are not those of the model: with the best constants half of its times are off by more than {:.0}%, so it \
                 stays as it is",
                100.0 * residual
            ),
            (Some(residual), true) => {
                format!("half of the times are within {:.0}% of the model with the fitted constants", 100.0 * residual)
            }
        };
        let worst_numbers = fitted.unwrap_or(*before);
        let mut worst: Vec<_> =
            rows.iter().map(|row| (row.launch.clone(), row.residual(&worst_numbers, lanes))).collect();
        worst.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
        worst.truncate(5);
        let errors = |column: usize| {
            let fitting = fitting?;
            let index = fitting.free.iter().position(|one| *one == column)?;
            Some(fitting.solution.errors[index] / fitting.numbers[column])
        };
        let constants = (0..COUNT).map(|column| {
            let is_determined = is_of_the_model && held[column].is_none();
            let seconds = fitted.filter(|_| is_determined).map_or(before[column], |numbers| numbers[column]);
            let why = match (held[column].take(), errors(column)) {
                (Some(why), _) => why,
                (None, Some(error)) if is_of_the_model => format!("standard error {:.1}%", 100.0 * error),
                _ => "the times are not those of the model".into(),
            };
            Fitted {
                name: NUMBERS[column].name.into(),
                value: in_unit(column, seconds, model),
                unit: NUMBERS[column].unit.into(),
                before: in_unit(column, before[column], model),
                is_determined,
                why,
            }
        });
        Self {
            launches: rows.len(),
            verdict,
            constants: constants.collect(),
            condition: fitting.map(|fitting| fitting.solution.condition),
            residual,
            worst,
            left_out: median(left_out.into_iter()),
        }
    }

    /// The model with the constants that are determined.
    pub(crate) fn model(&self, model: &CostModel) -> CostModel {
        let mut fitted = model.clone();
        for constant in self.constants.iter().filter(|constant| constant.is_determined) {
            match constant.name.as_str() {
                "DMA, fixed cost" => fitted.dma_setup = constant.value * 1e-6,
                "DMA, bandwidth" => fitted.dma_bandwidth = constant.value * 1e9,
                "operation" => fitted.cycles = constant.value,
                "division, square root" => fitted.divide_cycles = constant.value,
                _ => {}
            }
        }
        fitted
    }
}
