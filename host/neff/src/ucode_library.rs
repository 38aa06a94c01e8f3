//! [`UcodeLibrary`]: a custom-op library in a NEFF, by its `ucode_lib.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::NeffError;
use super::archive::{Archive, plain_path};
use super::json::JsonReader;

/// A custom-op library in a NEFF.
///
/// \[3rd\] `ucode_lib.json` is not documented. Names and meaning of its fields are what third parties describe; none of
/// them has to be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UcodeLibrary {
    /// Its file in the archive.
    pub file: String,
    /// Whether the archive has that file.
    pub is_present: bool,
    /// The core that it is for; none if it is for all.
    pub core: Option<u32>,
    /// How many cores the op library runs on.
    pub cores: Option<u32>,
    /// Whether it comes with the compiler.
    pub is_builtin: Option<bool>,
    /// The microcode that it was built against.
    pub ucode_version: Option<String>,
    /// The instruction set that it was built against.
    pub isa_version: Option<String>,
    /// Its functions.
    pub functions: Vec<Function>,
}

/// A function of a custom-op library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The opcode of the instruction that calls it.
    pub opcode: Option<u32>,
    /// Its number, which tells it from others with the opcode.
    pub number: Option<u32>,
}

/// Name of the file, at the top of the archive and in folders of subgraphs.
pub(super) const FILE: &str = "ucode_lib.json";

impl UcodeLibrary {
    /// The libraries of an archive, each once for each core, sorted by file.
    pub(super) fn read_all(archive: &Archive<'_>, json: &mut JsonReader) -> Result<Vec<Self>, NeffError> {
        let mut libraries = BTreeMap::new();
        for (path, content) in archive.files() {
            let Some(folder) = path.strip_suffix(FILE).filter(|folder| folder.is_empty() || folder.ends_with('/'))
            else {
                continue;
            };
            let is_list = content.trim_ascii_start().starts_with(b"[");
            let entries =
                if is_list { json.read(path, content)? } else { json.read::<LibraryFile>(path, content)?.ucode_lib };
            for entry in entries {
                let library = entry.of(folder, archive);
                libraries.entry((library.file.clone(), library.core)).or_insert(library);
            }
        }
        Ok(libraries.into_values().collect())
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct LibraryFile {
    #[serde(default)]
    pub(super) ucode_lib: Vec<LibraryEntry>,
}

#[derive(Default, Serialize, Deserialize)]
pub(super) struct LibraryEntry {
    pub(super) library: String,
    pub(super) ulib_to_ucode_version: Option<String>,
    pub(super) ulib_to_isa_version: Option<String>,
    pub(super) is_builtin: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cpu_id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) total_cpus: Option<u32>,
    #[serde(default)]
    pub(super) functions: Vec<FunctionEntry>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct FunctionEntry {
    pub(super) name: String,
    pub(super) opcode: Option<u32>,
    pub(super) sub_opcode: Option<u32>,
}

impl LibraryEntry {
    fn of(self, folder: &str, archive: &Archive<'_>) -> UcodeLibrary {
        let path = format!("{folder}{}", self.library);
        let path = plain_path(path.as_bytes()).unwrap_or(path);
        let functions = self.functions.into_iter().map(|function| Function {
            name: function.name,
            opcode: function.opcode,
            number: function.sub_opcode,
        });
        UcodeLibrary {
            is_present: archive.file(&path).is_some(),
            file: path,
            core: self.cpu_id,
            cores: self.total_cpus,
            is_builtin: self.is_builtin,
            ucode_version: self.ulib_to_ucode_version,
            isa_version: self.ulib_to_isa_version,
            functions: functions.collect(),
        }
    }
}
