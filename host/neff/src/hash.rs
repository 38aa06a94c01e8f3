//! [`HashCheck`]: whether a NEFF is what its hash says.

use md5::Md5;
use sha2::{Digest, Sha256};

use super::Header;

/// What the hash of a NEFF says of its archive.
///
/// The documentation has "sha256 or md5 depending on the `pkg_version`" and shows 16 bytes for version 2. Our assumption:
/// version 2 is MD5, version 1 SHA-256, and the digest is that of the archive as it is in the file. Older NEFFs of the
/// Neuron compiler have it so, with the digit 0 behind an MD5; what newer ones have a hash of is not documented, and of none
/// of the parts that were tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HashCheck {
    /// The archive has this hash.
    Verified,
    /// The archive of an emulated NEFF has another hash.
    Mismatch,
    /// A hash of the Neuron compiler that is not of the archive: of what, is not known, so it says nothing.
    UnknownKind,
    /// There is no hash: all its bytes are zero.
    Unknown,
}

impl HashCheck {
    /// Computes the archive's digest.
    pub(super) fn of(header: &Header, data: &[u8]) -> Self {
        if header.hash == [0; 32] {
            Self::Unknown
        } else if [0, b'0'].iter().any(|&padding| header.hash == digest(header.pkg_version, data, padding)) {
            Self::Verified
        } else if header.is_emulated() {
            Self::Mismatch
        } else {
            Self::UnknownKind
        }
    }
}

/// The name of the digest of a version of the packaging.
pub(super) fn digest_name(pkg_version: u64) -> &'static str {
    if pkg_version == 1 { "SHA-256" } else { "MD5" }
}

/// Bytes of the digest of a version of the packaging.
pub(super) fn digest_len(pkg_version: u64) -> usize {
    if pkg_version == 1 { 32 } else { 16 }
}

/// The digest of an archive as a header has it, with `padding` behind an MD5.
pub(super) fn digest(pkg_version: u64, data: &[u8], padding: u8) -> [u8; 32] {
    if pkg_version == 1 {
        return Sha256::digest(data).into();
    }
    let mut hash = [padding; 32];
    hash[..16].copy_from_slice(&Md5::digest(data));
    hash
}

/// What identifies a NEFF that is written here: the same for the same content, of the form of a random UUID.
pub(super) fn uuid(name: &str, data: &[u8]) -> [u8; 16] {
    let digest = Sha256::new().chain_update(name).chain_update([0]).chain_update(data).finalize();
    let mut uuid = [0; 16];
    uuid.copy_from_slice(&digest[..16]);
    uuid[6] = uuid[6] & 0x0f | 0x80;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    uuid
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|&byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_standards() {
        // RFC 1321, A.5; FIPS 180-4, the example of one block.
        assert_eq!(hex(&digest(2, b"abc", 0)), format!("900150983cd24fb0d6963f7d28e17f72{:032}", 0));
        assert_eq!(hex(&digest(1, b"abc", 0)), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn a_uuid_depends_on_name_and_content_and_says_that_it_is_custom() {
        let found = uuid("a", b"b");
        assert_eq!((found[6] >> 4, found[8] >> 6), (8, 2));
        assert_ne!(uuid("a", b"c"), found);
        assert_ne!(uuid("", b"a\0b"), found);
    }
}
