//! Any bytes as the archive of a NEFF under a header that fits: refused, or read, and what an emulated one runs can be
//! written again.

use gpsimd_neff::{Header, Limits, Neff, NeffBuilder, Summary};

pub fn check(archive: &[u8]) -> bool {
    let limits = Limits { unpacked_bytes: 16 << 20, json_bytes: 1 << 20, ..Limits::default() };
    let mut header = Header::from_bytes(&[0; Header::SIZE]);
    (header.pkg_version, header.header_size, header.data_size) = (2, 1024, archive.len() as u64);
    let mut is_read = false;
    for build_version in ["", "gpsimd-emulated 0"] {
        header.neff_build_version[..build_version.len()].copy_from_slice(build_version.as_bytes());
        let file = [&header.to_bytes()[..], archive].concat();
        let Ok(neff) = Neff::parse_within(&file, &limits) else { continue };
        let _ = Summary::of(&neff).to_string();
        is_read = true;
        let Some(graph) = neff.graph() else { continue };
        let mut builder = NeffBuilder::new("fuzz", graph.clone());
        for library in &graph.libraries {
            builder = builder.library(&library.file, neff.file(&library.file).expect("the reader has seen it"));
        }
        // A library may take the place of what the builder writes.
        let Ok(built) = builder.build() else { continue };
        assert_eq!(Neff::parse_within(&built, &limits).expect("it was just written").graph(), Some(graph));
    }
    is_read
}
