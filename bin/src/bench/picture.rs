//! Plots of measurements, as SVG and PNG: lines for the loss against the number of prototypes, bars
//! for the fusion passes.

use std::path::{Path, PathBuf};
use std::sync::Once;

use carp::error::{Error, Result};
use files::write_atomically;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use plotters::coord::{CoordTranslate, Shift};
use plotters::prelude::*;
use plotters::style::register_font;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::outputs::check_outputs;

/// A line in both charts.
pub struct Series {
    pub name: &'static str,
    /// K, milliseconds, MiB.
    pub points: Vec<(usize, f64, f64)>,
}

/// The first four of the lines, all of the roofline's circles.
pub const COLOURS: [RGBColor; 8] = [
    RGBColor(207, 34, 46),
    RGBColor(191, 135, 0),
    RGBColor(9, 105, 218),
    RGBColor(26, 127, 55),
    RGBColor(130, 80, 223),
    RGBColor(27, 124, 131),
    RGBColor(188, 76, 0),
    RGBColor(110, 119, 129),
];

/// A bar chart.
pub struct Bars {
    pub title: &'static str,
    /// One for each name.
    pub values: Vec<f64>,
}

/// Something that can draw itself on any backend.
pub trait Picture {
    /// Width and height in pixels.
    const SIZE: (u32, u32) = (1000, 420);

    fn draw<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
    ) -> std::result::Result<(), DrawingAreaErrorKind<B::ErrorType>>;
}

/// Plots the loss's lines to FILE.svg and FILE.png.
///
/// # Errors
/// A file that cannot be written.
pub fn draw(path: &Path, series: &[Series]) -> Result<()> {
    save(path, &Lines(series))
}

/// Plots bar charts side by side to FILE.svg and FILE.png.
///
/// # Errors
/// A file that cannot be written.
pub fn draw_bars(path: &Path, names: &[String], charts: &[Bars]) -> Result<()> {
    save(path, &BarCharts { names, charts })
}

/// Saves a picture as FILE.svg and FILE.png.
///
/// # Errors
/// A file that cannot be written.
pub fn save<P: Picture>(path: &Path, picture: &P) -> Result<()> {
    static FONT: Once = Once::new();
    FONT.call_once(|| {
        // Fonts differ between machines, and some have none: the plot brings its own.
        let font = epaint_default_fonts::UBUNTU_LIGHT;
        let _ = register_font("sans-serif", FontStyle::Normal, font);
    });
    let [svg, png] = files(path);
    let failed = |path: &Path, error: String| Error::io(path, std::io::Error::other(error));
    let mut text = String::new();
    whole(&SVGBackend::with_string(&mut text, P::SIZE).into_drawing_area(), picture)
        .map_err(|error| failed(&svg, error))?;
    write_atomically(&svg, text.as_bytes())?;
    let mut pixels = vec![0; (P::SIZE.0 * P::SIZE.1 * 3) as usize];
    whole(&BitMapBackend::with_buffer(&mut pixels, P::SIZE).into_drawing_area(), picture)
        .map_err(|error| failed(&png, error))?;
    let mut encoded = Vec::new();
    PngEncoder::new(&mut encoded)
        .write_image(&pixels, P::SIZE.0, P::SIZE.1, ExtendedColorType::Rgb8)
        .map_err(|error| failed(&png, error.to_string()))?;
    Ok(write_atomically(&png, &encoded)?)
}

/// FILE.svg and FILE.png.
pub fn files(path: &Path) -> [PathBuf; 2] {
    ["svg", "png"].map(|format| path.with_extension(format))
}

/// Fails if a plot cannot be written: to know before the work.
///
/// # Errors
/// Names the file.
pub fn check(path: &Path) -> Result<()> {
    check_outputs(&files(path), [])
}

fn whole<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    picture: &impl Picture,
) -> std::result::Result<(), String> {
    let text = |error: DrawingAreaErrorKind<B::ErrorType>| error.to_string();
    area.fill(&WHITE).map_err(text)?;
    picture.draw(area).map_err(text)?;
    area.present().map_err(text)
}

/// Pixels around a bar chart.
const GAP: u32 = 10;

struct BarCharts<'a> {
    names: &'a [String],
    charts: &'a [Bars],
}

impl Picture for BarCharts<'_> {
    fn draw<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
    ) -> std::result::Result<(), DrawingAreaErrorKind<B::ErrorType>> {
        let text = ("sans-serif", 13).into_text_style(area);
        let beside = |h_pos| text.pos(Pos::new(h_pos, VPos::Center));
        let mut widest = 0;
        for name in self.names {
            widest = widest.max(area.estimate_text_size(name, &text)?.0);
        }
        // The names stand once, to the left of all charts.
        let (_, right) = area.split_horizontally(widest + GAP);
        let parts = right.split_evenly((1, self.charts.len()));
        for (place, (part, Bars { title, values })) in parts.iter().zip(self.charts).enumerate() {
            let most = values.iter().copied().fold(0.0, f64::max);
            let rows = values.len();
            // Room for the number to the right of the longest bar.
            let mut chart = ChartBuilder::on(part)
                .caption(title, ("sans-serif", 17))
                .margin(GAP)
                .build_cartesian_2d(0.0..1.25 * most, 0.0..rows as f64)?;
            for (row, (name, value)) in self.names.iter().zip(values).enumerate() {
                // Top to bottom.
                let y = (rows - 1 - row) as f64;
                let colour = if row == 0 { COLOURS[0] } else { COLOURS[2] };
                let bar = Rectangle::new([(0.0, y + 0.2), (*value, y + 0.8)], colour.filled());
                chart.draw_series([bar])?;
                let number = Text::new(format!("{value:.1}"), (5, 0), beside(HPos::Left));
                chart.draw_series([EmptyElement::at((*value, y + 0.5)) + number])?;
                if place == 0 {
                    let (x, y) = chart.plotting_area().map_coordinate(&(0.0, y + 0.5));
                    area.draw(&Text::new(name.as_str(), (x - 5, y), beside(HPos::Right)))?;
                }
            }
        }
        Ok(())
    }
}

/// The loss: time on the left, memory on the right, both axes logarithmic.
struct Lines<'a>(&'a [Series]);

impl Picture for Lines<'_> {
    fn draw<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
    ) -> std::result::Result<(), DrawingAreaErrorKind<B::ErrorType>> {
        let (left, right) = area.split_horizontally(Self::SIZE.0 / 2);
        chart(&left, "Time of loss and gradients", "ms", self.0, |p| p.1)?;
        chart(&right, "Memory besides inputs and gradients", "MiB", self.0, |p| p.2)
    }
}

fn chart<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    title: &str,
    unit: &str,
    series: &[Series],
    y: impl Fn(&(usize, f64, f64)) -> f64,
) -> std::result::Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let points = || series.iter().flat_map(|series| &series.points);
    // Both axes are logarithms: K by powers of two, the rest by powers of ten.
    let place = |p: &(usize, f64, f64)| ((p.0 as f64).log2(), y(p).max(1e-3).log10());
    let bounds = |values: &mut dyn Iterator<Item = f64>| {
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)))
    };
    let (x_low, x_high) = bounds(&mut points().map(|p| place(p).0));
    let (y_low, y_high) = bounds(&mut points().map(|p| place(p).1));
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(64)
        .build_cartesian_2d(x_low - 0.3..x_high + 0.3, y_low.floor()..(y_high + 0.8).ceil())?;
    chart
        .configure_mesh()
        .x_desc("prototypes K")
        .y_desc(unit)
        .label_style(("sans-serif", 13))
        .axis_desc_style(("sans-serif", 14))
        .x_labels(8)
        .y_labels(6)
        .x_label_formatter(&|k| format!("{:.0}", k.exp2()))
        .y_label_formatter(&|y| format!("{:.0}", 10f64.powf(*y)))
        .light_line_style(RGBColor(238, 238, 240))
        .draw()?;
    // Ever thinner, so that overlapping lines both stay visible.
    for (i, (series, colour)) in series.iter().zip(COLOURS.into_iter().cycle()).enumerate() {
        let width = 5u32.saturating_sub(i as u32).max(1);
        let line = || series.points.iter().map(place);
        chart
            .draw_series(LineSeries::new(line(), colour.stroke_width(width)))?
            .label(series.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        chart.draw_series(line().map(|point| Circle::new(point, 3, colour.filled())))?;
    }
    draw_legend(&mut chart, SeriesLabelPosition::UpperLeft)
}

/// The names of a chart's series, in a corner of it.
pub fn draw_legend<'a, D: DrawingBackend + 'a, C: CoordTranslate>(
    chart: &mut ChartContext<'a, D, C>,
    corner: SeriesLabelPosition,
) -> std::result::Result<(), DrawingAreaErrorKind<D::ErrorType>> {
    chart
        .configure_series_labels()
        .position(corner)
        .background_style(WHITE.mix(0.85))
        .border_style(RGBColor(208, 215, 222))
        .label_font(("sans-serif", 13))
        .draw()
}
