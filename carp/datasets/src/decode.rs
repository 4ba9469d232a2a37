//! Image files as pixels.

use std::io::Cursor;
use std::path::Path;

use files::{Error, Result};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, ImageResult, Limits};

use crate::image::Image;

/// Decodes a file to red, green and blue; its content, not its name, tells the format. An `upright`
/// picture is turned by its EXIF tag.
///
/// # Errors
/// A file that cannot be read or decoded, a truncated one, or one without pixels.
pub fn decode(path: &Path, upright: bool) -> Result<Image> {
    let bytes = std::fs::read(path).map_err(|source| Error::io(path, source))?;
    let decoded = pixels(&bytes, ImageFormat::from_path(path).ok(), upright)
        .map_err(|error| Error::data(path, format!("cannot be decoded: {error}")))?
        .into_rgb8();
    let (width, height) = (decoded.width() as usize, decoded.height() as usize);
    if width == 0 || height == 0 {
        return Err(Error::data(path, format!("an image of {width} x {height} pixels")));
    }
    // The decoder fills missing rows with grey.
    if bytes.starts_with(&START_OF_JPEG) && !is_whole_jpeg(&bytes) {
        return Err(Error::data(path, "truncated: a JPEG without its end marker"));
    }
    Ok(Image { height, width, channels: 3, pixels: decoded.into_raw() })
}

/// Bytes of pixels that any file may hold: 16 megapixels.
const ALWAYS_DECODED: u64 = 1 << 26;
/// Bytes of pixels for each byte of a file: what deflate reaches on a single colour.
const MOST_COMPRESSED: u64 = 1032;

fn pixels(bytes: &[u8], named: Option<ImageFormat>, upright: bool) -> ImageResult<DynamicImage> {
    let mut reader = ImageReader::new(Cursor::new(bytes));
    if let Some(format) = named {
        reader.set_format(format);
    }
    let mut decoder = reader.with_guessed_format()?.into_decoder()?;
    // A small file must not claim much memory.
    let mut limits = Limits::default();
    let justified = ALWAYS_DECODED + MOST_COMPRESSED * bytes.len() as u64;
    limits.max_alloc = limits.max_alloc.map(|most| most.min(justified));
    limits.reserve(decoder.total_bytes())?;
    decoder.set_limits(limits)?;
    // Broken metadata make no pixel unreadable.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder)?;
    if upright {
        image.apply_orientation(orientation);
    }
    Ok(image)
}

const START_OF_JPEG: [u8; 2] = [0xff, 0xd8];

/// True if a JPEG's segments and scans are followed by the end marker.
fn is_whole_jpeg(bytes: &[u8]) -> bool {
    let mut at = START_OF_JPEG.len();
    while let Some(found) = bytes.get(at..).and_then(|rest| rest.iter().position(|&b| b == 0xff)) {
        at += found + 1;
        match bytes.get(at..) {
            Some([0xd9, ..]) => return true,
            // Any number of fill bytes may stand before a marker.
            Some([0xff, ..]) => {}
            // Within a scan 0xff is followed by 0 or is a restart marker; these have no segment.
            Some([0 | 1 | 0xd0..=0xd8, ..]) => at += 1,
            Some([_, high, low, ..]) => at += 1 + usize::from(u16::from_be_bytes([*high, *low])),
            _ => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jpeg_is_whole_only_with_its_last_byte() {
        let noise = |x: u32, y: u32| image::Luma([((x * 91) ^ (y * 57) ^ (x * y)) as u8]);
        let mut file = Cursor::new(Vec::new());
        image::GrayImage::from_fn(67, 41, noise).write_to(&mut file, ImageFormat::Jpeg).unwrap();
        let file = file.into_inner();
        assert!(is_whole_jpeg(&file));
        assert!((2..file.len()).all(|len| !is_whole_jpeg(&file[..len])));
        // Cameras append previews and films; thumbnails inside a segment end on their own.
        let films: [&[u8]; 2] = [&[0xff, 0xda, 0, 2, 7], &[0xff, 0xd8, 0xff]];
        assert!(films.iter().all(|film| is_whole_jpeg(&[&file, *film].concat())));
        let thumbnail = [&[0xff, 0xe1, 0, 6, 0xff, 0xd8, 0xff, 0xd9], &file[2..40]].concat();
        assert!(!is_whole_jpeg(&[&START_OF_JPEG, &thumbnail[..]].concat()));
    }
}
