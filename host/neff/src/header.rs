//! [`Header`]: the 1024 bytes before a NEFF's archive.

use std::borrow::Cow;

use super::NeffError;
use super::emulated;

/// The fixed part of a NEFF, before the archive. Little-endian, laid out as in C, fields in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Version of the packaging; it chooses the digest in `hash`.
    pub pkg_version: u64,
    /// Bytes of this header: [`Header::SIZE`].
    pub header_size: u64,
    /// Bytes of the archive after it.
    pub data_size: u64,
    /// Major version of the format.
    pub neff_version_major: u64,
    /// Minor version of the format.
    pub neff_version_minor: u64,
    /// The compiler's version, as text that ends at the first zero byte.
    pub neff_build_version: [u8; 128],
    /// `NeuronCores` that an efficient execution takes.
    pub num_tpb: u32,
    /// Digest of the package.
    pub hash: [u8; 32],
    /// Identifies the NEFF.
    pub uuid: [u8; 16],
    /// The model's name, as text that ends at the first zero byte.
    pub name: [u8; 256],
    /// `NeuronCores` asked for when it was compiled.
    pub requested_tpb_count: u32,
    /// `NeuronCores` for each node of the graph.
    pub tpb_per_node: [u8; 64],
    /// Features that a runtime must know to run it, one bit each.
    pub feature_bits: u64,
    /// Size of the logical core that it runs on.
    pub lnc_size: u32,
}

impl Header {
    /// Bytes of a header.
    pub const SIZE: usize = 1024;

    /// Bytes at the end of a header that mean nothing.
    const PAD: usize = 468;

    /// Reads the fields, whatever they say.
    pub fn from_bytes(bytes: &[u8; Self::SIZE]) -> Self {
        let mut fields = Fields(bytes);
        Self {
            pkg_version: u64::from_le_bytes(fields.take()),
            header_size: u64::from_le_bytes(fields.take()),
            data_size: u64::from_le_bytes(fields.take()),
            neff_version_major: u64::from_le_bytes(fields.take()),
            neff_version_minor: u64::from_le_bytes(fields.take()),
            neff_build_version: fields.take(),
            num_tpb: u32::from_le_bytes(fields.take()),
            hash: fields.take(),
            uuid: fields.take(),
            name: fields.take(),
            requested_tpb_count: u32::from_le_bytes(fields.take()),
            tpb_per_node: fields.take(),
            feature_bits: u64::from_le_bytes(fields.take()),
            lnc_size: u32::from_le_bytes(fields.take()),
        }
    }

    /// The header as in a file, zeros where it means nothing.
    pub fn to_bytes(&self) -> [u8; Self::SIZE] {
        let fields: [&[u8]; 15] = [
            &self.pkg_version.to_le_bytes(),
            &self.header_size.to_le_bytes(),
            &self.data_size.to_le_bytes(),
            &self.neff_version_major.to_le_bytes(),
            &self.neff_version_minor.to_le_bytes(),
            &self.neff_build_version,
            &self.num_tpb.to_le_bytes(),
            &self.hash,
            &self.uuid,
            &self.name,
            &self.requested_tpb_count.to_le_bytes(),
            &self.tpb_per_node,
            &self.feature_bits.to_le_bytes(),
            &self.lnc_size.to_le_bytes(),
            &[0; Self::PAD],
        ];
        let mut bytes = [0; Self::SIZE];
        let mut at = 0;
        for field in fields {
            bytes[at..at + field.len()].copy_from_slice(field);
            at += field.len();
        }
        bytes
    }

    /// The header of a file, which is as long as it says and of versions that are known.
    pub(super) fn read(file: &[u8]) -> Result<(Self, &[u8]), NeffError> {
        let (header, data) =
            file.split_first_chunk::<{ Self::SIZE }>().ok_or(NeffError::TooShort { found: file.len() })?;
        let header = Self::from_bytes(header);
        if header.header_size != Self::SIZE as u64 {
            return Err(NeffError::HeaderSize { found: header.header_size });
        }
        if !PKG_VERSIONS.contains(&header.pkg_version) {
            return Err(NeffError::PackageVersion { found: header.pkg_version });
        }
        if header.neff_version_major > LATEST_MAJOR {
            let (major, minor) = (header.neff_version_major, header.neff_version_minor);
            return Err(NeffError::Version { major, minor });
        }
        if header.data_size != data.len() as u64 {
            return Err(NeffError::DataSize { declared: header.data_size, found: data.len() });
        }
        Ok((header, data))
    }

    /// The model's name; a replacement character for what is not UTF-8.
    pub fn name(&self) -> Cow<'_, str> {
        text(&self.name)
    }

    /// The compiler's version; a replacement character for what is not UTF-8.
    pub fn build_version(&self) -> Cow<'_, str> {
        text(&self.neff_build_version)
    }

    /// Whether it says that it was written here, for the emulated runtime.
    pub fn is_emulated(&self) -> bool {
        self.build_version().starts_with(emulated::BUILD_VERSION_PREFIX)
    }
}

/// Versions of the packaging that are read. Our assumption: the documentation speaks of two digests and shows files of
/// version 2.
const PKG_VERSIONS: std::ops::RangeInclusive<u64> = 1..=2;

/// Latest major version of the format that is read. Our assumption: the documentation shows 0.4 and 1.0, and speaks of
/// versions after 2.0.
const LATEST_MAJOR: u64 = 2;

/// What is left of a header.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) = self.0.split_first_chunk().expect("the fields and the padding are as long as a header");
        self.0 = rest;
        *field
    }
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The declaration of the documentation, laid out by the compiler.
    #[repr(C)]
    struct NeffHeader {
        pkg_version: u64,
        header_size: u64,
        data_size: u64,
        neff_version_major: u64,
        neff_version_minor: u64,
        neff_build_version: [u8; 128],
        num_tpb: u32,
        hash: [u8; 32],
        uuid: [u8; 16],
        name: [u8; 256],
        requested_tpb_count: u32,
        tpb_per_node: [u8; 64],
        feature_bits: u64,
        lnc_size: u32,
        pad: [u8; 468],
    }

    /// A header of which every byte of every field differs from its neighbours.
    fn distinct() -> [u8; Header::SIZE] {
        let mut bytes: [u8; Header::SIZE] = std::array::from_fn(|at| (at * 7 + at / 256) as u8);
        bytes[Header::SIZE - Header::PAD..].fill(0);
        bytes
    }

    #[test]
    fn fields_lie_where_c_puts_them() {
        assert_eq!(size_of::<NeffHeader>(), Header::SIZE);
        assert_eq!(std::mem::offset_of!(NeffHeader, pad), Header::SIZE - Header::PAD);
        let bytes = distinct();
        let header = Header::from_bytes(&bytes);
        let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        macro_rules! numbers {
            ($($read:ident: $($field:ident)*),*) => {
                $($(assert_eq!(header.$field, $read(std::mem::offset_of!(NeffHeader, $field)), stringify!($field));)*)*
            };
        }
        numbers!(
            u64_at: pkg_version header_size data_size neff_version_major neff_version_minor feature_bits,
            u32_at: num_tpb requested_tpb_count lnc_size
        );
        macro_rules! arrays {
            ($($field:ident)*) => {$(
                let at = std::mem::offset_of!(NeffHeader, $field);
                assert_eq!(header.$field[..], bytes[at..at + header.$field.len()], stringify!($field));
            )*};
        }
        arrays!(neff_build_version hash uuid name tpb_per_node);
    }

    #[test]
    fn a_header_that_is_read_is_written_the_same() {
        assert_eq!(Header::from_bytes(&distinct()).to_bytes(), distinct());
    }

    #[test]
    fn text_ends_at_its_first_zero_or_with_the_field() {
        let mut header = Header::from_bytes(&[0; Header::SIZE]);
        assert_eq!(header.name(), "");
        header.name[..6].copy_from_slice(b"bert\0x");
        assert_eq!(header.name(), "bert");
        header.name.fill(b'n');
        assert_eq!(header.name().len(), 256);
        header.name[0] = 0xff;
        assert!(header.name().starts_with('\u{fffd}'));
    }
}
