//! The picture of a run: what the network holds for similar, before and after training.

use std::path::Path;

use image::{ImageFormat, Rgb, RgbImage, imageops};

use crate::checkpoint::write_atomically;
use crate::data::Image;
use crate::error::{Error, Result};

/// Least side of a picture on the sheet.
const SIDE: u32 = 64;
const GAP: u32 = 4;
const FRAME: u32 = 3;
const RIGHT: Rgb<u8> = Rgb([46, 160, 67]);
const WRONG: Rgb<u8> = Rgb([218, 54, 51]);
const QUERY: Rgb<u8> = Rgb([88, 88, 96]);
const PAPER: Rgb<u8> = Rgb([255, 255, 255]);

/// One row of the sheet.
pub struct Row {
    /// The picture asked about.
    pub query: Image,
    /// Its nearest training pictures by the untrained network, and whether the class is right.
    pub before: Vec<(Image, bool)>,
    /// The same by the trained network.
    pub after: Vec<(Image, bool)>,
}

/// Draws a PNG: each row a query (grey frame), its neighbours before training, and after it; green
/// frames where the class agrees, red ones where it does not.
///
/// # Errors
/// A file that cannot be written.
pub fn neighbours(path: &Path, rows: &[Row]) -> Result<()> {
    let cell = SIDE + 2 * FRAME + GAP;
    let wide = rows.first().map_or(0, |row| row.before.len() + row.after.len()) as u32 + 1;
    // A wider gap sets the three groups apart.
    let (group, width) = (4 * GAP, wide * cell + GAP + 2 * 4 * GAP);
    let mut sheet = RgbImage::from_pixel(width, rows.len() as u32 * cell + GAP, PAPER);
    for (row, y) in rows.iter().zip((GAP..).step_by(cell as usize)) {
        let mut x = GAP;
        draw(&mut sheet, (x, y), &row.query, QUERY);
        for neighbours in [&row.before, &row.after] {
            x += group;
            for (picture, is_right) in neighbours {
                x += cell;
                draw(&mut sheet, (x, y), picture, if *is_right { RIGHT } else { WRONG });
            }
        }
    }
    let mut png = std::io::Cursor::new(Vec::new());
    sheet
        .write_to(&mut png, ImageFormat::Png)
        .map_err(|error| Error::data(path, format!("cannot be drawn: {error}")))?;
    write_atomically(path, png.get_ref())
}

fn draw(sheet: &mut RgbImage, (x, y): (u32, u32), picture: &Image, frame: Rgb<u8>) {
    let outer = SIDE + 2 * FRAME;
    imageops::replace(sheet, &RgbImage::from_pixel(outer, outer, frame), x.into(), y.into());
    let rgb = |x: u32, y: u32| {
        let at = (y as usize * picture.width + x as usize) * picture.channels;
        let channel = |c: usize| picture.pixels[at + c.min(picture.channels - 1)];
        Rgb([channel(0), channel(1), channel(2)])
    };
    let small = RgbImage::from_fn(picture.width as u32, picture.height as u32, rgb);
    let is_small = picture.width.max(picture.height) < SIDE as usize;
    let filter =
        if is_small { imageops::FilterType::Nearest } else { imageops::FilterType::Triangle };
    let scaled = imageops::resize(&small, SIDE, SIDE, filter);
    imageops::replace(sheet, &scaled, (x + FRAME).into(), (y + FRAME).into());
}
