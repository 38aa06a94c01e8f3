//! Everything is freed once, after what uses it, and the runtime is closed last.

use std::any::Any;

use gpsimd_nrt::{Error, Model, NrtError, NrtTensor, Runtime, Status, TensorSet};

use crate::fake::{Fake, Loaded};

#[test]
fn a_program_calls_what_the_documentation_says_in_its_order() {
    let fake = Fake::new();
    let mut loaded = Loaded::on(fake.runtime());
    loaded.x.write(0, &[1.0f32, 2.0, 3.0, 4.0]).unwrap();
    loaded.model.execute(&loaded.inputs, &mut loaded.outputs).unwrap();
    assert_eq!(loaded.y.read_all::<f32>().unwrap(), [2.0, 4.0, 6.0, 8.0]);
    drop(loaded);
    let calls = fake.calls();
    assert_eq!(
        calls[..9],
        [
            "init 1 '' ''",
            "load NEFF vnc -1 count -1",
            "info 1",
            "free info",
            "tensor 2 x placement 0 vnc 0 size 16",
            "tensor 3 y placement 0 vnc 0 size 16",
            "set 4",
            "add 2 as x to set 4",
            "set 5",
        ]
    );
    let mut freed = calls[10..].to_vec();
    assert_eq!(freed.pop().unwrap(), "close");
    freed.sort();
    assert_eq!(freed, ["destroy set 4", "destroy set 5", "free tensor 2", "free tensor 3", "unload 1"]);
}

/// Drops seven things in the order of `order`, and returns what was called.
fn dropped_in(order: &[usize]) -> Vec<String> {
    let fake = Fake::new();
    let Loaded { runtime, model, x, y, inputs, outputs } = Loaded::on(fake.runtime());
    let slice = x.slice("half", 0..2).unwrap();
    let mut things: Vec<Option<Box<dyn Any>>> = vec![
        Some(Box::new(runtime)),
        Some(Box::new(model)),
        Some(Box::new(x)),
        Some(Box::new(y)),
        Some(Box::new(inputs)),
        Some(Box::new(outputs)),
        Some(Box::new(slice)),
    ];
    for &i in order {
        assert!(!fake.calls().contains(&"close".into()));
        things[i] = None;
    }
    fake.calls()
}

#[test]
fn in_every_order_of_dropping_things_are_freed_once_and_after_their_users() {
    let forward: Vec<usize> = (0..7).collect();
    let mut orders: Vec<Vec<usize>> = Vec::new();
    for turn in 0..7 {
        let mut order = forward.clone();
        order.rotate_left(turn);
        orders.push(order.clone());
        order.reverse();
        orders.push(order);
    }
    for order in orders {
        let calls = dropped_in(&order);
        let count = |call: &str| calls.iter().filter(|noted| *noted == call).count();
        let at =
            |call: &str| calls.iter().position(|noted| noted == call).unwrap_or_else(|| panic!("{call}: {calls:?}"));
        for call in
            ["unload 1", "free tensor 2", "free tensor 3", "destroy set 4", "destroy set 5", "free tensor 6", "close"]
        {
            assert_eq!(count(call), 1, "{call}, dropped in order {order:?}: {calls:?}");
        }
        assert!(at("destroy set 4") < at("free tensor 2"), "{order:?}: {calls:?}");
        assert!(at("destroy set 5") < at("free tensor 3"), "{order:?}: {calls:?}");
        assert!(at("free tensor 6") < at("free tensor 2"), "{order:?}: {calls:?}");
        assert_eq!(at("close"), calls.len() - 1, "{order:?}: {calls:?}");
        assert!(!calls.iter().any(|call| call.contains("DEAD")), "{order:?}: {calls:?}");
    }
}

#[test]
fn a_second_runtime_is_an_error_while_there_is_one() {
    let fake = Fake::new();
    let runtime = fake.runtime();
    assert!(matches!(Runtime::init(&fake.open()), Err(Error::Initialised)));
    drop(runtime);
    assert_eq!(fake.calls(), ["init 1 '' ''", "close"]);
}

#[test]
fn after_close_init_gives_the_status_of_every_call_after_close() {
    let fake = Fake::new();
    drop(fake.runtime());
    let error = Runtime::init(&fake.open()).unwrap_err();
    assert!(matches!(&error, Error::Call(NrtError { status: Status::Closed, .. })), "{error}");
    assert!(error.to_string().contains("keep the first `Runtime` alive"), "{error}");
    assert_eq!(fake.calls(), ["init 1 '' ''", "close"]);
}

#[test]
fn an_init_that_failed_can_be_tried_again_and_closes_nothing() {
    let fake = Fake::new();
    fake.fail("nrt_init", 4);
    let error = Runtime::init(&fake.open()).unwrap_err();
    assert!(
        error.to_string().contains("NRT_RESOURCE (4)") && error.to_string().contains("aws-neuronx-dkms"),
        "{error}"
    );
    fake.fail("", 0);
    drop(fake.runtime());
    assert_eq!(fake.calls(), ["init 1 '' ''", "init 1 '' ''", "close"]);
}

#[test]
fn a_clone_of_the_runtime_keeps_it_open() {
    let fake = Fake::new();
    let runtime = fake.runtime();
    let clone = runtime.clone();
    drop(runtime);
    assert_eq!(fake.calls().len(), 1);
    TensorSet::new(&clone).unwrap();
    drop(clone);
    assert_eq!(fake.calls().last().unwrap(), "close");
}

#[test]
fn a_model_that_cannot_be_read_is_unloaded() {
    for function in ["nrt_get_model_tensor_info", "nrt_get_model_nc_count", "nrt_get_model_instance_count"] {
        let fake = Fake::new();
        let runtime = fake.runtime();
        fake.fail(function, 3);
        let error = Model::load(&runtime, b"NEFF".to_vec(), Some(1)).unwrap_err();
        assert!(
            error.to_string().starts_with(&format!("{function} of the model gave NRT_INVALID_HANDLE (3)")),
            "{error}"
        );
        assert_eq!(fake.calls().last().unwrap(), "unload 1");
        assert_eq!(fake.calls()[1], "load NEFF vnc 1 count -1");
    }
}

#[test]
fn a_tensor_whose_buffer_cannot_be_attached_is_freed() {
    let fake = Fake::new();
    let runtime = fake.runtime();
    fake.fail("nrt_tensor_attach_buffer", 2);
    assert!(NrtTensor::attach(&runtime, "x", vec![0u8; 4]).is_err());
    assert_eq!(fake.calls()[1..], ["tensor 1 x empty", "free tensor 1"]);
}

#[test]
fn two_libraries_are_two_runtimes_and_do_not_mix() {
    let (one, other) = (Fake::new(), Fake::new());
    let (mut ours, theirs) = (Loaded::on(one.runtime()), Loaded::on(other.runtime()));
    assert!(matches!(ours.inputs.insert("z", &theirs.x), Err(Error::OtherRuntime { .. })));
    assert!(matches!(ours.x.copy_to(0, &theirs.x, 0, 1), Err(Error::OtherRuntime { .. })));
    let error = ours.model.execute(&theirs.inputs, &mut ours.outputs).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the inputs was made with another libnrt than the model: both have to come from one `Runtime`"
    );
}
