//! What is written is read again, and says that it is emulated.

use gpsimd_neff::{GraphLibrary, HashCheck, Header, Neff, NeffBuilder, NeffDType, NeffError};

use crate::fixtures::{LIBRARY, builder, emulated, graph};

#[test]
fn what_is_written_is_read_again() {
    let file = emulated();
    let neff = Neff::parse(&file).unwrap();
    assert_eq!(neff.graph(), Some(&graph()));
    assert_eq!(neff.emulated_graph().unwrap(), &graph());
    assert_eq!(neff.file("libbert_ops.so"), Some(LIBRARY));
    assert_eq!(neff.hash_check(), HashCheck::Verified);
    assert_eq!(Header::SIZE as u64 + neff.header().data_size, file.len() as u64);
    let paths: Vec<_> = neff.files().map(|(path, _)| path).collect();
    assert_eq!(paths, ["graph.json", "libbert_ops.so", "sg00/def.json", "ucode_lib.json"]);
}

#[test]
fn inputs_and_outputs_are_those_of_the_graph_in_its_order() {
    let file = emulated();
    let neff = Neff::parse(&file).unwrap();
    let of = |tensors: Vec<gpsimd_neff::NeffTensor>| -> Vec<_> {
        tensors
            .into_iter()
            .map(|tensor| (tensor.name, tensor.dtype.unwrap(), tensor.shape.unwrap(), tensor.size))
            .collect()
    };
    let f32 = NeffDType::Float32;
    let inputs = [("x", vec![4, 8], 128), ("bias", vec![8], 32), ("mask", vec![1, 8], 32)];
    assert_eq!(of(neff.inputs()), inputs.map(|(name, shape, size)| (name.to_owned(), f32, shape, size)));
    let outputs = [("y", vec![4, 8], 128), ("p", vec![4, 8], 128)];
    assert_eq!(of(neff.outputs()), outputs.map(|(name, shape, size)| (name.to_owned(), f32, shape, size)));
}

#[test]
fn functions_are_the_ops_that_are_called_numbered_across_libraries() {
    let mut graph = graph();
    graph.libraries.insert(0, GraphLibrary { name: "other".into(), file: "z/libother.so".into() });
    graph.calls[1].op = "other.relu".into();
    let file = NeffBuilder::new("n", graph)
        .library("libbert_ops.so", LIBRARY)
        .library("z/libother.so", LIBRARY)
        .build()
        .unwrap();
    let neff = Neff::parse(&file).unwrap();
    let functions: Vec<_> = neff
        .libraries()
        .iter()
        .flat_map(|library| library.functions.iter().map(move |function| (library.file.as_str(), function)))
        .map(|(file, function)| (file, function.name.as_str(), function.opcode.unwrap(), function.number.unwrap()))
        .collect();
    assert_eq!(
        functions,
        [
            ("libbert_ops.so", "bias_gelu_forward", 133, 1),
            ("libbert_ops.so", "masked_softmax_forward", 133, 2),
            ("z/libother.so", "relu", 133, 0),
        ]
    );
    assert!(neff.libraries().iter().all(|library| library.is_present && library.core.is_none()));
}

#[test]
fn the_same_content_gives_the_same_bytes() {
    assert_eq!(emulated(), emulated());
    let other = NeffBuilder::new("other", graph()).library("libbert_ops.so", LIBRARY).build().unwrap();
    let (a, b) = (emulated(), other);
    assert_ne!(Neff::parse(&a).unwrap().header().uuid, Neff::parse(&b).unwrap().header().uuid);
}

#[test]
fn nothing_takes_it_for_one_of_the_neuron_compiler() {
    let file = emulated();
    let neff = Neff::parse(&file).unwrap();
    let header = neff.header();
    assert!(header.is_emulated());
    assert_eq!(header.name(), "ffn (emulated)");
    assert_eq!(header.build_version(), concat!("gpsimd-emulated ", env!("CARGO_PKG_VERSION")));
    // A feature that no runtime has, in a version from which on runtimes look at features.
    assert_eq!((header.feature_bits, header.neff_version_major), (1 << 62, 2));
    assert!(neff.subgraphs().iter().all(|subgraph| subgraph.engines.is_empty()));
}

#[test]
fn names_fill_the_header_and_no_more() {
    let named = |name: &str| NeffBuilder::new(name, graph()).library("libbert_ops.so", LIBRARY).build();
    let longest = "n".repeat(NeffBuilder::MAX_NAME);
    let file = named(&longest).unwrap();
    assert_eq!(Neff::parse(&file).unwrap().header().name(), format!("{longest} (emulated)"));
    for name in [format!("{longest}n"), String::new(), "a\0b".into(), "\u{1b}[2J".into()] {
        assert!(matches!(named(&name), Err(NeffError::Name { .. })), "{name:?}");
    }
}

#[test]
fn libraries_are_those_of_the_graph_and_overwrite_nothing() {
    let without = NeffBuilder::new("n", graph()).build();
    assert!(matches!(without, Err(NeffError::Missing { path, .. }) if path == "libbert_ops.so"));
    let with_more = builder().library("other.so", LIBRARY).build();
    assert!(matches!(with_more, Err(NeffError::Unused { file }) if file == "other.so"));
    for file in ["graph.json", "ucode_lib.json", "sg00/def.json", "sg00", "graph.json/lib.so"] {
        let mut graph = graph();
        graph.libraries[0].file = file.into();
        let built = NeffBuilder::new("n", graph).library(file, LIBRARY).build();
        assert!(matches!(built, Err(NeffError::Graph(_))), "{file}");
    }
}

#[test]
fn paths_longer_than_a_tar_header_are_read_again() {
    let file = format!("{}/lib.so", "folder".repeat(50));
    let mut graph = graph();
    graph.libraries[0].file.clone_from(&file);
    let bytes = NeffBuilder::new("n", graph).library(&file, LIBRARY).build().unwrap();
    assert_eq!(Neff::parse(&bytes).unwrap().file(&file), Some(LIBRARY));
}

#[test]
fn another_archive_under_the_same_header_is_a_mismatch() {
    let file = emulated();
    let flip_hash = |byte: u8| {
        let mut file = file.clone();
        file[172] ^= byte;
        Neff::parse(&file).unwrap().hash_check()
    };
    assert_eq!((flip_hash(0), flip_hash(1)), (HashCheck::Verified, HashCheck::Mismatch));
    let mut without = file.clone();
    without[172..204].fill(0);
    assert_eq!(Neff::parse(&without).unwrap().hash_check(), HashCheck::Unknown);
}
