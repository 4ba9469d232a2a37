//! Small copies of many pictures in one.

use carp::error::Result;
use datasets::{Dataset, Filter};
use image::{Rgb, RgbImage};

/// Side of a copy, in pixels.
pub const SIDE: usize = 32;

/// Copies of these images, `per_row` in a row, each in the middle of its square.
///
/// # Errors
/// An image that cannot be read.
pub fn thumbnails(data: &dyn Dataset, rows: &[usize], per_row: usize) -> Result<RgbImage> {
    let height = SIDE * rows.len().div_ceil(per_row);
    let mut sheet = RgbImage::new((SIDE * per_row) as u32, height as u32);
    for (place, &row) in rows.iter().enumerate() {
        let picture = data.image(row)?;
        let small = picture.fitting(Filter::Bilinear, SIDE).with_channels(3).into_owned();
        let left = place % per_row * SIDE + (SIDE - small.width) / 2;
        let top = place / per_row * SIDE + (SIDE - small.height) / 2;
        for (at, pixel) in small.pixels.chunks_exact(3).enumerate() {
            let (x, y) = (left + at % small.width, top + at / small.width);
            sheet.put_pixel(x as u32, y as u32, Rgb([pixel[0], pixel[1], pixel[2]]));
        }
    }
    Ok(sheet)
}
