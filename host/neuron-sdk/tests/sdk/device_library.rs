//! Whether an op library for the device is that of its package.

use gpsimd_neuron_sdk::{DeviceLibraryError, check_device_library};
use serde_json::{Value, json};

use crate::host::{Host, archive, elf, members, metadata};

fn check(members: &[(&str, Vec<u8>)]) -> Result<usize, String> {
    let host = Host::bare();
    let (_, manifest) = host.package();
    host.write("libsmall_ops_neuron.so", archive(members));
    let checked = check_device_library(&host.path("libsmall_ops_neuron.so"), &manifest);
    checked.map(|contents| contents.schemas).map_err(|error| host.shown(&error.to_string()))
}

fn check_metadata(metadata: &Value) -> Result<usize, String> {
    check(&members(metadata))
}

#[test]
fn a_library_with_all_members_and_the_packages_ops_is_fine() {
    assert_eq!(check_metadata(&json!({ "ops": ["scale"] })), Ok(0));
}

#[test]
fn what_custom_op_load_writes_is_fine() {
    assert_eq!(check_metadata(&metadata()), Ok(1));
}

#[test]
fn what_custom_op_load_writes_of_another_op_is_an_error() {
    let mut metadata = metadata();
    metadata["ops"]["small_ops_neuron"]["scale"]["schema"] =
        json!("small_ops_neuron::scale(Tensor _0, float _1) -> (Tensor _0)");
    insta::assert_snapshot!(check_metadata(&metadata).unwrap_err(), @"/libsmall_ops_neuron.so: op `scale` has the schema `small_ops_neuron::scale(Tensor _0, float _1) -> (Tensor _0)`, expected `scale(Tensor x, Tensor params) -> Tensor`; build it again from this package");
    metadata["ops"]["small_ops_neuron"]["scale"]["schema"] =
        json!("small_ops_neuron::scale(Tensor _0, Tensor _1) -> (Tensor _0, Tensor _1)");
    insta::assert_snapshot!(check_metadata(&metadata).unwrap_err(), @"/libsmall_ops_neuron.so: op `scale` has the schema `small_ops_neuron::scale(Tensor _0, Tensor _1) -> (Tensor _0, Tensor _1)`, expected `scale(Tensor x, Tensor params) -> Tensor`; build it again from this package");
    metadata["ops"]["small_ops_neuron"]["offset"] = json!({ "fn": "offset", "schema": "" });
    insta::assert_snapshot!(check_metadata(&metadata).unwrap_err(), @"/libsmall_ops_neuron.so: metadata.json lists `offset`, `scale` as its ops, expected `scale`; build it again from this package");
}

#[test]
fn ops_may_be_listed_in_many_ways() {
    let schema = "small_ops_neuron::scale(Tensor x, Tensor params) -> Tensor";
    assert_eq!(check_metadata(&json!({ "lib": { "functions": { "scale": { "id": 0 } } } })), Ok(0));
    assert_eq!(check_metadata(&json!([{ "name": "scale", "schema": schema }])), Ok(1));
    assert_eq!(check_metadata(&json!({ "name": "small_ops_neuron", "schemas": [schema] })), Ok(1));
    assert_eq!(check_metadata(&json!({ "schemas": ["scale(Tensor _0, Tensor _1) -> Tensor"] })), Ok(1));
}

#[test]
fn other_ops_are_an_error() {
    insta::assert_snapshot!(check_metadata(&json!({ "ops": ["scale", "offset"] })).unwrap_err(), @"/libsmall_ops_neuron.so: metadata.json lists `offset`, `scale` as its ops, expected `scale`; build it again from this package");
    insta::assert_snapshot!(check_metadata(&json!({ "ops": ["offset"] })).unwrap_err(), @"/libsmall_ops_neuron.so: metadata.json lists none as its ops, expected `scale`; build it again from this package");
}

#[test]
fn another_schema_is_an_error() {
    let metadata = json!({ "ops": { "scale": { "schema": "scale(Tensor x, float factor) -> Tensor" } } });
    insta::assert_snapshot!(check_metadata(&metadata).unwrap_err(), @"/libsmall_ops_neuron.so: op `scale` has the schema `scale(Tensor x, float factor) -> Tensor`, expected `scale(Tensor x, Tensor params) -> Tensor`; build it again from this package");
}

#[test]
fn a_core_without_a_library_is_an_error() {
    let mut members = members(&json!(["scale"]));
    members.remove(3);
    insta::assert_snapshot!(check(&members).unwrap_err(), @"/libsmall_ops_neuron.so: expected 8 device libraries, one for each core, found 7 among its members shape.so, cpu0.so, cpu1.so, cpu3.so, cpu4.so, cpu5.so, cpu6.so, cpu7.so, metadata.json");
}

#[test]
fn libraries_are_known_by_their_machine() {
    let mut members = members(&json!(["scale"]));
    members[0].1 = elf(94);
    insta::assert_snapshot!(check(&members).unwrap_err(), @"/libsmall_ops_neuron.so: expected 1 shape library for the host, found 0 among its members shape.so, cpu0.so, cpu1.so, cpu2.so, cpu3.so, cpu4.so, cpu5.so, cpu6.so, cpu7.so, metadata.json");
}

#[test]
fn missing_or_broken_metadata_are_an_error() {
    let mut members = members(&json!(["scale"]));
    members.last_mut().unwrap().1 = b"{".to_vec();
    insta::assert_snapshot!(check(&members).unwrap_err(), @"/libsmall_ops_neuron.so: metadata.json does not parse: EOF while parsing an object at line 1 column 1");
    members.pop();
    insta::assert_snapshot!(check(&members).unwrap_err(), @"/libsmall_ops_neuron.so: expected 1 metadata.json, found 0 among its members shape.so, cpu0.so, cpu1.so, cpu2.so, cpu3.so, cpu4.so, cpu5.so, cpu6.so, cpu7.so");
}

#[test]
fn what_is_no_archive_is_an_error() {
    let host = Host::bare();
    let (_, manifest) = host.package();
    let path = host.path("lib.so");
    assert!(matches!(check_device_library(&path, &manifest), Err(DeviceLibraryError::Read { .. })));
    host.write("lib.so", elf(62));
    let error = check_device_library(&path, &manifest).unwrap_err();
    insta::assert_snapshot!(host.shown(&error.to_string()), @"/lib.so is no ar archive: Unsupported archive identifier");
    // Cut off anywhere before the padding byte of the last member.
    let whole = archive(&members(&json!(["scale"])));
    for len in 0..whole.len() - 1 {
        host.write("lib.so", &whole[..len]);
        assert!(check_device_library(&path, &manifest).is_err(), "{len} of {} bytes", whole.len());
    }
}
