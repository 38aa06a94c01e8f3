//! [`NeffError`]: why a file is not a NEFF, or none that is read.

use std::path::PathBuf;

use super::{GraphError, Header};

/// Why a file is not a NEFF, or none that is read, or could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NeffError {
    /// Not even a header.
    #[error("not a NEFF: it ends after {found} bytes, the header alone has {}; is the file complete?", Header::SIZE)]
    TooShort {
        /// Bytes of the file.
        found: usize,
    },
    /// Another kind of file.
    #[error("not a NEFF: its field for the header's size says {found} bytes, expected {}", Header::SIZE)]
    HeaderSize {
        /// What the field says.
        found: u64,
    },
    /// A packaging that is not known.
    #[error("NEFF of package version {found}, versions 1 and 2 can be read: use tools of a release that knows it")]
    PackageVersion {
        /// The header's `pkg_version`.
        found: u64,
    },
    /// A format that is not known.
    #[error("NEFF of version {major}.{minor}, versions up to 2 can be read: use tools of a release that knows it")]
    Version {
        /// The header's `neff_version_major`.
        major: u64,
        /// The header's `neff_version_minor`.
        minor: u64,
    },
    /// Cut off, or more than a NEFF.
    #[error(
        "the header announces an archive of {declared} bytes, the file has {found} after the header: copy it again, it is \
         {}",
        if *declared > *found as u64 { "incomplete" } else { "followed by something else" }
    )]
    DataSize {
        /// What the header says.
        declared: u64,
        /// What is there.
        found: usize,
    },
    /// What follows the header does not decompress.
    #[error("the archive does not decompress after {unpacked} bytes: {problem}")]
    Gzip {
        /// Bytes that did.
        unpacked: usize,
        /// What the decompressor says.
        problem: String,
    },
    /// What follows the header is not an archive.
    #[error("the archive is no tar: {problem}")]
    Tar {
        /// What its reader says, with control characters escaped.
        problem: String,
    },
    /// A file of the archive goes beyond its end.
    #[error("the archive is cut off: `{path}` has {size} bytes, {found} are there")]
    CutOff {
        /// The file.
        path: String,
        /// Its size by its own header.
        size: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// A path that leads elsewhere, or that no file can have.
    #[error("the archive has the path `{path}`, which {problem}: such a NEFF is not unpacked")]
    Path {
        /// The path, with control characters escaped.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Something that is neither file nor folder.
    #[error("`{path}` in the archive is {kind}, expected a file or a folder: such a NEFF is not unpacked")]
    Kind {
        /// Its path.
        path: String,
        /// What it is.
        kind: &'static str,
    },
    /// Two files of one path.
    #[error("the archive has `{path}` twice, or as file and as folder: which one counts is not known")]
    Duplicate {
        /// Their path.
        path: String,
    },
    /// More than the limits allow.
    #[error("{what} than the limit of {limit}: {help}")]
    Limit {
        /// "the archive has more bytes", ...
        what: &'static str,
        /// The limit.
        limit: u64,
        /// What to do.
        help: &'static str,
    },
    /// A JSON file that does not say what it should.
    #[error("`{path}` in the archive does not parse: {problem}")]
    Json {
        /// The file.
        path: String,
        /// What is wrong, with control characters escaped.
        problem: String,
    },
    /// A graph that cannot be run.
    #[error("graph.json: {0}")]
    Graph(GraphError),
    /// A file that is needed is not there.
    #[error("{needed_by} needs the file `{path}`, which is not in the archive: pack it again with that file")]
    Missing {
        /// The file.
        path: String,
        /// Who needs it: "graph.json", ...
        needed_by: String,
    },
    /// A NEFF for the device.
    #[error("no graph.json: this NEFF was made by the Neuron compiler and needs a NeuronCore")]
    NotEmulated,
    /// Nothing that a NEFF can be called.
    #[error("a NEFF cannot be called `{name}`: its name has 1 to {max} bytes and no control characters")]
    Name {
        /// The name, with control characters escaped.
        name: String,
        /// Bytes that it can have.
        max: usize,
    },
    /// A library that no op of the graph is of.
    #[error("the graph names no library with the file `{file}`: add it to `libraries` of graph.json, or leave it out")]
    Unused {
        /// The file.
        file: String,
    },
    /// Unpacking into a folder that is not empty.
    #[error("{} is not empty: name a folder that is, or that does not exist yet", folder.display())]
    NotEmpty {
        /// The folder.
        folder: PathBuf,
    },
    /// A file or folder could not be written.
    #[error("cannot write {}: {problem}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        problem: std::io::Error,
    },
}

// Written out: a source would be printed twice in a chain.
impl From<GraphError> for NeffError {
    fn from(error: GraphError) -> Self {
        Self::Graph(error)
    }
}

impl NeffError {
    /// Whether it may be a good NEFF for tools that know its version.
    pub fn is_unsupported_version(&self) -> bool {
        matches!(self, Self::PackageVersion { .. } | Self::Version { .. })
    }
}
