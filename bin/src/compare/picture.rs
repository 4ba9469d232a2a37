//! A comparison as a picture: accuracy against time, or bars.

use std::path::Path;

use carp::error::Result;
use comparison::report::{Report, Row};
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::bench::picture::{self, Bars, COLOURS, Picture, draw_legend, save};

/// k-NN accuracy against seconds of training, a line for each setting, to FILE.svg and FILE.png.
///
/// # Errors
/// A file that cannot be written.
pub fn draw_curves(path: &Path, report: &Report) -> Result<()> {
    save(path, &Curves(&report.rows))
}

/// Bars of accuracy and of what tells of collapse, to FILE.svg and FILE.png.
///
/// # Errors
/// A file that cannot be written.
pub fn draw_bars(path: &Path, report: &Report) -> Result<()> {
    let names: Vec<String> = report.rows.iter().map(|row| row.setting.name.clone()).collect();
    let bars = |title, key| {
        let values = report.rows.iter().map(|row| row.mean(key).unwrap_or(0.0)).collect();
        Bars { title, values }
    };
    let charts = [
        bars("k-NN accuracy, %", "knn"),
        bars("Prototypes in use, %", "prototypes_in_use"),
        bars("Effective rank", "effective_rank"),
    ];
    picture::draw_bars(path, &names, &charts)
}

struct Curves<'a>(&'a [Row]);

impl Picture for Curves<'_> {
    fn draw<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
    ) -> std::result::Result<(), DrawingAreaErrorKind<B::ErrorType>> {
        let curves: Vec<Vec<(f64, f64)>> = self
            .0
            .iter()
            .map(|row| row.curve().iter().map(|p| (p.seconds, 100.0 * p.knn)).collect())
            .collect();
        let points = || curves.iter().flatten();
        let longest = points().map(|point| point.0).fold(1e-3, f64::max);
        let (low, high) =
            points().fold((100.0, 0.0), |(low, high), p| (p.1.min(low), p.1.max(high)));
        let room = 0.05 * f64::max(high - low, 1.0);
        let mut chart = ChartBuilder::on(area)
            .caption("k-NN accuracy against seconds of training", ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(64)
            // Room for the names on the right.
            .build_cartesian_2d(0.0..1.3 * longest, low - room..high + room)?;
        chart
            .configure_mesh()
            .x_desc("s")
            .y_desc("%")
            .label_style(("sans-serif", 13))
            .axis_desc_style(("sans-serif", 14))
            .light_line_style(RGBColor(238, 238, 240))
            .draw()?;
        for (i, (row, curve)) in self.0.iter().zip(&curves).enumerate() {
            let colour = COLOURS[i % COLOURS.len()];
            // Colours that come again have a thin line and rings, which white within makes visible.
            let again = i >= COLOURS.len();
            let line = colour.stroke_width(if again { 1 } else { 2 });
            let points = if again { [colour, WHITE] } else { [colour; 2] };
            chart
                .draw_series(LineSeries::new(curve.iter().copied(), line))?
                .label(&row.setting.name)
                .legend(move |(x, y)| {
                    EmptyElement::at((x, y))
                        + PathElement::new([(0, 0), (18, 0)], line)
                        + Circle::new((9, 0), 4, points[0].filled())
                        + Circle::new((9, 0), 2, points[1].filled())
                });
            for (radius, colour) in [4, 2].into_iter().zip(points) {
                let circle = |&point| Circle::new(point, radius, colour.filled());
                chart.draw_series(curve.iter().map(circle))?;
            }
        }
        draw_legend(&mut chart, SeriesLabelPosition::LowerRight)
    }
}
