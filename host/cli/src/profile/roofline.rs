//! The roofline of an engine, and where ops are under it, as an SVG.

use anyhow::anyhow;
use gpsimd_emulator::cost::CostModel;
use plotters::prelude::*;

use super::measured::Measured;

const SIZE: (u32, u32) = (900, 620);
const COLOURS: [RGBColor; 10] = [
    RGBColor(31, 119, 180),
    RGBColor(214, 39, 40),
    RGBColor(44, 160, 44),
    RGBColor(148, 103, 189),
    RGBColor(255, 127, 14),
    RGBColor(140, 86, 75),
    RGBColor(227, 119, 194),
    RGBColor(127, 127, 127),
    RGBColor(188, 189, 34),
    RGBColor(23, 190, 207),
];

/// Draws it.
pub(super) fn draw(model: &CostModel, ops: &[Measured]) -> anyhow::Result<String> {
    let mut svg = String::new();
    drawn(&mut svg, model, ops).map_err(|error| anyhow!("cannot draw the roofline: {error}"))?;
    Ok(svg)
}

fn drawn(svg: &mut String, model: &CostModel, ops: &[Measured]) -> Result<(), Box<dyn std::error::Error>> {
    let (peak, bandwidth) = (model.peak_operations() / 1e9, model.peak_bandwidth() / 1e9);
    let (left, right) = (0.03, 30.0);
    // Of the others it is not known where they are.
    let ops: Vec<_> = ops.iter().filter(|op| op.counts_operations()).collect();
    let lowest = ops.iter().map(|op| op.roof.attained / 1e9).fold(bandwidth * left, f64::min);
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption("Roofline of a GPSIMD engine, by the cost model (nothing has run on a Trainium)", ("sans-serif", 18))
        .margin(16)
        .x_label_area_size(48)
        .y_label_area_size(72)
        .build_cartesian_2d((left..right).log_scale(), (lowest / 3.0..peak * 3.0).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("operations on floats per byte moved")
        .y_desc("operations on floats per second, 10^9")
        .axis_desc_style(("sans-serif", 15))
        .label_style(("sans-serif", 13))
        .x_label_formatter(&|x| format!("{x}"))
        .y_label_formatter(&|y| format!("{y}"))
        .draw()?;
    let ridge = peak / bandwidth;
    let roof = [(left, left * bandwidth), (ridge, peak), (right, peak)];
    chart
        .draw_series(LineSeries::new(roof, BLACK.stroke_width(2)))?
        .label(format!("8 cores: {bandwidth:.0} GB/s of DMA, {peak:.0} x 10^9 operations/s in vectors"))
        .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], BLACK.stroke_width(2)));
    for (op, colour) in ops.iter().zip(COLOURS.iter().cycle()) {
        let at = (op.roof.intensity.clamp(left, right), op.roof.attained / 1e9);
        let part = 100.0 * op.roof.attained / op.roof.attainable;
        chart
            .draw_series([Circle::new(at, 6, colour.filled())])?
            .label(format!("{}: {part:.0}% of the roof", op.op))
            .legend(|(x, y)| Circle::new((x + 9, y), 5, colour.filled()));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .label_font(("sans-serif", 14))
        .background_style(WHITE.mix(0.9))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    area.present()?;
    Ok(())
}
