//! [`Subgraph`]: what one `NeuronCore` runs of a NEFF, by its `def.json`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::NeffError;
use super::archive::Archive;
use super::json::JsonReader;
use crate::NeffDType;

/// A folder `sg00`, `sg01`, ... of the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Subgraph {
    /// The folder.
    pub name: String,
    /// Engines that it has a program for: the names of which there is a JSON file and a binary.
    pub engines: Vec<String>,
    /// Queue sets, sorted by name.
    pub queues: Vec<Queue>,
    /// Variables, sorted by number, then by name.
    pub variables: Vec<Variable>,
}

/// A set of DMA queues.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// What it is for: `in`, `out`, `data`, ...
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Hardware queues of the set.
    pub num_queues: u64,
    /// The engine that it belongs to.
    pub owner: Option<String>,
}

/// A buffer on the device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// What it holds: `input`, `output`, `file`, `tmp-buf`, ...
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Its number.
    pub var_id: Option<u64>,
    /// Its size in bytes.
    pub size: Option<u64>,
    /// Alignment of its address, a power of two; 0 for any.
    pub alignment: u64,
    /// The file with its content.
    pub file_name: Option<String>,
    /// Element type. Not documented for `def.json`; emulated NEFFs have it.
    pub dtype: Option<NeffDType>,
    /// Dimensions. Not documented for `def.json`; emulated NEFFs have them.
    pub shape: Option<Vec<u32>>,
}

impl Subgraph {
    /// The subgraphs of an archive, sorted by folder. Our assumption: they are the folders of the documented names with a
    /// `def.json`, wherever they are.
    pub(super) fn read_all(archive: &Archive<'_>, json: &mut JsonReader) -> Result<Vec<Self>, NeffError> {
        let mut subgraphs = Vec::new();
        for (path, content) in archive.files() {
            let Some(folder) = path.strip_suffix("/def.json").filter(|folder| is_subgraph(folder)) else { continue };
            let definition: Definition = json.read(path, content)?;
            let mut variables: Vec<_> = definition.var.into_iter().map(|(name, var)| var.named(name)).collect();
            variables.sort_by(|a, b| (a.var_id, &a.name).cmp(&(b.var_id, &b.name)));
            subgraphs.push(Self {
                name: folder.into(),
                engines: engines(archive, folder),
                queues: definition.dma_queue.into_iter().map(|(name, queue)| queue.named(name)).collect(),
                variables,
            });
        }
        Ok(subgraphs)
    }

    /// Variables of this kind, in order.
    pub fn variables_of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Variable> {
        self.variables.iter().filter(move |variable| variable.kind.as_deref() == Some(kind))
    }
}

/// `sg` and digits.
fn is_subgraph(folder: &str) -> bool {
    let name = folder.rsplit('/').next().unwrap_or(folder);
    name.strip_prefix("sg").is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

fn engines(archive: &Archive<'_>, folder: &str) -> Vec<String> {
    let in_folder = || {
        let names = archive.files().filter_map(|(path, _)| path.strip_prefix(folder)?.strip_prefix('/'));
        names.filter(|name| !name.contains('/'))
    };
    let described: BTreeSet<_> = in_folder().filter_map(|name| name.strip_suffix(".json")).collect();
    let programs = in_folder().filter_map(|name| name.strip_suffix(".bin"));
    programs.filter(|name| described.contains(name)).map(str::to_owned).collect()
}

/// `def.json`, as far as it is documented (work-with-neff-files). What a compiler leaves out or adds is not an error.
#[derive(Deserialize)]
struct Definition {
    #[serde(default)]
    dma_queue: BTreeMap<String, QueueEntry>,
    #[serde(default)]
    var: BTreeMap<String, VariableEntry>,
}

#[derive(Deserialize)]
struct QueueEntry {
    r#type: Option<String>,
    num_queues: Option<u64>,
    owner: Option<String>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct VariableEntry {
    pub(super) r#type: Option<String>,
    pub(super) var_id: Option<u64>,
    pub(super) size: Option<u64>,
    pub(super) alignment: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file_name: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) dtype: Option<NeffDType>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) shape: Option<Vec<u32>>,
}

impl QueueEntry {
    fn named(self, name: String) -> Queue {
        Queue { name, kind: self.r#type, num_queues: self.num_queues.unwrap_or(1), owner: self.owner }
    }
}

impl VariableEntry {
    fn named(self, name: String) -> Variable {
        Variable {
            name,
            kind: self.r#type,
            var_id: self.var_id,
            size: self.size,
            alignment: self.alignment.unwrap_or(0),
            file_name: self.file_name,
            dtype: self.dtype,
            shape: self.shape,
        }
    }
}

/// A field that a compiler may use for something else.
fn lenient<'de, T: serde::de::DeserializeOwned, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subgraphs_are_folders_called_sg_and_a_number() {
        for (folder, expected) in
            [("sg00", true), ("nc0/sg07", true), ("sg", false), ("sg0x", false), ("sg00/x", false), ("debug", false)]
        {
            assert_eq!(is_subgraph(folder), expected, "{folder}");
        }
    }

    #[test]
    fn fields_that_only_emulated_neffs_have_may_mean_something_else() {
        let entry: VariableEntry = serde_json::from_str(r#"{"dtype": 7, "shape": "x", "size": 4}"#).unwrap();
        assert_eq!((entry.dtype, entry.shape, entry.size), (None, None, Some(4)));
    }
}
