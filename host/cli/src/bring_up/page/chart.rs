//! [`Chart`]: measured times over those of the model, both on logarithmic axes.

use serde::Serialize;

use crate::bring_up::report::{Time, TimeOutcome};

/// Side of the square of the plot, and its distance from the left and the bottom.
const SIDE: f64 = 420.0;
const MARGIN: f64 = 72.0;

/// What the template draws.
#[derive(Serialize)]
pub(super) struct Chart {
    width: f64,
    height: f64,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    ticks: Vec<Tick>,
    points: Vec<Point>,
}

#[derive(Serialize)]
struct Tick {
    x: f64,
    y: f64,
    label: String,
}

#[derive(Serialize)]
struct Point {
    x: f64,
    y: f64,
    label: String,
}

impl Chart {
    /// Of the launches that have both times; none if there are none.
    pub(super) fn of(times: &[Time]) -> Option<Self> {
        let both = times.iter().filter_map(|time| match (&time.outcome, time.modelled) {
            (TimeOutcome::Measured(found), Some(modelled)) if modelled > 0.0 => Some((time, modelled, found.median)),
            _ => None,
        });
        let both: Vec<_> = both.collect();
        let all = || both.iter().flat_map(|(_, modelled, measured)| [*modelled, *measured]).map(f64::log10);
        // Whole powers of ten, the same on both axes.
        let from = all().reduce(f64::min)?.floor();
        let to = all().reduce(f64::max)?.ceil().max(from + 1.0);
        let along = |seconds: f64| (seconds.log10() - from) / (to - from) * SIDE;
        let (left, top) = (MARGIN, 10.0);
        let bottom = top + SIDE;
        let round = |length: f64| (length * 10.0).round() / 10.0;
        let ticks = (from as i32..=to as i32).map(|power| {
            let at = (f64::from(power) - from) / (to - from) * SIDE;
            Tick { x: round(left + at), y: round(bottom - at), label: label(power) }
        });
        let points = both.iter().map(|(time, modelled, measured)| Point {
            x: round(left + along(*modelled)),
            y: round(bottom - along(*measured)),
            label: format!(
                "{}::{} ({}): measured {:.1} us, model {:.1} us",
                time.library,
                time.launch,
                time.operands,
                measured * 1e6,
                modelled * 1e6
            ),
        });
        Some(Self {
            width: MARGIN + SIDE + 30.0,
            height: bottom + MARGIN,
            left,
            right: left + SIDE,
            top,
            bottom,
            ticks: ticks.collect(),
            points: points.collect(),
        })
    }
}

fn label(power: i32) -> String {
    match power {
        -9..=-7 => format!("{} ns", 10_u32.pow((power + 9) as u32)),
        -6..=-4 => format!("{} us", 10_u32.pow((power + 6) as u32)),
        -3..=-1 => format!("{} ms", 10_u32.pow((power + 3) as u32)),
        0..=6 => format!("{} s", 10_u32.pow(power as u32)),
        _ => format!("1e{power} s"),
    }
}
