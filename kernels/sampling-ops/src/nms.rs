//! Non-maximum suppression of boxes.

use core::ops::Range;

use gpsimd::Tile;
use gpsimd::prelude::*;

fn kept_and_count(boxes: &TensorType) -> Result<[TensorType; 2], ShapeError> {
    boxes.expect_rank(2)?.expect_dim(0, 4)?;
    if boxes.dim(1) > i32::MAX as usize {
        return Err(ShapeError::new("there are more than 2^31 - 1 boxes, and indices are i32"));
    }
    let numbers = boxes.with_dtype::<i32>();
    Ok([numbers.with_shape(&[boxes.dim(1)])?, numbers.with_shape(&[1])?])
}

/// Keeps boxes in their order, each unless one that was kept before covers it: unless the area of their intersection is more than
/// `threshold` of that of their union, as `torchvision.ops.nms`; -1 behind them; and how many there are.
///
/// boxes: `[4, N]`, f32, bf16 or f16, computed in f32: x1, y1, x2 and y2, of the box with the greatest score first; kept: `[N]`,
/// i32; count: `[1]`, i32. A box after the other: one core does it all, with a bit in TCM for every box.
#[custom_op(shape = kept_and_count)]
pub fn nms<T: Float>(
    core: &Core,
    boxes: Input<T>,
    threshold: f32,
    mut kept: Output<i32>,
    mut count: Output<i32>,
) -> OpResult {
    if core.id() != 0 {
        return Ok(());
    }
    let (tcm, len) = (core.tcm(), boxes.dim(1));
    let mut covered = tcm.buffer::<i32>(len.div_ceil(BITS))?;
    covered.fill(0);
    // Boxes in turn with their numbers, others that they may cover, and whether they do.
    let beside = 16 * 64;
    let most = tcm.left().saturating_sub(beside) / (2 * 4 * size_of::<T>() + size_of::<i32>() + 1) / BITS * BITS;
    if most == 0 {
        return Err(OpError::Refused("there is no room in TCM for a bit of every box"));
    }
    let (mut numbers, mut flags) = (tcm.buffer::<i32>(most)?, tcm.buffer::<u8>(most)?);
    let mut total = 0;
    for range in Chunks::of(0..len, most) {
        let turn = Boxes::load(core, &boxes, len, range.clone())?;
        for (i, flag) in flags.iter_mut().enumerate().take(range.len()) {
            let number = range.start + i;
            *flag = covered.get(number / BITS).map_or(0, |word| (word >> (number % BITS) & 1) as u8);
        }
        let mut found = 0;
        for i in 0..range.len() {
            let flags = flags.get_mut(..range.len()).unwrap_or_default();
            if flags.get(i).is_some_and(|flag| *flag != 0) {
                continue;
            }
            turn.cover(turn.at(i), threshold, flags);
            if let Some(number) = numbers.get_mut(found) {
                *number = (range.start + i) as i32;
            }
            found += 1;
        }
        numbers.store(&mut kept, total..total + found)?;
        total += found;
        let numbers = numbers.get(..found).unwrap_or_default();
        for later in Chunks::of(if found == 0 { len..len } else { range.end..len }, most) {
            let others = Boxes::load(core, &boxes, len, later.clone())?;
            let flags = flags.get_mut(..later.len()).unwrap_or_default();
            flags.fill(0);
            for number in numbers {
                others.cover(turn.at(*number as usize - range.start), threshold, flags);
            }
            for (word, flags) in covered.iter_mut().skip(later.start / BITS).zip(flags.chunks(BITS)) {
                for (bit, flag) in flags.iter().enumerate() {
                    *word |= i32::from(*flag) << bit;
                }
            }
        }
    }
    drop((flags, numbers, covered));
    tcm.fill(&mut kept, total..len, -1)?;
    tcm.fill(&mut count, .., total as i32)
}

/// Bits of a word.
const BITS: usize = i32::BITS as usize;

/// Boxes in TCM.
struct Boxes<'c, T> {
    // Freed in this order, the reverse of that in which they are loaded.
    y2: Tile<'c, T>,
    x2: Tile<'c, T>,
    y1: Tile<'c, T>,
    x1: Tile<'c, T>,
}

impl<'c, T: Float> Boxes<'c, T> {
    fn load(core: &'c Core, boxes: &Input<'_, T>, len: usize, range: Range<usize>) -> OpResult<Self> {
        let load = |side: usize| core.tcm().load(boxes, side * len + range.start..side * len + range.end);
        let (x1, y1, x2, y2) = (load(0)?, load(1)?, load(2)?, load(3)?);
        Ok(Self { y2, x2, y1, x1 })
    }

    /// Box number `i`.
    fn at(&self, i: usize) -> [f32; 4] {
        let side = |tile: &Tile<'_, T>| tile.get(i).map_or(0.0, |side| side.to_f32());
        [side(&self.x1), side(&self.y1), side(&self.x2), side(&self.y2)]
    }

    /// Sets the flags of the boxes that a box covers.
    #[inline(never)]
    fn cover(&self, [x1, y1, x2, y2]: [f32; 4], threshold: f32, flags: &mut [u8]) {
        let own = (x2 - x1) * (y2 - y1);
        let first = self.x1.iter().zip(&*self.y1);
        let second = self.x2.iter().zip(&*self.y2);
        for (flag, ((left, top), (right, bottom))) in flags.iter_mut().zip(first.zip(second)) {
            let (left, top, right, bottom) = (left.to_f32(), top.to_f32(), right.to_f32(), bottom.to_f32());
            let width = lesser(x2, right) - larger(x1, left);
            let height = lesser(y2, bottom) - larger(y1, top);
            let both = larger(0.0, width) * larger(0.0, height);
            let area = (right - left) * (bottom - top);
            *flag |= u8::from(both / (own + area - both) > threshold);
        }
    }
}

#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if a < b { b } else { a }
}

#[inline(always)]
fn lesser(a: f32, b: f32) -> f32 {
    if b < a { b } else { a }
}
