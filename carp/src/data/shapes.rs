//! The built-in data set: procedural pictures whose class only content decides.
//!
//! 32x32 colour pictures of one object. Its class is the outline (disc, cross) together with the
//! texture (plain, stripes, dots, checks, rings): ten classes. Place, size, rotation of outline
//! and of texture, all colours, the background's gradient and clutter, and pixel noise are drawn
//! without regard to the class. Picture i is a pure function of (seed, split, i).

use rayon::prelude::*;
use tensor::math;
use tensor::random::{Purpose, Stream};

use super::memory::MemoryDataset;

/// Side of a picture in pixels.
const SIDE: usize = 32;
/// Samples per pixel and direction: outlines come out smooth.
const SAMPLES: usize = 3;
const OUTLINES: [&str; 2] = ["disc", "cross"];
const TEXTURES: [&str; 5] = ["plain", "stripes", "dots", "checks", "rings"];

/// Which pictures: those of different splits are independent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// To learn from.
    Train = 0,
    /// Held out.
    Test = 1,
}

/// The first `count` pictures of a split; picture i has class i mod 10.
pub fn generate(seed: u64, split: Split, count: usize) -> MemoryDataset {
    let mut pixels = vec![0; count * SIDE * SIDE * 3];
    pixels.par_chunks_mut(SIDE * SIDE * 3).enumerate().for_each(|(i, pixels)| {
        let mut stream = Stream::new(seed, Purpose::Shapes, split as u64, i as u64);
        Scene::draw(i % 10, &mut stream).render(&mut stream, pixels);
    });
    let classes = OUTLINES
        .iter()
        .flat_map(|outline| TEXTURES.iter().map(move |texture| format!("{outline}, {texture}")))
        .collect();
    MemoryDataset {
        name: format!("shapes, {}", if split == Split::Train { "train" } else { "test" }),
        size: (SIDE, SIDE, 3),
        pixels,
        labels: (0..count).map(|i| (i % 10) as u32).collect(),
        classes,
    }
}

type Colour = [f32; 3];

/// Everything that decides a picture but its pixel noise. Lengths are in sides of the picture.
struct Scene {
    outline: usize,
    texture: usize,
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

/// A random colour, pale: colours that shout would be all that a small network hears.
fn colour(stream: &mut Stream) -> Colour {
    let vivid = [stream.uniform(), stream.uniform(), stream.uniform()];
    let grey = luminance(vivid);
    vivid.map(|c| grey + 0.35 * (c - grey))
}

/// A random colour of a luminance within a range: hue and saturation are free.
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

/// A quarter turn or none, and up to 12 degrees more: the views' quarter turns take away the rest.
fn upright(stream: &mut Stream) -> (f32, f32) {
    let quarters = stream.below(4) as f32;
    let angle = std::f32::consts::FRAC_PI_2 * quarters + stream.range(-0.21, 0.21);
    (math::cos(angle), math::sin(angle))
}

fn rotate((x, y): (f32, f32), (cos, sin): (f32, f32)) -> (f32, f32) {
    (cos * x + sin * y, cos * y - sin * x)
}

impl Scene {
    fn draw(class: usize, stream: &mut Stream) -> Scene {
        let radius = stream.range(0.27, 0.40);
        let margin = 1.0 - 2.0 * radius;
        // A texture of dark and bright on a medium ground: any hues, but always visible.
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
            outline: class / TEXTURES.len(),
            texture: class % TEXTURES.len(),
            centre: (radius + margin * stream.uniform(), radius + margin * stream.uniform()),
            radius,
            turn: upright(stream),
            texture_turn: upright(stream),
            frequency: stream.range(5.0, 6.5),
            phase: (stream.uniform(), stream.uniform()),
            object,
            background: [background, other],
            gradient: direction(stream),
            clutter,
        }
    }

    /// Whether a point, relative to the centre and in radii, lies inside the outline.
    fn is_inside(&self, (x, y): (f32, f32)) -> bool {
        match OUTLINES[self.outline] {
            "disc" => x * x + y * y <= 1.0,
            _ => {
                let (a, b) = (x.abs().min(y.abs()), x.abs().max(y.abs()));
                a <= 0.42 && b <= 1.1
            }
        }
    }

    /// Which of the object's two colours a point of the picture has.
    fn is_second_colour(&self, point: (f32, f32)) -> bool {
        let (u, v) = rotate(point, self.texture_turn);
        let fract = |x: f32| x - x.floor();
        let distance = (u * u + v * v).sqrt();
        let (u, v) =
            (fract(u * self.frequency + self.phase.0), fract(v * self.frequency + self.phase.1));
        match TEXTURES[self.texture] {
            "plain" => false,
            "stripes" => u < 0.5,
            "dots" => (u - 0.5) * (u - 0.5) + (v - 0.5) * (v - 0.5) < 0.12,
            "checks" => (u < 0.5) != (v < 0.5),
            _ => fract(distance * self.frequency + self.phase.0) < 0.5,
        }
    }

    fn colour_at(&self, (x, y): (f32, f32)) -> Colour {
        let (dx, dy) = (x - self.centre.0, y - self.centre.1);
        let local = rotate((dx / self.radius, dy / self.radius), self.turn);
        if self.is_inside(local) {
            return self.object[usize::from(self.is_second_colour((dx, dy)))];
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
    use crate::data::Dataset;

    #[test]
    fn pictures_are_the_same_everywhere() {
        use sha2::{Digest, Sha256};
        let data = generate(0, Split::Train, 20);
        let digest = Sha256::digest(&data.pixels);
        let hex: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "496a97dc0ba58962");
        // A picture does not depend on how many are made.
        assert_eq!(generate(0, Split::Train, 5).pixels, data.pixels[..5 * SIDE * SIDE * 3]);
        assert_ne!(generate(0, Split::Test, 20).pixels, data.pixels);
        assert_ne!(generate(1, Split::Train, 20).pixels, data.pixels);
    }

    #[test]
    fn classes_are_balanced_and_named() {
        let data = generate(3, Split::Test, 40);
        for class in 0..10 {
            let count = (0..data.len()).filter(|&i| data.label(i) == Some(class)).count();
            assert_eq!(count, 4);
        }
        assert_eq!(data.classes().len(), 10);
        assert_eq!(data.classes()[7], "cross, dots");
    }
}
