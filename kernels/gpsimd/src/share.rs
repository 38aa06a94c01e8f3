//! Work sharing: which part of the data is this core's.

use core::ops::Range;

/// One core's contiguous part of a range of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    start: usize,
    end: usize,
}

impl Share {
    /// The part of core `id` of `count` when `len` elements are dealt in granules of `granule` elements (the last one
    /// may be partial): the parts follow each other in order of the cores, cover everything once, and their numbers of
    /// granules differ by at most one; with fewer granules than cores the last cores have none. A granule of 0 counts
    /// as 1.
    pub fn new(len: usize, granule: usize, id: usize, count: usize) -> Self {
        let granule = granule.max(1);
        let count = count.max(1);
        let granules = len.div_ceil(granule);
        let (each, extra) = (granules / count, granules % count);
        let first = id * each + id.min(extra);
        let last = first + each + usize::from(id < extra);
        // Only the end of the last granule can lie past `len`; saturating keeps that true at the top of the address
        // space.
        Self { start: first.saturating_mul(granule).min(len), end: last.saturating_mul(granule).min(len) }
    }

    /// First element and one past the last.
    pub fn range(&self) -> Range<usize> {
        self.start..self.end
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The part cut into ranges of `len` elements, the last one shorter.
    ///
    /// # Panics
    /// When `len` is 0, as it is where not one row fits in TCM, and there are elements.
    #[track_caller]
    pub fn chunks(&self, len: usize) -> Chunks {
        Chunks::of(self.range(), len)
    }
}

/// Consecutive ranges of a [`Share`].
#[derive(Clone, Debug)]
pub struct Chunks {
    next: usize,
    end: usize,
    len: usize,
}

impl Chunks {
    /// The elements of `range` cut into ranges of `len`, the last one shorter.
    ///
    /// # Panics
    /// When `range` runs backwards, or `len` is 0 and there are elements.
    #[track_caller]
    pub fn of(range: Range<usize>, len: usize) -> Self {
        assert!(range.start <= range.end, "chunks of a range that runs backwards");
        assert!(len != 0 || range.is_empty(), "chunks of 0 elements: not one row fits in the TCM that is left");
        Self { next: range.start, end: range.end, len }
    }
}

impl Iterator for Chunks {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        if self.next >= self.end {
            return None;
        }
        let start = self.next;
        // Not `start + len`, which could overflow.
        self.next = if self.end - start > self.len { start + self.len } else { self.end };
        Some(start..self.next)
    }
}
