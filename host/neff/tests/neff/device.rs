//! NEFFs that look as if the Neuron compiler had made them, as far as that is documented.

use flate2::Compression;
use gpsimd_neff::{HashCheck, Neff, NeffDType, NeffError};
use sha2::{Digest, Sha256};

use crate::fixtures::{append, device, device_files, gzip, header, neff, tar};

#[test]
fn it_is_refused_where_only_an_emulated_one_runs() {
    let file = device();
    let neff = Neff::parse(&file).unwrap();
    assert!(neff.graph().is_none() && !neff.header().is_emulated());
    assert!(matches!(neff.emulated_graph(), Err(NeffError::NotEmulated)));
}

#[test]
fn a_graph_of_the_compilers_own_is_none_of_ours() {
    let file = neff(&tar(&[("graph.json", b"digraph {}")]));
    assert!(Neff::parse(&file).unwrap().graph().is_none());
}

#[test]
fn inputs_and_outputs_of_its_subgraphs_count_once() {
    let file = device();
    let neff = Neff::parse(&file).unwrap();
    let names = |tensors: Vec<gpsimd_neff::NeffTensor>| -> Vec<_> {
        tensors.into_iter().map(|tensor| (tensor.name, tensor.size, tensor.dtype)).collect()
    };
    assert_eq!(names(neff.inputs()), [("input0".into(), 1_572_864, None), ("input1".into(), 3072, None)]);
    assert_eq!(names(neff.outputs()), [("output0".into(), 1_572_864, None), ("output1".into(), 4096, None)]);
}

#[test]
fn subgraphs_have_their_engines_queues_and_variables() {
    let file = device();
    let neff = Neff::parse(&file).unwrap();
    let [first, second] = neff.subgraphs() else { panic!("two subgraphs: {:?}", neff.subgraphs()) };
    assert_eq!((first.name.as_str(), second.name.as_str()), ("sg00", "sg01"));
    assert_eq!((&first.engines[..], &second.engines[..]), (&["act".into(), "pe".into()][..], &["pool".into()][..]));
    let queues: Vec<_> = first.queues.iter().map(|queue| (queue.name.as_str(), queue.num_queues)).collect();
    assert_eq!(queues, [("qActSpill", 1), ("qSpIO", 4)]);
    let weight = first.variables_of("file").next().unwrap();
    assert_eq!((weight.var_id, weight.file_name.as_deref(), weight.alignment), (Some(4), Some("weight.npy"), 0));
}

#[test]
fn libraries_have_their_cores_versions_and_functions() {
    let file = device();
    let neff = Neff::parse(&file).unwrap();
    let [first, second] = neff.libraries() else { panic!("two libraries: {:?}", neff.libraries()) };
    assert_eq!((first.file.as_str(), first.core, first.cores), ("libbert_ops_cpu0.so", Some(0), Some(2)));
    assert_eq!(first.isa_version.as_deref(), Some("1.0.2"));
    let step = &first.functions[1];
    assert_eq!((step.name.as_str(), step.opcode, step.number), ("adamw_step_compute", Some(133), Some(1)));
    assert!(first.is_present && !second.is_present);
}

#[test]
fn an_archive_that_is_not_compressed_is_read_where_it_lies() {
    let file = neff(&tar(&device_files()));
    let parsed = Neff::parse(&file).unwrap();
    let program = parsed.file("sg00/act.bin").unwrap();
    assert!(file.as_ptr_range().contains(&program.as_ptr()));
    let owned = parsed.clone().into_owned();
    assert_eq!(owned.file("sg00/act.bin"), Some(program));
}

#[test]
fn an_archive_may_be_compressed_in_parts_and_padded() {
    let archive = tar(&device_files());
    let (first, second) = archive.split_at(1500);
    let data = [gzip(first), gzip(b""), gzip(second), vec![0; 100]].concat();
    assert_eq!(Neff::parse(&neff(&data)).unwrap().files().len(), device_files().len());
}

#[test]
fn the_digest_follows_the_package_version() {
    let data = gzip(&tar(&device_files()));
    let mut header = header(&data);
    header.pkg_version = 1;
    let checked =
        |header: &gpsimd_neff::Header| Neff::parse(&[&header.to_bytes()[..], &data].concat()).unwrap().hash_check();
    assert_eq!(checked(&header), HashCheck::UnknownKind);
    header.hash = Sha256::digest(&data).into();
    assert_eq!(checked(&header), HashCheck::Verified);
    header.pkg_version = 2;
    assert_eq!(checked(&header), HashCheck::UnknownKind);
    // As older compilers write it: the digit 0 behind an MD5.
    header.hash = [b'0'; 32];
    header.hash[..16].copy_from_slice(&md5::Md5::digest(&data));
    assert_eq!(checked(&header), HashCheck::Verified);
    header.hash[20] = b'1';
    assert_eq!(checked(&header), HashCheck::UnknownKind);
}

#[test]
fn what_a_compiler_leaves_out_or_adds_is_no_error() {
    for definition in ["{}", r#"{"var": {"a": {}}, "dma_queue": {"q": {}}, "more": [[[]]]}"#] {
        let file = neff(&tar(&[("sg00/def.json", definition.as_bytes()), ("ucode_lib.json", b" []")]));
        let neff = Neff::parse(&file).unwrap();
        assert_eq!((neff.inputs().len(), neff.libraries().len()), (0, 0));
    }
    let nothing = neff(&[]);
    assert_eq!(Neff::parse(&nothing).unwrap().files().len(), 0);
}

#[test]
fn a_list_without_a_name_is_a_list_of_libraries() {
    let file = neff(&tar(&[("nc0/ucode_lib.json", br#"[{"library": "a.so"}, {"library": "a.so"}]"#)]));
    let neff = Neff::parse(&file).unwrap();
    assert_eq!(neff.libraries().iter().map(|library| library.file.as_str()).collect::<Vec<_>>(), ["nc0/a.so"]);
}

#[test]
fn global_headers_and_folders_are_no_files() {
    let mut archive = tar::Builder::new(Vec::new());
    append(&mut archive, "pax_global_header", tar::EntryType::XGlobalHeader, b"16 comment=abcd\n");
    append(&mut archive, "./", tar::EntryType::Directory, &[]);
    append(&mut archive, "./a/", tar::EntryType::Directory, &[]);
    append(&mut archive, "./a", tar::EntryType::Directory, &[]);
    append(&mut archive, "./a//b", tar::EntryType::Continuous, b"b");
    let file = neff(&archive.into_inner().unwrap());
    assert_eq!(Neff::parse(&file).unwrap().files().collect::<Vec<_>>(), [("a/b", &b"b"[..])]);
}

#[test]
fn the_strength_of_the_compression_does_not_matter() {
    for level in [Compression::none(), Compression::best()] {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
        std::io::Write::write_all(&mut encoder, &tar(&device_files())).unwrap();
        assert_eq!(Neff::parse(&neff(&encoder.finish().unwrap())).unwrap().subgraphs().len(), 2);
    }
}

/// The inputs and outputs of a NEFF with one input `x` and one output `y`, and these files.
fn typed(files: &[(&str, &str)]) -> Vec<(String, Option<NeffDType>, Option<Vec<u32>>)> {
    let definition =
        r#"{"var": {"x": {"type": "input", "var_id": 1, "size": 48}, "y": {"type": "output", "size": 8}}}"#;
    let mut all = vec![("sg00/def.json", definition.as_bytes())];
    all.extend(files.iter().map(|(path, text)| (*path, text.as_bytes())));
    let file = neff(&gzip(&tar(&all)));
    let neff = Neff::parse(&file).unwrap();
    let tensors = neff.inputs().into_iter().chain(neff.outputs());
    tensors.map(|tensor| (tensor.name, tensor.dtype, tensor.shape)).collect()
}

#[test]
fn dtypes_and_shapes_are_those_of_the_compilers_maps() {
    let expected = [
        ("x".to_owned(), Some(NeffDType::Float32), Some(vec![3, 4])),
        ("y".to_owned(), Some(NeffDType::Bfloat16), Some(vec![4])),
    ];
    let listed = r#"{"inputs": [{"name": "x", "dtype": "float32", "shape": [3, 4]}],
                     "outputs": [{"name": "y", "dtype": "bfloat16", "shape": [4]}], "alias_map": {}}"#;
    let by_name = r#"{"inputs": {"x": {"dtype": "float32", "shape": [3, 4]}},
                      "outputs": {"y": {"dtype": "bfloat16", "shape": [4]}}}"#;
    for map in [listed, by_name] {
        for path in ["sg00/tensor_map.json", "nc0/sg00/sgLnk/tensor_map.json"] {
            assert_eq!(typed(&[(path, map)]), expected, "{path}: {map}");
        }
    }
    let graph = r#"{"nodes": [{"op": "null", "name": "x"},
                              {"op": "kelf", "name": "sg00", "output_names": ["z", "y"], "attrs": {"kelf": "kelf-0.json"}}],
                    "node_row_ptr": [0, 1, 3],
                    "attrs": {"shape": ["list_shape", [[3, 4], [9], [4]]],
                              "dltype": ["list_str", ["float32", "int8", "bfloat16"]]}}"#;
    assert_eq!(typed(&[("neff.json", graph)]), expected);
}

#[test]
fn what_the_compilers_maps_leave_open_or_say_otherwise_is_not_known() {
    for map in ["{}", "[]", r#"{"x": {"shape": "3x4"}}"#, r#"{"x": {"shape": [-1]}}"#, "7"] {
        for path in ["sg00/tensor_map.json", "neff.json"] {
            assert_eq!(typed(&[(path, map)])[0], ("x".to_owned(), None, None), "{map}");
        }
    }
    let unknown = r#"{"x": {"dtype": "float4", "shape": [3, 4]}}"#;
    let shapes =
        r#"{"nodes": [{"name": "x"}], "attrs": {"shape": ["list_shape", [[12]]], "dltype": ["list_str", ["int32"]]}}"#;
    let found = typed(&[("neff.json", shapes), ("sg00/tensor_map.json", unknown)]);
    assert_eq!(found[0], ("x".to_owned(), Some(NeffDType::Int32), Some(vec![3, 4])));
}

#[test]
fn version_and_target_are_found_wherever_they_stand() {
    for (info, kelf) in [
        (r#"{"tool_version": "2.23.6484.0"}"#, r#"{"target": "cayman"}"#),
        (r#"{"tools": [{"tool_version": "2.23.6484.0"}]}"#, r#"{"metadata": {"target_arch": "cayman"}}"#),
    ] {
        let file = neff(&gzip(&tar(&[("info.json", info.as_bytes()), ("kelf-0.json", kelf.as_bytes())])));
        let neff = Neff::parse(&file).unwrap();
        assert_eq!((neff.compiler_version(), neff.target()), (Some("2.23.6484.0"), Some("cayman")));
        let shown = gpsimd_neff::Summary::of(&neff).to_string();
        assert!(shown.contains("  compiler         2.23.6484.0\n  target           cayman\n"), "{shown}");
    }
    let file = device();
    assert_eq!((Neff::parse(&file).unwrap().compiler_version(), Neff::parse(&file).unwrap().target()), (None, None));
}

#[test]
fn a_file_of_the_compiler_that_is_not_json_is_an_error_that_names_it() {
    let file = neff(&tar(&[("sg00/tensor_map.json", b"{")]));
    assert!(Neff::parse(&file).unwrap_err().to_string().contains("sg00/tensor_map.json"));
}
