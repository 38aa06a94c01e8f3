//! The NEFFs that the programs load.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use gpsimd_neff::{Call, Graph, GraphLibrary, Header, Neff, NeffBuilder, NeffDType, TensorSpec};
use serde_json::Value;

use crate::fixtures;

/// The folder of the NEFFs, one for every content, written once.
pub(crate) fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let neffs = all();
        let mut hasher = DefaultHasher::new();
        neffs.hash(&mut hasher);
        let root = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let folder = root.join(format!("neffs-{:016x}", hasher.finish()));
        if !folder.exists() {
            let unfinished = tempfile::tempdir_in(root).unwrap();
            for (name, neff) in neffs {
                std::fs::write(unfinished.path().join(format!("{name}.neff")), neff).unwrap();
            }
            // Another process of the same tests may have been first.
            let _ = std::fs::rename(unfinished.path(), &folder);
        }
        folder
    })
}

fn all() -> Vec<(&'static str, Vec<u8>)> {
    let one = |op: &str| pack(&x_to_y(vec![call(op, &["x"], &[], "y")]));
    let doubles = one("doubles");
    vec![
        ("not_a_number", one("not_a_number")),
        ("past_the_end", one("past_the_end")),
        ("past_the_tile", one("past_the_tile")),
        ("past_the_end_unnoticed", one("past_the_end_unnoticed")),
        ("refuses", one("refuses")),
        ("prints", one("prints")),
        ("no_such_op", one("halves")),
        ("slow", pack(&x_to_y(vec![call("slow", &["x"], &[800.0], "y")]))),
        ("slower", pack(&x_to_y(vec![call("slow", &["x"], &[1500.0], "y")]))),
        ("too_few_operands", pack(&x_to_y(vec![call("doubles", &[], &[], "y")]))),
        ("too_many_scalars", pack(&x_to_y(vec![call("doubles", &["x"], &[1.0], "y")]))),
        ("chain", pack(&chain())),
        ("two_outputs", pack(&two_outputs())),
        ("twice_and_once", pack(&twice_and_once(u32::MAX.into(), &["y", "z"]))),
        ("scalar_of_another_type", pack(&twice_and_once(0.5.into(), &["y", "z"]))),
        ("too_few_outputs", pack(&twice_and_once(u32::MAX.into(), &["y"]))),
        ("mixed", pack(&mixed())),
        ("output_of_another_shape", pack(&with_output(tensor("y", NeffDType::Float32, &[4, 2])))),
        ("int64", pack(&with_output(tensor("y", NeffDType::Int64, &[8])))),
        (
            "garbage_for_a_library",
            NeffBuilder::new("test", with_output(floats("y"))).library(FILE, *b"no library").build().unwrap(),
        ),
        ("gelu", bert_ops()),
        ("faulty_ops", faulty_ops("loads_past_the_end")),
        ("panics", faulty_ops("indexes_out_of_bounds")),
        ("two_cores", with_header(&doubles, |header| header.requested_tpb_count = 2)),
        ("three_cores", with_header(&doubles, |header| header.requested_tpb_count = 3)),
        ("neff_version", with_header(&doubles, |header| header.neff_version_major = 99)),
        ("package_version", with_header(&doubles, |header| header.pkg_version = 99)),
        ("graph_version", with_graph_version(&doubles)),
        ("wrong_hash", with_header(&doubles, |header| header.hash[0] ^= 1)),
        ("for_the_device", for_the_device(&doubles)),
        ("doubles", doubles),
    ]
}

const FILE: &str = "libops.so";

/// `y` of one call on `x`, 8 floats each.
fn x_to_y(calls: Vec<Call>) -> Graph {
    Graph {
        version: Graph::VERSION,
        inputs: vec![floats("x")],
        outputs: vec![floats("y")],
        intermediates: Vec::new(),
        libraries: vec![GraphLibrary { name: "ops".into(), file: FILE.into() }],
        calls,
    }
}

/// `y = 2 (2 x) + 3`.
fn chain() -> Graph {
    let calls = vec![
        call("doubles", &["x"], &[], "twice"),
        call("doubles", &["twice"], &[], "four times"),
        call("add", &["four times"], &[3.0], "y"),
    ];
    Graph { intermediates: vec![floats("twice"), floats("four times")], ..x_to_y(calls) }
}

fn two_outputs() -> Graph {
    let calls = vec![call("doubles", &["x"], &[], "y"), call("doubles", &["y"], &[], "z")];
    Graph { outputs: vec![floats("y"), floats("z")], ..x_to_y(calls) }
}

/// One call of an op of two outputs.
fn twice_and_once(scalar: Value, outputs: &[&str]) -> Graph {
    let mut call = call("twice_and_once", &["x"], &[], "y");
    call.scalars = vec![scalar];
    call.outputs = outputs.iter().map(ToString::to_string).collect();
    Graph { outputs: outputs.iter().map(|name| floats(name)).collect(), ..x_to_y(vec![call]) }
}

/// Inputs of several types, of which a call reads one.
fn mixed() -> Graph {
    let wide = tensor("wide", NeffDType::Int64, &[1, 2, 3]);
    let long_name = tensor(&"n".repeat(255), NeffDType::Bfloat16, &[]);
    Graph {
        inputs: vec![tensor("x", NeffDType::Float32, &[2, 4]), wide, long_name],
        ..with_output(tensor("y", NeffDType::Float32, &[2, 4]))
    }
}

fn with_output(output: TensorSpec) -> Graph {
    Graph { outputs: vec![output], ..x_to_y(vec![call("doubles", &["x"], &[], "y")]) }
}

/// An op of the BERT trainer, of the library that cargo built for this test.
fn bert_ops() -> Vec<u8> {
    let matrix = |name| tensor(name, NeffDType::Float32, &[3, 4]);
    let graph = Graph {
        version: Graph::VERSION,
        inputs: vec![matrix("x"), tensor("bias", NeffDType::Float32, &[4])],
        outputs: vec![matrix("y")],
        intermediates: Vec::new(),
        libraries: vec![GraphLibrary { name: "exported_ops".into(), file: "libexported_ops.so".into() }],
        calls: vec![Call {
            op: "exported_ops.bias_gelu_forward".into(),
            tensors: vec!["x".into(), "bias".into()],
            scalars: Vec::new(),
            outputs: vec!["y".into()],
        }],
    };
    let library = std::fs::read(fixtures::built().join("libexported_ops.so")).unwrap();
    NeffBuilder::new("gelu", graph).library("libexported_ops.so", library).build().unwrap()
}

/// A Rust kernel with a mistake: its vectors of 16 elements go past the end of a tensor of 8, or its index does.
fn faulty_ops(op: &str) -> Vec<u8> {
    let mut call = call("doubles", &["x"], &[], "y");
    call.op = format!("exported_ops.{op}");
    let libraries = vec![GraphLibrary { name: "exported_ops".into(), file: "libexported_ops.so".into() }];
    let graph = Graph { libraries, ..x_to_y(vec![call]) };
    let library = std::fs::read(fixtures::built().join("libexported_ops.so")).unwrap();
    NeffBuilder::new("faulty", graph).library("libexported_ops.so", library).build().unwrap()
}

/// A NEFF without a graph, as the Neuron compiler's are: here one with nothing at all in its archive.
fn for_the_device(neff: &[u8]) -> Vec<u8> {
    let archive = [0; 1024];
    let header = with_header(neff, |header| {
        header.data_size = archive.len() as u64;
        header.hash = [0; 32];
    });
    [&header[..Header::SIZE], &archive].concat()
}

/// The same archive but for the version of the graph.
fn with_graph_version(neff: &[u8]) -> Vec<u8> {
    let neff = Neff::parse(neff).unwrap();
    let mut archive = tar::Builder::new(Vec::new());
    for (path, content) in neff.files() {
        let text = String::from_utf8_lossy(content);
        let content = if path == "graph.json" {
            text.replacen("\"version\": 1", "\"version\": 2", 1).into()
        } else {
            content.to_vec()
        };
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, path, &content[..]).unwrap();
    }
    let archive = archive.into_inner().unwrap();
    let header = Header { data_size: archive.len() as u64, hash: [0; 32], ..*neff.header() };
    [&header.to_bytes()[..], &archive].concat()
}

fn with_header(neff: &[u8], change: impl FnOnce(&mut Header)) -> Vec<u8> {
    let (bytes, archive) = neff.split_first_chunk::<{ Header::SIZE }>().unwrap();
    let mut header = Header::from_bytes(bytes);
    change(&mut header);
    [&header.to_bytes()[..], archive].concat()
}

fn pack(graph: &Graph) -> Vec<u8> {
    static LIBRARY: OnceLock<Vec<u8>> = OnceLock::new();
    let library = LIBRARY.get_or_init(|| std::fs::read(fixtures::op_library()).unwrap());
    NeffBuilder::new("test", graph.clone()).library(FILE, library.clone()).build().unwrap()
}

fn call(op: &str, tensors: &[&str], scalars: &[f32], output: &str) -> Call {
    let tensors = tensors.iter().map(ToString::to_string).collect();
    Call {
        op: format!("ops.{op}"),
        tensors,
        scalars: scalars.iter().map(|&scalar| scalar.into()).collect(),
        outputs: vec![output.into()],
    }
}

fn floats(name: &str) -> TensorSpec {
    tensor(name, NeffDType::Float32, &[8])
}

fn tensor(name: &str, dtype: NeffDType, shape: &[u32]) -> TensorSpec {
    TensorSpec { name: name.into(), dtype, shape: shape.to_vec() }
}
