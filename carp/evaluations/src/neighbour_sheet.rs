//! The image of a run: what the network finds similar, before and after training.

use std::path::Path;

use carp::error::{Error, Result};
use datasets::Image;
use files::write_atomically;
use image::{ImageFormat, Rgb, RgbImage, imageops};

/// Images whose longer side is below this are enlarged by a whole factor.
const LEAST: u32 = 64;
/// Images whose longer side is above this are shrunk.
const MOST: u32 = 128;
const GAP: u32 = 4;
const FRAME: u32 = 3;
const RIGHT: Rgb<u8> = Rgb([46, 160, 67]);
const WRONG: Rgb<u8> = Rgb([218, 54, 51]);
const QUERY: Rgb<u8> = Rgb([88, 88, 96]);
const PAPER: Rgb<u8> = Rgb([255, 255, 255]);
/// Background around images that are not square.
const MOUNT: Rgb<u8> = Rgb([230, 230, 232]);

/// One row of the sheet.
pub struct Row {
    /// The query.
    pub query: Image,
    /// Its nearest training images by the untrained network, and whether the class is right.
    pub before: Vec<(Image, bool)>,
    /// The same by the trained network.
    pub after: Vec<(Image, bool)>,
}

/// Draws a PNG: each row a query (grey frame), its neighbours before training, and after it; green
/// frames if the class agrees, red if not.
///
/// # Errors
/// A file that cannot be written.
pub fn draw_neighbours(path: &Path, rows: &[Row]) -> Result<()> {
    let sheet = sheet(rows);
    let mut png = std::io::Cursor::new(Vec::new());
    sheet
        .write_to(&mut png, ImageFormat::Png)
        .map_err(|error| Error::data(path, format!("cannot be drawn: {error}")))?;
    Ok(write_atomically(path, png.get_ref())?)
}

fn sheet(rows: &[Row]) -> RgbImage {
    let all = |row: &Row| 1 + row.before.len() + row.after.len();
    let columns = rows.iter().map(all).max().unwrap_or(1) as u32;
    let pictures = rows.iter().flat_map(|row| {
        let neighbours = row.before.iter().chain(&row.after).map(|(picture, _)| picture);
        std::iter::once(&row.query).chain(neighbours)
    });
    let longer = |picture| {
        let (width, height) = shown_size(picture);
        width.max(height)
    };
    let side = pictures.map(longer).max().unwrap_or(LEAST);
    let cell = side + 2 * FRAME + GAP;
    // A wider gap sets the three groups apart.
    let group = 4 * GAP;
    let (width, height) = (columns * cell + GAP + 2 * group, rows.len() as u32 * cell + GAP);
    let mut sheet = RgbImage::from_pixel(width, height, PAPER);
    for (row, y) in rows.iter().zip((GAP..).step_by(cell as usize)) {
        let mut x = GAP;
        draw(&mut sheet, (x, y), side, &row.query, QUERY);
        for neighbours in [&row.before, &row.after] {
            x += group;
            for (picture, is_right) in neighbours {
                x += cell;
                draw(&mut sheet, (x, y), side, picture, if *is_right { RIGHT } else { WRONG });
            }
        }
    }
    sheet
}

/// Width and height of an image on the sheet.
fn shown_size(picture: &Image) -> (u32, u32) {
    let (width, height) = (picture.width as u32, picture.height as u32);
    let longer = width.max(height).max(1);
    if longer <= MOST {
        let factor = LEAST.div_ceil(longer);
        return (width * factor, height * factor);
    }
    let shrunk = |side: u32| (u64::from(side) * u64::from(MOST) / u64::from(longer)).max(1) as u32;
    (shrunk(width), shrunk(height))
}

/// An image centred in a framed square.
fn draw(sheet: &mut RgbImage, (x, y): (u32, u32), side: u32, picture: &Image, frame: Rgb<u8>) {
    let square = |side, colour| RgbImage::from_pixel(side, side, colour);
    imageops::replace(sheet, &square(side + 2 * FRAME, frame), x.into(), y.into());
    imageops::replace(sheet, &square(side, MOUNT), (x + FRAME).into(), (y + FRAME).into());
    let rgb = |x: u32, y: u32| {
        let at = (y as usize * picture.width + x as usize) * picture.channels;
        let channel = |c: usize| picture.pixels[at + c.min(picture.channels - 1)];
        Rgb([channel(0), channel(1), channel(2)])
    };
    let own = RgbImage::from_fn(picture.width as u32, picture.height as u32, rgb);
    let (width, height) = shown_size(picture);
    let filter = if width < own.width() {
        imageops::FilterType::Triangle
    } else {
        imageops::FilterType::Nearest
    };
    let shown = imageops::resize(&own, width, height, filter);
    let (left, top) = (x + FRAME + (side - width) / 2, y + FRAME + (side - height) / 2);
    imageops::replace(sheet, &shown, left.into(), top.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image of one colour, with a black last pixel.
    fn picture(width: usize, height: usize, colour: &[u8]) -> Image {
        let mut pixels = colour.repeat(width * height);
        let last = pixels.len() - colour.len();
        pixels[last..].fill(0);
        Image { width, height, channels: colour.len(), pixels }
    }

    #[test]
    fn small_pictures_grow_by_whole_factors_and_large_ones_keep_their_shape() {
        let size = |width, height| shown_size(&picture(width, height, &[9]));
        assert_eq!((size(28, 28), size(32, 32), size(64, 64)), ((84, 84), (64, 64), (64, 64)));
        assert_eq!((size(96, 96), size(500, 250), size(1, 3000)), ((96, 96), (128, 64), (1, 128)));
        assert_eq!(size(20, 10), (80, 40));
    }

    #[test]
    fn frames_and_pictures_are_where_they_should_be() {
        let (grey, red) = (picture(32, 32, &[50]), picture(32, 16, &[200, 10, 10]));
        let row = Row {
            query: grey.clone(),
            before: vec![(red.clone(), false), (grey, true)],
            after: vec![(red.clone(), true), (red, false)],
        };
        let sheet = sheet(&[row]);
        let cell = 64 + 2 * FRAME + GAP;
        assert_eq!(sheet.dimensions(), (5 * cell + GAP + 8 * GAP, cell + GAP));
        // Left edges of the five frames: the groups are a wider gap apart.
        let lefts = [0, 1, 2, 3, 4].map(|i| GAP + i * cell + [0, 1, 1, 2, 2][i as usize] * 4 * GAP);
        let frames = lefts.map(|x| *sheet.get_pixel(x, GAP));
        assert_eq!(frames, [QUERY, WRONG, RIGHT, RIGHT, WRONG]);
        for x in lefts {
            assert_eq!(*sheet.get_pixel(x - 1, GAP), PAPER);
            assert_eq!(*sheet.get_pixel(x, cell - 1), *sheet.get_pixel(x, GAP));
        }
        // Grey ones fill the frame and end in their black pixel; wide ones are centred.
        let inside =
            |i: usize, x: u32, y: u32| *sheet.get_pixel(lefts[i] + FRAME + x, GAP + FRAME + y);
        assert_eq!((inside(0, 0, 0), inside(0, 63, 63)), (Rgb([50; 3]), Rgb([0; 3])));
        assert_eq!((inside(1, 0, 15), inside(1, 0, 48)), (MOUNT, MOUNT));
        assert_eq!((inside(1, 0, 16), inside(1, 63, 47)), (Rgb([200, 10, 10]), Rgb([0; 3])));
    }

    #[test]
    fn the_file_is_a_png_or_an_error_of_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("neighbours.png");
        let row = Row { query: picture(8, 8, &[7]), before: vec![], after: vec![] };
        draw_neighbours(&path, &[row]).unwrap();
        let png = image::open(&path).unwrap().into_rgb8();
        assert_eq!(png.get_pixel(GAP + FRAME, GAP + FRAME), &Rgb([7; 3]));
        let nowhere = folder.path().join("none").join("neighbours.png");
        let error = draw_neighbours(&nowhere, &[]).unwrap_err().to_string();
        assert!(error.contains("none") && error.lines().count() == 1, "{error}");
    }
}
