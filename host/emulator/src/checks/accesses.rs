//! [`Accesses`]: which elements one core read and wrote, and where in its source.

use std::ops::Range;

use gpsimd_abi::Location;

use super::RangeSet;
use crate::error::SourceLocation;

/// Which elements of the output one core stored, which of the replaced operand it loaded, and where in its source.
#[derive(Debug, Default)]
pub(crate) struct Accesses {
    /// Elements of the output stored.
    pub(crate) written: RangeSet,
    /// Elements of the replaced operand loaded.
    pub(crate) read: RangeSet,
    stores: Vec<Access>,
    loads: Vec<Access>,
    places: Vec<Place>,
}

/// Consecutive accesses of adjoining elements from the same place.
#[derive(Debug)]
struct Access {
    range: Range<u64>,
    place: usize,
}

/// A location met so far. There are as many as the kernel has DMA calls: a handful.
#[derive(Debug)]
struct Place {
    /// Address and length of the file's name, line, column: tells a place again without reading its text.
    key: (usize, usize, u32, u32),
    location: Option<SourceLocation>,
}

impl Accesses {
    /// Records a store to the output.
    ///
    /// # Safety
    /// `location` is null, or leads to a location whose text is readable.
    pub(crate) unsafe fn store(&mut self, range: Range<u64>, location: *const Location) {
        self.written.insert(&range);
        // SAFETY: the caller's promise.
        let place = unsafe { self.place(location) };
        log(&mut self.stores, range, place);
    }

    /// Records a load from the replaced operand.
    ///
    /// # Safety
    /// As [`Self::store`].
    pub(crate) unsafe fn load(&mut self, range: Range<u64>, location: *const Location) {
        self.read.insert(&range);
        // SAFETY: the caller's promise.
        let place = unsafe { self.place(location) };
        log(&mut self.loads, range, place);
    }

    /// Where `element` of the output was stored for the last time.
    pub(crate) fn stored_at(&self, element: u64) -> Option<SourceLocation> {
        self.location_of(self.stores.iter().rfind(|access| access.range.contains(&element)))
    }

    /// Where `element` of the replaced operand was loaded for the first time.
    pub(crate) fn loaded_at(&self, element: u64) -> Option<SourceLocation> {
        self.location_of(self.loads.iter().find(|access| access.range.contains(&element)))
    }

    fn location_of(&self, access: Option<&Access>) -> Option<SourceLocation> {
        self.places[access?.place].location.clone()
    }

    /// Index in `places` of a location.
    ///
    /// # Safety
    /// As [`Self::store`].
    unsafe fn place(&mut self, location: *const Location) -> usize {
        // SAFETY: the caller's promise.
        let key = unsafe { location.as_ref() }.map_or((0, 0, 0, 0), |location| {
            (location.file.data.addr(), location.file.len, location.line, location.column)
        });
        self.places.iter().position(|place| place.key == key).unwrap_or_else(|| {
            // SAFETY: the caller's promise.
            let location = unsafe { SourceLocation::read(location) };
            self.places.push(Place { key, location });
            self.places.len() - 1
        })
    }
}

fn log(accesses: &mut Vec<Access>, range: Range<u64>, place: usize) {
    match accesses.last_mut() {
        Some(last) if last.place == place && last.range.end == range.start => last.range.end = range.end,
        _ => accesses.push(Access { range, place }),
    }
}

/// Elements of the output that one core stored by DMA in fast mode, as ranges that may overlap: cheap to add to.
#[derive(Debug, Default)]
pub(crate) struct Stored(Vec<Range<u64>>);

impl Stored {
    /// Streams of adjoining ranges that a kernel may write in turn and that stay one range each.
    const STREAMS: usize = 4;

    pub(crate) fn add(&mut self, range: &Range<u64>) {
        let open = self.0.len().saturating_sub(Self::STREAMS);
        match self.0[open..].iter_mut().find(|other| other.end == range.start) {
            Some(other) => other.end = range.end,
            None => self.0.push(range.clone()),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Range<u64>> {
        self.0.iter()
    }
}
