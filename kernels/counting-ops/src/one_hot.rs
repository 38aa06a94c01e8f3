//! A row for each index, with a 1 at its place.

use gpsimd::prelude::*;

fn rows(x: &TensorType, classes: usize, stride: usize) -> Result<TensorType, ShapeError> {
    let mut shape = x.shape();
    let row = classes.checked_mul(stride).filter(|row| u32::try_from(*row).is_ok());
    let row = row.ok_or_else(|| ShapeError::new("a row has more than 2^32 - 1 elements"))?;
    shape.push(row).map_err(|_| ShapeError::new("the output has more than 8 dimensions"))?;
    x.with_shape(&shape)
}

/// y\[.., stride x\[..\]\] = 1, and 0 elsewhere: with a stride of 1, `torch.nn.functional.one_hot`. With one of 2, the numbers in
/// int64 of a CPU whose lower half is the first.
///
/// x: any shape, i32, each from 0 to `classes` - 1; y: `[.., classes * stride]`, i32.
#[custom_op(shape = rows)]
pub fn one_hot(core: &Core, x: Input<i32>, classes: usize, stride: usize, mut y: Output<i32>) -> OpResult {
    let tcm = core.tcm();
    let row = classes * stride;
    if row == 0 {
        return tcm.load_indices(&x, ..x.len().min(1), classes).map(drop);
    }
    // Parts of a row, or rows, of which each has an index; both may take up to 64 bytes more, and a part has one of two rows.
    let elements = tcm.left().saturating_sub(3 * 64) / size_of::<i32>();
    let most = ((elements as u64 * row as u64 / (row as u64 + 1)) as usize / LANES * LANES).max(LANES);
    for range in core.share(y.len(), LANES).chunks(most) {
        let first = range.start / row;
        let x = tcm.load_indices(&x, first..=(range.end - 1) / row, classes)?;
        let mut stage = tcm.stage_filled(&mut y, range.clone(), 0)?;
        for (number, x) in x.iter().enumerate() {
            let place = (first + number) * row + *x as usize * stride;
            if let Some(to) = stage.get_mut(place.wrapping_sub(range.start)) {
                *to = 1;
            }
        }
        stage.store()?;
    }
    Ok(())
}
