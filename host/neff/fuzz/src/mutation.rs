//! Mends what a reader verifies before it looks further: sums of tar headers, the size in a NEFF's header.

use gpsimd_neff::Header;

const BLOCK: usize = 512;
const SUM: std::ops::Range<usize> = 148..156;
const MAGIC: std::ops::Range<usize> = 257..262;

/// Makes the sum of every tar header right, where the headers are likely to be.
pub fn mend_sums(archive: &mut [u8]) {
    for block in archive.chunks_exact_mut(BLOCK).filter(|block| block[MAGIC] == *b"ustar") {
        block[SUM].fill(b' ');
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[SUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

/// Makes the header say what follows it, if there is one.
pub fn mend_header(file: &mut [u8]) {
    if let Some((start, archive)) = file.split_first_chunk_mut::<{ Header::SIZE }>() {
        mend_sums(archive);
        let mut header = Header::from_bytes(start);
        (header.header_size, header.data_size) = (Header::SIZE as u64, archive.len() as u64);
        *start = header.to_bytes();
    }
}
