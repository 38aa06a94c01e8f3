//! Whatever a file contains, it is read or refused; whatever graph is written is read again.

use gpsimd_neff::{Call, Graph, GraphLibrary, HashCheck, Neff, NeffBuilder, NeffDType, Summary, TensorSpec};
use proptest::prelude::*;
use serde_json::Value;

use crate::fixtures::{device_files, emulated, emulated_neff, graph, gzip, neff, tar};

/// Reads a file and looks at all that it says.
fn look_at(file: &[u8]) {
    if let Ok(neff) = Neff::parse(file) {
        let summary = Summary::of(&neff);
        assert!(!summary.to_string().is_empty());
        serde_json::to_string(&summary).unwrap();
        let bytes: usize = neff.files().map(|(_, content)| content.len()).sum();
        assert!(bytes as u64 <= 4 << 30);
    }
}

/// Changes of bytes at places.
fn flips() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    prop::collection::vec((any::<prop::sample::Index>(), 1..=u8::MAX), 1..6)
}

fn flip(bytes: &mut [u8], flips: &[(prop::sample::Index, u8)]) {
    for (at, change) in flips {
        bytes[at.index(bytes.len())] ^= change;
    }
}

/// Recomputes the sums of the tar headers where they are likely to be: otherwise every change there ends the reading.
fn mend_sums(archive: &mut [u8]) {
    for block in archive.chunks_exact_mut(512).filter(|block| block[257..262] == *b"ustar") {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

/// A valid graph: every call reads what was there before it.
fn scalars() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i16>().prop_map(|value| Value::from(f64::from(value) / 8.0)),
    ]
}

fn graphs() -> impl Strategy<Value = Graph> {
    let spec = (prop::sample::select(&NeffDType::ALL[..]), prop::collection::vec(0_u32..100, 0..5));
    let call = (
        prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        prop::collection::vec(scalars(), 0..3),
        any::<bool>(),
    );
    let libraries = 1..4_usize;
    (prop::collection::vec(spec.clone(), 1..5), prop::collection::vec((spec, call), 0..8), libraries).prop_map(
        |(inputs, calls, libraries)| {
            let tensor = |name: String, (dtype, shape)| TensorSpec { name, dtype, shape };
            let inputs: Vec<_> =
                inputs.into_iter().enumerate().map(|(i, spec)| tensor(format!("in {i}"), spec)).collect();
            let mut names: Vec<_> = inputs.iter().map(|spec| spec.name.clone()).collect();
            let mut graph = Graph {
                version: Graph::VERSION,
                inputs,
                outputs: vec![],
                intermediates: vec![],
                libraries: (0..libraries)
                    .map(|i| GraphLibrary { name: format!("l{i}"), file: format!("lib/l{i}.so") })
                    .collect(),
                calls: vec![],
            };
            for (i, (spec, (reads, scalars, is_output))) in calls.into_iter().enumerate() {
                let tensors = reads.iter().map(|at| names[at.index(names.len())].clone()).collect();
                let output = format!("\"t\u{e4}{i}");
                let list = if is_output { &mut graph.outputs } else { &mut graph.intermediates };
                list.push(tensor(output.clone(), spec));
                names.push(output.clone());
                graph.calls.push(Call {
                    op: format!("l{}.op{i}", i % libraries),
                    tensors,
                    scalars,
                    outputs: vec![output],
                });
            }
            graph
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        look_at(&bytes);
        look_at(&neff(&bytes));
        look_at(&neff(&gzip(&bytes)));
    }

    #[test]
    fn a_changed_file_is_read_or_refused(flips in flips(), end in any::<prop::sample::Index>()) {
        let mut file = emulated();
        flip(&mut file, &flips);
        look_at(&file);
        look_at(&file[..end.index(file.len())]);
    }

    #[test]
    fn a_changed_archive_is_read_or_refused(flips in flips(), is_mended in any::<bool>()) {
        let graph = serde_json::to_vec(&graph()).unwrap();
        let mut files = device_files();
        files.push(("graph.json", &graph));
        files.push(("libbert_ops.so", b"x"));
        let mut archive = tar(&files);
        flip(&mut archive, &flips);
        if is_mended {
            mend_sums(&mut archive);
        }
        look_at(&neff(&archive));
        look_at(&emulated_neff(&archive));
    }

    #[test]
    fn a_changed_graph_is_read_or_refused(flips in flips()) {
        let mut json = serde_json::to_vec(&graph()).unwrap();
        flip(&mut json, &flips);
        look_at(&emulated_neff(&tar(&[("graph.json", &json), ("libbert_ops.so", b"x")])));
    }

    #[test]
    fn any_graph_is_read_as_it_was_written(graph in graphs(), name in "[a-zA-Z0-9 _./-]{1,40}") {
        prop_assert_eq!(graph.validate(), Ok(()));
        let mut builder = NeffBuilder::new(name.clone(), graph.clone());
        for library in &graph.libraries {
            builder = builder.library(&library.file, library.name.as_bytes());
        }
        let file = builder.build().unwrap();
        let neff = Neff::parse(&file).unwrap();
        prop_assert_eq!(neff.graph(), Some(&graph));
        prop_assert_eq!(neff.hash_check(), HashCheck::Verified);
        prop_assert_eq!(neff.header().name(), format!("{name} (emulated)"));
        let specs = |tensors: Vec<gpsimd_neff::NeffTensor>| -> Vec<_> {
            let spec = |tensor: gpsimd_neff::NeffTensor| {
                TensorSpec { name: tensor.name, dtype: tensor.dtype.unwrap(), shape: tensor.shape.unwrap() }
            };
            tensors.into_iter().map(spec).collect()
        };
        prop_assert_eq!(specs(neff.inputs()), graph.inputs.clone());
        prop_assert_eq!(specs(neff.outputs()), graph.outputs.clone());
    }
}
