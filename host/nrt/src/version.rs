//! [`Version`]: which libnrt this is.

use std::ffi::c_char;

use super::bindings;

/// Version of the Neuron Runtime, as `nrt_get_version` gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Major version of the interface.
    pub major: u64,
    /// Minor version.
    pub minor: u64,
    /// Patch.
    pub patch: u64,
    /// Maintenance release.
    pub maintenance: u64,
    /// What the runtime calls itself.
    pub detail: String,
    /// Commit that it was built from.
    pub git_hash: String,
}

impl Version {
    /// Major version that the documented interface belongs to. That another one is incompatible is our assumption.
    pub const SUPPORTED_MAJOR: u64 = 2;

    pub(super) fn of(raw: &bindings::nrt_version_t) -> Self {
        Self {
            major: raw.rt_major,
            minor: raw.rt_minor,
            patch: raw.rt_patch,
            maintenance: raw.rt_maintenance,
            detail: text(&raw.rt_detail),
            git_hash: text(&raw.git_hash),
        }
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}.{}", self.major, self.minor, self.patch, self.maintenance)?;
        if self.detail.is_empty() { Ok(()) } else { write!(f, " ({})", self.detail) }
    }
}

/// A C string in an array of which it may fill every byte.
pub(super) fn text(array: &[c_char]) -> String {
    let bytes: Vec<u8> = array.iter().take_while(|&&byte| byte != 0).map(|&byte| byte as u8).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_without_an_end_is_as_long_as_its_array() {
        assert_eq!(text(&[b'a' as c_char, b'b' as c_char]), "ab");
        assert_eq!(text(&[b'a' as c_char, 0, b'b' as c_char]), "a");
    }
}
