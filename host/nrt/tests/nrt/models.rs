//! What a model says of itself, and executing it.

use gpsimd_neff::NeffDType;
use gpsimd_nrt::{Error, Model, NrtTensor, Placement, TensorInfo, TensorSet};

use crate::fake::{Fake, Loaded};

#[test]
fn inputs_and_outputs_have_name_dtype_shape_and_size() {
    let loaded = Loaded::on(Fake::new().runtime());
    let info = |name: &str| TensorInfo { name: name.into(), dtype_code: 10, shape: vec![2, 2], size: 16 };
    assert_eq!(loaded.model.inputs(), [info("x")]);
    assert_eq!(loaded.model.outputs(), [info("y")]);
    assert_eq!(loaded.model.inputs()[0].dtype().unwrap(), NeffDType::Float32);
    assert_eq!((loaded.model.core_count(), loaded.model.instance_count()), (1, 2));
}

#[test]
fn an_undocumented_dtype_is_an_error_when_it_is_needed() {
    let runtime = Fake::with(&["INFO_DTYPE=0x77"]).runtime();
    let model = Model::load(&runtime, b"NEFF".to_vec(), None).unwrap();
    let error = NrtTensor::for_info(&runtime, Placement::Virtual, &model.outputs()[0]).unwrap_err();
    assert!(matches!(error, Error::UnknownDtype { code: 0x77, .. }), "{error}");
}

#[test]
fn a_description_that_cannot_be_is_an_error_and_no_crash() {
    for (define, problem) in [("INFO_USAGE=5", "neither an input nor"), ("INFO_NDIM=4000000000", "more dimensions")] {
        let fake = Fake::with(&[define]);
        let error = Model::load(&fake.runtime(), b"NEFF".to_vec(), None).unwrap_err();
        assert!(matches!(&error, Error::Info { tensor, .. } if tensor == "y"), "{error}");
        assert!(error.to_string().contains(problem), "{error}");
        assert_eq!(fake.calls()[3..], ["free info", "unload 1", "close"]);
    }
}

#[test]
fn a_missing_tensor_is_an_error_that_names_those_there_are() {
    let mut loaded = Loaded::on(Fake::new().runtime());
    let mut inputs = TensorSet::new(&loaded.runtime).unwrap();
    inputs.insert("z", &loaded.x).unwrap();
    let error = loaded.model.execute(&inputs, &mut loaded.outputs).unwrap_err();
    assert_eq!(
        error.to_string(),
        "nrt_execute of a model (z -> y) gave NRT_EXEC_BAD_INPUT (1002): the inputs are not what the model wants; the \
         sets have to hold every tensor of `Model::inputs` and `Model::outputs`, by its name and of its size"
    );
}

#[test]
fn an_output_that_is_also_an_input_is_refused() {
    let loaded = Loaded::on(Fake::new().runtime());
    let mut outputs = TensorSet::new(&loaded.runtime).unwrap();
    outputs.insert("y", &loaded.x.slice("end", 3..4).unwrap()).unwrap();
    let error = loaded.model.execute(&loaded.inputs, &mut outputs).unwrap_err();
    assert!(matches!(&error, Error::Overlap { written, other } if written == "end" && other == "x"), "{error}");
}

#[test]
fn a_name_is_in_a_set_once() {
    let mut loaded = Loaded::on(Fake::new().runtime());
    assert!(matches!(loaded.inputs.insert("x", &loaded.y), Err(Error::Duplicate { .. })));
    assert_eq!(loaded.inputs.get("x").unwrap().name(), "x");
    assert!(loaded.inputs.get("y").is_none());
}

#[test]
fn repeats_reach_the_runtime_as_they_are() {
    let fake = Fake::new();
    let mut loaded = Loaded::on(fake.runtime());
    loaded.model.execute_repeat(&loaded.inputs, &mut loaded.outputs, 5).unwrap();
    assert_eq!(fake.calls().last().unwrap(), "repeat 5");
    let error = loaded.model.execute_repeat(&loaded.inputs, &mut loaded.outputs, u32::MAX).unwrap_err();
    assert_eq!(error.to_string(), "count 4294967295 is more than 2147483647");
}
