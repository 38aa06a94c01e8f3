//! [`Compiler`]: what the Neuron compiler writes into a NEFF for its own tools.
//!
//! \[3rd\] Of compiler 2.23: `info.json` has the compiler's version, `kelf-0.json` the target, `tensor_map.json` of a subgraph
//! dtype and shape of the inputs and outputs, `neff.json` the shapes, as a graph of TVM. How they nest differs from release
//! to release, so keys are looked for wherever they stand.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::NeffError;
use super::archive::Archive;
use super::json::JsonReader;
use crate::NeffDType;

/// What the files of the Neuron compiler say.
#[derive(Clone, Debug, Default)]
pub(super) struct Compiler {
    /// Its version, by `info.json`.
    pub(super) version: Option<String>,
    /// The chip that the NEFF is for, by its code name, such as `cayman`.
    pub(super) target: Option<String>,
    /// Dtype and shape by name.
    tensors: BTreeMap<String, (Option<NeffDType>, Option<Vec<u32>>)>,
}

impl Compiler {
    /// Reads what there is; every file can be missing.
    pub(super) fn read(archive: &Archive<'_>, json: &mut JsonReader) -> Result<Self, NeffError> {
        let mut compiler = Self::default();
        for (path, content) in archive.files() {
            match path.rsplit('/').next().unwrap_or(path) {
                "info.json" => compiler.version = find(&json.read(path, content)?, &["tool_version"]),
                "kelf-0.json" => compiler.target = find(&json.read(path, content)?, &["target", "target_arch"]),
                "tensor_map.json" => compiler.add_tensors(None, &json.read(path, content)?),
                _ => {}
            }
        }
        // Last: a map says more of its own subgraph.
        if let Some(content) = archive.file("neff.json") {
            compiler.add_graph(&json.read("neff.json", content)?);
        }
        Ok(compiler)
    }

    /// Dtype and shape of a tensor.
    pub(super) fn tensor(&self, name: &str) -> (Option<NeffDType>, Option<Vec<u32>>) {
        self.tensors.get(name).cloned().unwrap_or_default()
    }

    /// Every object with a shape is a tensor: it says its name, or stands under it.
    fn add_tensors(&mut self, key: Option<&str>, value: &Value) {
        match value {
            Value::Array(values) => values.iter().for_each(|value| self.add_tensors(None, value)),
            Value::Object(object) => {
                let text = |key: &str| object.get(key).and_then(Value::as_str);
                let name = ["name", "input_name", "output_name"].into_iter().find_map(text).or(key);
                if let (Some(name), Some(shape)) = (name, object.get("shape").and_then(shape)) {
                    self.add(name, text("dtype").and_then(dtype), Some(shape));
                } else {
                    object.iter().for_each(|(key, value)| self.add_tensors(Some(key), value));
                }
            }
            _ => {}
        }
    }

    /// A graph of TVM: `shape` and `dltype` are lists by entry, and a node has the entries from its row pointer on.
    fn add_graph(&mut self, graph: &Value) {
        let nodes = graph["nodes"].as_array().map_or(&[][..], Vec::as_slice);
        let attribute = |name: &str| graph["attrs"][name][1].as_array().map_or(&[][..], Vec::as_slice);
        let (shapes, dtypes) = (attribute("shape"), attribute("dltype"));
        for (index, node) in nodes.iter().enumerate() {
            let first = graph["node_row_ptr"][index].as_u64().map_or(index, |first| first as usize);
            let names = match node["output_names"].as_array() {
                Some(names) => names.iter().collect(),
                None => vec![&node["name"]],
            };
            for (entry, name) in names.into_iter().enumerate() {
                let Some(name) = name.as_str() else { continue };
                let entry = first.saturating_add(entry);
                let dtype = dtypes.get(entry).and_then(Value::as_str).and_then(dtype);
                self.add(name, dtype, shapes.get(entry).and_then(shape));
            }
        }
    }

    /// What one file leaves open another may say.
    fn add(&mut self, name: &str, dtype: Option<NeffDType>, shape: Option<Vec<u32>>) {
        let tensor = self.tensors.entry(name.to_owned()).or_default();
        tensor.0 = tensor.0.or(dtype);
        if tensor.1.is_none() {
            tensor.1 = shape;
        }
    }
}

/// The first text under one of the keys: those of an object before those of what it has.
fn find(value: &Value, keys: &[&str]) -> Option<String> {
    let here = |object: &Map<String, Value>| keys.iter().find_map(|&key| Some(object.get(key)?.as_str()?.to_owned()));
    match value {
        Value::Object(object) => here(object).or_else(|| object.values().find_map(|value| find(value, keys))),
        Value::Array(values) => values.iter().find_map(|value| find(value, keys)),
        _ => None,
    }
}

fn shape(value: &Value) -> Option<Vec<u32>> {
    serde_json::from_value(value.clone()).ok()
}

fn dtype(name: &str) -> Option<NeffDType> {
    serde_json::from_value(Value::from(name)).ok()
}
