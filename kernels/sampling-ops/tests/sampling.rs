//! Draws, against the distributions that they are of, by chi-square, and against plain formulas; with the bits of every
//! engine.

use gpsimd_testing::{DType, Ops, Scalar, Tensor, bf16, cases, digest, f16, numbers};
use sampling_ops::OP_LIBRARY;

fn seed(seed: i32) -> Tensor {
    Tensor::from_vec(vec![seed, -7], &[2]).unwrap()
}

/// The chi-square statistic of counts against probabilities is below what, with as many degrees of freedom, it exceeds with
/// probability 1e-6: by Laurent and Massart's bound (2000, lemma 1), n + 2 sqrt(n t) + 2 t with t = -log(1e-6).
#[track_caller]
fn assert_distributed(counts: &[usize], probabilities: &[f64]) {
    let draws = counts.iter().sum::<usize>() as f64;
    let mut freedom = -1.0;
    let mut statistic = 0.0;
    for (count, probability) in counts.iter().zip(probabilities) {
        if *probability == 0.0 {
            assert_eq!(*count, 0, "a category of probability 0 was drawn");
            continue;
        }
        let expected = draws * probability;
        // Less is not near to a normal distribution.
        assert!(expected >= 10.0, "{expected} draws of a category are expected");
        statistic += (*count as f64 - expected).powi(2) / expected;
        freedom += 1.0;
    }
    let t = -(1e-6_f64.ln());
    let bound = freedom + 2.0 * (freedom * t).sqrt() + 2.0 * t;
    assert!(statistic <= bound, "chi-square is {statistic}, expected at most {bound} for {freedom} degrees of freedom");
}

fn counts(ids: &[i32], categories: usize) -> Vec<usize> {
    let mut counts = vec![0; categories];
    for id in ids {
        counts[usize::try_from(*id).unwrap()] += 1;
    }
    counts
}

/// Draws of a run of the test: fewer under QEMU.
fn draws(most: usize) -> usize {
    if cases(100) < 100 { most / 20 } else { most }
}

fn multinomial(ops: &Ops, weights: &Tensor, draws: usize, of_seed: i32) -> Vec<i32> {
    let [ids] = ops.run_everywhere("multinomial", &[weights, &seed(of_seed)], &[draws.into()]);
    assert_eq!(ids.ty().dtype(), DType::I32);
    ids.as_slice::<i32>().unwrap().to_vec()
}

#[test]
fn draws_with_replacement_are_distributed_by_their_weights() {
    let ops = Ops::of(&OP_LIBRARY);
    let weights = [1.0_f32, 0.0, 2.5, 0.25, 7.0, 0.0];
    let total: f32 = weights.iter().sum();
    let probabilities: Vec<f64> = weights.iter().map(|weight| f64::from(weight / total)).collect();
    let draws = draws(20_000);
    let ids = multinomial(&ops, &Tensor::from_vec(weights.repeat(2), &[2, 6]).unwrap(), draws, 1);
    for ids in ids.chunks(draws) {
        assert_distributed(&counts(ids, 6), &probabilities);
    }
    assert_ne!(ids[..draws], ids[draws..], "rows have numbers of their own");
}

#[test]
fn draws_among_many_are_distributed_by_their_weights_on_every_level() {
    if cases(100) < 100 {
        return;
    }
    let ops = Ops::of(&OP_LIBRARY);
    // More than a group, with a block and a part of 0.
    let len = 70_000;
    let weight = |i: usize| if i / 256 == 5 || i / 16 == 3 || i.is_multiple_of(7) { 0.0 } else { 1.0 + (i % 3) as f32 };
    let weights: Vec<f32> = (0..len).map(weight).collect();
    let total: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
    let ids = multinomial(&ops, &Tensor::from_vec(weights.clone(), &[len]).unwrap(), 30_000, 2);
    assert!(ids.iter().all(|id| weights[*id as usize] > 0.0));
    for (categories, category) in [
        (len.div_ceil(2048), (|i| i / 2048) as fn(usize) -> usize),
        (256, |i| i % 256),
        (16, |i| i % 16),
        (3, |i| i % 3),
    ] {
        let mut probabilities = vec![0.0; categories];
        for (i, weight) in weights.iter().enumerate() {
            probabilities[category(i)] += f64::from(*weight) / total;
        }
        let found: Vec<i32> = ids.iter().map(|id| category(*id as usize) as i32).collect();
        assert_distributed(&counts(&found, categories), &probabilities);
    }
}

#[test]
fn weights_of_narrow_floats_are_drawn_as_those_of_f32() {
    let ops = Ops::of(&OP_LIBRARY);
    let weights: Vec<f32> = (0..300).map(|i| (i % 5) as f32).collect();
    let wide = multinomial(&ops, &Tensor::from_vec(weights.clone(), &[300]).unwrap(), 50, 3);
    let narrow: Vec<bf16> = weights.iter().map(|weight| bf16::from_f32(*weight)).collect();
    assert_eq!(multinomial(&ops, &Tensor::from_vec(narrow, &[300]).unwrap(), 50, 3), wide);
    let narrow: Vec<f16> = weights.iter().map(|weight| f16::from_f32(*weight)).collect();
    assert_eq!(multinomial(&ops, &Tensor::from_vec(narrow, &[300]).unwrap(), 50, 3), wide);
    assert!(multinomial(&ops, &Tensor::from_vec(weights, &[3, 100]).unwrap(), 0, 3).is_empty());
}

#[test]
fn weights_that_are_none_are_refused() {
    let ops = Ops::of(&OP_LIBRARY);
    let refused = |op: &str, weights: [f32; 3], scalars: &[Scalar]| {
        let weights = Tensor::from_vec(weights.to_vec(), &[3]).unwrap();
        ops.try_run(op, &[&weights, &seed(1)], scalars).unwrap_err().to_string()
    };
    for weight in [-1.0, f32::NAN, f32::INFINITY] {
        let error = refused("multinomial", [1.0, weight, 1.0], &[1_usize.into()]);
        assert!(error.contains("a weight is negative, infinite or NaN"), "{error}");
        let error = refused("race", [1.0, weight, 1.0], &[1_u32.into()]);
        assert!(error.contains("a weight is negative, infinite or NaN"), "{error}");
    }
    let error = refused("multinomial", [0.0, -0.0, 0.0], &[1_usize.into()]);
    assert!(error.contains("the sum of a row's weights is 0"), "{error}");
    let error = refused("race", [1.0, 0.0, 2.0], &[3_u32.into()]);
    assert!(error.contains("a row has fewer positive weights"), "{error}");
}

/// Rows that all have these weights: the order of a race between them.
fn races(ops: &Ops, weights: &[f32], rows: usize, of_seed: i32) -> Vec<Vec<usize>> {
    let weights = Tensor::from_vec(weights.repeat(rows), &[rows, weights.len()]).unwrap();
    let [speeds] = ops.run_everywhere("race", &[&weights, &seed(of_seed)], &[1_u32.into()]);
    let order = |speeds: &[f32]| {
        let mut order: Vec<usize> = (0..speeds.len()).collect();
        order.sort_by(|a, b| speeds[*b].total_cmp(&speeds[*a]));
        order
    };
    speeds.as_slice::<f32>().unwrap().chunks(weights.ty().shape()[1]).map(order).collect()
}

#[test]
fn a_race_draws_without_replacement() {
    let ops = Ops::of(&OP_LIBRARY);
    let weights = [1.0_f32, 2.0, 3.0, 4.0];
    let orders = races(&ops, &weights, draws(20_000), 4);
    // The first two of an order: w_a / 10 w_b / (10 - w_a).
    let (mut found, mut probabilities) = (vec![0; 16], vec![0.0; 16]);
    for order in &orders {
        found[4 * order[0] + order[1]] += 1;
    }
    for (a, first) in weights.iter().enumerate() {
        for (b, second) in weights.iter().enumerate().filter(|(b, _)| *b != a) {
            probabilities[4 * a + b] = f64::from(first / 10.0) * f64::from(second / (10.0 - first));
        }
    }
    assert_distributed(&found, &probabilities);
}

#[test]
fn the_winner_of_a_race_among_many_equals_is_any_of_them() {
    if cases(100) < 100 {
        return;
    }
    let (ops, rows, len) = (Ops::of(&OP_LIBRARY), 400, 3000);
    let winners: Vec<usize> = races(&ops, &vec![0.125; len], rows, 5).into_iter().map(|order| order[0]).collect();
    let mut found = vec![0; 20];
    for winner in winners {
        found[winner * 20 / len] += 1;
    }
    assert_distributed(&found, &[0.05; 20]);
}

/// Which tokens are kept, by their probabilities in f64: more than `margin` of a probability away from the border.
fn kept(logits: &[f32], temperature: f64, p: f64, top_k: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]));
    if top_k > 0 {
        order.truncate(top_k);
    }
    let weight = |i: &usize| (f64::from(logits[*i]) / temperature).exp();
    let total: f64 = order.iter().map(weight).sum();
    let mut sum = 0.0;
    let count = order.iter().take_while(|i| {
        let is_before = sum < p * total;
        sum += weight(i);
        is_before
    });
    let count = count.count().max(1);
    order.truncate(count);
    order
}

fn verify_top_p(ops: &Ops, logits: &[f32], temperature: f32, p: f32, top_k: u32, rows: usize) {
    let kept = kept(logits, f64::from(temperature), f64::from(p), top_k as usize);
    let total: f64 = kept.iter().map(|i| (f64::from(logits[*i]) / f64::from(temperature)).exp()).sum();
    let mut probabilities = vec![0.0; logits.len()];
    for i in kept {
        probabilities[i] = (f64::from(logits[i]) / f64::from(temperature)).exp() / total;
    }
    let of_logits = Tensor::from_vec(logits.repeat(rows), &[rows, logits.len()]).unwrap();
    let scalars: [Scalar; 3] = [temperature.into(), p.into(), top_k.into()];
    let [ids] = ops.run_everywhere("top_p", &[&of_logits, &seed(6)], &scalars);
    assert_distributed(&counts(ids.as_slice::<i32>().unwrap(), logits.len()), &probabilities);
}

#[test]
fn tokens_are_drawn_among_the_likeliest() {
    let is_slow = cases(100) < 100;
    let (ops, rows) = (Ops::of(&OP_LIBRARY), if is_slow { 1500 } else { 6000 });
    let logits = [0.5_f32, -1.0, 2.0, 0.5, f32::NEG_INFINITY, 1.0, 0.5, -0.0];
    // A part of those that are equal.
    verify_top_p(&ops, &logits, 1.0, 0.75, 0, rows);
    if is_slow {
        return;
    }
    verify_top_p(&ops, &logits, 1.0, 1.0, 0, rows);
    verify_top_p(&ops, &logits, 1.0, 0.5, 0, rows);
    verify_top_p(&ops, &logits, 1.0, 1.0, 4, rows);
    verify_top_p(&ops, &logits, 0.7, 0.9, 5, rows);
    verify_top_p(&ops, &logits, 2.0, 0.0, 0, rows);
    verify_top_p(&ops, &[0.0; 30], 1.0, 0.34, 0, rows);
    verify_top_p(&ops, &[1.0], 1.0, 0.3, 0, rows.min(20));
}

#[test]
fn a_temperature_of_0_draws_the_likeliest() {
    let ops = Ops::of(&OP_LIBRARY);
    let logits = numbers(3, 5 * 2000);
    let scalars: [Scalar; 3] = [0.0_f32.into(), 1.0_f32.into(), 0_u32.into()];
    let of_logits = Tensor::from_vec(logits.clone(), &[5, 2000]).unwrap();
    let [ids] = ops.run_everywhere("top_p", &[&of_logits, &seed(1)], &scalars);
    let greatest = |row: &[f32]| row.iter().enumerate().rev().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0 as i32;
    assert_eq!(ids.as_slice::<i32>().unwrap(), logits.chunks(2000).map(greatest).collect::<Vec<_>>());
}

#[test]
fn logits_and_parameters_that_are_none_are_refused() {
    let ops = Ops::of(&OP_LIBRARY);
    let refused = |logits: [f32; 2], temperature: f32, p: f32| {
        let logits = Tensor::from_vec(logits.to_vec(), &[2]).unwrap();
        let scalars: [Scalar; 3] = [temperature.into(), p.into(), 0_u32.into()];
        ops.try_run("top_p", &[&logits, &seed(1)], &scalars).unwrap_err().to_string()
    };
    for logits in [[f32::NAN, 0.0], [f32::INFINITY, 0.0], [f32::NEG_INFINITY; 2]] {
        assert!(refused(logits, 1.0, 0.5).contains("a row of `logits`"), "{}", refused(logits, 1.0, 0.5));
    }
    assert!(refused([0.0; 2], -1.0, 0.5).contains("`temperature`"));
    assert!(refused([0.0; 2], 1.0, 1.5).contains("`p` is a probability"));
}

/// `torchvision.ops.nms`, as its documentation has it.
fn nms(boxes: &[[f32; 4]], threshold: f32) -> Vec<i32> {
    let area = |[x1, y1, x2, y2]: [f32; 4]| (x2 - x1) * (y2 - y1);
    let mut kept: Vec<i32> = Vec::new();
    for (i, own) in boxes.iter().enumerate() {
        let covers = |other: &i32| {
            let other = boxes[*other as usize];
            let side = |low: usize| (own[low + 2].min(other[low + 2]) - own[low].max(other[low])).max(0.0);
            let both = side(0) * side(1);
            both / (area(*own) + area(other) - both) > threshold
        };
        if !kept.iter().any(covers) {
            kept.push(i as i32);
        }
    }
    kept
}

fn verify_nms(ops: &Ops, boxes: &[[f32; 4]], threshold: f32) {
    let sides: Vec<f32> = (0..4).flat_map(|side| boxes.iter().map(move |sides| sides[side])).collect();
    let of_boxes = Tensor::from_vec(sides, &[4, boxes.len()]).unwrap();
    let [kept, count] = ops.run_everywhere("nms", &[&of_boxes], &[threshold.into()]);
    let mut expected = nms(boxes, threshold);
    assert_eq!(count.as_slice::<i32>().unwrap(), [expected.len() as i32]);
    expected.resize(boxes.len(), -1);
    assert_eq!(digest(&kept), digest(&Tensor::from_vec(expected, &[boxes.len()]).unwrap()));
}

#[test]
fn boxes_that_cover_others_are_kept() {
    let ops = Ops::of(&OP_LIBRARY);
    let counts: &[usize] = if cases(100) < 100 { &[0, 1, 90] } else { &[0, 1, 2, 31, 33, 90, 1500] };
    for count in counts {
        let x = numbers(*count as u64 + 1, 4 * count);
        let sides = |x: &[f32]| [x[0] * 9.0, x[1] * 9.0, x[0] * 9.0 + 2.0 + x[2], x[1] * 9.0 + 2.0 + x[3]];
        let boxes: Vec<[f32; 4]> = x.chunks(4).map(sides).collect();
        for threshold in [0.0, 0.3, 0.5, 1.0] {
            verify_nms(&ops, &boxes, threshold);
        }
    }
}

#[test]
fn boxes_without_area_and_the_same_boxes() {
    let ops = Ops::of(&OP_LIBRARY);
    verify_nms(&ops, &[[1.0, 1.0, 1.0, 1.0]; 5], 0.5);
    verify_nms(&ops, &[[0.0, 0.0, 2.0, 3.0]; 300], 0.5);
    // Intersection over union is the threshold itself: that is not more.
    verify_nms(&ops, &[[0.0, 0.0, 2.0, 1.0], [0.0, 0.0, 1.0, 1.0]], 0.5);
}
