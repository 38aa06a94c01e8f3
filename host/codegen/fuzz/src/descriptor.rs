//! Any bytes as the descriptor of an op library: refused, or read, and written as what is read again.

use gpsimd_descriptor::LibraryDescriptor;

pub fn check(json: &[u8]) -> bool {
    let Ok(descriptor) = LibraryDescriptor::parse(json) else { return false };
    let written = serde_json::to_vec(&descriptor).expect("it was just read");
    assert_eq!(LibraryDescriptor::parse(&written).expect("it was just written"), descriptor);
    true
}
