//! Recorded launches.

use gpsimd_emulator::{
    Engine, Event, Launch, Mode, RecordedCore, RecordedStep, Recorder, Recording, Tensor, Transfer, UNWRITTEN,
};

use crate::fixtures::{iota, op};

/// What `name` did with 80 elements in a launch, whether it succeeded, and the output.
fn record(name: &str, mode: Mode, recorder: &Recorder) -> (Vec<Recording>, bool, Tensor) {
    let engine = Engine::builder().mode(mode).record(recorder.clone()).build().unwrap();
    let (x, mut y) = (iota(80), iota(80));
    let launch = Launch { tensors: &[x.view()], scalars: &[], outputs: vec![y.view_mut()] };
    let result = engine.launch(&op(name), launch);
    (recorder.take(), result.is_ok(), y)
}

fn in_words(step: &RecordedStep) -> String {
    let place = step.location.as_ref().map(ToString::to_string).unwrap_or_default();
    match &step.event {
        Event::Dma { dma, data } => {
            let data = data.as_ref().map(|data| {
                data.chunks(4).map(|x| f32::from_le_bytes(x.try_into().unwrap()).to_string()).collect::<Vec<_>>()
            });
            let (tensor, tcm) = (dma.tensor, dma.tcm);
            format!("{place} {} {tensor} from {} at {tcm}: {:?}", dma.transfer, dma.start, data.unwrap_or_default())
        }
        event => format!("{place} {event:?}"),
    }
}

#[test]
fn a_recording_has_every_dma_and_every_buffer_with_data_and_place() {
    for mode in [Mode::Checked, Mode::Fast] {
        let (recordings, is_ok, _) = record("copy", mode, &Recorder::new(100, 1000));
        assert!(is_ok);
        assert_eq!(recordings.len(), 1, "the first run of checked mode alone");
        let Recording { op, tensors, first_output, cores, .. } = &recordings[0];
        let tensors: Vec<_> = tensors.iter().map(|(name, ty)| format!("{name} {ty}")).collect();
        assert_eq!(
            (op.as_str(), &tensors[..], *first_output),
            ("copy", &["x f32[80]".into(), "y f32[80]".into()][..], 1)
        );
        assert_eq!(cores.len(), 8);
        let steps: Vec<_> = cores[7].steps.iter().map(in_words).collect();
        let data = r#"["70", "71", "72", "73", "74", "75", "76", "77", "78", "79"]"#;
        let expected = [
            "kernel.c:10:5 Alloc { tcm: 0, bytes: 256 }".to_owned(),
            format!("kernel.c:11:5 load 0 from 70 at 0: {data}"),
            format!("kernel.c:12:5 store 1 from 70 at 0: {data}"),
            "kernel.c:13:5 Free { tcm: 0 }".to_owned(),
        ];
        assert_eq!(steps, expected, "{mode:?}");
    }
}

#[test]
fn dmas_and_buffers_say_where_in_tcm_they_are() {
    let recorder = Recorder::new(100, 0);
    let engine = Engine::builder().record(recorder.clone()).trace(true).build().unwrap();
    let (x, mut y) = (iota(80), iota(80));
    let launch = Launch { tensors: &[x.view()], scalars: &[2.0.into(), 0.5.into()], outputs: vec![y.view_mut()] };
    let report = engine.launch(&op("scale_add"), launch).unwrap();
    // The two parameters are in the first 64 bytes, the tile is after them.
    let moved: Vec<_> = report.traces[3].iter().filter_map(|step| step.dma).map(|dma| (dma.tensor, dma.tcm)).collect();
    assert_eq!(moved, [(1, 0), (0, 64), (2, 64)]);
    let taken = |step: &RecordedStep| match step.event {
        Event::Alloc { tcm, bytes } => Some((tcm, bytes)),
        _ => None,
    };
    let steps = &recorder.take()[0].cores[3].steps;
    assert_eq!(steps.iter().filter_map(taken).collect::<Vec<_>>(), [(0, 8), (64, 256)]);
}

#[test]
fn a_launch_that_fails_is_recorded_as_far_as_it_came() {
    let recorder = Recorder::new(100, 1000);
    let (recordings, is_ok, _) = record("store_past_end", Mode::Checked, &recorder);
    assert!(!is_ok);
    let is_store =
        |step: &RecordedStep| matches!(&step.event, Event::Dma { dma, .. } if dma.transfer == Transfer::Store);
    let stores = |core: &RecordedCore| core.steps.iter().filter(|step| is_store(step)).count();
    assert_eq!(recordings[0].cores.iter().map(stores).collect::<Vec<_>>(), [1, 1, 1, 1, 1, 1, 1, 0]);
    assert!(recorder.take().is_empty(), "each launch is taken once");
}

#[test]
fn tcm_that_was_never_written_can_be_told() {
    let (recordings, is_ok, _) = record("stores_unwritten_tcm", Mode::Checked, &Recorder::new(100, 1000));
    assert!(!is_ok);
    let is_unwritten = |step: &RecordedStep| match &step.event {
        Event::Dma { data: Some(data), .. } => data.chunks(2).any(|half| half == UNWRITTEN),
        _ => false,
    };
    assert!(recordings[0].cores.iter().any(|core| core.steps.iter().any(is_unwritten)));
}

#[test]
fn what_is_past_a_limit_is_counted_and_the_launch_goes_on() {
    let (recordings, is_ok, y) = record("copy", Mode::Checked, &Recorder::new(2, 39));
    assert!(is_ok);
    assert_eq!(y, iota(80));
    for core in &recordings[0].cores {
        assert_eq!((core.steps.len(), core.steps_left_out, core.data_left_out), (2, 2, 80));
    }
}

#[test]
fn an_engine_without_a_recorder_and_one_with_make_the_same() {
    let (x, op) = (iota(80), op("copy"));
    let plain = Engine::builder().build().unwrap().call(&op, &[x.view()], &[]).unwrap();
    let recorded = Engine::builder().record(Recorder::new(0, 0)).build().unwrap().call(&op, &[x.view()], &[]).unwrap();
    assert_eq!(plain, recorded);
}
