//! Files that are broken or mean harm: refused, each with a message that says what is wrong.

use gpsimd_neff::{Neff, NeffError};
use tar::EntryType;

use crate::fixtures::{append, device, device_files, emulated, emulated_neff, gzip, header, neff, tar};

fn refusal(file: &[u8]) -> NeffError {
    Neff::parse(file).expect_err("the file is broken")
}

/// A NEFF with one entry.
fn with_entry(path: &str, kind: EntryType) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    append(&mut archive, path, kind, b"");
    neff(&archive.into_inner().unwrap())
}

fn with_file(path: &str, content: &[u8]) -> Vec<u8> {
    neff(&tar(&[(path, content)]))
}

fn with_graph(content: &[u8]) -> Vec<u8> {
    emulated_neff(&tar(&[("graph.json", content)]))
}

#[test]
fn every_message() {
    let mut messages = String::new();
    let mut add = |file: &[u8]| {
        messages.push_str(&refusal(file).to_string());
        messages.push('\n');
    };
    add(b"");
    add(&device()[..1023]);
    add(&[0; 1024]);
    add(&device()[..1500]);
    add(&[device(), vec![0; 7]].concat());
    for (pkg_version, major) in [(3, 1), (2, 3)] {
        let mut header = header(&[]);
        (header.pkg_version, header.neff_version_major, header.neff_version_minor) = (pkg_version, major, 1);
        add(&header.to_bytes());
    }
    add(&neff(b"not an archive"));
    add(&neff(&[b'x'; 512]));
    add(&neff(&gzip(&tar(&device_files()))[..300]));
    add(&neff(&[gzip(b""), b"more".to_vec()].concat()));
    add(&neff(&tar(&device_files())[..515]));
    for path in ["/etc/passwd", "../escape", "sg00/../../escape", "a\\b", "C:/x", "a\x1b[2J", ""] {
        add(&with_file(path, b""));
    }
    for kind in [EntryType::Symlink, EntryType::Link, EntryType::Char, EntryType::Fifo, EntryType::new(b'Z')] {
        add(&with_entry("sg00/def.json", kind));
    }
    add(&neff(&tar(&[("a/b", b""), ("./a//b", b"")])));
    add(&neff(&tar(&[("a/b", b""), ("a", b"")])));
    add(&with_file("sg00/def.json", b"{\"var\": 3}"));
    add(&with_file("sg00/def.json", br#"{"var": {"a": {"size": -1}}}"#));
    add(&with_file("ucode_lib.json", b""));
    add(&with_file("ucode_lib.json", br#"{"ucode_lib": [{}]}"#));
    add(&with_graph(b"{}"));
    add(&with_graph(br#"{"version": 2, "inputs": [], "outputs": [], "libraries": [], "calls": []}"#));
    let missing =
        br#"{"version": 1, "inputs": [], "outputs": [], "libraries": [{"name": "l", "file": "l.so"}], "calls": []}"#;
    add(&with_graph(missing));
    add(&emulated_neff(&[]));
    insta::assert_snapshot!(messages);
}

#[test]
fn a_file_that_ends_anywhere_is_refused() {
    for file in [device(), emulated()] {
        for end in 0..file.len() {
            assert!(Neff::parse(&file[..end]).is_err(), "{end}");
        }
    }
}

#[test]
fn an_archive_that_ends_in_a_file_is_refused() {
    let archive = tar(&[("a", &[7; 5000])]);
    for end in (1..5512).step_by(97) {
        let (plain, packed) = (neff(&archive[..end]), neff(&gzip(&archive[..end])));
        assert!(Neff::parse(&plain).is_err() && Neff::parse(&packed).is_err(), "{end}");
    }
}

#[test]
fn sizes_of_a_header_are_not_believed() {
    for size in [u64::MAX, u64::MAX - 511, 1 << 63, i64::MAX as u64, 1 << 40] {
        let mut lying = header(&[]);
        lying.data_size = size;
        assert!(matches!(refusal(&lying.to_bytes()), NeffError::DataSize { .. }), "{size}");
        let mut entry = tar::Header::new_gnu();
        entry.set_path("a").unwrap();
        entry.set_size(size);
        entry.set_cksum();
        assert!(Neff::parse(&neff(entry.as_bytes())).is_err(), "{size}");
        assert!(Neff::parse(&neff(&gzip(entry.as_bytes()))).is_err(), "{size}");
    }
}

#[test]
fn sizes_of_extended_headers_are_not_believed() {
    for size in ["18446744073709551615", "9223372036854775807", "99999999999999999999999999"] {
        let record = format!("size={size}\n");
        let record = format!("{} {record}", record.len() + 3);
        let mut archive = tar::Builder::new(Vec::new());
        append(&mut archive, "x", EntryType::XHeader, record.as_bytes());
        append(&mut archive, "a", EntryType::Regular, b"abc");
        let file = neff(&archive.into_inner().unwrap());
        // A size that is not a number may count as none.
        if let Ok(neff) = Neff::parse(&file) {
            assert_eq!(neff.file("a"), Some(&b"abc"[..]), "{size}");
        }
    }
}

#[test]
fn long_names_lead_nowhere_else_either() {
    for (kind, name) in
        [(EntryType::GNULongName, "../../escape".to_owned()), (EntryType::XHeader, "21 path=../../escape\n".to_owned())]
    {
        let mut archive = tar::Builder::new(Vec::new());
        append(&mut archive, "@LongLink", kind, name.as_bytes());
        append(&mut archive, "harmless", EntryType::Regular, b"");
        let error = refusal(&neff(&archive.into_inner().unwrap()));
        assert!(matches!(error, NeffError::Path { ref path, .. } if path == "../../escape"), "{error}");
    }
}

#[test]
fn json_that_is_nested_deeply_is_refused_or_skipped() {
    let deep = |count: usize| [vec![b'['; count], vec![b']'; count]].concat();
    for count in [200, 1_000_000] {
        let unknown = [b"{\"other\": ".to_vec(), deep(count), b"}".to_vec()].concat();
        assert!(Neff::parse(&with_file("sg00/def.json", &unknown)).is_ok());
        let known = [br#"{"var": {"a": {"type": "input", "shape": "#.to_vec(), deep(count), b"}}}".to_vec()].concat();
        assert!(matches!(refusal(&with_file("sg00/def.json", &known)), NeffError::Json { .. }));
        assert!(matches!(refusal(&with_graph(&deep(count))), NeffError::Json { .. }));
    }
}

#[test]
fn messages_repeat_nothing_that_a_terminal_obeys() {
    let escape = "\u{1b}]0;x\u{7}";
    let mut entry = tar::Header::new_gnu();
    entry.as_old_mut().name[..escape.len()].copy_from_slice(escape.as_bytes());
    entry.set_size(1 << 40);
    entry.set_cksum();
    let field = serde_json::json!({ "version": 1, escape: 1 }).to_string();
    let mut without_sum = *entry.as_bytes();
    without_sum[148..148 + escape.len()].copy_from_slice(escape.as_bytes());
    for file in [neff(entry.as_bytes()), neff(&without_sum), with_graph(field.as_bytes())] {
        let message = refusal(&file).to_string();
        assert!(message.contains("\\u{1b}") && !message.chars().any(char::is_control), "{message}");
    }
}

#[test]
fn versions_that_are_not_known_are_told_from_what_is_no_neff() {
    let mut newer = header(&[]);
    newer.neff_version_major = 9;
    assert!(refusal(&newer.to_bytes()).is_unsupported_version());
    assert!(!refusal(&[0; 2000]).is_unsupported_version());
}
