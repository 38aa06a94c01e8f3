//! [`Summary`]: a NEFF as a person or a script wants to see it.

use std::fmt;

use comfy_table::{Cell, CellAlignment, Table, presets};
use serde::Serialize;

use super::archive::shown;
use super::hash::hex;
use super::{HashCheck, Neff, NeffTensor, Subgraph, UcodeLibrary};

/// A NEFF as a person ([`fmt::Display`]) or a script ([`Serialize`]) wants to see it.
#[derive(Clone, Debug, Serialize)]
pub struct Summary<'a> {
    name: String,
    /// Whether it is for the emulated runtime.
    is_emulated: bool,
    build_version: String,
    compiler_version: Option<&'a str>,
    /// The chip by its code name.
    target: Option<&'a str>,
    package_version: u64,
    neff_version: String,
    data_bytes: u64,
    hash: String,
    hash_algorithm: &'static str,
    hash_check: HashCheck,
    uuid: String,
    neuron_cores: u32,
    requested_neuron_cores: u32,
    logical_core_size: u32,
    /// In hexadecimal: more bits than a number of JSON holds everywhere.
    feature_bits: String,
    inputs: Vec<NeffTensor>,
    outputs: Vec<NeffTensor>,
    subgraphs: &'a [Subgraph],
    libraries: &'a [UcodeLibrary],
    /// Calls of the graph, in order; none of a NEFF of the Neuron compiler.
    calls: Option<Vec<String>>,
    files: Vec<File<'a>>,
}

#[derive(Clone, Debug, Serialize)]
struct File<'a> {
    path: &'a str,
    bytes: usize,
}

impl<'a> Summary<'a> {
    /// What there is to see of a NEFF.
    pub fn of(neff: &'a Neff<'_>) -> Self {
        let header = neff.header();
        let (hash, hash_algorithm) = neff.hash();
        let call = |call: &super::Call| {
            let scalars = call.scalars.iter().map(ToString::to_string);
            let operands = call.tensors.iter().cloned().chain(scalars).collect::<Vec<_>>().join(", ");
            format!("{} = {}({operands})", call.outputs.join(", "), call.op)
        };
        Self {
            name: header.name().into_owned(),
            is_emulated: neff.graph().is_some(),
            build_version: header.build_version().into_owned(),
            compiler_version: neff.compiler_version(),
            target: neff.target(),
            package_version: header.pkg_version,
            neff_version: format!("{}.{}", header.neff_version_major, header.neff_version_minor),
            data_bytes: header.data_size,
            hash,
            hash_algorithm,
            hash_check: neff.hash_check(),
            uuid: hex(&header.uuid),
            neuron_cores: header.num_tpb,
            requested_neuron_cores: header.requested_tpb_count,
            logical_core_size: header.lnc_size,
            feature_bits: format!("{:#x}", header.feature_bits),
            inputs: neff.inputs(),
            outputs: neff.outputs(),
            subgraphs: neff.subgraphs(),
            libraries: neff.libraries(),
            calls: neff.graph().map(|graph| graph.calls.iter().map(call).collect()),
            files: neff.files().map(|(path, content)| File { path, bytes: content.len() }).collect(),
        }
    }
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let check = match self.hash_check {
            HashCheck::Verified => "matches",
            HashCheck::Mismatch => "does not match the archive",
            HashCheck::UnknownKind => "what the compiler made it of is not documented",
            HashCheck::Unknown => "not set",
        };
        let runs_on = if self.is_emulated { "the emulated runtime only" } else { "NeuronCores, by the Neuron Runtime" };
        writeln!(f, "NEFF {}", shown(&self.name))?;
        writeln!(f, "  runs on          {runs_on}")?;
        writeln!(f, "  version          {}, package version {}", self.neff_version, self.package_version)?;
        writeln!(f, "  built by         {}", or_dash(&self.build_version))?;
        for (what, text) in [("compiler", self.compiler_version), ("target", self.target)] {
            if let Some(text) = text {
                writeln!(f, "  {what:<16} {}", shown(text))?;
            }
        }
        writeln!(f, "  archive          {} bytes, {} files", self.data_bytes, self.files.len())?;
        writeln!(f, "  {:<16} {}: {check}", self.hash_algorithm, self.hash)?;
        writeln!(f, "  uuid             {}", self.uuid)?;
        let (cores, requested, size) = (self.neuron_cores, self.requested_neuron_cores, self.logical_core_size);
        writeln!(f, "  NeuronCores      {cores}, {requested} requested, logical core of {size}")?;
        writeln!(f, "  feature bits     {}", self.feature_bits)?;
        for (title, tensors) in [("inputs", &self.inputs), ("outputs", &self.outputs)] {
            let rows = tensors.iter().map(|tensor| {
                let dtype = tensor.dtype.map_or("?", crate::NeffDType::name);
                let shape = tensor.shape.as_ref().map_or("?".into(), |shape| format!("{shape:?}"));
                vec![shown(&tensor.name), dtype.into(), shape, tensor.size.to_string()]
            });
            table(f, title, &["name", "dtype", "shape", "bytes"], rows.collect())?;
        }
        let rows = self.subgraphs.iter().map(|subgraph| {
            let bytes: u64 =
                subgraph.variables.iter().filter_map(|variable| variable.size).fold(0, u64::saturating_add);
            let engines = subgraph.engines.iter().map(|engine| shown(engine)).collect::<Vec<_>>().join(" ");
            let counts = [subgraph.queues.len() as u64, subgraph.variables.len() as u64, bytes];
            let mut row = vec![shown(&subgraph.name), or_dash(&engines)];
            row.extend(counts.map(|count| count.to_string()));
            row
        });
        table(f, "subgraphs", &["name", "engines", "queue sets", "variables", "bytes"], rows.collect())?;
        let rows = self.libraries.iter().flat_map(|library| {
            let core = match (library.core, library.cores) {
                (Some(core), Some(cores)) => format!("{core} of {cores}"),
                (Some(core), None) => core.to_string(),
                (None, _) => "all".into(),
            };
            let file =
                if library.is_present { shown(&library.file) } else { format!("{} (missing)", shown(&library.file)) };
            let version = |version: &Option<String>| version.as_deref().map_or("?".into(), shown);
            let of_library = [file, core, version(&library.ucode_version), version(&library.isa_version)];
            let number = |number: Option<u32>| number.map_or("?".into(), |number| number.to_string());
            let mut rows: Vec<_> = library
                .functions
                .iter()
                .map(|function| {
                    let of_function = [shown(&function.name), number(function.opcode), number(function.number)];
                    of_library.iter().cloned().chain(of_function).collect::<Vec<_>>()
                })
                .collect();
            if rows.is_empty() {
                let nothing = std::iter::repeat_n("-".to_owned(), 3);
                rows.push(of_library.into_iter().chain(nothing).collect());
            }
            rows
        });
        let columns = ["file", "core", "ucode", "isa", "function", "opcode", "number"];
        table(f, "custom-op libraries", &columns, rows.collect())?;
        if let Some(calls) = &self.calls {
            table(f, "calls", &["in this order"], calls.iter().map(|call| vec![shown(call)]).collect())?;
        }
        let rows = self.files.iter().map(|file| vec![shown(file.path), file.bytes.to_string()]);
        table(f, "files", &["path", "bytes"], rows.collect())
    }
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "-".into() } else { shown(text) }
}

/// A title, the names of the columns, a row for each line; numbers to the right.
fn table(f: &mut fmt::Formatter<'_>, title: &str, columns: &[&str], rows: Vec<Vec<String>>) -> fmt::Result {
    writeln!(f)?;
    if rows.is_empty() {
        return writeln!(f, "{title}: none");
    }
    writeln!(f, "{title}")?;
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).add_row(columns);
    for row in rows {
        table.add_row(row.into_iter().map(|text| {
            let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            Cell::new(text).set_alignment(if is_number { CellAlignment::Right } else { CellAlignment::Left })
        }));
    }
    table.column_iter_mut().for_each(|column| {
        column.set_padding((2, 0));
    });
    writeln!(f, "{}", table.trim_fmt())?;
    Ok(())
}
