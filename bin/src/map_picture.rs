//! A map of features as a picture, coloured by class.

use std::collections::BTreeSet;

use plotters::coord::Shift;
use plotters::prelude::*;
use report::feature_map::FeatureMap;

use crate::bench::picture::{Picture, draw_legend};

/// Classes that have a colour of their own, and room in the legend.
const NAMED: usize = Palette99::COLORS.len();

/// The map, drawn.
pub struct MapPicture<'a>(pub &'a FeatureMap);

impl Picture for MapPicture<'_> {
    const SIZE: (u32, u32) = (1000, 720);

    fn draw<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
    ) -> std::result::Result<(), DrawingAreaErrorKind<B::ErrorType>> {
        let FeatureMap { x, y, shares, labels, .. } = self.0;
        let bounds = |values: &[f32]| {
            let low = values.iter().copied().fold(f32::INFINITY, f32::min);
            let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            // Points that all agree have room, too.
            (low, high, 0.04 * (high - low).max(1e-6))
        };
        let ((left, right, beside), (low, high, above)) = (bounds(x), bounds(y));
        let classes: BTreeSet<u32> = labels.iter().copied().collect();
        let has_legend = (1..=NAMED).contains(&classes.len());
        let for_legend = if has_legend { 0.25 * (right - left) } else { 0.0 };
        let across = left - beside..right + beside + for_legend;
        let axis = |number: usize| {
            format!("component {}: {:.1} % of the variance", number + 1, 100.0 * shares[number])
        };
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(64)
            .build_cartesian_2d(across, low - above..high + above)?;
        chart
            .configure_mesh()
            .x_desc(axis(0))
            .y_desc(axis(1))
            .x_label_formatter(&label)
            .y_label_formatter(&label)
            .label_style(("sans-serif", 13))
            .axis_desc_style(("sans-serif", 14))
            .light_line_style(RGBColor(238, 238, 240))
            .draw()?;
        let point = |row: usize, class: usize| {
            Circle::new((x[row], y[row]), 3, Palette99::pick(class).mix(0.8).filled())
        };
        if classes.is_empty() {
            chart.draw_series((0..x.len()).map(|row| point(row, 0)))?;
            return Ok(());
        }
        for (place, &class) in classes.iter().enumerate() {
            let of_class = (0..x.len()).filter(|&row| labels[row] == class);
            let drawn = chart.draw_series(of_class.map(|row| point(row, place)))?;
            if has_legend {
                drawn.label(self.0.class_name(class)).legend(move |(x, y)| {
                    Rectangle::new(
                        [(x + 4, y - 5), (x + 14, y + 5)],
                        Palette99::pick(place).filled(),
                    )
                });
            }
        }
        if has_legend {
            draw_legend(&mut chart, SeriesLabelPosition::UpperRight)?;
        }
        Ok(())
    }
}

/// A number at an axis; plotters writes zero as -0.0.
fn label(x: &f32) -> String {
    let rounded = (1e5 * f64::from(*x)).round() / 1e5;
    (rounded + 0.0).to_string()
}

#[cfg(test)]
mod tests {
    use super::label;

    #[test]
    fn labels_are_short_and_zero_has_no_sign() {
        assert_eq!([-0.0, 0.1, -2.0, 1.5e-3].map(|x| label(&x)), ["0", "0.1", "-2", "0.0015"]);
    }
}
