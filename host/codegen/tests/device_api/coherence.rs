//! The coherence policy: which accessors of a tensor may be open at the same time.

use std::sync::{Arc, Mutex};

use gpsimd_emulator::{Engine, Mode, PrintSink, Tensor};

use crate::fixtures::{COHERENCE, engine};

fn x() -> Tensor {
    Tensor::from_vec(vec![1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0], &[6]).unwrap()
}

/// The error, which is the same in both modes.
fn together(which: i32) -> String {
    let which = Tensor::from_vec(vec![which], &[1]).unwrap();
    let [checked, fast] = [Mode::Checked, Mode::Fast].map(|mode| {
        let result = engine(mode).call(&COHERENCE.op("together"), &[x().view(), which.view()], &[]);
        result.unwrap_err().to_string()
    });
    assert_eq!(checked, fast);
    checked
}

#[test]
fn a_write_stream_goes_with_no_other_accessor() {
    insta::assert_snapshot!(together(0), @"op `together`, core 0, at coherence.cpp:13: `read_stream_accessor` of `torch::zeros` while its `write_stream_accessor` of line 12 is open: a stream keeps elements in TCM, which the other does not see; close that first, or see `set_accessor_coherence_policy`");
    insta::assert_snapshot!(together(1), @"op `together`, core 0, at coherence.cpp:18: `write_stream_accessor` of `torch::zeros` while its `read_stream_accessor` of line 17 is open: a stream keeps elements in TCM, which the other does not see; close that first, or see `set_accessor_coherence_policy`");
    insta::assert_snapshot!(together(2), @"op `together`, core 0, at coherence.cpp:23: `write_stream_accessor` of `torch::zeros` while its `write_stream_accessor` of line 22 is open: a stream keeps elements in TCM, which the other does not see; close that first, or see `set_accessor_coherence_policy`");
    insta::assert_snapshot!(together(5), @"op `together`, core 0, at coherence.cpp:38: `write_stream_accessor` of `torch::zeros` while its `accessor` of line 37 is open: a stream keeps elements in TCM, which the other does not see; close that first, or see `set_accessor_coherence_policy`");
}

#[test]
fn read_streams_do_not_go_with_element_accessors() {
    insta::assert_snapshot!(together(3), @"op `together`, core 0, at coherence.cpp:28: `accessor` of `arg0` while its `read_stream_accessor` of line 27 is open: a stream keeps elements in TCM, which the other does not see; close that first, or see `set_accessor_coherence_policy`");
    insta::assert_snapshot!(together(4), @"op `together`, core 0, at coherence.cpp:33: `read_stream_accessor` of `torch::zeros` while its `accessor` of line 32 is open: a stream keeps elements in TCM, which the other does not see; close that first, or see `set_accessor_coherence_policy`");
}

#[test]
fn all_handles_lead_to_one_tensor() {
    insta::assert_snapshot!(together(6), @"op `together`, core 0, at coherence.cpp:44: `accessor` of `torch::zeros` while its `write_stream_accessor` of line 43 is open: a stream keeps elements in TCM, which the other does not see; close that first, or see `set_accessor_coherence_policy`");
    insta::assert_snapshot!(together(7), @"op `together`, core 0, at coherence.cpp:50: `accessor` of `output` while its `write_stream_accessor` of line 49 is open: a stream keeps elements in TCM, which the other does not see; close that first, or see `set_accessor_coherence_policy`");
}

#[test]
fn functions_of_whole_tensors_see_open_streams() {
    insta::assert_snapshot!(together(8), @"op `together`, core 0, at coherence.cpp:55: `torch::exp` of `torch::zeros` while its `write_stream_accessor` of line 54 is open: a stream keeps elements in TCM, which the other does not see; close that first, or see `set_accessor_coherence_policy`");
    insta::assert_snapshot!(together(9), @"op `together`, core 0, at coherence.cpp:60: `fill_` of `torch::zeros` while its `read_stream_accessor` of line 59 is open: a stream keeps elements in TCM, which the other does not see; close that first, or see `set_accessor_coherence_policy`");
}

#[test]
fn what_goes_together_or_is_allowed_is_right() {
    for mode in [Mode::Checked, Mode::Fast] {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let print = PrintSink::Function(Arc::new(move |line| sink.lock().unwrap().push(line.to_owned())));
        let engine = Engine::builder().mode(mode).print(print).build().unwrap();
        let sums = engine.call(&COHERENCE.op("one_after_the_other"), &[x().view()], &[]);
        let sums = sums.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(sums.as_slice::<f32>().unwrap(), [21.0 * 111.0, 42.0, 15.0, 0.0, 15.0, 30.0]);
        let lines = lines.lock().unwrap();
        assert_eq!(lines.iter().filter(|line| line.contains("may see old elements")).count(), lines.len());
        insta::allow_duplicates! { insta::assert_snapshot!(lines[0], @"[one_after_the_other core 0] warning: line 109: `accessor` of `torch::zeros` while its `read_stream_accessor` of line 108 is open may see old elements"); }
    }
}
