//! [`GraphError`]: why a graph cannot be run, whatever its op libraries do.

use std::collections::{HashMap, HashSet};

use super::archive::{plain_path, shown};
use super::{Call, Graph, TensorSpec};

/// Why a graph cannot be run. Names have their control characters escaped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// Another version of the format.
    #[error("version {found}, expected {}: pack the graph with this release", Graph::VERSION)]
    Version {
        /// The version.
        found: u32,
    },
    /// Something that nothing can be called.
    #[error("{what} `{name}`: its name {problem}")]
    Name {
        /// "tensor" or "library".
        what: &'static str,
        /// The name.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A name that is taken.
    #[error("{what} `{name}` is there twice: give each a name of its own")]
    Duplicate {
        /// "tensor", "library" or "file".
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A path that no file of an archive has.
    #[error(
        "library `{library}`: no file of a NEFF can be called `{file}`: give its path in the archive, like `lib{library}.so`"
    )]
    File {
        /// The library.
        library: String,
        /// Its file.
        file: String,
    },
    /// A tensor that fits no memory.
    #[error("tensor `{tensor}`: {dtype} {shape:?} does not fit in memory")]
    TooLarge {
        /// The tensor.
        tensor: String,
        /// Its element type.
        dtype: crate::NeffDType,
        /// Its shape.
        shape: Vec<u32>,
    },
    /// A call of something that is not an op.
    #[error("calls[{index}]: expected `<library>.<op>`, found `{op}`")]
    Op {
        /// The call.
        index: usize,
        /// What it calls.
        op: String,
    },
    /// A call of a library that is not listed.
    #[error("calls[{index}] `{op}`: `libraries` has no such library, it has {}", listed(known))]
    UnknownLibrary {
        /// The call.
        index: usize,
        /// What it calls.
        op: String,
        /// The libraries.
        known: Vec<String>,
    },
    /// A call with a tensor that is not listed.
    #[error("calls[{index}] `{op}`: there is no tensor `{tensor}`: add it to `inputs`, `outputs` or `intermediates`")]
    UnknownTensor {
        /// The call.
        index: usize,
        /// What it calls.
        op: String,
        /// The tensor.
        tensor: String,
    },
    /// A call reads what no call before it wrote.
    #[error(
        "calls[{index}] `{op}` reads `{tensor}`, which no call before it writes: calls run in the order in which they are \
         listed"
    )]
    NotYetWritten {
        /// The call.
        index: usize,
        /// What it calls.
        op: String,
        /// The tensor.
        tensor: String,
    },
    /// A call writes an input, or what another wrote.
    #[error("calls[{index}] `{op}` writes `{tensor}`, which {writer}: give its result a name of its own")]
    WrittenTwice {
        /// The call.
        index: usize,
        /// What it calls.
        op: String,
        /// The tensor.
        tensor: String,
        /// "is an input" or "calls\[0\] writes".
        writer: String,
    },
    /// An output or intermediate that no call writes.
    #[error("tensor `{tensor}`: no call writes it, and it is no input")]
    NeverWritten {
        /// The tensor.
        tensor: String,
    },
}

/// A few names; a graph may have any number.
fn listed(names: &[String]) -> String {
    const MAX: usize = 10;
    if names.is_empty() {
        return "none".into();
    }
    let mut text = names.iter().take(MAX).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > MAX {
        text.push_str(", ...");
    }
    text
}

/// When a tensor gets its content.
#[derive(Clone, Copy)]
enum Written {
    Never,
    Input,
    By(usize),
}

pub(super) fn check(graph: &Graph) -> Result<(), GraphError> {
    if graph.version != Graph::VERSION {
        return Err(GraphError::Version { found: graph.version });
    }
    let libraries = libraries(graph)?;
    let mut tensors = HashMap::new();
    for (specs, written) in
        [(&graph.inputs, Written::Input), (&graph.outputs, Written::Never), (&graph.intermediates, Written::Never)]
    {
        for spec in specs {
            tensor(spec)?;
            if tensors.insert(spec.name.as_str(), written).is_some() {
                return Err(GraphError::Duplicate { what: "tensor", name: shown(&spec.name) });
            }
        }
    }
    for (index, call) in graph.calls.iter().enumerate() {
        run(index, call, graph, &libraries, &mut tensors)?;
    }
    let is_missing = |spec: &&TensorSpec| matches!(tensors.get(spec.name.as_str()), Some(Written::Never));
    match graph.tensors().find(is_missing) {
        Some(spec) => Err(GraphError::NeverWritten { tensor: shown(&spec.name) }),
        None => Ok(()),
    }
}

fn libraries(graph: &Graph) -> Result<HashSet<&str>, GraphError> {
    let mut names = HashSet::new();
    let mut files = HashSet::new();
    for library in &graph.libraries {
        name("library", &library.name)?;
        if !names.insert(library.name.as_str()) {
            return Err(GraphError::Duplicate { what: "library", name: shown(&library.name) });
        }
        if library.file.is_empty() || plain_path(library.file.as_bytes()).as_ref() != Ok(&library.file) {
            return Err(GraphError::File { library: shown(&library.name), file: shown(&library.file) });
        }
        if !files.insert(library.file.as_str()) {
            return Err(GraphError::Duplicate { what: "file", name: library.file.clone() });
        }
    }
    Ok(names)
}

fn tensor(spec: &TensorSpec) -> Result<(), GraphError> {
    name("tensor", &spec.name)?;
    if spec.bytes().is_none() {
        // Dimensions by the million would make the message as long.
        let shape = spec.shape.iter().copied().take(16).collect();
        return Err(GraphError::TooLarge { tensor: spec.name.clone(), dtype: spec.dtype, shape });
    }
    Ok(())
}

fn run<'a>(
    index: usize,
    call: &'a Call,
    graph: &'a Graph,
    libraries: &HashSet<&str>,
    tensors: &mut HashMap<&'a str, Written>,
) -> Result<(), GraphError> {
    let op = || shown(&call.op);
    let Some((library, _)) = call.op_path().filter(|_| !call.op.chars().any(char::is_control)) else {
        return Err(GraphError::Op { index, op: op() });
    };
    if !libraries.contains(library) {
        let known = graph.libraries.iter().take(11).map(|library| library.name.clone()).collect();
        return Err(GraphError::UnknownLibrary { index, op: op(), known });
    }
    let unknown = |tensor: &str| GraphError::UnknownTensor { index, op: op(), tensor: shown(tensor) };
    for tensor in &call.tensors {
        match tensors.get(tensor.as_str()) {
            Some(Written::Input | Written::By(_)) => {}
            Some(Written::Never) => return Err(GraphError::NotYetWritten { index, op: op(), tensor: shown(tensor) }),
            None => return Err(unknown(tensor)),
        }
    }
    for output in &call.outputs {
        let written = tensors.get_mut(output.as_str()).ok_or_else(|| unknown(output))?;
        let writer = match written {
            Written::Never => {
                *written = Written::By(index);
                continue;
            }
            Written::Input => "is an input".to_owned(),
            Written::By(other) => format!("calls[{other}] writes"),
        };
        return Err(GraphError::WrittenTwice { index, op: op(), tensor: shown(output), writer });
    }
    Ok(())
}

fn name(what: &'static str, name: &str) -> Result<(), GraphError> {
    let problem = if name.is_empty() {
        "is empty"
    } else if name.len() > Graph::MAX_NAME {
        "is longer than 255 bytes"
    } else if name.chars().any(char::is_control) {
        "has control characters"
    } else if what == "library" && name.contains('.') {
        "has a dot, which separates library and op"
    } else {
        return Ok(());
    };
    Err(GraphError::Name { what, name: shown(name), problem })
}
