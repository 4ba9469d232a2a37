//! Random crops of random area and aspect, as torchvision's `RandomResizedCrop` draws them.

use tensor::math;
use tensor::random::Stream;

/// A part of an image, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crop {
    /// First row.
    pub top: usize,
    /// First column.
    pub left: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Crop {
    /// The whole image.
    pub fn whole(height: usize, width: usize) -> Crop {
        Crop { top: 0, left: 0, height, width }
    }

    /// The part of this size in the middle; half a pixel is rounded to the even one, as
    /// torchvision does.
    pub fn centre(height: usize, width: usize, crop: (usize, usize)) -> Crop {
        let middle =
            |size: usize, part: usize| ((size - part) as f64 / 2.0).round_ties_even() as usize;
        Crop {
            top: middle(height, crop.0),
            left: middle(width, crop.1),
            height: crop.0,
            width: crop.1,
        }
    }
}

const ASPECT: (f32, f32) = (3.0 / 4.0, 4.0 / 3.0);
const TRIES: usize = 10;

/// A crop whose share of the area is uniform in `scale` and whose aspect is log-uniform in
/// 3/4..4/3, at a uniform place; after ten draws that do not fit, the largest centred crop of an
/// allowed aspect.
pub fn random_resized_crop(
    height: usize,
    width: usize,
    scale: (f32, f32),
    stream: &mut Stream,
) -> Crop {
    for _ in 0..TRIES {
        let area = (height * width) as f32 * stream.range(scale.0, scale.1);
        let aspect = math::exp(stream.range(math::ln(ASPECT.0), math::ln(ASPECT.1)));
        let w = (area * aspect).sqrt().round() as usize;
        let h = (area / aspect).sqrt().round() as usize;
        if (1..=width).contains(&w) && (1..=height).contains(&h) {
            return Crop {
                top: stream.below((height - h + 1) as u32) as usize,
                left: stream.below((width - w + 1) as u32) as usize,
                height: h,
                width: w,
            };
        }
    }
    let aspect = width as f32 / height as f32;
    let (h, w) = if aspect < ASPECT.0 {
        (((width as f32 / ASPECT.0).round() as usize).min(height), width)
    } else if aspect > ASPECT.1 {
        (height, ((height as f32 * ASPECT.1).round() as usize).min(width))
    } else {
        (height, width)
    };
    Crop::centre(height, width, (h.max(1), w.max(1)))
}
