use std::collections::BTreeMap;

use gpsimd_emulator::{OpLibrary, Scalar, Tensor, TensorType};
use safetensors::SafeTensors;

use super::*;

fn replay() -> Replay {
    let tensor = Tensor::from_vec(vec![1.0_f32, f32::NAN, -0.0], &[3, 1]).unwrap();
    let mask = Tensor::from_vec(vec![1_u8, 0, 255], &[3]).unwrap();
    let setting = Setting { tcm_bytes: Some(1024), schedule: Some(7), ..Setting::REFERENCE };
    Replay {
        library: "my_ops".into(),
        version: "0.1.0".into(),
        op: "silu".into(),
        tensors: BTreeMap::from([("x".into(), tensor), ("mask".into(), mask)]),
        scalars: BTreeMap::from([
            ("eps".into(), Scalar::F32(f32::from_bits(1))),
            ("limit".into(), Scalar::F32(f32::NEG_INFINITY)),
            ("k".into(), Scalar::Size(8)),
            ("is_training".into(), Scalar::Bool(true)),
            ("seed".into(), Scalar::U32(u32::MAX)),
            ("ignored".into(), Scalar::I32(-100)),
        ]),
        settings: vec![Setting::REFERENCE, setting],
        judge: "settings".into(),
        finding: "element 2 differs".into(),
    }
}

/// The file of the usual replay with another JSON under its key.
fn with_json(edit: impl FnOnce(&str) -> String) -> Vec<u8> {
    let file = replay().to_bytes().unwrap();
    let (_, header) = SafeTensors::read_metadata(&file).unwrap();
    let mut metadata = header.metadata().clone().unwrap();
    let json = edit(&metadata[KEY]);
    metadata.insert(KEY.into(), json);
    let tensors = SafeTensors::deserialize(&file).unwrap();
    safetensors::serialize(tensors.tensors(), Some(metadata)).unwrap()
}

fn error(file: &[u8]) -> String {
    Replay::parse(file).unwrap_err().to_string()
}

#[test]
fn what_is_written_is_read_to_the_bit() {
    let (file, bytes) = (replay(), replay().to_bytes().unwrap());
    let read = Replay::parse(&bytes).unwrap();
    assert_eq!(read.tensors["x"].bytes(), file.tensors["x"].bytes());
    assert_eq!((&read.scalars, &read.settings, &read.finding), (&file.scalars, &file.settings, &file.finding));
    assert_eq!(bytes, read.to_bytes().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    file.write(&path).unwrap();
    assert_eq!(Replay::read(&path).unwrap().to_bytes().unwrap(), bytes);
}

#[test]
fn what_is_not_a_replay_file_is_refused_with_the_reason() {
    let file = replay().to_bytes().unwrap();
    let without = |key: &'static str| with_json(move |json| json.replace(&format!("\"{key}\":"), "\"other\":"));
    let replaced = |from: &'static str, to: &'static str| {
        with_json(move |json| {
            assert!(json.contains(from), "{json}");
            json.replace(from, to)
        })
    };
    let mut long_header = file.clone();
    long_header[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    let tensor = |dtype, shape: Vec<usize>, bytes: &'static [u8]| {
        let view = safetensors::tensor::TensorView::new(dtype, shape, bytes).unwrap();
        let metadata = SafeTensors::read_metadata(&file).unwrap().1.metadata().clone();
        safetensors::serialize([("x", view)], metadata).unwrap()
    };
    let messages = [
        error(b""),
        error(&file[..file.len() - 1]),
        error(&[&file[..], b"0"].concat()),
        error(&long_header),
        error(&safetensors::serialize::<&str, safetensors::tensor::TensorView<'_>, _>([], None).unwrap()),
        error(&with_json(|_| "[".into())),
        error(&without("format")),
        error(&replaced("\"format\":1", "\"format\":2")),
        error(&replaced("\"format\":1", "\"format\":0")),
        error(&without("op")),
        error(&replaced("\"cores\":8", "\"cores\":9")),
        error(&replaced("\"tcm_bytes\":1024", "\"tcm_bytes\":1000")),
        error(&replaced("\"threads\":1", "\"threads\":1000000000")),
        error(&replaced("\"schedule\":7", "\"later\":7")),
        error(&replaced("\"f32\":\"-inf\"", "\"f32\":\"much\"")),
        error(&replaced("\"name\":\"k\"", "\"name\":\"eps\"")),
        error(&replaced("\"settings\":[", "\"settings\":[],\"others\":[")),
        error(&tensor(safetensors::Dtype::F64, vec![1], &[0; 8])),
        error(&tensor(safetensors::Dtype::U8, vec![1; 9], &[0])),
        error(&tensor(safetensors::Dtype::F32, vec![1 << 40, 0, 1 << 40], &[])),
    ];
    insta::assert_snapshot!(messages.join("\n"));
}

#[test]
fn the_file_of_another_op_is_refused_with_the_reason() {
    let library = OpLibrary::from_static(&bert_ops::OP_LIBRARY).unwrap();
    let op = library.op("masked_softmax_backward").unwrap();
    let tensor = Tensor::zeros(TensorType::new(gpsimd_emulator::DType::F32, &[2, 3]).unwrap());
    let operands =
        crate::operands::Operands { tensors: vec![tensor.clone(), tensor.clone()], scalars: vec![0.5.into()] };
    let replay = Replay::new(library.descriptor(), op.descriptor(), &operands);
    assert_eq!(replay.operands(&library).unwrap(), operands);
    let edited = |edit: &dyn Fn(&mut Replay)| {
        let mut other = replay.clone();
        edit(&mut other);
        other.operands(&library).unwrap_err().to_string()
    };
    let messages = [
        edited(&|replay| replay.library = "nn_ops".into()),
        edited(&|replay| replay.op = "softmax".into()),
        edited(&|replay| assert!(replay.tensors.remove("p").is_some())),
        edited(&|replay| assert!(replay.tensors.insert("q".into(), tensor.clone()).is_none())),
        edited(&|replay| replay.scalars.clear()),
        edited(&|replay| assert!(replay.scalars.insert("k".into(), Scalar::Size(3)).is_none())),
    ];
    insta::assert_snapshot!(messages.join("\n"));
}
