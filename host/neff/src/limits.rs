//! [`Limits`]: how much a NEFF may take.

/// What a file may make its reader hold and do. Whatever it contains, reading it takes memory in proportion to these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the archive, unpacked.
    pub unpacked_bytes: u64,
    /// Bytes of the archive, unpacked, for every byte of it, packed. An archive of at most
    /// [`Limits::SMALL_ARCHIVE`] bytes may be packed better.
    pub ratio: u64,
    /// Files and folders of the archive.
    pub files: usize,
    /// Bytes of all JSON files that are read, together. What is read of them takes up to about 40 times as much memory.
    pub json_bytes: u64,
}

impl Limits {
    /// Bytes of an archive, unpacked, for which its ratio does not matter.
    pub const SMALL_ARCHIVE: u64 = 64 << 20;

    /// Bytes that an archive of so many bytes may have, unpacked.
    pub(super) fn unpacked(&self, packed: usize) -> u64 {
        let by_ratio = (packed as u64).saturating_mul(self.ratio).max(Self::SMALL_ARCHIVE);
        self.unpacked_bytes.min(by_ratio)
    }
}

impl Default for Limits {
    /// 4 GiB, 200 times the packed size, 100,000 files, 64 MiB of JSON.
    fn default() -> Self {
        Self { unpacked_bytes: 4 << 30, ratio: 200, files: 100_000, json_bytes: 64 << 20 }
    }
}
