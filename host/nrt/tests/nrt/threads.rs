//! What runs at the same time, and what waits.

use std::thread;

use gpsimd_neff::NeffDType;
use gpsimd_nrt::{Model, NrtTensor, Placement, Runtime, TensorSet};

use crate::fake::{Fake, Loaded};

fn set(runtime: &Runtime, name: &str, tensor: &NrtTensor) -> TensorSet {
    let mut set = TensorSet::new(runtime).unwrap();
    set.insert(name, tensor).unwrap();
    set
}

#[test]
fn one_model_is_executed_by_several_threads_on_outputs_of_their_own() {
    let fake = Fake::new();
    let Loaded { runtime, model, x, inputs, .. } = Loaded::on(fake.runtime());
    x.write(0, &[1.0f32; 4]).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let y = NrtTensor::allocate(&runtime, Placement::Device(0), "y", NeffDType::Float32, 4).unwrap();
                let mut outputs = set(&runtime, "y", &y);
                for _ in 0..5 {
                    model.execute(&inputs, &mut outputs).unwrap();
                    assert_eq!(y.read_all::<f32>().unwrap(), [2.0; 4]);
                }
            });
        }
    });
    assert!(fake.most_running() > 1, "none ran beside another");
}

#[test]
fn executions_that_write_one_tensor_wait_for_each_other() {
    let fake = Fake::new();
    let Loaded { runtime, model, inputs, y, .. } = Loaded::on(fake.runtime());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut outputs = set(&runtime, "y", &y);
                (0..3).for_each(|_| model.execute(&inputs, &mut outputs).unwrap());
            });
        }
    });
    assert_eq!(fake.most_running(), 1);
}

#[test]
fn a_write_waits_for_the_execution_that_reads() {
    let fake = Fake::new();
    let Loaded { runtime, model, inputs, x, .. } = Loaded::on(fake.runtime());
    let y = NrtTensor::allocate(&runtime, Placement::Device(0), "y", NeffDType::Float32, 4).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            for i in 0..200 {
                x.write(0, &[i as f32; 4]).unwrap();
            }
        });
        let mut outputs = set(&runtime, "y", &y);
        for _ in 0..5 {
            model.execute(&inputs, &mut outputs).unwrap();
            let values = y.read_all::<f32>().unwrap();
            assert!(values.iter().all(|value| *value == values[0]), "half of a write was read: {values:?}");
        }
    });
}

#[test]
fn everything_goes_to_other_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Runtime>();
    shared::<Model>();
    shared::<NrtTensor>();
    shared::<TensorSet>();
}
