//! Image files as cameras and programs write them, and broken ones.

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use datasets::catalogue::{Contents, Pictures, Split};
use datasets::{DataConfig, Dataset, Image, Labels, Reading};
use image::{ImageFormat, Luma, Rgb, RgbImage};
use tempfile::TempDir;

fn data(folder: &Path) -> Arc<dyn Dataset> {
    let path = Some(folder.to_owned());
    DataConfig { path, ..DataConfig::default() }.open(0).unwrap().pretrain
}

/// The only image of a folder, or why it cannot be read.
fn read(name: &str, bytes: &[u8]) -> Result<Arc<Image>, String> {
    let temp = TempDir::new().unwrap();
    std::fs::write(temp.path().join(name), bytes).unwrap();
    data(temp.path()).image(0).map_err(|error| error.to_string())
}

fn encoded(image: &RgbImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// White above black, 16 wide and 8 high.
fn two_halves() -> RgbImage {
    RgbImage::from_fn(16, 8, |_, y| Rgb([if y < 4 { 255 } else { 0 }; 3]))
}

/// A JPEG with this EXIF orientation.
fn oriented(orientation: u8) -> Vec<u8> {
    let jpeg = encoded(&two_halves(), ImageFormat::Jpeg);
    let entry = [0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0];
    let exif = [&b"Exif\0\0II*\0\x08\0\0\0\x01\0"[..], &entry, &[0; 4]].concat();
    let length = (exif.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat()
}

#[test]
fn pictures_of_a_folder_are_turned_upright_and_those_of_a_benchmark_are_not() {
    let temp = TempDir::new().unwrap();
    let path = temp.path().join("a.jpg");
    // 6: the top of the stored picture is the right side, 3: it is the bottom.
    for (orientation, size, first_is_white) in [(1, (8, 16), true), (3, (8, 16), false)] {
        std::fs::write(&path, oriented(orientation)).unwrap();
        let image = data(temp.path()).image(0).unwrap();
        assert_eq!((image.height, image.width), size);
        assert_eq!(image.pixels[0] > 128, first_is_white);
    }
    std::fs::write(&path, oriented(6)).unwrap();
    let image = data(temp.path()).image(0).unwrap();
    let (left, right) = (image.pixels[0], image.pixels[7 * 3]);
    assert_eq!((image.height, image.width, left > 128, right > 128), (16, 8, false, true));

    let pictures = Pictures::Files { files: vec![path], labels: Labels::None };
    let splits = vec![Split { name: "train", pictures }];
    let contents = Contents { title: "", classes: vec![], splits, queries: vec![] };
    let stored = contents.dataset("train", Reading { strict: true, cache: 0 }).unwrap();
    let image = stored.image(0).unwrap();
    assert_eq!((image.height, image.width), (8, 16));
}

#[test]
fn half_a_jpeg_is_refused() {
    let noise = RgbImage::from_fn(64, 64, |x, y| Rgb([((x * 37) ^ (y * 91)) as u8; 3]));
    let whole = encoded(&noise, ImageFormat::Jpeg);
    assert_eq!(read("a.jpg", &whole).unwrap().height, 64);
    for len in [whole.len() / 2, whole.len() - 1] {
        let line = read("a.jpg", &whole[..len]).unwrap_err();
        assert!(line.contains("a.jpg: truncated") && line.lines().count() == 1, "{line}");
    }
}

#[test]
fn images_without_pixels_are_refused() {
    for (name, bytes) in [
        ("a.ppm", &b"P6\n0 0\n255\n"[..]),
        ("a.pgm", b"P5\n0 3\n255\n"),
        ("a.png", b""),
        ("a.bmp", b"BM"),
    ] {
        let line = read(name, bytes).unwrap_err();
        assert!(line.contains(name) && line.lines().count() == 1, "{line}");
    }
}

/// A header alone may not ask for the memory of its picture; a plain picture gets what it needs.
#[test]
fn pictures_that_their_bytes_cannot_hold_are_refused() {
    let claim = read("a.ppm", b"P6\n12000 12000\n255\n").unwrap_err();
    assert!(claim.contains("a.ppm: cannot be decoded") && claim.contains("emory"), "{claim}");
    let plain = RgbImage::from_pixel(6000, 4000, Rgb([7; 3]));
    assert_eq!(read("a.png", &encoded(&plain, ImageFormat::Png)).unwrap().width, 6000);
}

#[test]
fn grey_of_16_bits_is_scaled() {
    let grey = image::ImageBuffer::<Luma<u16>, _>::from_fn(3, 1, |x, _| Luma([x as u16 * 0x7fff]));
    let mut png = Cursor::new(Vec::new());
    grey.write_to(&mut png, ImageFormat::Png).unwrap();
    let image = read("a.png", &png.into_inner()).unwrap();
    let values: Vec<u8> = image.pixels.iter().copied().step_by(3).collect();
    assert_eq!((values[0], values[2]), (0, 255));
    assert!((127..=128).contains(&values[1]), "{values:?}");
}
