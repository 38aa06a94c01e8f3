//! Every status becomes a typed error that names the call and what it was made on.

use gpsimd_neff::NeffDType;
use gpsimd_nrt::{Error, Model, NrtError, NrtTensor, Placement, Status, TensorSet};

use crate::fake::{Fake, Loaded};

#[test]
fn every_status_of_an_execution_is_its_error() {
    let fake = Fake::new();
    let mut loaded = Loaded::on(fake.runtime());
    for status in Status::DOCUMENTED {
        fake.fail("nrt_execute", status.code());
        let error = loaded.model.execute(&loaded.inputs, &mut loaded.outputs).unwrap_err();
        let Error::Call(error) = error else { panic!("{error}") };
        assert_eq!(error, NrtError { call: "nrt_execute", what: "a model (x -> y)".into(), status });
        let text = error.to_string();
        let beginning =
            format!("nrt_execute of a model (x -> y) gave {} ({}): {}", status.name(), status.code(), status.meaning());
        assert!(text.starts_with(&beginning), "{text}");
        assert_eq!(text[beginning.len()..].strip_prefix("; "), error.hint());
    }
    fake.fail("nrt_execute", 4711);
    let error = loaded.model.execute(&loaded.inputs, &mut loaded.outputs).unwrap_err();
    assert!(matches!(error, Error::Call(NrtError { status: Status::Unknown(4711), .. })), "{error}");
}

#[test]
fn a_timeout_says_that_custom_ops_want_a_reset() {
    let fake = Fake::new();
    let mut loaded = Loaded::on(fake.runtime());
    fake.fail("nrt_execute", Status::Timeout.code());
    let error = loaded.model.execute(&loaded.inputs, &mut loaded.outputs).unwrap_err();
    assert!(error.to_string().contains("the runtime has to be reset before the next one"), "{error}");
}

#[test]
fn a_busy_core_says_how_to_choose_another() {
    let fake = Fake::new();
    let mut loaded = Loaded::on(fake.runtime());
    fake.fail("nrt_execute", Status::ExecNcBusy.code());
    let error = loaded.model.execute(&loaded.inputs, &mut loaded.outputs).unwrap_err();
    assert!(error.to_string().contains("NEURON_RT_VISIBLE_CORES"), "{error}");
}

#[test]
fn a_failing_call_is_named_with_what_it_was_made_on() {
    let fake = Fake::new();
    let mut loaded = Loaded::on(fake.runtime());
    let runtime = loaded.runtime.clone();
    let mut failed = |function: &str, call: &mut dyn FnMut(&mut Loaded) -> Option<Error>| {
        fake.fail(function, 1);
        let error = call(&mut loaded).unwrap_or_else(|| panic!("{function} did not fail"));
        fake.fail("", 0);
        let text = error.to_string();
        assert!(text.starts_with(&format!("{function} of ")) && text.contains("gave NRT_FAILURE (1)"), "{text}");
        text.split(" gave ").next().unwrap()[function.len() + 4..].to_owned()
    };
    let device = Placement::Device(1);
    assert_eq!(
        failed("nrt_load", &mut |_| Model::load(&runtime, vec![1, 2], Some(3)).err()),
        "2 bytes onto NeuronCore 3"
    );
    assert_eq!(
        failed("nrt_tensor_allocate", &mut |_| NrtTensor::allocate(&runtime, device, "t", NeffDType::Int16, 3).err()),
        "`t` of 6 bytes (Device(1))"
    );
    assert_eq!(failed("nrt_tensor_allocate_empty", &mut |_| NrtTensor::attach(&runtime, "t", vec![0u8]).err()), "`t`");
    assert_eq!(
        failed("nrt_tensor_attach_buffer", &mut |_| NrtTensor::attach(&runtime, "t", vec![0u16]).err()),
        "`t` and 2 bytes"
    );
    assert_eq!(failed("nrt_tensor_allocate_slice", &mut |l| l.x.slice("s", 1..2).err()), "bytes 4..8 of `x`");
    assert_eq!(failed("nrt_tensor_write", &mut |l| l.x.write(1, &[0f32]).err()), "bytes 4..8 of `x`");
    assert_eq!(failed("nrt_tensor_read", &mut |l| l.x.read_all::<f32>().err()), "bytes 0..16 of `x`");
    assert_eq!(failed("nrt_tensor_copy", &mut |l| l.x.copy_to(0, &l.y, 2, 2).err()), "8 bytes of `x` to `y`");
    assert_eq!(failed("nrt_allocate_tensor_set", &mut |_| TensorSet::new(&runtime).err()), "an empty set");
    assert_eq!(failed("nrt_add_tensor_to_tensor_set", &mut |l| l.inputs.insert("z", &l.y.clone()).err()), "`z`");
    assert_eq!(
        failed("nrt_execute_repeat", &mut |l| l.model.execute_repeat(&l.inputs, &mut l.outputs, 2).err()),
        "a model (x -> y)"
    );
    assert_eq!(failed("nrt_get_total_nc_count", &mut |_| runtime.library().total_cores().err()), "the instance");
    assert_eq!(failed("nrt_get_visible_nc_count", &mut |_| runtime.library().visible_cores().err()), "this process");
}
