//! Tokens drawn by their logits, among the likeliest.

use gpsimd::prelude::*;
use gpsimd::random::Philox;
use gpsimd::{Buffer, greater};

use crate::seed::{expect_seed, exponential, numbers};

fn a_token_of_each_row(logits: &TensorType, seed: &TensorType) -> Result<TensorType, ShapeError> {
    let mut shape = logits.expect_rank_at_least(1)?.shape();
    expect_seed(seed)?;
    if shape.pop().is_some_and(|len| len > i32::MAX as usize) {
        return Err(ShapeError::new("the rows of logits have more than 2^31 - 1 elements, and indices are i32"));
    }
    logits.with_dtype::<i32>().with_shape(&shape)
}

/// A token of each row, drawn by softmax(logits / temperature) among those that are kept: of the `top_k` likeliest (all, if
/// `top_k` is 0), the fewest, the likeliest first, whose probabilities, those of the `top_k` being 1 together, sum up to at least
/// p, and at least one. Of equal logits those of the lower index are kept first.
///
/// logits: `[.., V]`, f32, bf16 or f16, computed in f32; of minus infinity a token is never drawn; seed: `[2]`, i32, 64 bits with
/// the low half first; temperature: from 0 on, where 0 draws the likeliest; ids: `[..]`, int64. Probabilities are summed in 16
/// lanes. The draw is a race, as in `race`. Random numbers: Philox4x32-10.
#[custom_op(shape = a_token_of_each_row, returns(ids = i64))]
pub fn top_p<T: Float>(
    core: &Core,
    logits: Input<T>,
    seed: Input<i32>,
    temperature: f32,
    p: f32,
    top_k: u32,
    mut ids: Output<i32>,
) -> OpResult {
    if !(0.0..f32::INFINITY).contains(&temperature) {
        return Err(OpError::Refused("`temperature` is finite, from 0 on"));
    }
    if !(0.0..=1.0).contains(&p) {
        return Err(OpError::Refused("`p` is a probability, from 0 to 1"));
    }
    if ids.is_empty() {
        return Ok(());
    }
    let len = logits.len() / ids.len();
    if len == 0 {
        return Err(OpError::Refused("the rows of `logits` are empty"));
    }
    let (temperature, top_k) = if temperature > 0.0 { (temperature, top_k as usize) } else { (1.0, 1) };
    let numbers = numbers(core, &seed)?;
    for range in core.share(ids.len(), 1).chunks(LANES) {
        let mut stage = core.tcm().stage(&mut ids, range.clone())?;
        for (id, number) in stage.iter_mut().zip(range) {
            let row = Row::new(core, logits, number * len..(number + 1) * len, temperature)?;
            let mut kept = Kept { above: f32::NEG_INFINITY, equals: usize::MAX };
            if top_k > 0 && top_k < len {
                kept = row.likeliest(top_k)?;
            }
            if p < 1.0 {
                kept = row.nucleus(&kept, p)?;
            }
            *id = row.draw(numbers, &kept)?;
        }
        stage.store()?;
    }
    Ok(())
}

/// Which tokens of a row are kept: those with logits above one, and so many of those that have it, the first.
struct Kept {
    above: f32,
    equals: usize,
}

/// The logits of a row.
struct Row<'l, 'c, T> {
    core: &'c Core,
    logits: Input<'l, T>,
    range: core::ops::Range<usize>,
    temperature: f32,
    /// The greatest.
    max: f32,
}

impl<'l, 'c, T: Float> Row<'l, 'c, T> {
    fn new(core: &'c Core, logits: Input<'l, T>, range: core::ops::Range<usize>, temperature: f32) -> OpResult<Self> {
        let mut row = Self { core, logits, range, temperature, max: f32::NEG_INFINITY };
        row.max = row.fold(f32::NEG_INFINITY, greater)?.max();
        let nan = row.fold(0, |count, logit| count + i32::from(logit.is_nan()))?.wrapping_sum();
        if nan == 0 && row.max.is_finite() {
            return Ok(row);
        }
        Err(OpError::Refused("a row of `logits` has a NaN or infinity, or nothing but minus infinity"))
    }

    /// What a token weighs: 1 for the likeliest.
    #[inline(always)]
    fn weight(&self, logit: f32) -> f32 {
        math::exp_nonpositive((logit - self.max) / self.temperature)
    }

    /// Takes all logits into lanes.
    #[inline(always)]
    fn fold<L: lanes::Lane>(&self, lane: L, f: impl Fn(L, f32) -> L) -> OpResult<Lanes<L>> {
        let mut lanes = Lanes::splat(lane);
        for range in Chunks::of(self.range.clone(), self.core.tcm().tile_len::<T>(2)) {
            lanes.fold(&self.core.tcm().load(&self.logits, range)?, |lane, logit: T| f(lane, logit.to_f32()));
        }
        Ok(lanes)
    }

    /// How many logits are no less than this one.
    #[inline(never)]
    fn count(&self, least: f32) -> OpResult<usize> {
        Ok(self.fold(0, |count: i32, logit| count + i32::from(logit >= least))?.wrapping_sum() as usize)
    }

    /// What the tokens weigh whose logits are no less than this one.
    #[inline(never)]
    fn mass(&self, least: f32) -> OpResult<f32> {
        let add = |sum: f32, logit: f32| sum + if logit >= least { self.weight(logit) } else { 0.0 };
        Ok(self.fold(0.0, add)?.sum())
    }

    /// The greatest logit from `least` on, which it holds for, that this holds for: it holds for all that are less than one.
    /// By bisection of the order of floats.
    #[inline(always)]
    fn greatest(&self, least: f32, holds: impl Fn(f32) -> OpResult<bool>) -> OpResult<f32> {
        let (mut low, mut high) = (lanes::key(least), lanes::key(self.max));
        while low < high {
            // Above the lower one.
            let middle = low + ((high as u32).wrapping_sub(low as u32).div_ceil(2)) as i32;
            if holds(lanes::from_key(middle))? {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        Ok(lanes::from_key(low))
    }

    /// The `k` likeliest, of more.
    #[inline(never)]
    fn likeliest(&self, k: usize) -> OpResult<Kept> {
        let above = self.greatest(f32::NEG_INFINITY, |least| Ok(self.count(least)? >= k))?;
        Ok(Kept { above, equals: k - self.count(next_up(above))? })
    }

    /// The fewest of those kept whose share of them all is at least `p`.
    #[inline(never)]
    fn nucleus(&self, kept: &Kept, p: f32) -> OpResult<Kept> {
        let over = |logit| self.mass(next_up(logit));
        let all = if kept.equals == usize::MAX {
            self.mass(kept.above)?
        } else {
            over(kept.above)? + kept.equals as f32 * self.weight(kept.above)
        };
        let enough = p * all;
        // All below have less than half of what may be missing together, if each has less than its share of that.
        let share = (1.0 - p) / (2.0 * self.range.len() as f32);
        let low = self.max + self.temperature * math::log(share);
        let least = if low > kept.above && self.mass(low)? >= enough { low } else { kept.above };
        let above = self.greatest(least, |least| Ok(self.mass(least)? >= enough))?;
        let missing = (enough - over(above)?) / self.weight(above);
        let whole = missing as u32;
        // At least one: without any there was not enough.
        let equals = whole.saturating_add(u32::from((whole as f32) < missing)).max(1) as usize;
        let most = if above > kept.above { usize::MAX } else { kept.equals };
        Ok(Kept { above, equals: equals.min(most) })
    }

    /// Draws one of the kept by a race: the fastest, with its weight as its rate.
    #[inline(never)]
    fn draw(&self, numbers: Philox, kept: &Kept) -> OpResult<i32> {
        let tcm = self.core.tcm();
        let most = tcm.tile_len::<f32>(4);
        let mut speeds: Buffer<'_, f32> = tcm.buffer(most)?;
        let mut equals = kept.equals;
        let mut fastest = lanes::Extreme { value: -1.0, index: 0 };
        for range in Chunks::of(self.range.clone(), most) {
            let logits = tcm.load(&self.logits, range.clone())?;
            if !lanes::any(&logits, |logit| logit.to_f32() >= kept.above) {
                continue;
            }
            let speeds = speeds.get_mut(..range.len()).unwrap_or_default();
            numbers.fill(range.start as u64, speeds, exponential);
            for (speed, logit) in speeds.iter_mut().zip(&*logits) {
                let logit = logit.to_f32();
                *speed = if logit >= kept.above { self.weight(logit) / *speed } else { -1.0 };
            }
            if equals != usize::MAX && lanes::any(&logits, |logit| logit.to_f32() == kept.above) {
                // Those behind the last that is kept of the equals lose.
                for (speed, logit) in speeds.iter_mut().zip(&*logits) {
                    let is_equal = logit.to_f32() == kept.above;
                    *speed = if is_equal && equals == 0 { -1.0 } else { *speed };
                    equals -= usize::from(is_equal && equals > 0);
                }
            }
            if let Some(later) = lanes::argmax(speeds, (range.start - self.range.start) as i32) {
                fastest = fastest.max(later);
            }
        }
        Ok(fastest.index)
    }
}

/// The float that comes after, in the order of keys.
#[inline(always)]
fn next_up(logit: f32) -> f32 {
    lanes::from_key(lanes::key(logit) + 1)
}
