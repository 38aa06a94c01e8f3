//! Forms of code that ops in the wild have.

use gpsimd_emulator::{Launch, LaunchReport, Mode, Tensor};

use crate::fixtures::{FORMS, engine};

fn iota(shape: &[usize]) -> Tensor {
    let len: usize = shape.iter().product();
    Tensor::from_vec((0..len).map(|i| i as f32).collect(), shape).unwrap()
}

fn run(op: &str, operands: &[&Tensor]) -> Vec<f32> {
    let views: Vec<_> = operands.iter().map(|tensor| tensor.view()).collect();
    let [checked, fast] = [Mode::Checked, Mode::Fast]
        .map(|mode| engine(mode).call(&FORMS.op(op), &views, &[]).unwrap_or_else(|error| panic!("{error}")));
    assert_eq!(checked.bytes(), fast.bytes());
    checked.as_slice::<f32>().unwrap().to_vec()
}

fn report(op: &str, x: &Tensor) -> LaunchReport {
    let mut y = Tensor::zeros(x.ty());
    let launch = Launch { tensors: &[x.view()], scalars: &[], outputs: vec![y.view_mut()] };
    engine(Mode::Checked).launch(&FORMS.op(op), launch).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn names_of_aten() {
    assert_eq!(run("spellings", &[&iota(&[1])]), [-7.0, 2.0, 2.75, 2.75, 1233.0, 27.0, 1.0, 1.0]);
}

#[test]
fn a_recurrence_in_the_output() {
    let y = run("recurrence", &[&iota(&[2, 3]), &iota(&[2, 4, 3]), &iota(&[3])]);
    let (mut expected, mut at) = (vec![0.0_f32; 2 * 5 * 3], 0);
    for b in 0..2 {
        for h in 0..3 {
            expected[b * 15 + h] = (b * 3 + h) as f32;
        }
        for t in 0..4 {
            for h in 0..3 {
                expected[b * 15 + (t + 1) * 3 + h] = expected[b * 15 + t * 3 + h] * h as f32 + at as f32;
                at += 1;
            }
        }
    }
    assert_eq!(y, expected);
}

#[test]
fn the_standard_library_and_tcm_that_there_was_not() {
    let x = Tensor::from_vec(vec![1.0_f32, 3.0, 2.0, 5.0, 4.0], &[5]).unwrap();
    assert_eq!(run("running_maximum", &[&x]), [1.0, 3.0, 3.0, 5.0, 5.0]);
    assert!(run("running_maximum", &[&iota(&[0])]).is_empty());
}

#[test]
fn streams_beyond_the_fourth_are_right_and_take_a_dma_for_each_element() {
    let x = iota(&[1500]);
    let expected: Vec<_> = (0..1500).map(|i| 21.0 * i as f32).collect();
    assert_eq!(run("many_streams", &[&x]), expected);
    // Four streams load 1500 elements in two DMAs of up to 1024, two load each alone.
    assert_eq!(report("many_streams", &x).cores[0].loads, 4 * 2 + 2 * 1500);
}

#[test]
fn a_stream_beside_a_buffer_that_takes_all_of_tcm() {
    let x = iota(&[100]);
    let expected: Vec<_> = (0..100).map(|i| -(i as f32)).collect();
    assert_eq!(run("full_tcm", &[&x]), expected);
    let core = report("full_tcm", &x).cores[0];
    assert_eq!((core.loads, core.stores), (100, 100));
}

#[test]
fn one_core_runs_the_op_and_eight_are_counted() {
    assert_eq!(run("cores", &[&iota(&[1])]), [8.0, 0.0]);
}
