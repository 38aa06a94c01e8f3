//! [`check_device_library`]: whether an op library for the device holds what its package says.
//!
//! That it is an `ar` archive of the shape library, one device library per core and `metadata.json` is what third parties saw.
//! What the members are called is not relied on: a library is known by the machine that it is for. They also saw in
//! `metadata.json` `ops.{library}.{op}.schema`, which reads `library::op(Tensor _0, Tensor _1) -> (Tensor _0)`. Other forms are
//! taken, too: somewhere in it is a list or an object of exactly the library's ops, named by keys, by strings, or by strings in
//! the entries.

use std::collections::BTreeSet;
use std::path::Path;

use gpsimd_codegen::Manifest;
use gpsimd_descriptor::limits::CORES;
use object::read::archive::ArchiveFile;
use object::{Architecture, Object};
use serde::Serialize;
use serde_json::Value;

use super::error::DeviceLibraryError;
use super::schema::{Schema, op_name};

/// What an op library for the device holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceLibraryContents {
    /// Names of the members.
    pub members: Vec<String>,
    /// Ops, those of the package.
    pub ops: Vec<String>,
    /// How many of them state a schema, which is then that of the package.
    pub schemas: usize,
}

/// Looks into the library at `path`.
///
/// # Errors
/// When it is not an archive, has not one shape library, one device library per core and one `metadata.json`, or states ops or
/// schemas other than the package's.
pub fn check_device_library(path: &Path, manifest: &Manifest) -> Result<DeviceLibraryContents, DeviceLibraryError> {
    let bytes = std::fs::read(path).map_err(|source| DeviceLibraryError::Read { path: path.into(), source })?;
    let no_archive =
        |error: object::Error| DeviceLibraryError::NoArchive { path: path.into(), problem: error.to_string() };
    let archive = ArchiveFile::parse(&*bytes).map_err(no_archive)?;
    let (mut members, mut metadata, mut on_host, mut on_device) = (Vec::new(), Vec::new(), 0, 0);
    for member in archive.members() {
        let member = member.map_err(no_archive)?;
        let data = member.data(&*bytes).map_err(no_archive)?;
        let name = String::from_utf8_lossy(member.name()).into_owned();
        if Path::new(&name).file_name().is_some_and(|name| name == "metadata.json") {
            metadata.push(data);
        } else if let Ok(file) = object::File::parse(data) {
            match file.architecture() {
                Architecture::Xtensa => on_device += 1,
                _ => on_host += 1,
            }
        }
        members.push(name);
    }
    let expect = |what, expected, found| {
        if found == expected {
            return Ok(());
        }
        Err(DeviceLibraryError::Members { path: path.into(), what, expected, found, members: members.join(", ") })
    };
    expect("shape library for the host", 1, on_host)?;
    expect("device libraries, one for each core", CORES, on_device)?;
    expect("metadata.json", 1, metadata.len())?;
    let metadata: Value = serde_json::from_slice(metadata[0])
        .map_err(|error| DeviceLibraryError::Metadata { path: path.into(), problem: error.to_string() })?;
    let ops = check_ops(path, &metadata, manifest)?;
    let schemas = check_schemas(path, &metadata, manifest)?;
    Ok(DeviceLibraryContents { members, ops, schemas })
}

fn check_ops(path: &Path, metadata: &Value, manifest: &Manifest) -> Result<Vec<String>, DeviceLibraryError> {
    let expected: BTreeSet<&str> = manifest.ops.iter().map(|op| op.name.as_str()).collect();
    let mut lists = Vec::new();
    collect_lists(metadata, &expected, &mut lists);
    if lists.contains(&expected) {
        return Ok(manifest.ops.iter().map(|op| op.name.clone()).collect());
    }
    let found = lists.first().map_or("none".into(), listed);
    Err(DeviceLibraryError::Ops { path: path.into(), expected: listed(&expected), found })
}

/// Every list and object in which one of `ops` is named, as the set of the names in it.
fn collect_lists<'a>(value: &'a Value, ops: &BTreeSet<&'a str>, lists: &mut Vec<BTreeSet<&'a str>>) {
    let (names, below): (BTreeSet<&str>, Vec<&Value>) = match value {
        Value::Object(entries) => (entries.keys().map(|key| op_name(key)).collect(), entries.values().collect()),
        Value::Array(entries) => {
            (entries.iter().filter_map(|entry| name_of(entry, ops)).collect(), entries.iter().collect())
        }
        _ => return,
    };
    if !names.is_disjoint(ops) {
        lists.push(names);
    }
    for value in below {
        collect_lists(value, ops, lists);
    }
}

/// What an entry of a list is called: the string that it is, or that of its strings which names an op.
fn name_of<'a>(entry: &'a Value, ops: &BTreeSet<&str>) -> Option<&'a str> {
    match entry {
        Value::String(text) => Some(op_name(text)),
        Value::Object(fields) => {
            let strings: Vec<&str> = fields.values().filter_map(Value::as_str).map(op_name).collect();
            strings.iter().copied().find(|name| ops.contains(name)).or_else(|| strings.first().copied())
        }
        _ => None,
    }
}

fn check_schemas(path: &Path, metadata: &Value, manifest: &Manifest) -> Result<usize, DeviceLibraryError> {
    let mut texts = Vec::new();
    collect_texts(metadata, &mut texts);
    let mut stated = BTreeSet::new();
    for text in texts.into_iter().filter(|text| text.contains('(')) {
        let Some(op) = manifest.ops.iter().find(|op| op.name == op_name(text)) else { continue };
        if Schema::parse(text) != Schema::parse(&op.schema) {
            return Err(DeviceLibraryError::Schema {
                path: path.into(),
                op: op.name.clone(),
                expected: op.schema.clone(),
                found: text.to_owned(),
            });
        }
        stated.insert(&op.name);
    }
    Ok(stated.len())
}

fn collect_texts<'a>(value: &'a Value, texts: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(entries) => entries.iter().for_each(|entry| collect_texts(entry, texts)),
        Value::Object(entries) => {
            for (key, entry) in entries {
                texts.push(key);
                collect_texts(entry, texts);
            }
        }
        _ => {}
    }
}

fn listed(ops: &BTreeSet<&str>) -> String {
    ops.iter().map(|op| format!("`{op}`")).collect::<Vec<_>>().join(", ")
}
