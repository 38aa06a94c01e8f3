//! [`NeffBuilder`]: writes emulated NEFFs.

use std::collections::BTreeMap;

use flate2::{Compression, GzBuilder};
use serde::Serialize;

use super::archive::shown;
use super::subgraph::VariableEntry;
use super::ucode_library::{self, FunctionEntry, LibraryEntry, LibraryFile};
use super::{Graph, GraphError, Header, NeffError, TensorSpec, emulated, hash};

/// Writes a NEFF for the emulated runtime: a graph of op calls and its op libraries, in the layout of a real one.
///
/// The same content gives the same bytes. No Neuron Runtime runs it: it has no program for any engine, and a feature bit
/// that no runtime knows.
#[derive(Clone, Debug)]
pub struct NeffBuilder {
    name: String,
    graph: Graph,
    libraries: BTreeMap<String, Vec<u8>>,
}

impl NeffBuilder {
    /// Bytes that a model's name can have: those of the header without what says that it is emulated and the zero at the
    /// end.
    pub const MAX_NAME: usize = 256 - 1 - emulated::NAME_SUFFIX.len();

    /// A NEFF of the model `name`, which runs `graph`.
    pub fn new(name: impl Into<String>, graph: Graph) -> Self {
        Self { name: name.into(), graph, libraries: BTreeMap::new() }
    }

    /// Adds the content of the file that the graph names for a library.
    #[must_use]
    pub fn library(mut self, file: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        self.libraries.insert(file.into(), content.into());
        self
    }

    /// The file.
    ///
    /// # Errors
    /// When the graph cannot be run, a library's file is missing or one too many, or the name does not fit. Whether the
    /// libraries have the ops is not checked here.
    pub fn build(&self) -> Result<Vec<u8>, NeffError> {
        if self.name.is_empty() || self.name.len() > Self::MAX_NAME || self.name.chars().any(char::is_control) {
            return Err(NeffError::Name { name: shown(&self.name), max: Self::MAX_NAME });
        }
        self.graph.validate()?;
        let data = pack(&self.files()?);
        let header = self.header(&data);
        Ok([&header.to_bytes()[..], &data].concat())
    }

    /// What the archive holds, by path.
    fn files(&self) -> Result<BTreeMap<String, Vec<u8>>, NeffError> {
        let mut files = self.libraries.clone();
        for library in &self.graph.libraries {
            if !files.contains_key(&library.file) {
                let (path, needed_by) = (library.file.clone(), emulated::GRAPH_FILE.into());
                return Err(NeffError::Missing { path, needed_by });
            }
        }
        let is_named = |file: &str| self.graph.libraries.iter().any(|library| library.file == file);
        if let Some(file) = files.keys().find(|file| !is_named(file)) {
            return Err(NeffError::Unused { file: shown(file) });
        }
        let metadata = [
            (emulated::GRAPH_FILE.to_owned(), json(&self.graph)),
            (ucode_library::FILE.to_owned(), json(&self.library_file())),
            (format!("{}/def.json", emulated::SUBGRAPH), json(&definition(&self.graph))),
        ];
        for (path, content) in metadata {
            // A library of that name, or in a folder of that name, or with its own in that folder.
            let is_taken = |file: &&String| {
                **file == path || file.starts_with(&format!("{path}/")) || path.starts_with(&format!("{file}/"))
            };
            if let Some(file) = self.libraries.keys().find(is_taken) {
                let owner = self.graph.libraries.iter().find(|library| library.file == *file);
                let library = owner.map_or_else(String::new, |library| library.name.clone());
                return Err(GraphError::File { library, file: file.clone() }.into());
            }
            files.insert(path, content);
        }
        Ok(files)
    }

    /// The libraries with the ops that the graph calls, numbered in the order of their first calls.
    fn library_file(&self) -> LibraryFile {
        let mut number = 0;
        let entry = |library: &super::GraphLibrary| {
            let mut functions: Vec<FunctionEntry> = Vec::new();
            let calls = self.graph.calls.iter().filter_map(super::Call::op_path);
            for (_, op) in calls.filter(|(name, _)| *name == library.name) {
                if functions.iter().all(|function| function.name != op) {
                    let (opcode, sub_opcode) = (Some(emulated::OPCODE), Some(number));
                    functions.push(FunctionEntry { name: op.into(), opcode, sub_opcode });
                    number += 1;
                }
            }
            LibraryEntry {
                library: library.file.clone(),
                ulib_to_ucode_version: Some(emulated::library_version()),
                ulib_to_isa_version: Some(emulated::library_version()),
                is_builtin: Some(false),
                functions,
                ..LibraryEntry::default()
            }
        };
        LibraryFile { ucode_lib: self.graph.libraries.iter().map(entry).collect() }
    }

    fn header(&self, data: &[u8]) -> Header {
        let name = format!("{}{}", self.name, emulated::NAME_SUFFIX);
        let mut tpb_per_node = [0; 64];
        tpb_per_node[0] = emulated::CORES as u8;
        Header {
            pkg_version: emulated::PKG_VERSION,
            header_size: Header::SIZE as u64,
            data_size: data.len() as u64,
            neff_version_major: emulated::VERSION.0,
            neff_version_minor: emulated::VERSION.1,
            neff_build_version: field(emulated::BUILD_VERSION),
            num_tpb: emulated::CORES,
            hash: hash::digest(emulated::PKG_VERSION, data, 0),
            uuid: hash::uuid(&name, data),
            name: field(&name),
            requested_tpb_count: emulated::CORES,
            tpb_per_node,
            feature_bits: emulated::FEATURE_BITS,
            lnc_size: emulated::CORES,
        }
    }
}

#[derive(Serialize)]
struct Definition<'a> {
    name: &'a str,
    dma_queue: serde_json::Map<String, serde_json::Value>,
    var: BTreeMap<&'a str, VariableEntry>,
}

/// `def.json`, as documented, with the dtypes and shapes that a real one does not have.
fn definition(graph: &Graph) -> Definition<'_> {
    let kinds = [(&graph.inputs, "input"), (&graph.outputs, "output"), (&graph.intermediates, "tmp-buf")];
    let tensors = kinds.into_iter().flat_map(|(specs, kind)| specs.iter().map(move |spec| (spec, kind)));
    let entry = |(id, (spec, kind)): (usize, (&TensorSpec, &str))| VariableEntry {
        r#type: Some(kind.into()),
        var_id: Some(id as u64),
        size: spec.bytes().map(|bytes| bytes as u64),
        alignment: Some(gpsimd_abi::TCM_ALIGN as u64),
        file_name: None,
        dtype: Some(spec.dtype),
        shape: Some(spec.shape.clone()),
    };
    let var = tensors.enumerate().map(|(id, (spec, kind))| (spec.name.as_str(), entry((id, (spec, kind)))));
    Definition { name: emulated::SUBGRAPH, dma_queue: serde_json::Map::new(), var: var.collect() }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec_pretty(value).expect("plain data with text as keys")
}

/// A gzip tar without times, owners or folders.
fn pack(files: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::default());
    let mut archive = tar::Builder::new(gzip);
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive
            .append_data(&mut header, path, content.as_slice())
            .expect("the path is plain, and a vector takes it all");
    }
    let gzip = archive.into_inner().expect("a vector takes it all");
    gzip.finish().expect("a vector takes it all")
}

/// Text in a field, with zeros after it.
fn field<const N: usize>(text: &str) -> [u8; N] {
    let mut field = [0; N];
    field[..text.len()].copy_from_slice(text.as_bytes());
    field
}
