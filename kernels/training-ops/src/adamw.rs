//! AdamW with gradients scaled on the way, as clipping by their global norm needs it.

use bert_ops::AdamWFactors;
use gpsimd::prelude::*;

/// Elements whose squares are summed in lanes before they are added to what came before: a lane adds 256 of them.
const BLOCK: usize = 4096;

fn of_parts(x: &TensorType) -> Result<TensorType, ShapeError> {
    x.with_dtype::<f32>().with_shape(&[PARTS])
}

fn like_state(state: &TensorType, grad: &TensorType, scale: &TensorType) -> Result<TensorType, ShapeError> {
    state.expect_rank(2)?.expect_dim(0, 3)?;
    grad.expect_rank(1)?.expect_dim(0, state.dim(1))?;
    scale.expect_rank(1)?.expect_dim(0, 1)?;
    Ok(*state)
}

/// sums\[i\] = the sum of x^2 over part i of 8 equal parts of x: their sum is the square of the norm of x.
///
/// x: any shape, f32, bf16 or f16, computed in f32; sums: `[8]`, f32. The parts are left apart, as nothing synchronises the
/// cores of a launch, and what adds the norms of many tensors adds these, too.
#[custom_op(shape = of_parts)]
pub fn sum_of_squares<T: Float>(core: &Core, x: Input<T>, mut sums: Output<f32>) -> OpResult {
    let tcm = core.tcm();
    let tile = tcm.tile_len::<T>(2).max(LANES);
    for (part, range) in core.parts(x.len()) {
        let mut sum = 0.0;
        for block in Chunks::of(range, BLOCK) {
            let mut lanes = Lanes::splat(0.0);
            for range in Chunks::of(block, tile) {
                lanes.fold(&tcm.load(&x, range)?, |sum, x: T| math::fma(x.to_f32(), x.to_f32(), sum));
            }
            sum += lanes.sum();
        }
        tcm.fill(&mut sums, part..=part, sum)?;
    }
    Ok(())
}

/// `bert_ops::adamw_step` of the gradient scale * grad.
///
/// scale: `[1]`, f32, a tensor, so that on the device it can follow from norms without a visit to the host; the others as
/// there.
#[custom_op(shape = like_state, replaces = state)]
#[expect(clippy::too_many_arguments, reason = "the optimizer's hyperparameters")]
pub fn scaled_adamw_step<T: Float>(
    core: &Core,
    state: Input<f32>,
    grad: Input<T>,
    scale: Input<f32>,
    lr: f32,
    beta1: f32,
    beta2: f32,
    eps: f32,
    weight_decay: f32,
    step: f32,
    new_state: Output<f32>,
) -> OpResult {
    let len = grad.len();
    let scale = core.tcm().window(&scale)?.get(0)?;
    let factors = AdamWFactors::of(lr, beta1, beta2, eps, weight_decay, step);
    let [p, m, v] = [state.part(..len), state.part(len..2 * len), state.part(2 * len..)];
    let (new_p, rest) = new_state.split_at(len);
    let (new_m, new_v) = rest.split_at(len);
    core.map((&p, &m, &v, &grad), (new_p, new_m, new_v), |(p, m, v, g)| factors.update(p, m, v, scale * g.to_f32()))
}
