//! The roofline of a breakdown: each kind of op by its FLOP per byte and its GFLOP/s, as large as its
//! share of the step's time, below the line of what the machine could do.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::breakdown::{Breakdown, KindRates, Limits};
use super::picture::{COLOURS, Picture, draw_legend};

/// Kinds that take a smaller share of the time have no name in the picture.
const NAMED: f64 = 0.01;
/// Radius of a kind that took all of the time, in pixels.
const LARGEST: f64 = 40.0;

impl Picture for Breakdown {
    fn draw<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
    ) -> std::result::Result<(), DrawingAreaErrorKind<B::ErrorType>> {
        let Limits { compute, bandwidth } = self.limits;
        let all: f64 = self.kinds.iter().map(|kind| kind.time.as_secs_f64()).sum();
        // Both axes are logarithms to base 10; ops without products have no place.
        let place = |intensity: f64, gflops: f64| (intensity.log10(), gflops.log10());
        let points: Vec<_> = self
            .kinds
            .iter()
            .filter(|kind| kind.flops > 0 && kind.bytes > 0)
            .map(|kind| {
                let KindRates { gflops, intensity, .. } = KindRates::of(kind);
                (kind.name, place(intensity, gflops), kind.time.as_secs_f64() / all)
            })
            .collect();
        let fold = |of: fn(&(f64, f64)) -> f64, start: f64, choose: fn(f64, f64) -> f64| {
            points.iter().map(|(_, place, _)| of(place)).fold(start, choose)
        };
        let left = fold(|place| place.0, (compute / bandwidth).log10(), f64::min) - 0.3;
        let right = fold(|place| place.0, (compute / bandwidth).log10(), f64::max) + 0.5;
        let low = fold(|place| place.1, compute.log10() - 1.0, f64::min) - 0.3;
        let mut chart = ChartBuilder::on(area)
            .caption("Roofline of the step", ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(64)
            .build_cartesian_2d(left..right, low..compute.log10() + 0.3)?;
        let number = |exponent: &f64| {
            let number = 10f64.powf(*exponent);
            if number < 10.0 { format!("{number:.2}") } else { format!("{number:.0}") }
        };
        chart
            .configure_mesh()
            .x_desc("FLOP per byte")
            .y_desc("GFLOP/s")
            .label_style(("sans-serif", 13))
            .axis_desc_style(("sans-serif", 14))
            .x_label_formatter(&number)
            .y_label_formatter(&number)
            .light_line_style(RGBColor(238, 238, 240))
            .draw()?;
        let roof = |x: f64| (x, (10f64.powf(x) * bandwidth).min(compute).log10());
        let corner = (compute / bandwidth).log10();
        let line = [roof(left), roof(corner), roof(right)];
        chart.draw_series(LineSeries::new(line, BLACK.stroke_width(2)))?;
        for ((name, at, share), colour) in points.into_iter().zip(COLOURS.into_iter().cycle()) {
            let radius = (LARGEST * share.sqrt()).max(2.0) as i32;
            let circle = Circle::new(at, radius, colour.mix(0.6).filled());
            let series = chart.draw_series([circle])?;
            if share >= NAMED {
                series
                    .label(format!("{name}, {:.0} %", 100.0 * share))
                    .legend(move |at| Circle::new(at, 5, colour.mix(0.6).filled()));
            }
        }
        draw_legend(&mut chart, SeriesLabelPosition::LowerRight)
    }
}
