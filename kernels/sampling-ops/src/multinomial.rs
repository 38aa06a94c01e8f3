//! Weighted draws with replacement, by sums of weights.
//!
//! A row is cut into groups of 256 blocks of 16 parts of 16 weights. A draw chooses a group by the groups' sums, a block of it by
//! the blocks' sums, a part, and at last a weight, each with random bits of its own: no sum is over more than 256
//! numbers, so that no category is too small beside the sum of a row for a float. Among these, sums are added one after the
//! other, so that what is 0 adds nothing and is never chosen.

use gpsimd::prelude::*;
use gpsimd::random::uniform;

use crate::race::is_weight;
use crate::seed::{expect_seed, numbers};

/// Weights of a part.
const PART: usize = 16;
/// Weights of a block.
const BLOCK: usize = 16 * PART;
/// Blocks of a group, and the most groups of a row.
const BLOCKS: usize = 256;

fn sums_of_blocks(weights: &TensorType, seed: &TensorType, _draws: usize) -> Result<TensorType, ShapeError> {
    let last = weights.expect_rank_at_least(1)?.rank() - 1;
    expect_seed(seed)?;
    if weights.last_dim() > BLOCK * BLOCKS * BLOCKS {
        return Err(ShapeError::new("the rows of weights have more than 2^24 elements"));
    }
    let blocks = weights.last_dim().div_ceil(BLOCK);
    weights.with_dtype::<f32>().with_shape(&[weights.elements_in(0..last), blocks])
}

fn draws_of_rows(
    weights: &TensorType,
    _seed: &TensorType,
    _sums: &TensorType,
    draws: usize,
) -> Result<TensorType, ShapeError> {
    let mut shape = weights.shape();
    if let Some(last) = shape.last_mut() {
        *last = draws;
    }
    weights.with_dtype::<i32>().with_shape(&shape)
}

/// Categories drawn with probabilities in proportion to their weights, with replacement, as `torch.multinomial`. In two
/// phases: this one sums weights.
///
/// weights: `[.., N]`, f32, bf16 or f16, not negative, N up to 2^24; seed: `[2]`, i32, 64 bits with the low half first; ids:
/// `[.., draws]`, int64. A row of weights 0 is an error. Random numbers: Philox4x32-10, block i for draw i.
#[custom_op(shape = sums_of_blocks, then = multinomial_draws(weights, seed, sums, draws))]
#[expect(unused_variables, reason = "the seed is the second phase's")]
pub fn multinomial<T: Float>(
    core: &Core,
    weights: Input<T>,
    seed: Input<i32>,
    draws: usize,
    mut sums: Output<f32>,
) -> OpResult {
    if sums.is_empty() {
        return Ok(());
    }
    let (tcm, len, blocks) = (core.tcm(), weights.shape().last().copied().unwrap_or(1), sums.dim(1));
    let own = core.share(sums.len(), 1).range();
    let mut next = own.start;
    while next < own.end {
        let (row, block) = (next / blocks, next % blocks);
        let most = (tcm.tile_len::<f32>(2) / BLOCK).max(1);
        let end = own.end.min(next + most).min((row + 1) * blocks);
        let last = (block + end - next) * BLOCK;
        let weights = tcm.load(&weights, row * len + block * BLOCK..row * len + last.min(len))?;
        if lanes::any(&weights, |weight| !is_weight(weight.to_f32())) {
            return Err(OpError::Refused("a weight is negative, infinite or NaN"));
        }
        let mut stage = tcm.stage(&mut sums, next..end)?;
        for (sum, weights) in stage.iter_mut().zip(weights.chunks(BLOCK)) {
            let mut lanes = Lanes::splat(0.0);
            lanes.fold(weights, |sum, weight| sum + weight.to_f32());
            *sum = lanes.sum();
        }
        stage.store()?;
        next = end;
    }
    Ok(())
}

/// The second phase of `multinomial`.
///
/// weights and seed: as there; sums: of every block of 256 weights.
#[custom_op(shape = draws_of_rows, returns(ids = i64))]
pub fn multinomial_draws<T: Float>(
    core: &Core,
    weights: Input<T>,
    seed: Input<i32>,
    sums: Input<f32>,
    draws: usize,
    mut ids: Output<i32>,
) -> OpResult {
    if ids.is_empty() {
        return Ok(());
    }
    let tcm = core.tcm();
    let numbers = numbers(core, &seed)?;
    let len = weights.shape().last().copied().unwrap_or(1);
    let mut levels = Levels::new(core, sums)?;
    let own = core.share(ids.len(), 1).range();
    let mut next = own.start;
    while next < own.end {
        let row = next / draws;
        levels.enter(row)?;
        let end = own.end.min((row + 1) * draws);
        let beside = BLOCK * size_of::<T>();
        for range in Chunks::of(next..end, tcm.left().saturating_sub(beside + 64) / size_of::<i32>()) {
            let mut stage = tcm.stage(&mut ids, range.clone())?;
            for (id, draw) in stage.iter_mut().zip(range) {
                let [of_group, of_block, of_part, of_weight] = numbers.block(draw as u64);
                let block = levels.draw(of_group, of_block)? * BLOCK;
                let weights = tcm.load(&weights, row * len + block..row * len + (block + BLOCK).min(len))?;
                *id = (block + draw_of_block(&weights, of_part, of_weight)) as i32;
            }
            stage.store()?;
        }
        next = end;
    }
    Ok(())
}

/// The sums of a row's groups, and of the blocks of one of them, each as prefix sums.
struct Levels<'l, 'c> {
    core: &'c Core,
    sums: Input<'l, f32>,
    /// Blocks of a row.
    blocks: usize,
    row: usize,
    /// The group whose blocks are in `of_blocks`.
    group: Option<usize>,
    of_blocks: gpsimd::Buffer<'c, f32>,
    of_groups: gpsimd::Buffer<'c, f32>,
}

impl<'l, 'c> Levels<'l, 'c> {
    fn new(core: &'c Core, sums: Input<'l, f32>) -> OpResult<Self> {
        let blocks = sums.dim(1);
        let (of_groups, of_blocks) =
            (core.tcm().buffer(blocks.div_ceil(BLOCKS))?, core.tcm().buffer(blocks.min(BLOCKS))?);
        Ok(Self { core, sums, blocks, row: 0, group: None, of_blocks, of_groups })
    }

    /// The sums of the blocks of a group.
    fn load(&self, group: usize) -> OpResult<gpsimd::Tile<'c, f32>> {
        let row = self.row * self.blocks;
        self.core.tcm().load(&self.sums, row + group * BLOCKS..row + ((group + 1) * BLOCKS).min(self.blocks))
    }

    /// Turns to a row.
    fn enter(&mut self, row: usize) -> OpResult {
        (self.row, self.group) = (row, None);
        let mut total = 0.0;
        for group in 0..self.of_groups.len() {
            let mut lanes = Lanes::splat(0.0);
            lanes.fold(&self.load(group)?, |sum, block: f32| sum + block);
            total += lanes.sum();
            if let Some(to) = self.of_groups.get_mut(group) {
                *to = total;
            }
        }
        if total > 0.0 && total < f32::INFINITY {
            Ok(())
        } else {
            Err(OpError::Refused("the sum of a row's weights is 0 or not finite"))
        }
    }

    /// Draws a block of the row.
    #[inline(always)]
    fn draw(&mut self, of_group: u32, of_block: u32) -> OpResult<usize> {
        let group = choose(&self.of_groups, of_group);
        if self.group != Some(group) {
            self.group = Some(group);
            let sums = self.load(group)?;
            prefix(&sums, &mut self.of_blocks);
        }
        let blocks = BLOCKS.min(self.blocks - group * BLOCKS);
        Ok(group * BLOCKS + choose(self.of_blocks.get(..blocks).unwrap_or_default(), of_block))
    }
}

/// Draws a weight of a block.
#[inline(always)]
fn draw_of_block<T: Float>(weights: &[T], of_part: u32, of_weight: u32) -> usize {
    let (mut sums, mut prefixes) = ([0.0_f32; BLOCK / PART], [0.0_f32; PART]);
    for (sum, part) in sums.iter_mut().zip(weights.chunks(PART)) {
        *sum = part.iter().fold(0.0, |sum, weight| sum + weight.to_f32());
    }
    let parts = weights.len().div_ceil(PART);
    prefix(&sums, &mut prefixes);
    let first = PART * choose(prefixes.get(..parts).unwrap_or_default(), of_part);
    let part = weights.get(first..).unwrap_or_default();
    let len = part.len().min(PART);
    prefix(part, &mut prefixes);
    first + choose(prefixes.get(..len).unwrap_or_default(), of_weight)
}

/// Writes the sums of numbers up to each.
#[inline(always)]
fn prefix<T: Float>(numbers: &[T], sums: &mut [f32]) {
    let mut total = 0.0;
    for (sum, number) in sums.iter_mut().zip(numbers) {
        total += number.to_f32();
        *sum = total;
    }
}

/// Draws one of the numbers whose prefix sums these are, with probability in proportion to it. Their total is positive.
#[inline(always)]
fn choose(sums: &[f32], bits: u32) -> usize {
    let Some(total) = sums.last() else { return 0 };
    // Below the total, whatever the rounding: its bits are those of a positive number.
    let (scaled, below) = (uniform(bits) * total, f32::from_bits(total.to_bits().saturating_sub(1)));
    let place = if scaled < below { scaled } else { below };
    // The first whose sum is above the place: no 0 is the first.
    let (mut low, mut left) = (0, sums.len());
    while left > 0 {
        let half = left.div_ceil(2);
        let is_above = sums.get(low + half - 1).is_none_or(|sum| *sum > place);
        low += if is_above { 0 } else { half };
        left /= 2;
    }
    low
}
