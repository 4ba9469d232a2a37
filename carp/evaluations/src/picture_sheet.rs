//! Sheets of framed pictures: neighbours before and after training, rankings of queries, clusters.

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
const PAPER: Rgb<u8> = Rgb([255, 255, 255]);
/// Background around images that are not square.
const MOUNT: Rgb<u8> = Rgb([230, 230, 232]);

/// What the frame of a picture says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// It is the one that others are compared with: dark grey.
    Query,
    /// Right: green.
    Right,
    /// Wrong: red.
    Wrong,
    /// Neither: light grey.
    Neutral,
}

impl Frame {
    /// Right or wrong.
    pub fn right(is_right: bool) -> Frame {
        if is_right { Frame::Right } else { Frame::Wrong }
    }

    fn colour(self) -> Rgb<u8> {
        match self {
            Frame::Query => Rgb([88, 88, 96]),
            Frame::Right => Rgb([46, 160, 67]),
            Frame::Wrong => Rgb([218, 54, 51]),
            Frame::Neutral => Rgb([176, 176, 184]),
        }
    }
}

/// A picture in its frame, in the size that it has on the sheet.
#[derive(Clone)]
pub struct Picture {
    shown: RgbImage,
    frame: Frame,
}

impl Picture {
    /// The image, enlarged by a whole factor if it is small, shrunk to 128 pixels if it is large.
    pub fn new(image: &Image, frame: Frame) -> Picture {
        let rgb = |x: u32, y: u32| {
            let at = (y as usize * image.width + x as usize) * image.channels;
            let channel = |c: usize| image.pixels[at + c.min(image.channels - 1)];
            Rgb([channel(0), channel(1), channel(2)])
        };
        let own = RgbImage::from_fn(image.width as u32, image.height as u32, rgb);
        let (width, height) = shown_size(image);
        let filter = if width < own.width() {
            imageops::FilterType::Triangle
        } else {
            imageops::FilterType::Nearest
        };
        Picture { shown: imageops::resize(&own, width, height, filter), frame }
    }
}

/// One row of a sheet: groups of pictures, set apart from each other.
#[derive(Clone, Default)]
pub struct Row {
    /// From left to right.
    pub groups: Vec<Vec<Picture>>,
}

/// `most` numbers below `len`, evenly spaced, with the first and the last; all if there are fewer.
pub fn evenly_spaced(len: usize, most: usize) -> Vec<usize> {
    let steps = most.min(len).saturating_sub(1);
    (0..most.min(len)).map(|step| (step * (len - 1)).checked_div(steps).unwrap_or(0)).collect()
}

/// Fails if the file's ending is not `.png`: to know before the work.
///
/// # Errors
/// As above.
pub fn check_ending(path: &Path) -> Result<()> {
    match path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png")) {
        true => Ok(()),
        false => {
            let detail = format!("{}: pictures are written as .png", path.display());
            Err(Error::usage(detail))
        }
    }
}

/// Draws the sheet as a PNG file.
///
/// # Errors
/// A file that cannot be written.
pub fn draw(path: &Path, rows: &[Row]) -> Result<()> {
    Ok(write_atomically(path, &png(rows)?)?)
}

/// The sheet as a PNG in memory.
///
/// # Errors
/// A sheet too large for the format.
pub fn png(rows: &[Row]) -> Result<Vec<u8>> {
    let mut png = std::io::Cursor::new(Vec::new());
    sheet(rows)
        .write_to(&mut png, ImageFormat::Png)
        .map_err(|error| Error::usage(format!("a sheet of pictures cannot be drawn: {error}")))?;
    Ok(png.into_inner())
}

fn sheet(rows: &[Row]) -> RgbImage {
    let pictures = || rows.iter().flat_map(|row| row.groups.iter().flatten());
    let longer = |picture: &Picture| picture.shown.width().max(picture.shown.height());
    let side = pictures().map(longer).max().unwrap_or(LEAST);
    let cell = side + 2 * FRAME + GAP;
    let group_gap = 4 * GAP;
    let width = |row: &Row| {
        let pictures = row.groups.iter().map(Vec::len).sum::<usize>() as u32;
        pictures * cell + row.groups.len().saturating_sub(1) as u32 * group_gap
    };
    let width = rows.iter().map(width).max().unwrap_or(cell) + GAP;
    let mut sheet = RgbImage::from_pixel(width, rows.len() as u32 * cell + GAP, PAPER);
    for (row, y) in rows.iter().zip((GAP..).step_by(cell as usize)) {
        let mut x = GAP;
        for group in &row.groups {
            for picture in group {
                place(&mut sheet, (x, y), side, picture);
                x += cell;
            }
            x += group_gap;
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

/// Puts a picture in the middle of a framed square.
fn place(sheet: &mut RgbImage, (x, y): (u32, u32), side: u32, picture: &Picture) {
    let square = |side, colour| RgbImage::from_pixel(side, side, colour);
    let frame = square(side + 2 * FRAME, picture.frame.colour());
    imageops::replace(sheet, &frame, x.into(), y.into());
    imageops::replace(sheet, &square(side, MOUNT), (x + FRAME).into(), (y + FRAME).into());
    let (width, height) = picture.shown.dimensions();
    let (left, top) = (x + FRAME + (side - width) / 2, y + FRAME + (side - height) / 2);
    imageops::replace(sheet, &picture.shown, left.into(), top.into());
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
        let framed = |image: &Image, frame| Picture::new(image, frame);
        let row = Row {
            groups: vec![
                vec![framed(&grey, Frame::Query)],
                vec![framed(&red, Frame::Wrong), framed(&grey, Frame::Right)],
                vec![framed(&red, Frame::Right), framed(&red, Frame::Neutral)],
            ],
        };
        let sheet = sheet(&[row]);
        let cell = 64 + 2 * FRAME + GAP;
        assert_eq!(sheet.dimensions(), (5 * cell + GAP + 8 * GAP, cell + GAP));
        // Left edges of the five frames: the groups are a wider gap apart.
        let lefts = [0, 1, 2, 3, 4].map(|i| GAP + i * cell + [0, 1, 1, 2, 2][i as usize] * 4 * GAP);
        let frames = lefts.map(|x| *sheet.get_pixel(x, GAP));
        let wanted = [Frame::Query, Frame::Wrong, Frame::Right, Frame::Right, Frame::Neutral];
        assert_eq!(frames, wanted.map(Frame::colour));
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
        let path = folder.path().join("sheet.png");
        let row = Row { groups: vec![vec![Picture::new(&picture(8, 8, &[7]), Frame::Query)]] };
        draw(&path, &[row]).unwrap();
        let png = image::open(&path).unwrap().into_rgb8();
        assert_eq!(png.get_pixel(GAP + FRAME, GAP + FRAME), &Rgb([7; 3]));
        let nowhere = folder.path().join("none").join("sheet.png");
        let error = draw(&nowhere, &[]).unwrap_err().to_string();
        assert!(error.contains("none") && error.lines().count() == 1, "{error}");
    }

    #[test]
    fn rows_of_different_lengths_share_a_sheet() {
        let large = Picture::new(&picture(400, 200, &[9, 9, 9]), Frame::Query);
        let small = Picture::new(&picture(64, 64, &[9]), Frame::Right);
        let rows = [
            Row { groups: vec![vec![large.clone()], vec![small.clone(); 3]] },
            Row { groups: vec![vec![large; 5]] },
            Row::default(),
        ];
        let sheet = sheet(&rows);
        let cell = 128 + 2 * FRAME + GAP;
        assert_eq!(sheet.dimensions(), (5 * cell + GAP, 3 * cell + GAP));
        let frame = |x, y| *sheet.get_pixel(x, y);
        assert_eq!(frame(GAP + cell + 4 * GAP, GAP), Frame::Right.colour());
        assert_eq!(frame(GAP + 4 * cell, GAP + cell), Frame::Query.colour());
        assert_eq!(frame(GAP, GAP + 2 * cell), PAPER);
    }

    #[test]
    fn evenly_spaced_numbers_have_both_ends() {
        assert_eq!(evenly_spaced(10, 4), [0, 3, 6, 9]);
        assert_eq!((evenly_spaced(3, 9), evenly_spaced(5, 1)), (vec![0, 1, 2], vec![0]));
        assert!(evenly_spaced(0, 3).is_empty() && evenly_spaced(3, 0).is_empty());
    }
}
