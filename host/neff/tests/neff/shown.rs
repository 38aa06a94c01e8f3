//! What `cargo gpsimd neff` prints.

use gpsimd_neff::{Neff, Summary};

use crate::fixtures::{device, emulated, neff, tar};

fn text(file: &[u8]) -> String {
    Summary::of(&Neff::parse(file).unwrap()).to_string()
}

/// Packed sizes and digests change with the version of the compressor.
fn stable(text: &str, file: &[u8]) -> String {
    let neff = Neff::parse(file).unwrap();
    let header = neff.header();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    text.replace(&hex(&header.hash[..16]), "HASH")
        .replace(&hex(&header.uuid), "UUID")
        .replace(&header.data_size.to_string(), "BYTES")
        .replace(env!("CARGO_PKG_VERSION"), "VERSION")
}

#[test]
fn an_emulated_neff() {
    let file = emulated();
    insta::assert_snapshot!(stable(&text(&file), &file));
}

#[test]
fn a_neff_of_the_neuron_compiler() {
    let file = device();
    insta::assert_snapshot!(stable(&text(&file), &file));
}

#[test]
fn an_emulated_neff_as_json() {
    let file = emulated();
    let json = serde_json::to_string_pretty(&Summary::of(&Neff::parse(&file).unwrap())).unwrap();
    insta::assert_snapshot!(stable(&json, &file));
}

#[test]
fn an_empty_neff() {
    let file = neff(&[]);
    insta::assert_snapshot!(text(&file));
}

#[test]
fn nothing_that_a_terminal_obeys_is_printed() {
    let definition = "{\"var\": {\"\\u001b[2Jx\": {\"type\": \"input\", \"var_id\": 1, \"size\": 4}}}";
    let mut file = neff(&tar(&[("sg00/def.json", definition.as_bytes())]));
    file[220..223].copy_from_slice(b"\x1b]0");
    let text = text(&file);
    assert!(text.contains("\\u{1b}[2Jx") && text.starts_with("NEFF \\u{1b}]0"));
    assert!(text.chars().all(|character| character == '\n' || !character.is_control()));
}
