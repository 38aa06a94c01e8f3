//! [`Slope`]: a derivative by finite differences of a function that is computed with rounding.

/// How many steps are tried, each half of the one before.
const STEPS: usize = 12;

/// Spacing of f32 at 1, and how many such errors a sum of what an op returns may have: for an op whose rounding errors are
/// larger, the spread of the estimates says so.
const EPSILON: f64 = f32::EPSILON as f64;
const ROUNDINGS: f64 = 8.0;

/// What is left of an error that the estimates show, and that its own estimate may be short of.
const SAFETY: f64 = 4.0;

/// The error of a number of this size that is computed in f32.
fn rounding(magnitude: f64) -> f64 {
    ROUNDINGS * EPSILON * magnitude
}

/// The derivative of a function at 0, as far as its rounding lets one see.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slope {
    /// The derivative.
    pub(super) value: f64,
    /// How far off it may be.
    pub(super) error: f64,
    /// The derivatives from the left and from the right, where these are not the same: of a maximum, an absolute value.
    sides: Option<(f64, f64)>,
}

impl Slope {
    /// The slope of what is left of a function, whose values are rounded as sums of about this `magnitude` are: `function` returns
    /// its value, and what is taken away from that. None where the function has no value around 0, as where an op returns NaN,
    /// or jumps there, or is so steep that it seems to.
    ///
    /// Central differences with steps from `first` on, each extrapolated from two of them (Richardson), of which three that
    /// follow each other and agree best are taken: large steps have the error of the series, small ones that of rounding.
    ///
    /// # Errors
    /// When the function fails.
    pub(super) fn of<E>(
        mut function: impl FnMut(f64) -> Result<Option<(f64, f64)>, E>,
        first: f64,
        magnitude: f64,
    ) -> Result<Option<Self>, E> {
        let Some((value, taken)) = function(0.0)? else { return Ok(None) };
        let middle = value - taken;
        let mut points: Vec<Option<Point>> = Vec::with_capacity(STEPS);
        let mut changes: Vec<Option<f64>> = Vec::with_capacity(STEPS);
        for index in 0..STEPS {
            let step = first / f64::from(1_u32 << index);
            let sides = function(-step)?.zip(function(step)?);
            points.push(sides.map(|((left, of_left), (right, of_right))| Point {
                step,
                left: (middle - (left - of_left)) / step,
                right: (right - of_right - middle) / step,
            }));
            changes.push(sides.map(|((left, _), (right, _))| right - left));
        }
        if is_jump(&points, rounding(magnitude)) || is_too_steep(&changes, magnitude) {
            return Ok(None);
        }
        let pairs: Vec<Option<f64>> = points.windows(2).map(extrapolated).collect();
        let mut best: Option<Self> = None;
        for (index, three) in pairs.windows(3).enumerate() {
            let [Some(a), Some(b), Some(c)] = *three else { continue };
            let Some(smallest) = points[index + 3] else { continue };
            let of_rounding = rounding(magnitude) / smallest.step;
            // Where they differ by more the smaller the step, their spread says nothing of how far off they are: what a function
            // does that hardly changes beyond a few steeper steps, a sign with its corners rounded.
            if (c - b).abs() > (b - a).abs() + of_rounding {
                continue;
            }
            let error = SAFETY * (a.max(b).max(c) - a.min(b).min(c)) + of_rounding;
            if best.is_none_or(|best| error < best.error) {
                let sides = points[index + 1].and_then(|larger| smallest.sides(&larger, error));
                best = Some(Self { value: median(a, b, c), error, sides });
            }
        }
        Ok(best.map(|best| Self { sides: best.sides.or_else(|| corner(&points, rounding(magnitude))), ..best }))
    }

    /// Whether the function has a derivative on each side, which are not the same.
    pub(super) const fn has_a_corner(&self) -> bool {
        self.sides.is_some()
    }

    /// Whether it is 0, but for an error of this size: of a function that has a derivative on each side, one between these.
    pub(super) fn may_be_zero(&self, tolerance: f64) -> bool {
        let bound = self.error + tolerance;
        let (least, most) = self.sides.map_or((self.value, self.value), |(a, b)| (a.min(b), a.max(b)));
        least <= bound && most >= -bound
    }
}

/// The differences on both sides, with one step.
#[derive(Clone, Copy)]
struct Point {
    step: f64,
    left: f64,
    right: f64,
}

impl Point {
    /// The derivatives on both sides, if the function has two as far as steps like these show, be it at 0 or near: the difference
    /// of the two does not shrink with the step, here a fourth of that of `larger`.
    fn sides(&self, larger: &Self, error: f64) -> Option<(f64, f64)> {
        let (gap, wider) = ((self.left - self.right).abs(), (larger.left - larger.right).abs());
        (gap > error && gap > 0.6 * wider).then_some((self.left, self.right))
    }
}

/// The derivatives at 0 from the left and from the right, where these are not the same.
///
/// Either side's differences, extrapolated to a step of 0 from two of them, are such a derivative but for what the square of the
/// step makes of it; what is between the two must be more than three that follow each other differ by. A corner that is near, and
/// not at 0, looks the same to large steps: smaller ones must not see less than half of it.
fn corner(points: &[Option<Point>], rounding: f64) -> Option<(f64, f64)> {
    let sides: Vec<Option<(f64, f64, f64)>> = points
        .windows(2)
        .map(|two| {
            let [Some(large), Some(small)] = *two else { return None };
            Some((2.0 * small.left - large.left, 2.0 * small.right - large.right, small.step))
        })
        .collect();
    let gap = |(left, right, _): (f64, f64, f64)| right - left;
    // The largest gap that smaller steps leave room for.
    let mut most = f64::INFINITY;
    for three in sides.windows(3).rev() {
        let [Some(a), Some(b), Some(c)] = *three else { continue };
        let found = median(gap(a), gap(b), gap(c)).abs();
        let spread = gap(a).max(gap(b)).max(gap(c)) - gap(a).min(gap(b)).min(gap(c));
        // Each side is a sum of three times a value, and of two others.
        let error = SAFETY * spread + 8.0 * rounding / c.2;
        if found > error {
            return (found < 2.0 * most).then_some((c.0, c.1));
        }
        most = most.min(found + error);
    }
    None
}

fn median(a: f64, b: f64, c: f64) -> f64 {
    a.max(b).min(a.max(c)).min(b.max(c))
}

/// Whether the function jumps at 0, as far as the smallest steps show: what it changes by between -step and step is the same
/// for all, so that differences of central differences double, where those of a smooth function become a fourth.
fn is_jump(points: &[Option<Point>], rounding: f64) -> bool {
    let last: Vec<_> = points.iter().rev().take(4).rev().flatten().collect();
    let [_, .., smallest] = last[..] else { return false };
    let central: Vec<_> = last.iter().map(|point| f64::midpoint(point.left, point.right)).collect();
    let differences: Vec<_> = central.windows(2).map(|two| two[1] - two[0]).collect();
    let doubles = |two: &[f64]| (1.7..2.3).contains(&(two[1] / two[0]));
    last.len() == 4
        && differences.windows(2).all(doubles)
        && differences.iter().all(|difference| difference.abs() > rounding / smallest.step)
}

/// Whether a function is steep over less than the smallest two steps, on which it changes by these amounts: by half as much
/// on half of the step, but for a fifth, where it is a line on that scale. By more than what an op may well lose in rounding.
fn is_too_steep(changes: &[Option<f64>], magnitude: f64) -> bool {
    let [.., Some(larger), Some(smaller)] = changes else { return false };
    let bend = (2.0 * smaller - larger).abs();
    bend > 0.2 * larger.abs().max((2.0 * smaller).abs()) && bend > 1e-3 * magnitude
}

/// What two steps, the second half of the first, say of a step of 0.
fn extrapolated(two: &[Option<Point>]) -> Option<f64> {
    let [Some(large), Some(small)] = *two else { return None };
    let central = |point: Point| f64::midpoint(point.left, point.right);
    Some((4.0 * central(small) - central(large)) / 3.0)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// Where, what, and its derivative there.
    type Case = (f64, fn(f32) -> f32, f64);

    /// The slope of a function at x that is computed in f32.
    fn slope(x: f64, function: impl Fn(f32) -> f32) -> Option<Slope> {
        slope_of_rest(x, function, 0.0)
    }

    /// The slope of what is left of it, if its derivative were this one.
    fn slope_of_rest(x: f64, function: impl Fn(f32) -> f32, declared: f64) -> Option<Slope> {
        let magnitude = f64::from(function(x as f32)).abs();
        let at = |step: f64| {
            let moved = (x + step) as f32;
            let value = f64::from(function(moved));
            Ok::<_, Infallible>(value.is_finite().then_some((value, declared * (f64::from(moved) - x))))
        };
        Slope::of(at, 0.25, magnitude).unwrap()
    }

    #[test]
    fn the_derivative_is_within_its_error() {
        let cases: [Case; 5] = [
            (0.5, |x| x * x * x, 0.75),
            (0.0, f32::exp, 1.0),
            (2.0, f32::ln, 0.5),
            (1.0, |x| 1e3 + x, 1.0),
            (3.0, |x| (100.0 * x).sin(), 100.0 * (300.0_f64).cos()),
        ];
        for (x, function, expected) in cases {
            let found = slope(x, function).unwrap();
            assert!((found.value - expected).abs() <= found.error, "{found:?}, expected {expected}");
            assert!(found.error < 0.3 * expected.abs().max(0.1), "{found:?} says nothing");
        }
    }

    #[test]
    fn what_is_steep_over_a_few_of_the_smallest_steps_alone_is_not_taken_for_flat() {
        let cases: [Case; 4] = [
            (0.0, |x| x / (x * x + 6.6e-7).sqrt(), 1.0 / 6.6e-7_f64.sqrt()),
            (0.0, |x| x / (x * x + 1e-5).sqrt(), 1.0 / 1e-5_f64.sqrt()),
            (0.0, |x| (1000.0 * x).tanh(), 1000.0),
            (0.0, |x| (500.0 * x).atan(), 500.0),
        ];
        for (x, function, expected) in cases {
            let found = slope(x, function).unwrap();
            assert!((found.value - expected).abs() <= found.error, "{found:?}, expected {expected}");
            assert!(found.error < 0.6 * expected, "{found:?} says nothing");
        }
    }

    #[test]
    fn a_corner_has_every_slope_between_its_sides() {
        let corner = slope(0.0, f32::abs).unwrap();
        assert!(corner.may_be_zero(0.0));
        // As if the declared derivative were 2, or -2: what is left then is |x| - 2x.
        assert!(!slope(0.0, |x| x.abs() - 2.0 * x).unwrap().may_be_zero(0.1));
        assert!(!slope(0.0, |x| x.abs() + 2.0 * x).unwrap().may_be_zero(0.1));
        // A corner near it is none at it.
        assert!(!slope(0.01, f32::abs).unwrap().may_be_zero(0.5));
    }

    #[test]
    fn a_corner_is_seen_whatever_else_the_function_does() {
        // What is between the sides is 0 where the one makes up for the other: at 0.05, 0.01 and 0.002.
        for bend in [2.0, 10.0, 50.0] {
            let both = |x: f32| 0.1 * x.abs() - bend * x * x;
            assert!(slope(0.0, both).unwrap().has_a_corner(), "{bend}");
            assert!(!slope(0.0, |x| bend * x * x).unwrap().has_a_corner(), "{bend}");
        }
        let smooth: [fn(f32) -> f32; 5] = [f32::exp, f32::cos, |x| x * x * x, |x| (30.0 * x).sin(), |x| 1e3 + x];
        for function in smooth {
            assert!(!slope(0.3, function).unwrap().has_a_corner());
        }
    }

    #[test]
    fn a_corner_that_small_steps_do_not_see_is_none_at_0() {
        let points = |function: &dyn Fn(f64) -> f64| -> Vec<_> {
            let point = |index: i32| {
                let step = 0.25 * 0.5_f64.powi(index);
                let (left, right) = (function(0.0) - function(-step), function(step) - function(0.0));
                Some(Point { step, left: left / step, right: right / step })
            };
            (0..STEPS as i32).map(point).collect()
        };
        for distance in [0.01, 0.003, 0.001] {
            assert_eq!(corner(&points(&|x| (x - distance).abs()), rounding(distance)), None, "{distance}");
        }
        // Where the smallest steps see nothing for rounding, larger ones may.
        assert!(corner(&points(&|x| x.abs()), rounding(1.0)).is_some());
        assert!(corner(&points(&|x| x.abs()), rounding(100.0)).is_some());
    }

    #[test]
    fn a_jump_has_no_slope() {
        // Steep, over less than the smallest step: the derivative at 0 is 1e6.
        assert!(slope(0.0, |x| x / (x * x + 1e-12).sqrt()).is_none());
        assert!(slope(0.0, |x| if x < 0.0 { -1.0 } else { 1.0 }).is_none());
        assert!(slope(0.0, |x| x / (x * x + 1e-2).sqrt()).is_some());
        assert!(slope(1.0, |x| x / (x * x + 1e-12).sqrt()).is_some());
    }

    #[test]
    fn where_it_is_too_steep_nothing_is_said_whatever_is_declared() {
        // Over as much as the smallest step, and over next to nothing.
        for eps in [1e-8, 1e-9, 1e-12, 1e-38] {
            for declared in [0.0, 1e4, -1e18, 1e30] {
                let found = slope_of_rest(0.0, |x| x / (x * x + eps).sqrt(), declared);
                assert!(found.is_none(), "{eps}, {declared}: {found:?}");
            }
        }
        // Where the steps tell, a wrong derivative is seen.
        let rest = |declared| slope_of_rest(0.0, |x| x / (x * x + 1e-4).sqrt(), declared).unwrap();
        assert!(rest(100.0).may_be_zero(0.2) && !rest(101.0).may_be_zero(0.2));
    }

    #[test]
    fn a_function_without_values_has_no_slope() {
        assert!(slope(-1.0, f32::sqrt).is_none());
        // Small steps are on this side of 0.
        assert!((slope(0.01, f32::sqrt).unwrap().value - 5.0).abs() < 0.05);
    }
}
