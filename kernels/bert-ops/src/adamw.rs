//! The AdamW update (Loshchilov, Hutter: Decoupled Weight Decay Regularization, ICLR 2019, algorithm 2), as
//! `torch.optim.AdamW` computes it.

use gpsimd::prelude::*;

fn like_state(state: &TensorType, grad: &TensorType) -> Result<TensorType, ShapeError> {
    state.expect_rank(2)?.expect_dim(0, 3)?;
    grad.expect_rank(1)?.expect_dim(0, state.dim(1))?;
    Ok(*state)
}

/// One step of AdamW: decoupled weight decay, first and second moment, bias correction, update.
///
/// state: `[3, N]` f32 (parameter, first moment, second moment), grad: `[N]` f32, bf16 or f16, `new_state`: like state.
/// `step` counts from 1; as an f32 it is exact up to 2^24.
///
/// ```text
/// p   <- p (1 - lr weight_decay)
/// m   <- beta1 m + (1 - beta1) g
/// v   <- beta2 v + (1 - beta2) g^2
/// p   <- p - lr / (1 - beta1^step) * m / (sqrt(v) / sqrt(1 - beta2^step) + eps)
/// ```
#[custom_op(shape = like_state, replaces = state)]
#[expect(clippy::too_many_arguments, reason = "the optimizer's hyperparameters")]
pub fn adamw_step<T: Float>(
    core: &Core,
    state: Input<f32>,
    grad: Input<T>,
    lr: f32,
    beta1: f32,
    beta2: f32,
    eps: f32,
    weight_decay: f32,
    step: f32,
    new_state: Output<f32>,
) -> OpResult {
    let len = grad.len();
    let factors = AdamWFactors::of(lr, beta1, beta2, eps, weight_decay, step);
    let [p, m, v] = [state.part(..len), state.part(len..2 * len), state.part(2 * len..)];
    let (new_p, rest) = new_state.split_at(len);
    let (new_m, new_v) = rest.split_at(len);
    core.map((&p, &m, &v, &grad), (new_p, new_m, new_v), |(p, m, v, g)| factors.update(p, m, v, g.to_f32()))
}

/// What the hyperparameters and the step come to, once per launch. In f64: `1 - beta^step` cancels.
pub struct AdamWFactors {
    decay: f32,
    beta1: f32,
    one_minus_beta1: f32,
    beta2: f32,
    one_minus_beta2: f32,
    /// 1 / sqrt(1 - beta2^step)
    correction2: f32,
    eps: f32,
    /// lr / (1 - beta1^step)
    step_size: f32,
}

impl AdamWFactors {
    /// Those of these hyperparameters at `step`.
    #[must_use]
    pub fn of(lr: f32, beta1: f32, beta2: f32, eps: f32, weight_decay: f32, step: f32) -> Self {
        let [lr, beta1, beta2, weight_decay, step] = [lr, beta1, beta2, weight_decay, step].map(f64::from);
        Self {
            decay: (1.0 - lr * weight_decay) as f32,
            beta1: beta1 as f32,
            one_minus_beta1: (1.0 - beta1) as f32,
            beta2: beta2 as f32,
            one_minus_beta2: (1.0 - beta2) as f32,
            correction2: (1.0 / libm::sqrt(1.0 - libm::pow(beta2, step))) as f32,
            eps,
            step_size: (lr / (1.0 - libm::pow(beta1, step))) as f32,
        }
    }

    /// Parameter, first and second moment after the gradient `g`.
    #[inline(always)]
    #[must_use]
    pub fn update(&self, p: f32, m: f32, v: f32, g: f32) -> (f32, f32, f32) {
        // Not m + (1 - beta1) (g - m), which cancels where a small gradient follows a large moment.
        let m = math::fma(self.beta1, m, self.one_minus_beta1 * g);
        let v = math::fma(self.one_minus_beta2, g * g, self.beta2 * v);
        let denominator = math::fma(math::sqrt(v), self.correction2, self.eps);
        let p = math::fma(-self.step_size, m / denominator, p * self.decay);
        (p, m, v)
    }
}
