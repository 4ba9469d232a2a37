//! A table of counts as a picture: each cell is the darker, the larger its share of its row.

use std::sync::Once;

use image::{ImageFormat, Rgb, RgbImage};
use plotters::prelude::*;
use plotters::style::register_font;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::confusion::on_one_line;

/// Longest side of the table, in pixels.
const SIDE: usize = 1000;
/// Longest side of a cell, in pixels.
const CELL: usize = 48;
/// Cells from this side on show their counts.
const NUMBERED: u32 = 24;
/// Size of the text, and the distance that lines of it need.
const TEXT: u32 = 13;
const LINE: usize = 15;
/// Longest name, in characters.
const NAME: usize = 28;
const PAD: u32 = 10;
const TICK: u32 = 4;
/// Width of the legend's bar, and of its numbers.
const BAR: u32 = 14;
const BAR_TEXT: u32 = 40;
const PAPER: Rgb<u8> = Rgb([255, 255, 255]);
const FULL: Rgb<u8> = Rgb([8, 48, 107]);
const LINES: Rgb<u8> = Rgb([150, 150, 156]);
/// Rows without counts.
const EMPTY: Rgb<u8> = Rgb([225, 225, 228]);

/// A table of counts with named rows and columns.
pub struct Heatmap<'a> {
    /// One name per row.
    pub rows: &'a [String],
    /// One name per column.
    pub columns: &'a [String],
    /// What rows and columns are.
    pub axes: (&'a str, &'a str),
    /// (row, column, count) where the count is not 0.
    pub cells: &'a [(usize, usize, u64)],
}

/// Where things are, in pixels.
struct Layout {
    /// Rows, and columns, that share a cell, since there are more of them than pixels.
    block: usize,
    /// Rows and columns of cells.
    cells: (usize, usize),
    /// Side of a cell.
    cell: u32,
    /// The table's corner.
    corner: (u32, u32),
    /// Width and height of the table.
    table: (u32, u32),
    /// Height of the legend's bar.
    bar: u32,
    /// Width and height of the picture.
    size: (u32, u32),
}

impl Heatmap<'_> {
    /// The picture as a PNG file.
    ///
    /// # Errors
    /// What the drawing or the encoder reports.
    pub fn png(&self) -> Result<Vec<u8>, String> {
        let layout = self.layout();
        let mut picture = self.painted(&layout);
        self.write_text(&layout, &mut picture)?;
        let mut png = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut png, ImageFormat::Png).map_err(|error| error.to_string())?;
        Ok(png.into_inner())
    }

    fn layout(&self) -> Layout {
        let (rows, columns) = (self.rows.len(), self.columns.len());
        let block = rows.max(columns).div_ceil(SIDE).max(1);
        let cells = (rows.div_ceil(block), columns.div_ceil(block));
        let cell = (SIDE / cells.0.max(cells.1).max(1)).clamp(1, CELL) as u32;
        let widest = |names: &[String]| {
            let width = |name: &String| width(&shortened(name));
            names.iter().step_by(step(block, cell)).map(width).max().unwrap_or(0)
        };
        // A line for the title of each axis.
        let edge = |names| PAD + LINE as u32 + widest(names) + 2 * TICK;
        let corner = (edge(self.rows), edge(self.columns));
        let table = (cells.1 as u32 * cell, cells.0 as u32 * cell);
        let bar = table.1.clamp(3 * LINE as u32, 200);
        let size = (
            corner.0 + table.0 + 2 * PAD + BAR + BAR_TEXT + PAD,
            corner.1 + table.1.max(bar) + PAD,
        );
        Layout { block, cells, cell, corner, table, bar, size }
    }

    /// Everything but text.
    fn painted(&self, layout: &Layout) -> RgbImage {
        let Layout { block, cells: (rows, columns), cell, corner: (left, top), table, bar, size } =
            *layout;
        let mut picture = RgbImage::from_pixel(size.0, size.1, PAPER);
        let mut fill = |(x, y): (u32, u32), (width, height): (u32, u32), colour: Rgb<u8>| {
            for y in y..y + height {
                (x..x + width).for_each(|x| picture.put_pixel(x, y, colour));
            }
        };
        fill((left - 1, top - 1), (table.0 + 2, table.1 + 2), LINES);
        let (mut counts, mut sums) = (vec![0; rows * columns], vec![0; rows]);
        for &(row, column, count) in self.cells {
            counts[row / block * columns + column / block] += count;
            sums[row / block] += count;
        }
        for (at, &count) in counts.iter().enumerate() {
            let (row, column) = (at / columns, at % columns);
            let place = (left + column as u32 * cell, top + row as u32 * cell);
            let share = (sums[row] > 0).then(|| count as f64 / sums[row] as f64);
            fill(place, (cell, cell), share.map_or(EMPTY, shade));
        }
        let step = step(block, cell) / block;
        let middle = |at: usize| at as u32 * cell + cell / 2;
        for row in (0..rows).step_by(step) {
            fill((left - 1 - TICK, top + middle(row)), (TICK, 1), LINES);
        }
        for column in (0..columns).step_by(step) {
            fill((left + middle(column), top - 1 - TICK), (1, TICK), LINES);
        }
        let bar_left = left + table.0 + 2 * PAD;
        for y in 0..bar {
            let share = 1.0 - f64::from(y) / f64::from(bar - 1);
            fill((bar_left, top + y), (BAR, 1), shade(share));
        }
        picture
    }

    fn write_text(&self, layout: &Layout, picture: &mut RgbImage) -> Result<(), String> {
        let Layout { block, cell, corner: (left, top), table, bar, size, .. } = *layout;
        let area = BitMapBackend::with_buffer(picture, size).into_drawing_area();
        let write = |text: &str, (x, y): (u32, u32), pos, colour: RGBColor, turned: bool| {
            let turn = if turned { FontTransform::Rotate270 } else { FontTransform::None };
            let style = TextStyle::from(("sans-serif", TEXT).into_font().transform(turn));
            let style = style.color(&colour).pos(pos);
            area.draw_text(text, &style, (x as i32, y as i32)).map_err(|error| error.to_string())
        };
        let [before, centred, after] =
            [HPos::Right, HPos::Center, HPos::Left].map(|h_pos| Pos::new(h_pos, VPos::Center));
        let middle = |class: usize| (class / block) as u32 * cell + cell / 2;
        for (row, name) in self.rows.iter().enumerate().step_by(step(block, cell)) {
            let place = (left - 2 * TICK, top + middle(row));
            write(&shortened(name), place, before, BLACK, false)?;
        }
        for (column, name) in self.columns.iter().enumerate().step_by(step(block, cell)) {
            let place = (left + middle(column), top - 2 * TICK);
            write(&shortened(name), place, after, BLACK, true)?;
        }
        let line = PAD + LINE as u32 / 2;
        write(self.axes.0, (line, top + table.1), after, BLACK, true)?;
        write(self.axes.1, (left, line), after, BLACK, false)?;
        let numbers = left + table.0 + 2 * PAD + BAR + TICK;
        for (y, text) in [(0, "100 %"), (bar / 2, "50 %"), (bar, "0 %")] {
            write(text, (numbers, top + y), after, BLACK, false)?;
        }
        let mut sums = vec![0; self.rows.len()];
        self.cells.iter().for_each(|&(row, _, count)| sums[row] += count);
        for &(row, column, count) in self.cells {
            let text = count.to_string();
            if cell < NUMBERED || width(&text) + 2 > cell {
                continue;
            }
            let place = (left + middle(column), top + middle(row));
            let is_dark = 2 * count > sums[row];
            write(&text, place, centred, if is_dark { WHITE } else { BLACK }, false)?;
        }
        area.present().map_err(|error| error.to_string())
    }
}

/// Every how many rows, or columns, one has a name.
fn step(block: usize, cell: u32) -> usize {
    LINE.div_ceil(cell as usize) * block
}

fn shade(share: f64) -> Rgb<u8> {
    let mix = |(paper, full): (u8, u8)| {
        (f64::from(paper) + share * (f64::from(full) - f64::from(paper))).round() as u8
    };
    Rgb([0, 1, 2].map(|channel| mix((PAPER.0[channel], FULL.0[channel]))))
}

/// A name of one line, cut if it is long.
fn shortened(name: &str) -> String {
    let line = on_one_line(name);
    match line.char_indices().nth(NAME) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

/// The width of a text in pixels.
fn width(text: &str) -> u32 {
    static FONT: Once = Once::new();
    FONT.call_once(|| {
        // Fonts differ between machines, and some have none: the picture brings its own.
        let font = epaint_default_fonts::UBUNTU_LIGHT;
        let _ = register_font("sans-serif", FontStyle::Normal, font);
    });
    ("sans-serif", TEXT).into_font().box_size(text).map_or(0, |(width, _)| width)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|class| format!("class {class}")).collect()
    }

    #[test]
    fn cells_are_shaded_by_their_share_of_the_row() {
        let (rows, columns) = (names(3), names(4));
        let cells = [(0, 0, 3), (0, 3, 1), (2, 1, 5)];
        let map = Heatmap { rows: &rows, columns: &columns, axes: ("true", "seen"), cells: &cells };
        let layout = map.layout();
        assert_eq!((layout.cell, layout.table), (48, (4 * 48, 3 * 48)));
        let picture = map.painted(&layout);
        let (left, top) = layout.corner;
        let at = |row: u32, column: u32| {
            let place =
                |x: u32, y: u32| *picture.get_pixel(left + column * 48 + x, top + row * 48 + y);
            assert_eq!(place(0, 0), place(47, 47));
            place(0, 0)
        };
        // 255 - 3/4 (255 - 8) = 69.75 and so on.
        assert_eq!((at(0, 0), at(0, 3)), (Rgb([70, 100, 144]), Rgb([193, 203, 218])));
        assert_eq!((at(0, 1), at(2, 1), at(1, 2)), (PAPER, FULL, EMPTY));
        // A frame, a tick for each class, and the legend from all to nothing.
        assert_eq!(picture.get_pixel(left - 1, top), &LINES);
        assert_eq!(picture.get_pixel(left - 1 - TICK, top + 24), &LINES);
        assert_eq!(picture.get_pixel(left + 48 + 24, top - 1 - TICK), &LINES);
        let bar = left + layout.table.0 + 2 * PAD;
        assert_eq!(picture.get_pixel(bar, top), &FULL);
        assert_eq!(picture.get_pixel(bar, top + layout.bar - 1), &PAPER);
    }

    #[test]
    fn text_stays_outside_of_light_cells_and_says_the_counts() {
        let (rows, columns) = (names(2), names(2));
        let cells = [(0, 0, 7), (1, 0, 1), (1, 1, 1)];
        let map = Heatmap { rows: &rows, columns: &columns, axes: ("true", "seen"), cells: &cells };
        let layout = map.layout();
        let plain = map.painted(&layout);
        let png = image::load_from_memory(&map.png().unwrap()).unwrap().into_rgb8();
        assert_eq!(png.dimensions(), plain.dimensions());
        let (left, top) = layout.corner;
        let written = |x: std::ops::Range<u32>, y: std::ops::Range<u32>| {
            y.flat_map(|y| x.clone().map(move |x| (x, y)))
                .filter(|&(x, y)| png.get_pixel(x, y) != plain.get_pixel(x, y))
                .count()
        };
        // Names on both sides and three counts; the empty cell stays clean.
        assert!(written(0..left, top..top + 48) > 20 && written(left..left + 48, 0..top) > 20);
        assert!(written(left..left + 48, top..top + 48) > 5);
        assert_eq!(written(left + 48..left + 96, top..top + 48), 0);
    }

    #[test]
    fn many_classes_share_cells() {
        let classes = names(2500);
        // Classes 0 to 2 share a cell: 4 of their 5 images are predicted to be among them.
        let cells = [(0, 2, 3), (1, 1, 1), (2, 2400, 1), (2499, 2499, 1)];
        let axes = ("true", "seen");
        let map = Heatmap { rows: &classes, columns: &classes, axes, cells: &cells };
        let layout = map.layout();
        assert_eq!((layout.block, layout.cells, layout.cell), (3, (834, 834), 1));
        let picture = map.painted(&layout);
        let at = |x, y| *picture.get_pixel(layout.corner.0 + x, layout.corner.1 + y);
        assert_eq!((at(0, 0), at(800, 0), at(833, 833)), (shade(0.8), shade(0.2), FULL));
        assert_eq!((at(1, 0), at(0, 1)), (PAPER, EMPTY));
        assert!(map.png().is_ok());
        // Without classes there is still a picture.
        assert!(Heatmap { rows: &[], columns: &[], axes, cells: &[] }.png().is_ok());
    }

    #[test]
    fn long_names_are_cut() {
        assert_eq!(shortened("a\nb"), "a b");
        assert_eq!(shortened(&"é".repeat(29)), format!("{}...", "é".repeat(28)));
    }
}
