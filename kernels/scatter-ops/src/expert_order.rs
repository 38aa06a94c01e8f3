//! The order in which a mixture of experts has its tokens: by expert.

use gpsimd::prelude::*;

fn order_and_counts(experts: &TensorType, count: usize) -> Result<[TensorType; 2], ShapeError> {
    let len = experts.elements_in(0..experts.rank());
    if len > i32::MAX as usize || count > i32::MAX as usize {
        return Err(ShapeError::new("there are more than 2^31 - 1 tokens or experts, and indices are i32"));
    }
    Ok([experts.with_shape(&[len])?, experts.with_shape(&[count])?])
}

/// The indices of `experts`, as if it had one dimension, sorted stably by expert, as `torch.argsort(experts.view(-1),
/// stable=True)`; and how many there are of each expert.
///
/// experts: any shape, i32, each from 0 to `count` - 1, of S elements in all; order: `[S]`, int64; counts: `[count]`, int64. Every core has
/// experts of its own, and looks for each through all of `experts`: it is for some hundred, not for thousands.
#[custom_op(shape = order_and_counts, returns(order = i64, counts = i64))]
pub fn expert_order(
    core: &Core,
    experts: Input<i32>,
    count: usize,
    mut order: Output<i32>,
    mut counts: Output<i32>,
) -> OpResult {
    let own = core.share(count, 1).range();
    if own.is_empty() && core.id() != 0 {
        return Ok(());
    }
    let tcm = core.tcm();
    let most = tcm.tile_len::<i32>(3);
    let mut found = tcm.buffer::<i32>(most)?;
    // Behind those of all experts before.
    let mut before = Lanes::splat(0_i32);
    let first = own.start as i32;
    for part in Chunks::of(0..experts.len(), most) {
        let experts = tcm.load_indices(&experts, part, count)?;
        before.fold(&experts, |before: i32, expert: i32| before.wrapping_add(i32::from(expert < first)));
    }
    let mut next = before.wrapping_sum() as usize;
    for range in core.share(count, 1).chunks(LANES) {
        let mut stage = tcm.stage(&mut counts, range.clone())?;
        for (to, expert) in stage.iter_mut().zip(range) {
            let start = next;
            for part in Chunks::of(0..experts.len(), most) {
                let first = part.start as i32;
                let experts = tcm.load(&experts, part)?;
                let count = lanes::compact(&experts, first, |other| other == expert as i32, &mut found).found;
                found.store(&mut order, next..next + count)?;
                next += count;
            }
            *to = (next - start) as i32;
        }
        stage.store()?;
    }
    Ok(())
}
