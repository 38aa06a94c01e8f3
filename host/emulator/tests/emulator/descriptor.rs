//! Descriptors that are broken by chance.

use gpsimd_emulator::gpsimd_descriptor::{Formula, Gradient, GradientArgument, LibraryDescriptor};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fixtures::library;

/// A descriptor with everything that one can have.
fn full() -> Value {
    let tensor = |name: &str, element: &str| json!({"name": name, "kind": {"tensor": element}});
    let op = |name: &str| {
        json!({
            "name": name, "doc": "y = a x", "types": [{"name": "T", "dtypes": ["f32", "i8"]}], "file": "src/lib.rs",
            "operands": [json!({"name": "x", "kind": {"tensor": {"parameter": 0}}}), tensor("mask", "f32"), {"name": "a", "kind": {"scalar": "u32"}}, {"name": "k", "kind": "size"}],
            "outputs": [
                {"name": "y", "element": "bf16"},
                {"name": "new_x", "element": {"parameter": 0}, "replaces": "x"},
            ],
            "gradients": [
                {"operands": ["x", "mask"], "op": "backward", "arguments": [
                    {"operand": "x"}, {"grad": "y"}, {"number": 1.5}, {"operand": "k"},
                ]},
            ],
        })
    };
    json!({"name": "full", "version": "1.2.3", "ops": [op("forward"), op("backward")]})
}

/// Bytes replaced, inserted and removed.
fn mutate(mut bytes: Vec<u8>, edits: &[(prop::sample::Index, u8, u8)]) -> Vec<u8> {
    for (index, kind, byte) in edits {
        if bytes.is_empty() {
            break;
        }
        let at = index.index(bytes.len());
        match kind % 4 {
            0 => bytes[at] = *byte,
            1 => bytes.insert(at, *byte),
            2 => drop(bytes.remove(at)),
            _ => bytes.truncate(at),
        }
    }
    bytes
}

/// Replaces the value at a place counted through the whole tree.
fn graft(value: &mut Value, place: &mut usize, with: &Value) {
    if *place == 0 {
        *value = with.clone();
    }
    *place = place.wrapping_sub(1);
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| graft(value, place, with)),
        Value::Object(fields) => fields.values_mut().for_each(|value| graft(value, place, with)),
        _ => {}
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop_oneof!["x", "y", "forward", "parameter", "[a-z_0-9\u{e9} ]{0,12}"].prop_map(Value::from),
        Just(json!([])),
        Just(json!({"operand": "x"})),
        Just(full()),
    ]
}

#[test]
fn a_gradient_that_does_not_depend_on_that_of_the_output_is_refused() {
    for value in [json!({"output": "y"}), json!({"operand": "x"}), json!({"number": 1.0})] {
        let mut constant = full();
        constant["ops"][0]["gradients"] = json!([{"operands": ["x"], "value": value}]);
        let error = LibraryDescriptor::parse(constant.to_string().as_bytes()).unwrap_err().to_string();
        assert!(error.contains("op `forward`: its gradient is"), "{error}");
    }
}

#[test]
fn a_full_descriptor_parses() {
    LibraryDescriptor::parse(full().to_string().as_bytes()).unwrap();
}

proptest! {
    #[test]
    fn a_descriptor_with_changed_bytes_is_parsed_or_refused(
        edits in prop::collection::vec(any::<(prop::sample::Index, u8, u8)>(), 1..8),
    ) {
        let _ = LibraryDescriptor::parse(&mutate(full().to_string().into_bytes(), &edits));
    }

    #[test]
    fn a_descriptor_with_changed_values_is_parsed_or_refused(mut place in 0..60_usize, with in any_value()) {
        let mut changed = full();
        graft(&mut changed, &mut place, &with);
        if let Ok(parsed) = LibraryDescriptor::parse(changed.to_string().as_bytes()) {
            // What is accepted holds together.
            for op in &parsed.ops {
                for (index, output) in op.outputs.iter().enumerate() {
                    prop_assert_eq!(output.replaces.is_some(), op.replaced_tensor(index).is_some());
                }
                let holds = |gradient: &Gradient| match &gradient.formula {
                    Formula::Op { op, .. } => parsed.op(op).is_some(),
                    Formula::Value { value: GradientArgument::Grad(name) } => op.outputs.iter().any(|output| output.name == *name),
                    Formula::Value { .. } => false,
                };
                prop_assert!(op.gradients.iter().all(holds));
            }
        }
    }

    #[test]
    fn any_bytes_are_parsed_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = LibraryDescriptor::parse(&bytes);
    }
}

#[test]
fn a_parsed_descriptor_is_written_as_it_was() {
    let json = serde_json::to_vec(library().descriptor()).unwrap();
    assert_eq!(&LibraryDescriptor::parse(&json).unwrap(), library().descriptor());
}
