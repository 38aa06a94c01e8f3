//! Images at the points of a grid and the gradients of that, against the formula in f64, with the bits of every engine.

use gpsimd_testing::{Ops, Scalar, Tensor, assert_within, bf16, cases, f16, numbers};
use sampling_ops::OP_LIBRARY;

/// Images, a grid, a gradient of what is sampled, and the rules.
struct Case {
    sizes: [usize; 4],
    points: [usize; 2],
    input: Vec<f32>,
    grid: Vec<f32>,
    dy: Vec<f32>,
    align_corners: bool,
    border: bool,
}

/// What each result is exactly, and how far f32 may be from it.
struct Expected {
    y: Vec<(f64, f64)>,
    dinput: Vec<(f64, f64)>,
    dgrid: Vec<(f64, f64)>,
}

/// A place in f64, from that which f32 rounds to, so that both are between the same pixels; and the pixels per step.
fn place(number: f32, size: usize, case: &Case) -> (f64, f64) {
    let number = if number.is_nan() { -1.0 } else { number };
    let pixels = size as f32;
    let (mut place, mut scale) = if case.align_corners {
        (0.5 * (number + 1.0) * (pixels - 1.0), f64::from(pixels - 1.0) / 2.0)
    } else {
        (0.5 * ((number + 1.0) * pixels - 1.0), f64::from(pixels) / 2.0)
    };
    if case.border {
        scale = if place > 0.0 && place < pixels - 1.0 { scale } else { 0.0 };
        // In an image of one pixel infinity is nowhere.
        place = place.max(0.0).min(pixels - 1.0);
    }
    (f64::from(place), scale)
}

impl Case {
    fn new(sizes: [usize; 4], points: [usize; 2], grid: impl Fn(usize, f32) -> f32, rules: (bool, bool)) -> Self {
        let [count, channels, height, width] = sizes;
        let len = count * points[0] * points[1];
        let grid = numbers(7, 2 * len).into_iter().enumerate().map(|(i, x)| grid(i, x)).collect();
        Self {
            sizes,
            points,
            input: numbers(8, count * channels * height * width),
            grid,
            dy: numbers(9, len * channels),
            align_corners: rules.0,
            border: rules.1,
        }
    }

    fn expected(&self) -> Expected {
        let [count, channels, height, width] = self.sizes;
        let points = self.points[0] * self.points[1];
        let mut y = vec![(0.0, 0.0); self.dy.len()];
        let mut dinput = vec![(0.0, 0.0); self.input.len()];
        let mut dgrid = vec![(0.0, 0.0); self.grid.len()];
        for image in 0..count {
            for point in 0..points {
                let at = image * points + point;
                let (x, x_scale) = place(self.grid[2 * at], width, self);
                let (row, y_scale) = place(self.grid[2 * at + 1], height, self);
                for channel in image * channels..(image + 1) * channels {
                    let output = channel * points + point;
                    let dy = f64::from(self.dy[output]);
                    for (i, j) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                        let (pixel_row, pixel) = (row.floor() + f64::from(i), x.floor() + f64::from(j));
                        let is_in = |pixel: f64, size: usize| pixel >= 0.0 && pixel < size as f64;
                        if !is_in(pixel_row, height) || !is_in(pixel, width) {
                            continue;
                        }
                        let pixel = (channel * height + pixel_row as usize) * width + pixel as usize;
                        let part = |from: f64, next: i32| {
                            if next == 1 { from - from.floor() } else { 1.0 - (from - from.floor()) }
                        };
                        let (of_x, of_y, value) = (part(x, j), part(row, i), f64::from(self.input[pixel]));
                        let sign = |next: i32| f64::from(2 * next - 1);
                        add(&mut y[output], of_x * of_y * value);
                        add(&mut dinput[pixel], of_x * of_y * dy);
                        add(&mut dgrid[2 * at], sign(j) * of_y * value * dy * x_scale);
                        add(&mut dgrid[2 * at + 1], sign(i) * of_x * value * dy * y_scale);
                    }
                }
            }
        }
        Expected { y, dinput, dgrid }
    }

    fn scalars(&self) -> [Scalar; 2] {
        [self.align_corners.into(), self.border.into()]
    }

    fn shape_of_y(&self) -> [usize; 4] {
        [self.sizes[0], self.sizes[1], self.points[0], self.points[1]]
    }

    fn shape_of_grid(&self) -> [usize; 4] {
        [self.sizes[0], self.points[0], self.points[1], 2]
    }
}

/// A term of a sum. In f32 it has eight roundings, and each sum of it with the others one more, of all so far: at most so many
/// that 64 units of all terms together are more, where a sum has up to 50.
fn add((sum, bound): &mut (f64, f64), term: f64) {
    *sum += term;
    *bound += 64.0 * f64::from(f32::EPSILON) * term.abs();
}

fn verify(ops: &Ops, case: &Case) {
    let expected = case.expected();
    let input = Tensor::from_vec(case.input.clone(), &case.sizes).unwrap();
    let grid = Tensor::from_vec(case.grid.clone(), &case.shape_of_grid()).unwrap();
    let dy = Tensor::from_vec(case.dy.clone(), &case.shape_of_y()).unwrap();
    let [y] = ops.run_everywhere("grid_sample", &[&input, &grid], &case.scalars());
    assert_within(&y, expected.y);
    let [dinput] = ops.run_everywhere("grid_sample_input", &[&dy, &grid, &input], &case.scalars());
    assert_within(&dinput, expected.dinput);
    let [dgrid] = ops.run_everywhere("grid_sample_grid", &[&dy, &input, &grid], &case.scalars());
    assert_within(&dgrid, expected.dgrid);
}

const RULES: [(bool, bool); 4] = [(false, false), (false, true), (true, false), (true, true)];

#[test]
fn points_anywhere_are_sampled() {
    let ops = Ops::of(&OP_LIBRARY);
    for rules in RULES {
        verify(&ops, &Case::new([2, 3, 7, 5], [4, 9], |_, x| 1.4 * x, rules));
        if cases(100) == 100 {
            verify(&ops, &Case::new([1, 2, 60, 90], [20, 30], |_, x| 1.1 * x, rules));
        }
    }
}

#[test]
fn points_in_the_order_of_pixels_are_sampled() {
    let ops = Ops::of(&OP_LIBRARY);
    let (height, width) = if cases(100) < 100 { (5, 9) } else { (40, 50) };
    let near = |i: usize, x: f32| {
        let (point, is_y) = (i / 2 % (height * width), i % 2 == 1);
        let (place, size) = if is_y { (point / width, height) } else { (point % width, width) };
        (2 * place + 1) as f32 / size as f32 - 1.0 + 0.03 * x
    };
    for rules in RULES {
        verify(&ops, &Case::new([2, 2, height, width], [height, width], near, rules));
    }
}

#[test]
fn images_with_rows_longer_than_tcm_are_sampled() {
    if cases(100) == 100 {
        verify(&Ops::of(&OP_LIBRARY), &Case::new([1, 1, 3, 9000], [4, 40], |_, x| x, (false, false)));
    }
}

#[test]
fn points_on_pixels_and_edges_and_nan() {
    let ops = Ops::of(&OP_LIBRARY);
    let notable = [-1.0, 1.0, 0.0, -1.5, 1.5, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30, -0.25, 0.5];
    for rules in RULES {
        let grid = |i: usize, _| notable[(i / 2 * (1 + 2 * (i % 2)) + i % 2) % notable.len()];
        verify(&ops, &Case::new([1, 1, 4, 3], [11, 3], grid, rules));
        verify(&ops, &Case::new([1, 1, 1, 1], [2, 11], grid, rules));
    }
}

#[test]
fn nothing_is_sampled() {
    let ops = Ops::of(&OP_LIBRARY);
    for (sizes, points) in [([0, 1, 2, 2], [1, 1]), ([1, 0, 2, 2], [1, 2]), ([1, 1, 2, 2], [0, 3])] {
        verify(&ops, &Case::new(sizes, points, |_, x| x, (false, false)));
    }
    // As PyTorch refuses it.
    for sizes in [[1, 2, 0, 3], [1, 2, 3, 0]] {
        let case = Case::new(sizes, [1, 2], |_, x| x, (false, false));
        let input = Tensor::from_vec(case.input.clone(), &case.sizes).unwrap();
        let grid = Tensor::from_vec(case.grid.clone(), &case.shape_of_grid()).unwrap();
        let error = ops.try_run("grid_sample", &[&input, &grid], &case.scalars()).unwrap_err().to_string();
        assert!(error.contains("the images of input have no pixel"), "{error}");
    }
}

#[test]
fn narrow_floats_are_rounded_once() {
    let ops = Ops::of(&OP_LIBRARY);
    let mut case = Case::new([1, 2, 6, 7], [5, 8], |_, x| x, (false, false));
    for numbers in [&mut case.input, &mut case.grid, &mut case.dy] {
        for x in numbers {
            *x = bf16::from_f32(*x).to_f32();
        }
    }
    let narrow = |numbers: &[f32], shape: &[usize]| {
        Tensor::from_vec(numbers.iter().map(|x| bf16::from_f32(*x)).collect(), shape).unwrap()
    };
    let (input, grid) = (narrow(&case.input, &case.sizes), narrow(&case.grid, &case.shape_of_grid()));
    let [y] = ops.run_everywhere("grid_sample", &[&input, &grid], &case.scalars());
    assert_within(&y, case.expected().y);
    let dy = narrow(&case.dy, &case.shape_of_y());
    let [dinput] = ops.run_everywhere("grid_sample_input", &[&dy, &grid, &input], &case.scalars());
    assert_within(&dinput, case.expected().dinput);
    let half = |shape: &[usize]| Tensor::from_vec(vec![f16::from_f32(0.5); shape.iter().product()], shape).unwrap();
    let [y] = ops.run_everywhere("grid_sample", &[&half(&[1, 1, 2, 2]), &half(&[1, 1, 1, 2])], &case.scalars());
    assert_eq!(y.as_slice::<f16>().unwrap()[0].to_f32(), 0.5);
}
