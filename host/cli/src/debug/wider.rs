//! `--f32`: a launch in bf16 or f16 beside the same launch in f32, to tell the rounding of a type from mistakes of the logic.

use anyhow::{Context, bail, ensure};
use gpsimd_emulator::gpsimd_descriptor::ElementType;
use gpsimd_emulator::{DType, Element, Op, Tensor, TensorType, bf16, f16};

use super::Launch;
use crate::check::Launcher;
use crate::libraries::Libraries;
use crate::operands::Operands;
use crate::table;

/// Elements that are shown.
const WORST: usize = 10;

/// Launches the op as it is and in f32, and says how far apart the outputs are.
pub(super) fn compare(libraries: Libraries, launch: &Launch) -> anyhow::Result<()> {
    let wide = widened(&launch.op, &launch.operands)?;
    let mut launcher = Launcher::new(libraries);
    let mut run = |operands: &Operands, what: &str| {
        let outcome = launcher.launch(launch.op.name(), operands, &launch.setting)?;
        outcome.with_context(|| format!("the launch in {what} fails"))
    };
    let (found, expected) = (run(&launch.operands, "its own types")?, run(&wide, "f32")?);
    println!("op `{}` on {}", launch.op.name(), launch.operands.describe(launch.op.descriptor()));
    let mut rows = table::table(&["output", "elements", "equal", "1 ulp", "more", "largest"], 1);
    let mut worst = Vec::new();
    for ((output, found), expected) in launch.op.outputs().iter().zip(&found).zip(&expected) {
        ensure!(
            found.ty().shape() == expected.ty().shape(),
            "output `{}` has the shape {:?}, in f32 {:?}",
            output.name,
            found.ty().shape(),
            expected.ty().shape()
        );
        let mut differences = differences(found, expected);
        let count = |is_it: &dyn Fn(u64) -> bool| differences.iter().filter(|one| is_it(one.ulps)).count().to_string();
        let largest = differences.iter().map(|one| one.ulps).max().unwrap_or(0);
        rows.add_row([
            format!("{} {}", output.name, found.ty()),
            differences.len().to_string(),
            count(&|ulps| ulps == 0),
            count(&|ulps| ulps == 1),
            count(&|ulps| ulps > 1),
            ulps(largest),
        ]);
        differences.retain(|one| one.ulps > 0);
        differences.sort_by_key(|one| std::cmp::Reverse(one.ulps));
        worst.extend(differences.into_iter().take(WORST).map(|one| (output.name.clone(), found.ty(), one)));
    }
    print!("{}", table::lines(&rows));
    println!("an ulp is a unit in the last place of the output's type, from the f32 result rounded to it");
    if worst.is_empty() {
        println!("every element is the f32 result rounded once: nothing is lost within the kernel");
        return Ok(());
    }
    let mut rows = table::table(&["farthest", "found", "f32 result", "rounded", "ulps"], 1);
    for (name, ty, one) in worst {
        rows.add_row([
            format!("{name}{:?}", place(&ty, one.element)),
            one.found.to_string(),
            one.expected.to_string(),
            one.rounded.to_string(),
            ulps(one.ulps),
        ]);
    }
    print!("\n{}", table::lines(&rows));
    Ok(())
}

/// An element, and how far it is from the f32 result rounded to its type.
struct Difference {
    element: usize,
    found: f64,
    expected: f64,
    rounded: f64,
    /// [`u64::MAX`] where only one is NaN.
    ulps: u64,
}

fn ulps(count: u64) -> String {
    if count == u64::MAX { "NaN".into() } else { count.to_string() }
}

/// Operands of bf16 and f16 of the op's type parameters, widened to f32.
fn widened(op: &Op, operands: &Operands) -> anyhow::Result<Operands> {
    let mut wide = operands.clone();
    let mut is_any = false;
    for ((name, element), tensor) in op.descriptor().tensors().zip(&mut wide.tensors) {
        let is_narrow = matches!(tensor.ty().dtype(), DType::Bf16 | DType::F16);
        if !is_narrow || !matches!(element, ElementType::Parameter(_)) {
            continue;
        }
        if !op.descriptor().accepted(element).contains(&DType::F32) {
            bail!("operand `{name}` of op `{}` has no f32 version", op.name());
        }
        let ty = TensorType::new(DType::F32, tensor.ty().shape())?;
        *tensor = Tensor::of_numbers(ty, numbers(tensor).into_iter().map(|number| number as f32));
        is_any = true;
    }
    ensure!(
        is_any,
        "--f32 compares a launch in bf16 or f16 with the same in f32, and op `{}` has no operand of these here: give --dtype \
         bf16. A GPSIMD core has no wider type than f32: for an op on f32, compare with a formula in f64 in a test \
         (`gpsimd_testing::error_in_ulps`)",
        op.name()
    );
    Ok(wide)
}

/// The elements, exact.
fn numbers(tensor: &Tensor) -> Vec<f64> {
    fn all<T: Element>(tensor: &Tensor, number: impl Fn(T) -> f64) -> Vec<f64> {
        tensor.as_slice::<T>().map(|elements| elements.iter().map(|x| number(*x)).collect()).unwrap_or_default()
    }
    match tensor.ty().dtype() {
        DType::F32 => all(tensor, |x: f32| x.into()),
        DType::Bf16 => all(tensor, |x: bf16| x.to_f64()),
        DType::F16 => all(tensor, |x: f16| x.to_f64()),
        DType::I32 => all(tensor, |x: i32| x.into()),
        DType::I16 => all(tensor, |x: i16| x.into()),
        DType::I8 => all(tensor, |x: i8| x.into()),
        DType::U8 => all(tensor, |x: u8| x.into()),
    }
}

/// Every element of an output beside that of the launch in f32.
fn differences(found: &Tensor, expected: &Tensor) -> Vec<Difference> {
    let dtype = found.ty().dtype();
    let all = numbers(found).into_iter().zip(numbers(expected)).enumerate();
    all.map(|(element, (found, expected))| {
        let rounded = round(expected, dtype);
        let ulps = match (found.is_nan(), rounded.is_nan()) {
            (true, true) => 0,
            (false, false) => place_of(found, dtype).abs_diff(place_of(rounded, dtype)),
            _ => u64::MAX,
        };
        Difference { element, found, expected, rounded, ulps }
    })
    .collect()
}

/// What is nearest to an f32 or an integer in a type.
fn round(number: f64, dtype: DType) -> f64 {
    match dtype {
        DType::Bf16 => bf16::from_f32(number as f32).to_f64(),
        DType::F16 => f16::from_f32(number as f32).to_f64(),
        _ => number,
    }
}

/// Its place among the numbers of the type in their order: neighbours are 1 apart.
fn place_of(number: f64, dtype: DType) -> i64 {
    // The bits of floats of one sign are in their order.
    let of_bits = |bits: i64, sign: i64| if bits & sign == 0 { bits } else { -(bits & (sign - 1)) };
    match dtype {
        DType::F32 => of_bits((number as f32).to_bits().into(), 1 << 31),
        DType::Bf16 => of_bits(bf16::from_f64(number).to_bits().into(), 1 << 15),
        DType::F16 => of_bits(f16::from_f64(number).to_bits().into(), 1 << 15),
        _ => number as i64,
    }
}

/// The indices of an element.
fn place(ty: &TensorType, element: usize) -> Vec<usize> {
    let mut rest = element;
    let mut indices: Vec<_> = ty
        .shape()
        .iter()
        .rev()
        .map(|size| {
            let index = rest % size;
            rest /= size;
            index
        })
        .collect();
    indices.reverse();
    indices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ulps_are_counted_from_the_f32_result_rounded_once() {
        let ulp = f32::from_bits(0x3f81_0000) - 1.0;
        let found = [1.0, 1.0 + ulp, 1.0 + 3.0 * ulp, -0.0, f32::NAN, f32::NAN].map(bf16::from_f32).to_vec();
        let expected = vec![1.0 + 0.4 * ulp, 1.0, 1.0, 0.0, f32::NAN, 1.0];
        let found = Tensor::from_vec(found, &[2, 3]).unwrap();
        let expected = Tensor::from_vec(expected, &[2, 3]).unwrap();
        let ulps: Vec<_> = differences(&found, &expected).iter().map(|one| one.ulps).collect();
        assert_eq!(ulps, [0, 1, 3, 0, 0, u64::MAX]);
        assert_eq!(place(&found.ty(), 5), [1, 2]);
    }

    #[test]
    fn neighbours_of_zero_are_one_apart() {
        for dtype in [DType::F32, DType::Bf16, DType::F16] {
            let least = match dtype {
                DType::F32 => f64::from(f32::from_bits(1)),
                DType::Bf16 => bf16::from_bits(1).to_f64(),
                _ => f16::from_bits(1).to_f64(),
            };
            assert_eq!([-least, 0.0, least].map(|number| place_of(number, dtype)), [-1, 0, 1], "{dtype:?}");
        }
    }
}
