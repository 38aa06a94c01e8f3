//! Files to read: an emulated NEFF, one that looks as if the Neuron compiler had made it, and archives with anything in
//! them.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use gpsimd_neff::{Call, Graph, GraphLibrary, Header, NeffBuilder, NeffDType, TensorSpec};
use md5::{Digest, Md5};

/// What stands for an op library where none is loaded.
pub(crate) const LIBRARY: &[u8] = b"\x7fELF, as far as a NEFF is concerned";

/// A feed-forward activation and a softmax: three inputs, two outputs, one intermediate.
pub(crate) fn graph() -> Graph {
    let spec = |name: &str, dtype, shape: &[u32]| TensorSpec { name: name.into(), dtype, shape: shape.into() };
    let call = |op: &str, tensors: &[&str], scalars: &[f32], output: &str| Call {
        op: op.into(),
        tensors: tensors.iter().map(|&name| name.into()).collect(),
        scalars: scalars.iter().map(|&scalar| scalar.into()).collect(),
        outputs: vec![output.into()],
    };
    Graph {
        version: Graph::VERSION,
        inputs: vec![
            spec("x", NeffDType::Float32, &[4, 8]),
            spec("bias", NeffDType::Float32, &[8]),
            spec("mask", NeffDType::Float32, &[1, 8]),
        ],
        outputs: vec![spec("y", NeffDType::Float32, &[4, 8]), spec("p", NeffDType::Float32, &[4, 8])],
        intermediates: vec![spec("h", NeffDType::Float32, &[4, 8])],
        libraries: vec![GraphLibrary { name: "bert_ops".into(), file: "libbert_ops.so".into() }],
        calls: vec![
            call("bert_ops.bias_gelu_forward", &["x", "bias"], &[], "h"),
            call("bert_ops.bias_gelu_forward", &["h", "bias"], &[], "y"),
            call("bert_ops.masked_softmax_forward", &["y", "mask"], &[0.125], "p"),
        ],
    }
}

pub(crate) fn builder() -> NeffBuilder {
    NeffBuilder::new("ffn", graph()).library("libbert_ops.so", LIBRARY)
}

pub(crate) fn emulated() -> Vec<u8> {
    builder().build().unwrap()
}

/// A header that fits any archive.
pub(crate) fn header(data: &[u8]) -> Header {
    let mut header = Header::from_bytes(&[0; Header::SIZE]);
    header.pkg_version = 2;
    header.header_size = 1024;
    header.data_size = data.len() as u64;
    header.neff_version_major = 1;
    header.num_tpb = 1;
    header.requested_tpb_count = 1;
    header.tpb_per_node[0] = 1;
    header.lnc_size = 1;
    header.uuid = *b"0123456789abcdef";
    header.hash[..16].copy_from_slice(&Md5::digest(data));
    header.name[..12].copy_from_slice(b"bert/MODULE0");
    header
}

/// A NEFF with this archive.
pub(crate) fn neff(data: &[u8]) -> Vec<u8> {
    [&header(data).to_bytes()[..], data].concat()
}

/// A NEFF with this archive, of which the header says that it is emulated.
pub(crate) fn emulated_neff(data: &[u8]) -> Vec<u8> {
    let mut file = neff(data);
    file[40..57].copy_from_slice(b"gpsimd-emulated 0");
    file
}

pub(crate) fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// An archive of files, whatever their paths.
pub(crate) fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, content) in files {
        append(&mut archive, path, tar::EntryType::Regular, content);
    }
    archive.into_inner().unwrap()
}

/// An entry as it stands: the crate that writes archives refuses the paths that matter here.
pub(crate) fn append(archive: &mut tar::Builder<Vec<u8>>, path: &str, kind: tar::EntryType, content: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    archive.append(&header, content).unwrap();
}

const DEF_0: &str = r#"{
  "name": "sg00",
  "dma_queue": {
    "qSpIO": {"type": "in", "num_queues": 4, "owner": "sp", "semaphore": 1},
    "qActSpill": {"type": "data", "owner": "act", "queue_instances": ["a", "b"]}
  },
  "engines": ["pe.json", "act.json"],
  "var": {
    "input1": {"type": "input", "var_id": 2, "size": 3072, "alignment": 64},
    "input0": {"type": "input", "var_id": 1, "size": 1572864, "alignment": 64, "fabric_path": "main"},
    "output0": {"type": "output", "var_id": 3, "size": 1572864},
    "weight": {"type": "file", "var_id": 4, "size": 16, "file_name": "weight.npy"},
    "spill": {"type": "virtual", "var_id": 5, "size": 131072, "backing_variable_off": 0},
    "table": {"type": "dge-table", "var_id": 6, "size": 8, "list": [1, 2]}
  }
}"#;

const DEF_1: &str = r#"{"var": {
  "input1": {"type": "input", "var_id": 1, "size": 3072},
  "output1": {"type": "output", "var_id": 2, "size": 4096}
}}"#;

const UCODE_LIB: &str = r#"{"ucode_lib": [
  {"library": "libbert_ops_cpu0.so", "ulib_to_ucode_version": "1.21.0", "ulib_to_isa_version": "1.0.2",
   "is_builtin": false, "cpu_id": 0, "total_cpus": 2,
   "functions": [{"name": "bias_gelu_forward_compute", "opcode": 133, "sub_opcode": 0},
                 {"name": "adamw_step_compute", "opcode": 133, "sub_opcode": 1}]},
  {"library": "libbert_ops_cpu1.so", "ulib_to_ucode_version": "1.21.0", "ulib_to_isa_version": "1.0.2",
   "is_builtin": false, "cpu_id": 1, "total_cpus": 2, "functions": []}
]}"#;

/// The files of a NEFF for a logical core of two, as far as they are documented: two subgraphs with queues, variables,
/// engine programs, a constant, and a custom-op library of which one core's file is missing.
pub(crate) fn device_files() -> Vec<(&'static str, &'static [u8])> {
    vec![
        ("neff.json", b"{\"nodes\": []}"),
        ("hlo_stats.json", b"{}"),
        ("ucode_lib.json", UCODE_LIB.as_bytes()),
        ("libbert_ops_cpu0.so", b"\x7fELF"),
        ("sg00/def.json", DEF_0.as_bytes()),
        ("sg00/pe.json", b"{\"dma\": []}"),
        ("sg00/pe.bin", &[0; 64]),
        ("sg00/act.json", b"{\"dma\": []}"),
        ("sg00/act.bin", &[0; 128]),
        ("sg00/weight.npy", b"\x93NUMPY"),
        ("sg01/def.json", DEF_1.as_bytes()),
        ("sg01/pool.json", b"{\"dma\": []}"),
        ("sg01/pool.bin", &[0; 64]),
        ("debug_info/def.json", b"not read"),
    ]
}

pub(crate) fn device() -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    append(&mut archive, "sg00/", tar::EntryType::Directory, &[]);
    for (path, content) in device_files() {
        append(&mut archive, path, tar::EntryType::Regular, content);
    }
    let data = gzip(&archive.into_inner().unwrap());
    let mut header = header(&data);
    (header.num_tpb, header.lnc_size, header.feature_bits) = (2, 2, 0b1010);
    header.neff_build_version[..8].copy_from_slice(b"2.24.513");
    [&header.to_bytes()[..], &data].concat()
}
