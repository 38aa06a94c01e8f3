//! What an op is profiled on: the shapes of BERT-base, or those of the command line.

use anyhow::{Context, bail, ensure};
use gpsimd_emulator::gpsimd_descriptor::{OpDescriptor, OperandDescriptor, OperandKind, ScalarType};
use gpsimd_emulator::{DType, Op, Scalar, Tensor, TensorType};

use crate::normal::normal;
use crate::operands::Operands;

/// `NAME=8x128x3072` or `NAME=8x128:i32`: the shape of a tensor operand, or `NAME=0.125`: the value of a scalar or
/// size.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Given {
    name: String,
    value: String,
}

impl std::str::FromStr for Given {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').ok_or("expected NAME=SHAPE or NAME=NUMBER, such as x=8x128x3072")?;
        Ok(Self { name: name.into(), value: value.into() })
    }
}

/// The ops of `bert_ops` on BERT-base, batch 8, 128 tokens; cross-entropy of the 20 tokens of each that are masked, AdamW
/// on a matrix of the feed-forward layer.
const BERT_BASE: [(&str, &str); 10] = [
    ("bias_gelu_forward", "x=8x128x3072 bias=3072"),
    ("bias_gelu_backward", "dy=8x128x3072 x=8x128x3072 bias=3072"),
    ("masked_softmax_forward", "scores=8x12x128x128 mask=8x1x1x128 scale=0.125"),
    ("masked_softmax_backward", "dp=8x12x128x128 p=8x12x128x128 scale=0.125"),
    ("layer_norm_forward", "x=8x128x768 gamma=768 beta=768 eps=1e-12"),
    ("layer_norm_backward", "dy=8x128x768 x=8x128x768 gamma=768 mean=8x128 rstd=8x128"),
    ("layer_norm_gradients", "dy=8x128x768 x=8x128x768 gamma=768 mean=8x128 rstd=8x128 of_gamma=8x768 of_beta=8x768"),
    ("cross_entropy_forward", "logits=160x30522 labels=160 ignore_index=-100 label_smoothing=0"),
    ("cross_entropy_backward", "dloss=160 logits=160x30522 labels=160 lse=160 ignore_index=-100 label_smoothing=0"),
    ("adamw_step", "state=3x2359296 grad=2359296 lr=1e-4 beta1=0.9 beta2=0.999 eps=1e-8 weight_decay=0.01 step=1"),
];

/// The operands of `op`: those `given`, otherwise those of BERT-base.
pub(crate) fn operands(library: &str, op: &Op, given: &[Given], dtype: DType) -> anyhow::Result<Operands> {
    let descriptor = op.descriptor();
    let standard = BERT_BASE.iter().find(|(name, _)| library == "bert_ops" && *name == op.name());
    let standard: Vec<Given> = match standard {
        Some((_, text)) => {
            text.split(' ').map(|one| one.parse().map_err(anyhow::Error::msg)).collect::<Result<_, _>>()?
        }
        None => Vec::new(),
    };
    let value = |name: &str| {
        let of = |all: &[Given]| all.iter().find(|given| given.name == name).map(|given| given.value.clone());
        of(given).or_else(|| of(&standard))
    };

    let mut operands = Operands::default();
    for (seed, (name, element)) in descriptor.tensors().enumerate() {
        let text = value(name).with_context(|| {
            format!("op `{}`: give the shape of operand `{name}`, such as --shape {name}=8x128x3072", op.name())
        })?;
        let of_operand = || format!("op `{}`, operand `{name}`", op.name());
        let (sizes, asked) = match text.split_once(':') {
            Some((sizes, name)) => (sizes, Some(dtype_called(name).with_context(of_operand)?)),
            None => (text.as_str(), None),
        };
        let shape = shape(sizes).with_context(of_operand)?;
        // What is asked for, where the operand may have it.
        let (accepted, wanted) = (descriptor.accepted(element), asked.unwrap_or(dtype));
        let dtype = if accepted.contains(&wanted) { wanted } else { accepted[0] };
        ensure!(
            asked.is_none_or(|asked| asked == dtype),
            "{}: its element type is {}, which --dtype or the op says",
            of_operand(),
            dtype.name()
        );
        operands.tensors.push(tensor(seed as u64 + 1, dtype, &shape)?);
    }
    operands.scalars = scalars(op, value)?;
    Ok(operands)
}

/// The operands of `op`: these tensors, and scalars and sizes of those `given`.
pub(crate) fn operands_of(op: &Op, tensors: Vec<Tensor>, given: &[Given]) -> anyhow::Result<Operands> {
    let value = |name: &str| given.iter().find(|given| given.name == name).map(|given| given.value.clone());
    Ok(Operands { tensors, scalars: scalars(op, value)? })
}

fn scalars(op: &Op, value: impl Fn(&str) -> Option<String>) -> anyhow::Result<Vec<Scalar>> {
    let scalars =
        op.descriptor().operands.iter().filter_map(|operand| scalar(operand, value(&operand.name).as_deref()));
    scalars.collect::<anyhow::Result<_>>().with_context(|| format!("op `{}`", op.name()))
}

/// Fails unless each of what is given is given once, and is an operand of its kind of one of the `ops`, of which the others
/// then have what is standard.
pub(crate) fn verify_given(ops: &[Op], shapes: &[Given], scalars: &[Given]) -> anyhow::Result<()> {
    let of_shapes = shapes.iter().map(|given| (given, true));
    let all: Vec<_> = of_shapes.chain(scalars.iter().map(|given| (given, false))).collect();
    for (place, (Given { name, value }, is_shape)) in all.iter().enumerate() {
        if let Some((earlier, _)) = all[..place].iter().find(|(earlier, _)| earlier.name == *name) {
            bail!("operand `{name}` is given twice, as {} and as {value}: give it once", earlier.value);
        }
        let operands = || ops.iter().flat_map(|op| &op.descriptor().operands).filter(|operand| operand.name == *name);
        if operands().next().is_none() {
            let listed: Vec<_> =
                ops.iter().map(|op| format!("`{}` has {}", op.name(), listed(op.descriptor()))).collect();
            bail!("no op here has an operand `{name}`: {}", listed.join("; "));
        }
        let is_of_kind = |operand: &OperandDescriptor| matches!(operand.kind, OperandKind::Tensor(_)) == *is_shape;
        if !operands().any(is_of_kind) {
            let (is, should) = if *is_shape {
                ("no tensor: give its value with --scalar", "8")
            } else {
                ("a tensor: give its shape with --shape", "8x128x3072")
            };
            bail!("operand `{name}` is {is} {name}={should}");
        }
    }
    Ok(())
}

/// The value of a scalar or size, by default 1 or true; none for a tensor. No value is rounded but an f32.
fn scalar(operand: &OperandDescriptor, text: Option<&str>) -> Option<anyhow::Result<Scalar>> {
    fn parsed<T: std::str::FromStr + Into<Scalar>>(text: &str) -> Option<Scalar> {
        text.parse::<T>().ok().map(Into::into)
    }
    let text = text.unwrap_or(if operand.kind == OperandKind::Scalar(ScalarType::Bool) { "true" } else { "1" });
    let (scalar, expected) = match operand.kind {
        OperandKind::Tensor(_) => return None,
        OperandKind::Scalar(ScalarType::F32) => (parsed::<f32>(text), "a number (f32)"),
        OperandKind::Scalar(ScalarType::I32) => {
            (parsed::<i32>(text), "an integer from -2147483648 to 2147483647 (i32)")
        }
        OperandKind::Scalar(ScalarType::U32) => (parsed::<u32>(text), "an integer from 0 to 4294967295 (u32)"),
        OperandKind::Scalar(ScalarType::Bool) => (parsed::<bool>(text), "true or false"),
        OperandKind::Size => (parsed::<usize>(text), "an integer of at least 0 (a size)"),
    };
    Some(scalar.with_context(|| format!("operand `{}` is `{text}`, expected {expected}", operand.name)))
}

fn listed(op: &OpDescriptor) -> String {
    op.operands.iter().map(|operand| format!("`{}`", operand.name)).collect::<Vec<_>>().join(", ")
}

fn dtype_called(name: &str) -> anyhow::Result<DType> {
    let found = DType::ALL.into_iter().find(|dtype| dtype.name() == name);
    found.with_context(|| format!("`{name}` is no element type: they are {}", DType::ALL.map(DType::name).join(", ")))
}

fn shape(text: &str) -> anyhow::Result<Vec<usize>> {
    let sizes = text.split('x').map(str::parse).collect::<Result<Vec<usize>, _>>();
    match sizes {
        Ok(sizes) => Ok(sizes),
        Err(_) => bail!("`{text}` is no shape: expected sizes with x between them, such as 8x128x3072"),
    }
}

/// Numbers that are drawn by a seed; integers that are small enough to be indices.
pub(crate) fn tensor(seed: u64, dtype: DType, shape: &[usize]) -> anyhow::Result<Tensor> {
    let ty = TensorType::new(dtype, shape)?;
    // The numbers that are drawn, and the tensor: asked for here, as a failed allocation ends the process.
    let fits = Vec::<u64>::new().try_reserve_exact(ty.len()).is_ok();
    ensure!(fits, "a tensor of type {ty} does not fit in memory");
    Ok(match dtype {
        DType::F32 | DType::Bf16 | DType::F16 => Tensor::of_numbers(ty, normal(seed, ty.len())),
        // Small enough to be indices, and of rows that do not follow each other.
        _ => Tensor::of_numbers(ty, [0.0, 2.0, 1.0].into_iter().cycle()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_op_of_bert_ops_has_operands_that_it_takes() {
        let library = gpsimd_emulator::OpLibrary::from_static(&bert_ops::OP_LIBRARY).unwrap();
        for op in library.ops() {
            let operands = operands("bert_ops", &op, &[], DType::F32).unwrap();
            let types: Vec<_> = operands.tensors.iter().map(Tensor::ty).collect();
            op.shape(&types, &[]).unwrap();
        }
    }

    #[test]
    fn a_shape_is_sizes() {
        assert_eq!(shape("8x128x3072").unwrap(), [8, 128, 3072]);
        assert_eq!(shape("7").unwrap(), [7]);
        // A tensor without elements is an operand like others.
        assert_eq!(shape("0x3").unwrap(), [0, 3]);
        for wrong in ["", "8x", "8X3", "-1", "x3", "1e3"] {
            let error = shape(wrong).unwrap_err().to_string();
            assert!(error.contains(&format!("`{wrong}` is no shape")), "{error}");
        }
    }

    #[test]
    fn a_shape_that_no_memory_holds_is_an_error() {
        let error = tensor(1, DType::U8, &[99_999_999_999_999]).unwrap_err().to_string();
        assert_eq!(error, "a tensor of type u8[99999999999999] does not fit in memory");
    }

    #[test]
    fn an_element_type_has_a_name() {
        assert_eq!(dtype_called("i16").unwrap(), DType::I16);
        let error = dtype_called("int").unwrap_err().to_string();
        assert_eq!(error, "`int` is no element type: they are f32, bf16, f16, i32, i16, i8, u8");
        for dtype in DType::ALL {
            assert_eq!(tensor(1, dtype, &[3, 4]).unwrap().ty(), TensorType::new(dtype, &[3, 4]).unwrap());
        }
    }

    #[test]
    fn a_scalar_is_exact_or_refused() {
        let of = |kind, text| {
            let operand = OperandDescriptor { name: "k".into(), kind };
            scalar(&operand, text).expect("no tensor").map_err(|error| error.to_string())
        };
        let of_type = |ty, text| of(OperandKind::Scalar(ty), Some(text));
        assert_eq!(of_type(ScalarType::F32, "0.1"), Ok(Scalar::F32(0.1)));
        assert_eq!(of_type(ScalarType::I32, "-2147483648"), Ok(Scalar::I32(i32::MIN)));
        assert_eq!(of_type(ScalarType::U32, "4294967295"), Ok(Scalar::U32(u32::MAX)));
        assert_eq!(of_type(ScalarType::Bool, "false"), Ok(Scalar::Bool(false)));
        assert_eq!(of(OperandKind::Size, Some("64")), Ok(Scalar::Size(64)));
        assert_eq!(of(OperandKind::Size, None), Ok(Scalar::Size(1)));
        assert_eq!(of(OperandKind::Scalar(ScalarType::Bool), None), Ok(Scalar::Bool(true)));
        let refused = [
            of_type(ScalarType::F32, "a"),
            of_type(ScalarType::I32, "2147483648"),
            of_type(ScalarType::U32, "-1"),
            of_type(ScalarType::Bool, "1"),
            of(OperandKind::Size, Some("8.0")),
        ];
        insta::assert_snapshot!(refused.map(Result::unwrap_err).join("\n"), @"
        operand `k` is `a`, expected a number (f32)
        operand `k` is `2147483648`, expected an integer from -2147483648 to 2147483647 (i32)
        operand `k` is `-1`, expected an integer from 0 to 4294967295 (u32)
        operand `k` is `1`, expected true or false
        operand `k` is `8.0`, expected an integer of at least 0 (a size)
        ");
    }

    #[test]
    fn a_given_operand_has_a_name_and_a_value() {
        let given: Given = "x=8x128".parse().unwrap();
        assert_eq!((given.name.as_str(), given.value.as_str()), ("x", "8x128"));
        assert!("x".parse::<Given>().is_err());
    }
}
