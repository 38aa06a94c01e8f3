//! [`Neff`]: a NEFF file, read and verified.

use std::collections::BTreeSet;
use std::path::Path;

use super::archive::Archive;
use super::compiler::Compiler;
use super::json::JsonReader;
use super::{Graph, HashCheck, Header, Limits, NeffError, Subgraph, UcodeLibrary, emulated, hash};
use crate::NeffDType;

/// A NEFF file, read and verified: its header, its archive, and what the JSON files in there say.
#[derive(Clone, Debug)]
pub struct Neff<'a> {
    header: Header,
    hash_check: HashCheck,
    archive: Archive<'a>,
    subgraphs: Vec<Subgraph>,
    libraries: Vec<UcodeLibrary>,
    graph: Option<Graph>,
    compiler: Compiler,
}

/// An input or output of a NEFF.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct NeffTensor {
    /// Its name.
    pub name: String,
    /// Element type, if the NEFF says.
    pub dtype: Option<NeffDType>,
    /// Dimensions, if the NEFF says.
    pub shape: Option<Vec<u32>>,
    /// Size in bytes.
    pub size: u64,
}

impl<'a> Neff<'a> {
    /// Reads a NEFF within the default [`Limits`]. An archive that is not compressed stays where it is.
    ///
    /// A hash that does not match is not an error here: see [`Neff::hash_check`].
    ///
    /// # Errors
    /// When it is not a NEFF, cut off, of a version that is not known, beyond a limit, or contradicts itself; when its archive
    /// has paths that lead elsewhere, or anything but files and folders; when it has a graph that cannot be run.
    pub fn parse(file: &'a [u8]) -> Result<Self, NeffError> {
        Self::parse_within(file, &Limits::default())
    }

    /// As [`Neff::parse`], within other limits.
    ///
    /// # Errors
    /// As [`Neff::parse`].
    pub fn parse_within(file: &'a [u8], limits: &Limits) -> Result<Self, NeffError> {
        let (header, data) = Header::read(file)?;
        let archive = Archive::read(data, limits)?;
        let mut json = JsonReader::new(limits);
        let neff = Self {
            header,
            hash_check: HashCheck::of(&header, data),
            subgraphs: Subgraph::read_all(&archive, &mut json)?,
            libraries: UcodeLibrary::read_all(&archive, &mut json)?,
            graph: read_graph(&header, &archive, &mut json)?,
            // What an emulated NEFF has is in its `def.json`.
            compiler: if header.is_emulated() { Compiler::default() } else { Compiler::read(&archive, &mut json)? },
            archive,
        };
        Ok(neff)
    }

    /// The same, with an archive of its own.
    pub fn into_owned(self) -> Neff<'static> {
        let Self { header, hash_check, archive, subgraphs, libraries, graph, compiler } = self;
        Neff { header, hash_check, archive: archive.into_owned(), subgraphs, libraries, graph, compiler }
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Whether the archive has the hash of the header. What to do if not is the caller's to say
    /// (`NEURON_RT_VALIDATE_HASH`).
    pub fn hash_check(&self) -> HashCheck {
        self.hash_check
    }

    /// The version of the Neuron compiler, if the NEFF says.
    pub fn compiler_version(&self) -> Option<&str> {
        self.compiler.version.as_deref()
    }

    /// The chip that the NEFF is for by its code name, such as `cayman`, if the NEFF says.
    pub fn target(&self) -> Option<&str> {
        self.compiler.target.as_deref()
    }

    /// The hash of the header in hexadecimal, with the name of the digest that it is, or `hash` where that is not known.
    pub fn hash(&self) -> (String, &'static str) {
        if self.hash_check == HashCheck::UnknownKind {
            return (hash::hex(&self.header.hash), "hash");
        }
        let version = self.header.pkg_version;
        (hash::hex(&self.header.hash[..hash::digest_len(version)]), hash::digest_name(version))
    }

    /// Paths and contents of the files in the archive, sorted by path.
    pub fn files(&self) -> impl ExactSizeIterator<Item = (&str, &[u8])> {
        self.archive.files()
    }

    /// The content of a file in the archive.
    pub fn file(&self, path: &str) -> Option<&[u8]> {
        self.archive.file(path)
    }

    /// Inputs of the model, in the order of their numbers; one that several subgraphs read counts once.
    pub fn inputs(&self) -> Vec<NeffTensor> {
        self.variables("input")
    }

    /// Outputs of the model, in the order of their numbers; one that several subgraphs write counts once.
    pub fn outputs(&self) -> Vec<NeffTensor> {
        self.variables("output")
    }

    /// The subgraphs.
    pub fn subgraphs(&self) -> &[Subgraph] {
        &self.subgraphs
    }

    /// The custom-op libraries, sorted by file.
    pub fn libraries(&self) -> &[UcodeLibrary] {
        &self.libraries
    }

    /// What an emulated NEFF runs: valid, and every library that it names is in the archive. None of a NEFF of the Neuron
    /// compiler, whatever files it has.
    pub fn graph(&self) -> Option<&Graph> {
        self.graph.as_ref()
    }

    /// What an emulated NEFF runs.
    ///
    /// # Errors
    /// [`NeffError::NotEmulated`] of a NEFF of the Neuron compiler.
    pub fn emulated_graph(&self) -> Result<&Graph, NeffError> {
        self.graph().ok_or(NeffError::NotEmulated)
    }

    /// Writes the files of the archive into a folder that is empty or does not exist yet.
    ///
    /// # Errors
    /// When the folder is not empty, or something cannot be written.
    pub fn extract_to(&self, folder: impl AsRef<Path>) -> Result<(), NeffError> {
        super::extract::extract(&self.archive, folder.as_ref())
    }

    fn variables(&self, kind: &str) -> Vec<NeffTensor> {
        let mut seen = BTreeSet::new();
        let variables = self.subgraphs.iter().flat_map(|subgraph| subgraph.variables_of(kind));
        let info = |variable: &super::Variable| {
            let (dtype, shape) = self.compiler.tensor(&variable.name);
            NeffTensor {
                name: variable.name.clone(),
                dtype: variable.dtype.or(dtype),
                shape: variable.shape.clone().or(shape),
                size: variable.size.unwrap_or(0),
            }
        };
        variables.filter(|variable| seen.insert(variable.name.as_str())).map(info).collect()
    }
}

fn read_graph(header: &Header, archive: &Archive<'_>, json: &mut JsonReader) -> Result<Option<Graph>, NeffError> {
    // A compiler may have a file of that name for something else.
    if !header.is_emulated() {
        return Ok(None);
    }
    let content = archive.file(emulated::GRAPH_FILE).ok_or_else(|| NeffError::Missing {
        path: emulated::GRAPH_FILE.into(),
        needed_by: "an emulated NEFF".into(),
    })?;
    let graph: Graph = json.read(emulated::GRAPH_FILE, content)?;
    graph.validate()?;
    for library in &graph.libraries {
        if archive.file(&library.file).is_none() {
            let (path, needed_by) = (library.file.clone(), emulated::GRAPH_FILE.into());
            return Err(NeffError::Missing { path, needed_by });
        }
    }
    Ok(Some(graph))
}
