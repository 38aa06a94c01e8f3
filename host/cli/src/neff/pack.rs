//! `cargo gpsimd neff pack`: a graph of op calls and its op libraries, as an emulated NEFF.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use gpsimd_emulator::OpLibrary;
use gpsimd_neff::{Graph, NeffBuilder};

use crate::files;
use crate::process::shown_path;

/// Write a NEFF for the emulated Neuron Runtime: a graph of op calls with its op libraries.
///
/// The graph is checked against the libraries: every op exists, and takes the tensors and scalars that it is given; every
/// result has the dtype and shape that is declared. No NeuronCore runs such a file: it holds libraries for this CPU, and
/// says that it is emulated.
#[derive(clap::Args)]
#[command(after_help = concat!("Examples:\n\
\x20 cargo gpsimd build\n\
\x20 cargo gpsimd neff pack --graph graph.json --out model.neff \\\n\
\x20   --library target/gpsimd/bert_ops/libbert_ops.so\n\
\x20 cargo gpsimd neff model.neff\n\
\n\
graph.json: calls run in the order in which they are listed. Each writes one tensor, which is an output or an \
intermediate, and reads inputs and what calls before it wrote. An op is <library>.<op>; scalars are in the order of its \
parameters. Dtypes are float32, bfloat16, float16, int32, int16, int8, uint8, as the op takes them. `file` is where the \
library lies in the NEFF. For example, bias and GELU, then a softmax:\n\n",
include_str!("example.json")))]
pub(super) struct Pack {
    /// The graph: JSON as below
    #[arg(long, value_name = "FILE")]
    graph: PathBuf,
    /// Op library for this CPU, as `cargo gpsimd build` writes it; once for each that the graph names
    #[arg(long, value_name = "FILE", required = true)]
    library: Vec<PathBuf>,
    /// The NEFF to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Name of the model [default: the name of the file to write]
    #[arg(long)]
    name: Option<String>,
}

impl Pack {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None => self.out.file_stem().context("--out names no file")?.to_string_lossy().into_owned(),
        };
        let neff = packed(&name, &self.graph, &self.library)?;
        files::replace(&self.out, |file| file.write_all(&neff))?;
        println!("{} ({} bytes), for the emulated runtime only", shown_path(&self.out), neff.len());
        Ok(())
    }
}

/// The file, if the graph fits the libraries.
fn packed(name: &str, graph: &Path, libraries: &[PathBuf]) -> anyhow::Result<Vec<u8>> {
    let shown = graph.display();
    let json = fs::read(graph).with_context(|| format!("cannot read {shown}"))?;
    let graph: Graph =
        serde_json::from_slice(&json).with_context(|| format!("{shown} is no graph (`neff pack --help` shows one)"))?;
    graph.validate().with_context(|| shown.to_string())?;
    let mut builder = NeffBuilder::new(name, graph.clone());
    let mut loaded: Vec<OpLibrary> = Vec::new();
    for path in libraries {
        let library = OpLibrary::load(path)?;
        let Some(entry) = graph.libraries.iter().find(|entry| entry.name == library.name()) else {
            bail!(
                "{} is the op library `{}`, which {shown} does not name: add it to `libraries`, or leave it out",
                path.display(),
                library.name()
            );
        };
        if loaded.iter().any(|other| other.name() == library.name()) {
            bail!("{} is the op library `{}`, as one before it: give each once", path.display(), library.name());
        }
        let content = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        builder = builder.library(&entry.file, content);
        loaded.push(library);
    }
    let find = |name: &str| loaded.iter().find(|library| library.name() == name);
    for library in &graph.libraries {
        ensure!(
            find(&library.name).is_some(),
            "{shown}: `libraries` names `{}`: give its file with --library",
            library.name
        );
    }
    graph.resolve(find).with_context(|| shown.to_string())?;
    Ok(builder.build()?)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    /// A folder with `graph.json`.
    fn folder_with(graph: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("graph.json");
        fs::write(&path, graph).unwrap();
        (folder, path)
    }

    /// Why nothing is packed, with the folder's path left out.
    fn refusal(graph: &str, library: Option<&OsStr>) -> String {
        let (folder, path) = folder_with(graph);
        let libraries: Vec<_> = library.map(|name| folder.path().join(name)).into_iter().collect();
        let error = packed("n", &path, &libraries).unwrap_err();
        format!("{error:#}").replace(&format!("{}/", folder.path().display()), "")
    }

    #[test]
    fn messages_about_files() {
        let messages = [
            refusal("{", None),
            refusal("[]", None),
            refusal(&include_str!("example.json").replace("float32", "f32"), None),
            refusal(&include_str!("example.json").replace("\"calls\"", "\"loops\": [], \"calls\""), None),
            refusal(&include_str!("example.json").replace("\"h\"}", "\"q\"}"), None),
            refusal(include_str!("example.json"), None),
            refusal(include_str!("example.json"), Some(OsStr::new("libbert_ops.so"))),
        ];
        insta::assert_snapshot!(messages.join("\n"));
    }

    #[test]
    fn the_graph_of_the_help_fits() {
        let graph: Graph = serde_json::from_str(include_str!("example.json")).unwrap();
        let library = OpLibrary::from_static(&bert_ops::OP_LIBRARY).unwrap();
        assert_eq!(graph.resolve(|_| Some(&library)).unwrap().len(), 2);
    }

    #[test]
    fn a_graph_that_is_not_there_is_named() {
        let error = packed("n", Path::new("no-such-graph.json"), &[]).unwrap_err();
        assert!(format!("{error:#}").starts_with("cannot read no-such-graph.json: "), "{error:#}");
    }
}
