//! The built-in data set: procedural images whose class depends only on content.
//!
//! 32x32 colour images of one object. Its class is its outline together with its texture, such as a
//! dotted cross: ten classes. Position, size, rotation of outline and of texture, all colours, the
//! background's gradient and clutter, and pixel noise are independent of the class. Image i is a
//! pure function of (seed, split, i).

use std::sync::Arc;

use rayon::prelude::*;
use tensor::math;
use tensor::random::{Purpose, Stream};

use crate::image::Image;
use crate::memory_dataset::MemoryDataset;

/// Side of an image in pixels.
const SIDE: usize = 32;
/// Samples per pixel and direction, for smooth outlines.
const SAMPLES: usize = 3;

/// A class: an outline with its texture. Either identifies it, so two crops of one object agree
/// even if they show different parts.
struct Class {
    name: &'static str,
    /// Whether the point at (x, y) radii from the centre is inside.
    is_inside: fn(f32, f32) -> bool,
    /// Whether the point at (u, v) periods from the centre, plus the phase, has the second colour.
    is_second: fn(f32, f32, (f32, f32)) -> bool,
}

fn fract(x: f32) -> f32 {
    x - x.floor()
}

fn length(x: f32, y: f32) -> f32 {
    (x * x + y * y).sqrt()
}

const CLASSES: [Class; 10] = [
    Class { name: "plain disc", is_inside: |x, y| length(x, y) < 0.95, is_second: |_, _, _| false },
    Class {
        name: "striped square",
        is_inside: |x, y| x.abs().max(y.abs()) < 0.8,
        is_second: |u, _, phase| fract(u + phase.0) < 0.5,
    },
    Class {
        name: "chequered triangle",
        is_inside: |x, y| y < 0.55 && 1.732 * x.abs() < y + 1.1,
        is_second: |u, v, phase| (fract(u + phase.0) < 0.5) != (fract(v + phase.1) < 0.5),
    },
    Class {
        name: "dotted cross",
        is_inside: |x, y| x.abs().min(y.abs()) < 0.4 && x.abs().max(y.abs()) < 1.05,
        is_second: |u, v, phase| length(fract(u + phase.0) - 0.5, fract(v + phase.1) - 0.5) < 0.3,
    },
    Class {
        name: "halved half disc",
        is_inside: |x, y| length(x, y + 0.4) < 1.1 && y > -0.4,
        is_second: |u, _, _| u < 0.0,
    },
    Class {
        name: "bar with rings",
        is_inside: |x, y| x.abs() < 1.1 && y.abs() < 0.5,
        is_second: |u, v, phase| fract(length(u, v) + phase.0) < 0.5,
    },
    Class {
        name: "latticed ell",
        is_inside: |x, y| x.abs().max(y.abs()) < 0.85 && (x < -0.1 || y > 0.1),
        is_second: |u, v, phase| fract(u + phase.0).min(fract(v + phase.1)) < 0.3,
    },
    Class {
        name: "wavy crescent",
        is_inside: |x, y| length(x, y) < 1.05 && length(x - 0.6, y) > 0.7,
        is_second: |u, v, phase| {
            let bend = 0.5 * math::sin(std::f32::consts::PI * v);
            fract(u + phase.0 + bend) < 0.5
        },
    },
    Class {
        name: "spoked ring",
        is_inside: |x, y| (0.45..1.0).contains(&length(x, y)),
        is_second: |u, v, _| {
            let (a, b) = (0.5 * u + 0.866 * v, 0.5 * u - 0.866 * v);
            ((u < 0.0) != (a < 0.0)) != (b < 0.0)
        },
    },
    Class {
        name: "speckled star",
        is_inside: |x, y| x.abs().sqrt() + y.abs().sqrt() < 1.15,
        is_second: |u, v, phase| {
            // A fixed hash of the cell's coordinates: salt and pepper in cells of half a period.
            let cell = |x: f32| (2.0 * x).floor() as i32 as u32;
            let mixed = cell(u + 8.0 * phase.0).wrapping_mul(0x9E37_79B1)
                ^ cell(v + 8.0 * phase.1).wrapping_mul(0x85EB_CA77);
            (mixed ^ (mixed >> 15)).wrapping_mul(0x2C1B_3C6D) >> 31 == 1
        },
    },
];

/// The split; different splits are independent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// For training.
    Train = 0,
    /// Held out.
    Test = 1,
}

/// The first `count` images of a split; image i has class i mod 10.
pub fn generate(seed: u64, part: Part, count: usize) -> MemoryDataset {
    let draw = |i: usize| {
        let mut pixels = vec![0; SIDE * SIDE * 3];
        let mut stream = Stream::new(seed, Purpose::Shapes, part as u64, i as u64);
        Scene::draw(i % 10, &mut stream).render(&mut stream, &mut pixels);
        Arc::new(Image { height: SIDE, width: SIDE, channels: 3, pixels })
    };
    let images = (0..count).into_par_iter().map(draw).collect();
    let name = format!("shapes, {}", if part == Part::Train { "train" } else { "test" });
    let labels = (0..count).map(|i| (i % 10) as u32).collect();
    let classes = CLASSES.iter().map(|class| class.name.to_owned()).collect();
    MemoryDataset::of_images(name, 3, images, labels, classes)
}

/// Bytes of so many images, known before they are drawn.
pub fn memory(count: usize) -> usize {
    count * (size_of::<Image>() + SIDE * SIDE * 3)
}

type Colour = [f32; 3];

/// Everything that determines an image, apart from pixel noise. Lengths are in sides of the image.
struct Scene {
    class: &'static Class,
    centre: (f32, f32),
    radius: f32,
    /// (cos, sin) of the outline's and of the texture's rotation.
    turn: (f32, f32),
    texture_turn: (f32, f32),
    /// Texture periods per side, and where a period begins.
    frequency: f32,
    phase: (f32, f32),
    object: [Colour; 2],
    background: [Colour; 2],
    gradient: (f32, f32),
    /// Discs of clutter: centre, radius, colour.
    clutter: [(f32, f32, f32, Colour); 3],
}

fn luminance(c: Colour) -> f32 {
    0.299 * c[0] + 0.587 * c[1] + 0.114 * c[2]
}

/// A random pale colour: vivid ones would drown out all else for a small network.
fn colour(stream: &mut Stream) -> Colour {
    let vivid = [stream.uniform(), stream.uniform(), stream.uniform()];
    let grey = luminance(vivid);
    vivid.map(|c| grey + 0.35 * (c - grey))
}

/// A random colour with a luminance within a range: hue and saturation are free.
fn colour_of_luminance(stream: &mut Stream, range: std::ops::Range<f32>) -> Colour {
    loop {
        let c = colour(stream);
        if range.contains(&luminance(c)) {
            return c;
        }
    }
}

fn direction(stream: &mut Stream) -> (f32, f32) {
    let angle = std::f32::consts::TAU * stream.uniform();
    (math::cos(angle), math::sin(angle))
}

/// A random quarter turn, and up to 29 degrees more: the views' quarter turns hide the former.
fn upright(stream: &mut Stream) -> (f32, f32) {
    let quarters = stream.below(4) as f32;
    let angle = std::f32::consts::FRAC_PI_2 * quarters + stream.range(-0.5, 0.5);
    (math::cos(angle), math::sin(angle))
}

fn rotate((x, y): (f32, f32), (cos, sin): (f32, f32)) -> (f32, f32) {
    (cos * x + sin * y, cos * y - sin * x)
}

impl Scene {
    fn draw(class: usize, stream: &mut Stream) -> Scene {
        let radius = stream.range(0.32, 0.46);
        let margin = 1.0 - 2.0 * radius;
        // A dark and bright texture on a medium background: any hues, but always visible.
        let background = colour_of_luminance(stream, 0.4..0.6);
        let dark = colour_of_luminance(stream, 0.1..0.25);
        let bright = colour_of_luminance(stream, 0.75..0.9);
        let object = if stream.chance(0.5) { [dark, bright] } else { [bright, dark] };
        let tint = colour(stream);
        let near = |a: Colour, b: Colour| [0, 1, 2].map(|i| 0.75 * a[i] + 0.25 * b[i]);
        let other = near(background, tint);
        let mut spot = || {
            let spot_colour = colour(stream);
            let (x, y) = (stream.uniform(), stream.uniform());
            (x, y, stream.range(0.04, 0.12), near(background, spot_colour))
        };
        let clutter = [spot(), spot(), spot()];
        Scene {
            class: &CLASSES[class],
            centre: (radius + margin * stream.uniform(), radius + margin * stream.uniform()),
            radius,
            turn: upright(stream),
            texture_turn: upright(stream),
            frequency: stream.range(4.0, 5.0),
            phase: (stream.uniform(), stream.uniform()),
            object,
            background: [background, other],
            gradient: direction(stream),
            clutter,
        }
    }

    fn colour_at(&self, (x, y): (f32, f32)) -> Colour {
        let (dx, dy) = (x - self.centre.0, y - self.centre.1);
        let (x_in_radii, y_in_radii) = rotate((dx / self.radius, dy / self.radius), self.turn);
        if (self.class.is_inside)(x_in_radii, y_in_radii) {
            let (u, v) = rotate((dx * self.frequency, dy * self.frequency), self.texture_turn);
            return self.object[usize::from((self.class.is_second)(u, v, self.phase))];
        }
        for (cx, cy, radius, colour) in self.clutter {
            if (x - cx) * (x - cx) + (y - cy) * (y - cy) < radius * radius {
                return colour;
            }
        }
        let along = (x - 0.5) * self.gradient.0 + (y - 0.5) * self.gradient.1;
        let share = (along + 0.5).clamp(0.0, 1.0);
        let [a, b] = self.background;
        [0, 1, 2].map(|i| a[i] + share * (b[i] - a[i]))
    }

    fn render(&self, stream: &mut Stream, pixels: &mut [u8]) {
        let step = 1.0 / (SIDE * SAMPLES) as f32;
        for (at, pixel) in pixels.chunks_exact_mut(3).enumerate() {
            let (row, column) = (at / SIDE, at % SIDE);
            let mut sum = [0.0f32; 3];
            for sample in 0..SAMPLES * SAMPLES {
                let x = (column * SAMPLES + sample % SAMPLES) as f32 + 0.5;
                let y = (row * SAMPLES + sample / SAMPLES) as f32 + 0.5;
                let colour = self.colour_at((x * step, y * step));
                sum.iter_mut().zip(colour).for_each(|(sum, c)| *sum += c);
            }
            for (pixel, sum) in pixel.iter_mut().zip(sum) {
                let mean = sum / (SAMPLES * SAMPLES) as f32;
                let noise = stream.range(-0.03, 0.03);
                *pixel = ((mean + noise) * 255.0 + 0.5).clamp(0.0, 255.0) as u8;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Dataset;

    #[test]
    fn pictures_are_the_same_everywhere() {
        use sha2::{Digest, Sha256};
        let pixels = |seed, part, count| -> Vec<u8> {
            let data = generate(seed, part, count);
            (0..count).flat_map(|i| data.image(i).unwrap().pixels.clone()).collect()
        };
        let first = pixels(0, Part::Train, 20);
        let digest = Sha256::digest(&first);
        assert_eq!(files::hex(&digest[..8]), "e3967018d9e33e80");
        // An image does not depend on how many are made.
        assert_eq!(pixels(0, Part::Train, 5), first[..5 * SIDE * SIDE * 3]);
        assert_ne!(pixels(0, Part::Test, 20), first);
        assert_ne!(pixels(1, Part::Train, 20), first);
    }

    #[test]
    fn classes_are_balanced_and_named() {
        let data = generate(3, Part::Test, 40);
        for class in 0..10 {
            let count = (0..data.len()).filter(|&i| data.label(i) == Some(class)).count();
            assert_eq!(count, 4);
        }
        assert_eq!(data.classes().len(), 10);
        assert_eq!(data.classes()[3], "dotted cross");
    }
}
