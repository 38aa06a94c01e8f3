//! The generator, and which of its numbers an element has.

use crate::LANES;

use super::distributions::normal;

/// Philox4x32-10 with its key, the seed, and half of its counter, the stream.
///
/// The other half of the counter numbers the blocks of a stream, of four numbers each. Element i has number i / 16 % 4
/// of block 16 (i / 64) + i % 16. So sixteen lanes compute the blocks of 64 elements, each lane its own, and the four
/// numbers of a lane lie 16 elements apart: no lane needs another's.
///
/// Streams are for launches that share a seed: a launch with the offset of `PyTorch`'s generator as its stream has
/// numbers that no other launch has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Philox {
    seed: u64,
    stream: u64,
}

/// Numbers of one block.
const WORDS: usize = 4;
/// Elements that share sixteen blocks.
pub(crate) const GROUP: usize = WORDS * LANES;

impl Philox {
    /// The generator of a seed, at stream 0.
    #[inline(always)]
    pub const fn new(seed: u64) -> Self {
        Self { seed, stream: 0 }
    }

    /// The generator of a seed that is a tensor of two i32, the low half of its bits first; halves that are missing are 0.
    #[inline(always)]
    #[must_use]
    pub fn of_halves(seed: &[i32]) -> Self {
        let half = |i| u64::from(seed.get(i).map_or(0, |half: &i32| half.cast_unsigned()));
        Self::new(half(0) | half(1) << 32)
    }

    /// The same seed at another stream.
    #[inline(always)]
    #[must_use]
    pub const fn stream(self, stream: u64) -> Self {
        Self { stream, ..self }
    }

    /// The four numbers of a block. The words of the counter are those of `block`, then those of the stream, low ones first.
    #[inline(always)]
    pub const fn block(self, block: u64) -> [u32; 4] {
        let state = State {
            counter: [block as u32, (block >> 32) as u32, self.stream as u32, (self.stream >> 32) as u32],
            key: [self.seed as u32, (self.seed >> 32) as u32],
        };
        // No loop: a loop over lanes with another inside is not vectorised everywhere.
        let state = state.round().round().round().round().round();
        state.round().round().round().round().round().counter
    }

    /// The number of one element. [`fill`](Self::fill) and [`update`](Self::update) have four at the price of this one.
    #[inline(always)]
    pub const fn bits(self, element: u64) -> u32 {
        let lane = element % LANES as u64;
        self.block(element / GROUP as u64 * LANES as u64 + lane)[(element / LANES as u64) as usize % WORDS]
    }

    /// `values[i] = f(number)` with the numbers of the elements from `first` on.
    #[inline(always)]
    pub fn fill<T>(self, first: u64, values: &mut [T], f: impl Fn(u32) -> T) {
        by_groups(first, values, |group| self.group(group), |value, bits| *value = f(bits));
    }

    /// The numbers of the elements from `first` on, as [`fill`](Self::fill) has them. Without an array of its own: the stack
    /// of a core is small.
    #[inline(always)]
    pub(crate) fn write(self, first: u64, bits: &mut [u32]) {
        let group = GROUP as u64;
        for number in first / group..(first + bits.len() as u64).div_ceil(group) {
            // Where the group's first number is to be: before the bits, if the group began earlier.
            let start = (number * group).wrapping_sub(first) as usize;
            let whole = bits.get_mut(start..).and_then(|bits| bits.first_chunk_mut::<GROUP>());
            if let Some(bits) = whole {
                self.write_group(number, bits);
            } else {
                for lane in 0..LANES {
                    for (word, found) in self.block(LANES as u64 * number + lane as u64).into_iter().enumerate() {
                        if let Some(bits) = bits.get_mut(start.wrapping_add(word * LANES + lane)) {
                            *bits = found;
                        }
                    }
                }
            }
        }
    }

    /// `values[i] = f(values[i], number)` with the numbers of the elements from `first` on.
    #[inline(always)]
    pub fn update<T: Copy>(self, first: u64, values: &mut [T], f: impl Fn(T, u32) -> T) {
        by_groups(first, values, |group| self.group(group), |value, bits| *value = f(*value, bits));
    }

    /// Numbers of the normal distribution for the elements from `first` on.
    ///
    /// Those of elements 16 apart, of the numbers 0 and 1 or 2 and 3 of a block, are a pair of [`normal`].
    #[inline(always)]
    pub fn fill_normal(self, first: u64, values: &mut [f32]) {
        // In place, as bits: the stack of a core is small.
        let normals = |group| {
            let mut numbers = self.group(group);
            for pair in numbers.as_chunks_mut::<{ 2 * LANES }>().0 {
                let (radii, angles) = pair.split_at_mut(LANES);
                for (radius, angle) in radii.iter_mut().zip(angles) {
                    [*radius, *angle] = normal(*radius, *angle).map(f32::to_bits);
                }
            }
            numbers
        };
        by_groups(first, values, normals, |value, number| *value = f32::from_bits(number));
    }

    /// The numbers of the 64 elements of a group.
    #[inline(always)]
    pub(crate) fn group(self, group: u64) -> [u32; GROUP] {
        let mut numbers = [0; GROUP];
        self.write_group(group, &mut numbers);
        numbers
    }

    #[inline(always)]
    fn write_group(self, group: u64, numbers: &mut [u32; GROUP]) {
        for lane in 0..LANES {
            // One by one: a loop over the words would be the innermost, and this one not a loop over lanes that is vectorised.
            let [first, second, third, fourth] = self.block(LANES as u64 * group + lane as u64);
            numbers[lane] = first;
            numbers[LANES + lane] = second;
            numbers[2 * LANES + lane] = third;
            numbers[3 * LANES + lane] = fourth;
        }
    }
}

/// A block on its way through the rounds.
struct State {
    counter: [u32; 4],
    key: [u32; 2],
}

impl State {
    #[inline(always)]
    const fn round(self) -> Self {
        let Self { counter: [c0, c1, c2, c3], key: [k0, k1] } = self;
        let first = c0 as u64 * 0xd251_1f53;
        let second = c2 as u64 * 0xcd9e_8d57;
        Self {
            counter: [(second >> 32) as u32 ^ c1 ^ k0, second as u32, (first >> 32) as u32 ^ c3 ^ k1, first as u32],
            key: [k0.wrapping_add(0x9e37_79b9), k1.wrapping_add(0xbb67_ae85)],
        }
    }
}

/// Applies `f` to every value and the number that `numbers` has for it in its group of 64 elements.
#[inline(always)]
fn by_groups<T>(first: u64, values: &mut [T], numbers: impl Fn(u64) -> [u32; GROUP], f: impl Fn(&mut T, u32)) {
    let mut group = first / GROUP as u64;
    let start = (first % GROUP as u64) as usize;
    let (before, values) = values.split_at_mut(values.len().min((GROUP - start) % GROUP));
    if !before.is_empty() {
        before.iter_mut().zip(&numbers(group)[start..]).for_each(|(value, &number)| f(value, number));
        group += 1;
    }
    let (groups, after) = values.as_chunks_mut::<GROUP>();
    for values in groups {
        values.iter_mut().zip(&numbers(group)).for_each(|(value, &number)| f(value, number));
        group += 1;
    }
    if !after.is_empty() {
        after.iter_mut().zip(&numbers(group)).for_each(|(value, &number)| f(value, number));
    }
}
