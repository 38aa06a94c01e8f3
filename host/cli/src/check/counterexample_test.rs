//! A ready test of a counterexample, for the crate of the op library.

use std::collections::BTreeMap;
use std::fmt::Write;

use gpsimd_emulator::gpsimd_descriptor::OpDescriptor;
use gpsimd_emulator::{DType, Scalar, Tensor, bf16, f16};

use super::SETTINGS;
use super::shrink::Counterexample;

/// Text of a file for the crate's `tests` folder. `library` is the name of the crate's library, as Rust calls it; `replay` is
/// where the replay file is.
///
/// What shows as a difference between two launches is launched. Whether a gradient or a result is right, which the test of a kernel
/// cannot say, `cargo gpsimd replay` does.
pub(crate) fn text(
    library: &str,
    op: &OpDescriptor,
    outputs: usize,
    found: &Counterexample,
    name: &str,
    replay: &str,
) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_head(&mut text, found, replay);
    let _ = if found.finding.judge == SETTINGS {
        write_test(&mut text, (library, op, outputs), found, name)
    } else {
        write_replay(&mut text, name, replay)
    };
    text
}

fn write_head(text: &mut String, found: &Counterexample, replay: &str) -> std::fmt::Result {
    writeln!(text, "//! What `cargo gpsimd check` found; put it into `tests/`. The same launch again:")?;
    writeln!(text, "//! `cargo gpsimd replay {replay}`.")?;
    writeln!(text, "//!")?;
    for line in found.finding.message.lines() {
        writeln!(text, "//! {line}")?;
    }
    for setting in &found.finding.settings {
        writeln!(text, "//! In: {setting}.")?;
    }
    Ok(())
}

fn write_replay(text: &mut String, name: &str, replay: &str) -> std::fmt::Result {
    let file = replay.rsplit('/').next().unwrap_or(replay);
    writeln!(text, "//! With `{file}` beside it: whether the launch is right is what `cargo gpsimd replay` says.\n")?;
    writeln!(text, "use std::process::Command;\n")?;
    writeln!(text, "#[test]\nfn {name}() {{")?;
    writeln!(text, "    let folder = env!(\"CARGO_MANIFEST_DIR\");")?;
    writeln!(text, "    let file = format!(\"{{folder}}/tests/{file}\");")?;
    writeln!(text, "    let mut replay = Command::new(\"cargo\");")?;
    writeln!(
        text,
        "    let output = replay.args([\"gpsimd\", \"replay\", &file]).current_dir(folder).output().expect(\"cargo\");"
    )?;
    writeln!(text, "    assert!(output.status.success(), \"{{}}\", String::from_utf8_lossy(&output.stderr));")?;
    writeln!(text, "}}")
}

fn write_test(
    text: &mut String,
    (library, op, outputs): (&str, &OpDescriptor, usize),
    found: &Counterexample,
    name: &str,
) -> std::fmt::Result {
    let types: Vec<_> = found.operands.tensors.iter().map(|tensor| tensor.ty().dtype()).collect();
    let half = [DType::Bf16, DType::F16]
        .into_iter()
        .filter(|dtype| types.contains(dtype))
        .map(|dtype| format!(", {}", dtype.name()));
    writeln!(text, "\nuse gpsimd_testing::{{Ops, Tensor, digest{}}};\n", half.collect::<String>())?;
    writeln!(text, "#[test]\nfn {name}() {{")?;
    for ((name, _), tensor) in op.tensors().zip(&found.operands.tensors) {
        write_tensor(text, name, tensor)?;
    }
    let tensors: Vec<_> = op.tensors().map(|(name, _)| format!("&{name}")).collect();
    let scalars: Vec<_> = found.operands.scalars.iter().map(|value| scalar(*value)).collect();
    let arguments = format!("\"{}\", &[{}], &[{}]", op.name, tensors.join(", "), scalars.join(", "));
    writeln!(
        text,
        "    // In either mode, on 1 to 8 cores, with several pools; on the tier of `cargo gpsimd test`, and natively."
    )?;
    writeln!(
        text,
        "    let [{0}] = Ops::of(&{library}::OP_LIBRARY).run_everywhere({arguments});",
        bound("found", outputs)
    )?;
    writeln!(
        text,
        "    let [{0}] = Ops::native(&{library}::OP_LIBRARY).run_all({arguments});",
        bound("expected", outputs)
    )?;
    for number in 0..outputs {
        let (found, expected) = (of("found", outputs, number), of("expected", outputs, number));
        writeln!(text, "    assert_eq!(digest(&{found}), digest(&{expected}));")?;
    }
    writeln!(text, "}}")
}

fn bound(name: &str, outputs: usize) -> String {
    (0..outputs).map(|number| of(name, outputs, number)).collect::<Vec<_>>().join(", ")
}

fn of(name: &str, outputs: usize, number: usize) -> String {
    if outputs == 1 { name.to_owned() } else { format!("{name}_{number}") }
}

fn scalar(value: Scalar) -> String {
    match value {
        Scalar::F32(value) => format!("{}.into()", f32_literal(value)),
        Scalar::I32(value) => format!("{value}_i32.into()"),
        Scalar::U32(value) => format!("{value}_u32.into()"),
        Scalar::Bool(value) => format!("{value}.into()"),
        Scalar::Size(value) => format!("{value}_usize.into()"),
    }
}

/// A tensor as the value that most elements have, and those that have another.
fn write_tensor(text: &mut String, name: &str, tensor: &Tensor) -> std::fmt::Result {
    let (ty, elements) = (tensor.ty(), literals(tensor));
    let element = ty.dtype().name();
    let shape = ty.shape();
    let usual = most_frequent(&elements);
    let others: Vec<_> = elements.iter().enumerate().filter(|(_, element)| **element != usual).collect();
    let shape_fits = "as many as the shape has";
    if elements.len() <= 16 || others.len() * 2 > elements.len() {
        writeln!(text, "    let {name}: Vec<{element}> = vec![{}];", elements.join(", "))?;
    } else {
        let is_changed = if others.is_empty() { "" } else { "mut " };
        writeln!(text, "    let {is_changed}{name}: Vec<{element}> = vec![{usual}; {}];", elements.len())?;
        for (index, value) in others {
            writeln!(text, "    {name}[{index}] = {value};")?;
        }
    }
    writeln!(text, "    let {name} = Tensor::from_vec({name}, &{shape:?}).expect(\"{shape_fits}\");")
}

fn most_frequent(elements: &[String]) -> String {
    let mut counts = BTreeMap::<&str, usize>::new();
    for element in elements {
        *counts.entry(element).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map_or_else(String::new, |(element, _)| element.to_owned())
}

fn literals(tensor: &Tensor) -> Vec<String> {
    fn of<T: Copy>(elements: Result<&[T], gpsimd_emulator::TensorError>, literal: impl Fn(T) -> String) -> Vec<String> {
        elements.map(|elements| elements.iter().map(|element| literal(*element)).collect()).unwrap_or_default()
    }
    match tensor.ty().dtype() {
        DType::F32 => of(tensor.as_slice::<f32>(), f32_literal),
        DType::Bf16 => of(tensor.as_slice::<bf16>(), |x| format!("bf16::from_bits({:#06x})", x.to_bits())),
        DType::F16 => of(tensor.as_slice::<f16>(), |x| format!("f16::from_bits({:#06x})", x.to_bits())),
        DType::I32 => of(tensor.as_slice::<i32>(), |x| x.to_string()),
        DType::I16 => of(tensor.as_slice::<i16>(), |x| x.to_string()),
        DType::I8 => of(tensor.as_slice::<i8>(), |x| x.to_string()),
        DType::U8 => of(tensor.as_slice::<u8>(), |x| x.to_string()),
    }
}

/// The number to the bit; of NaNs, whose bits do not count, the usual one.
fn f32_literal(value: f32) -> String {
    if value.is_nan() {
        "f32::NAN".into()
    } else if value.is_infinite() {
        if value > 0.0 { "f32::INFINITY".into() } else { "f32::NEG_INFINITY".into() }
    } else {
        format!("{value:?}_f32")
    }
}
