//! Transformations of 8-bit images against Pillow and torchvision, byte by byte.

use std::path::Path;

use carp::views::{
    EvalTransform, Interpolation, Patches, Scratch, ViewKind, Views, adjust_brightness,
    adjust_contrast, adjust_hue, adjust_saturation, adjust_sharpness, affine, autocontrast,
    equalize, gaussian_blur, invert, posterize, random_resized_crop, rotation, solarise,
    solarise_add, solarise_from,
};
use datasets::{Crop, Filter, Image, ResizeScratch, greyscale, resize};
use safetensors::SafeTensors;
use sha2::{Digest, Sha256};
use tensor::random::{Purpose, Stream};

/// Applies the recorded transformation `name` to an image.
fn apply(name: &str, image: &Image) -> Vec<u8> {
    let Image { height, width, channels, .. } = *image;
    // A factor such as 0.6 contains a dot: split off kind and image number first.
    let mut parts = name.splitn(3, '.');
    let (kind, _, rest) = (parts.next().unwrap(), parts.next(), parts.next().unwrap_or(""));
    let factor = || rest.parse::<f32>().unwrap();
    let sizes = || {
        let (a, b) = rest.split_once('.').unwrap();
        (a.parse::<usize>().unwrap(), b.parse::<usize>().unwrap())
    };
    let size = (height, width, channels);
    let mut pixels = image.pixels.clone();
    match kind {
        "bilinear" | "bicubic" | "lanczos" => {
            let filter = match kind {
                "bilinear" => Filter::Bilinear,
                "bicubic" => Filter::Bicubic,
                _ => Filter::Lanczos,
            };
            let source = (&image.pixels[..], width, channels);
            let whole = Crop::whole(height, width);
            let mut scratch = ResizeScratch::default();
            resize(filter, source, whole, sizes(), &mut scratch, &mut pixels);
        }
        "blur" => gaussian_blur(&mut pixels, size, factor(), &mut Vec::new()),
        "brightness" => adjust_brightness(&mut pixels, factor()),
        "contrast" => adjust_contrast(&mut pixels, channels, factor()),
        "saturation" => adjust_saturation(&mut pixels, channels, factor()),
        "hue" => adjust_hue(&mut pixels, channels, factor()),
        "greyscale" => greyscale(&mut pixels, channels),
        "solarise" => solarise(&mut pixels),
        "autocontrast" => autocontrast(&mut pixels, channels),
        "equalize" => equalize(&mut pixels, channels),
        "invert" => invert(&mut pixels),
        "posterize" => posterize(&mut pixels, factor() as u32),
        "solarisefrom" => solarise_from(&mut pixels, factor() as u32),
        "solariseadd" => solarise_add(&mut pixels, factor() as u8),
        "sharpness" => adjust_sharpness(&mut pixels, size, factor(), &mut Vec::new()),
        "rotatebilinear" | "rotatebicubic" | "affinebilinear" | "affinebicubic" => {
            let numbers: Vec<f64> = rest.split(',').map(|number| number.parse().unwrap()).collect();
            let matrix = match numbers[..] {
                [degrees] => rotation(degrees, height, width),
                _ => numbers.try_into().unwrap(),
            };
            let interpolation = match kind.ends_with("cubic") {
                true => Interpolation::Bicubic,
                false => Interpolation::Bilinear,
            };
            let fill = (interpolation, &[124, 116, 104][..channels]);
            affine(&mut pixels, size, matrix, fill, &mut Vec::new());
        }
        "evaluation" => {
            let (resize, size) = sizes();
            let per_channel = vec![1.0; channels];
            let (mean, std) = (per_channel.clone(), per_channel);
            let filter = Filter::Bicubic;
            let transform = EvalTransform { resize, size, filter, mean, std };
            pixels = transform.pixels(image, &mut Scratch::default()).to_vec();
        }
        _ => panic!("unknown transformation {kind}"),
    }
    pixels
}

#[test]
fn every_byte_is_pillows() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/views.safetensors");
    let bytes = std::fs::read(path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut failures = Vec::new();
    let mut count = 0;
    for (name, input) in tensors.iter() {
        let Some(name) = name.strip_prefix("in.") else { continue };
        let [height, width, channels] = *input.shape() else { panic!("{name} has no 3 sizes") };
        let image = Image { height, width, channels, pixels: input.data().to_vec() };
        let got = apply(name, &image);
        let want = tensors.tensor(&format!("out.{name}")).unwrap();
        let differ = got.iter().zip(want.data()).filter(|(a, b)| a != b).count();
        if got.len() != want.data().len() || differ > 0 {
            failures.push(format!("{name}: {differ} of {} bytes differ", want.data().len()));
        }
        count += 1;
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(count, 158);
}

/// What is computed for several pixels at once, on all 2^24 colours.
#[test]
fn every_colour_is_pillows() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/views.safetensors");
    let bytes = std::fs::read(path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let pixels: Vec<u8> =
        (0..1 << 24).flat_map(|colour: u32| colour.to_be_bytes().into_iter().skip(1)).collect();
    let image = Image { height: 4096, width: 4096, channels: 3, pixels };
    let mut count = 0;
    for (name, digest) in tensors.iter() {
        let Some(name) = name.strip_prefix("colours.") else { continue };
        let (kind, factor) = name.split_once('.').unwrap();
        let got = Sha256::digest(apply(&format!("{kind}.all.{factor}"), &image));
        assert_eq!(got[..], *digest.data(), "{name}");
        count += 1;
    }
    assert_eq!(count, 4);
}

#[test]
fn a_classifier_sees_a_crop_mirrored_half_of_the_time() {
    let views = Views::crop_and_flip(5, (0.3, 1.0), Filter::Bilinear, (&[0.0; 3], &[1.0; 3]));
    assert_eq!(views.sizes(), [5]);
    let pixels = (0..20 * 24 * 3).map(|i| (i * 7 % 251) as u8).collect();
    let image = Image { height: 20, width: 24, channels: 3, pixels };
    let mut mirrored = 0;
    for index in 0..200 {
        let mut view = vec![0.0; 75];
        let stream = || Stream::new(0, Purpose::Views, 0, index);
        views.make(&image, &mut stream(), &mut [&mut view], &mut Scratch::default());
        let crop = random_resized_crop(20, 24, (0.3, 1.0), &mut stream());
        let crop = image.cropped(crop).resized(Filter::Bilinear, 5, 5);
        let normalised: Vec<f32> = crop.pixels.iter().map(|&x| f32::from(x) / 255.0).collect();
        if view != normalised {
            let rows = normalised.chunks_exact(15);
            let mirror: Vec<_> = rows.flat_map(|row| row.chunks_exact(3).rev()).flatten().collect();
            assert!(view.iter().eq(mirror));
            mirrored += 1;
        }
    }
    assert!((75..125).contains(&mirrored), "{mirrored}");
}

#[test]
fn patches_are_pieces_of_one_crop_from_different_cells() {
    let filter = Filter::Bilinear;
    let one = Views::crop_and_flip(12, (0.3, 1.0), filter, (&[0.0; 3], &[1.0; 3]));
    let crop = ViewKind { flip: 0.0, ..one.kinds[0].clone() };
    let patches = Patches { count: 3, grid: 2, shift: 1, size: 5, crop };
    let views = Views { kinds: Vec::new(), patches: Some(patches), ..one };
    assert_eq!(views.sizes(), [5; 3]);
    let pixels = (0..20 * 24 * 3).map(|i| (i * 7 % 251) as u8).collect();
    let image = Image { height: 20, width: 24, channels: 3, pixels };
    for index in 0..20 {
        let stream = || Stream::new(0, Purpose::Views, 0, index);
        let crop = random_resized_crop(20, 24, (0.3, 1.0), &mut stream());
        let crop = image.cropped(crop).resized(filter, 12, 12);
        let piece = |left: usize, top: usize| -> Vec<f32> {
            let rows = crop.pixels.chunks_exact(12 * 3).skip(top).take(5);
            let row = |row: &[u8]| row[left * 3..][..15].to_vec();
            rows.flat_map(row).map(|x| f32::from(x) / 255.0).collect()
        };
        let mut made = vec![vec![0.0; 75]; 3];
        let mut slices: Vec<&mut [f32]> = made.iter_mut().map(|view| &mut view[..]).collect();
        views.make(&image, &mut stream(), &mut slices, &mut Scratch::default());
        let cells: std::collections::BTreeSet<usize> = made
            .iter()
            .map(|view| {
                let corners = (0..4).flat_map(|cell| (0..4).map(move |shift| (cell, shift)));
                let found = corners.into_iter().find(|&(cell, shift)| {
                    let (left, top) = (cell % 2 * 6 + shift % 2, cell / 2 * 6 + shift / 2);
                    *view == piece(left, top)
                });
                found.expect("a piece of the crop").0
            })
            .collect();
        assert_eq!(cells.len(), 3);
    }
}
