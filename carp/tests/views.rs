//! Transformations of 8-bit images against Pillow and torchvision, byte by byte.

use std::path::Path;

use carp::views::{
    EvalTransform, Scratch, adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation,
    gaussian_blur, solarise,
};
use datasets::{Crop, Filter, Image, ResizeScratch, greyscale, resize};
use safetensors::SafeTensors;

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
        "blur" => gaussian_blur(&mut pixels, (height, width, channels), factor(), &mut Vec::new()),
        "brightness" => adjust_brightness(&mut pixels, factor()),
        "contrast" => adjust_contrast(&mut pixels, channels, factor()),
        "saturation" => adjust_saturation(&mut pixels, channels, factor()),
        "hue" => adjust_hue(&mut pixels, channels, factor()),
        "greyscale" => greyscale(&mut pixels, channels),
        "solarise" => solarise(&mut pixels),
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
    assert_eq!(count, 112);
}
