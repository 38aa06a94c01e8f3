//! What a file may make its reader do.

use gpsimd_neff::{Limits, Neff, NeffError};

use crate::fixtures::{append, gzip, neff, tar};

fn limit(file: &[u8], limits: Limits) -> Option<(&'static str, u64)> {
    match Neff::parse_within(file, &limits) {
        Ok(_) => None,
        Err(NeffError::Limit { what, limit, .. }) => Some((what, limit)),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn archives_have_as_many_bytes_as_the_limit() {
    let archive = tar(&[("a", &[1; 3000])]);
    for data in [archive.clone(), gzip(&archive)] {
        let with = |unpacked_bytes| limit(&neff(&data), Limits { unpacked_bytes, ..Limits::default() });
        let bytes = archive.len() as u64;
        assert_eq!(with(bytes), None);
        assert_eq!(with(bytes - 1), Some(("the archive has more bytes", bytes - 1)));
    }
}

#[test]
fn a_bomb_is_refused_while_it_is_small() {
    // 256 MiB of zeros in 256 KiB, then in as many members.
    let bomb = gzip(&tar(&[("bomb", &vec![0; 256 << 20])]));
    assert!(bomb.len() < 2 << 20);
    let expected = Some(("the archive has more bytes, unpacked, for each of its bytes", 200));
    assert_eq!(limit(&neff(&bomb), Limits::default()), expected);
    let part = gzip(&vec![0; 1 << 20]);
    assert_eq!(limit(&neff(&part.repeat(256)), Limits::default()), expected);
    // Whoever trusts it may read it.
    assert_eq!(limit(&neff(&bomb), Limits { ratio: u64::MAX, ..Limits::default() }), None);
}

#[test]
fn what_is_small_may_be_packed_well() {
    let zeros = gzip(&tar(&[("zeros", &vec![0; 32 << 20])]));
    assert_eq!(limit(&neff(&zeros), Limits::default()), None);
}

#[test]
fn files_and_folders_are_counted() {
    let mut archive = tar::Builder::new(Vec::new());
    for index in 0..10 {
        append(&mut archive, &format!("f{index}"), tar::EntryType::Regular, b"");
        append(&mut archive, &format!("d{index}"), tar::EntryType::Directory, b"");
    }
    let file = neff(&archive.into_inner().unwrap());
    let with = |files| limit(&file, Limits { files, ..Limits::default() });
    assert_eq!((with(20), with(19)), (None, Some(("the archive has more files and folders", 19))));
}

#[test]
fn json_files_are_counted_together() {
    let file = neff(&tar(&[("sg00/def.json", b"{}"), ("sg01/def.json", b"{ }"), ("ucode_lib.json", b"[]")]));
    let with = |json_bytes| limit(&file, Limits { json_bytes, ..Limits::default() });
    assert_eq!((with(7), with(6)), (None, Some(("the JSON files of the archive have more bytes", 6))));
}

#[test]
fn the_default_limits_are_those_that_are_documented() {
    let Limits { unpacked_bytes, ratio, files, json_bytes } = Limits::default();
    assert_eq!((unpacked_bytes >> 30, ratio, files, json_bytes >> 20), (4, 200, 100_000, 64));
}
