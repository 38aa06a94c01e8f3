//! Cross-entropy of logits and labels, with ignored rows and label smoothing.

use gpsimd::greater;
use gpsimd::prelude::*;

fn expect_labels(logits: &TensorType, labels: &TensorType) -> Result<(), ShapeError> {
    let rank = logits.expect_rank_at_least(1)?.rank() - 1;
    labels.expect_rank(rank)?;
    (0..rank).try_for_each(|i| labels.expect_dim(i, logits.dim(i)).map(drop))
}

fn per_row(logits: &TensorType, labels: &TensorType) -> Result<[TensorType; 2], ShapeError> {
    expect_labels(logits, labels)?;
    Ok([labels.with_dtype::<f32>(); 2])
}

fn like_logits(
    dloss: &TensorType,
    logits: &TensorType,
    labels: &TensorType,
    lse: &TensorType,
) -> Result<TensorType, ShapeError> {
    expect_labels(logits, labels)?;
    dloss.expect_shape_of(labels)?;
    lse.expect_shape_of(labels)?;
    Ok(*logits)
}

/// The class that `label` is, none for a row that is ignored.
fn class(label: i32, ignore_index: i32, classes: usize) -> OpResult<Option<usize>> {
    if label == ignore_index {
        return Ok(None);
    }
    match usize::try_from(label) {
        Ok(class) if class < classes => Ok(Some(class)),
        _ => Err(OpError::Refused("a label is neither a class, from 0 to the logits' last size, nor `ignore_index`")),
    }
}

/// loss = (1 - e) (lse - logits\[label\]) + e (lse - mean of logits), with lse = log sum exp of logits and e the label
/// smoothing: the cross-entropy of each row, 0 where the label is `ignore_index`.
///
/// logits: `[.., V]`, f32, bf16 or f16; labels: `[..]`, i32; loss and lse: `[..]`, f32. Computed in f32.
#[custom_op(
    shape = per_row,
    gradient(logits) =
        cross_entropy_backward(grad(loss), logits, labels, lse, ignore_index, label_smoothing),
)]
pub fn cross_entropy_forward<T: Float>(
    core: &Core,
    logits: Input<T>,
    labels: Input<i32>,
    ignore_index: i32,
    label_smoothing: f32,
    loss: Output<f32>,
    lse: Output<f32>,
) -> OpResult {
    let (mut labels, mut of_labels) = (core.tcm().window(&labels)?, core.tcm().window(&logits)?);
    core.reduce(&logits, (loss, lse), |mut row| {
        let (index, classes) = (row.index(), row.len());
        let max = row.fold(Lanes::splat(f32::NEG_INFINITY), |max, x| greater(max, x.to_f32()))?.max();
        let sum = row.fold(Lanes::splat(0.0), |sum, x| sum + math::exp_nonpositive(x.to_f32() - max))?.sum();
        let lse = max + math::log(sum);
        let Some(class) = class(labels.get(index)?, ignore_index, classes)? else { return Ok((0.0, lse)) };
        let mut loss = lse - of_labels.get(index * classes + class)?.to_f32();
        if label_smoothing != 0.0 {
            let mean = row.fold(Lanes::splat(0.0), |sum, x| sum + x.to_f32())?.sum() / classes as f32;
            loss = (1.0 - label_smoothing) * loss + label_smoothing * (lse - mean);
        }
        Ok((loss, lse))
    })
}

/// dlogits = dloss (exp(logits - lse) - (1 - e) \[is the label\] - e / V): the gradient of `cross_entropy_forward`, 0 in rows
/// that are ignored.
///
/// dloss: `[..]`, f32; the others as there; dlogits: like logits.
#[custom_op(shape = like_logits)]
pub fn cross_entropy_backward<T: Float>(
    core: &Core,
    dloss: Input<f32>,
    logits: Input<T>,
    labels: Input<i32>,
    lse: Input<f32>,
    ignore_index: i32,
    label_smoothing: f32,
    dlogits: Output<T>,
) -> OpResult {
    let tcm = core.tcm();
    let (mut dloss, mut labels, mut lse) = (tcm.window(&dloss)?, tcm.window(&labels)?, tcm.window(&lse)?);
    core.rows(&logits, dlogits).each(|row| {
        let (index, classes) = (row.index(), row.len());
        let Some(class) = class(labels.get(index)?, ignore_index, classes)? else {
            return row.map(|_| T::from_f32(0.0));
        };
        let (dloss, lse) = (dloss.get(index)?, lse.get(index)?);
        let (others, own) = (label_smoothing / classes as f32, 1.0 - label_smoothing);
        // As 32-bit numbers, of which a vector has as many as of f32.
        let class = class as u32;
        row.map_indexed(|i, x| {
            let target = others + if i as u32 == class { own } else { 0.0 };
            T::from_f32(dloss * (math::exp_nonpositive(x.to_f32() - lse) - target))
        })
    })
}
