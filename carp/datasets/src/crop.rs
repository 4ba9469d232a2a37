//! Parts of images.

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
    /// The place of a centre crop.
    pub const MIDDLE: (f64, f64) = (0.5, 0.5);

    /// The whole image.
    pub fn whole(height: usize, width: usize) -> Crop {
        Crop { top: 0, left: 0, height, width }
    }

    /// The centre crop of this size; half pixels round to even, as in torchvision.
    pub fn centre(height: usize, width: usize, crop: (usize, usize)) -> Crop {
        Crop::at(Crop::MIDDLE, (height, width), crop)
    }

    /// The crop of this size at a place (down, across) from 0, at the first edge, to 1, at the last;
    /// half pixels round to even.
    pub fn at(place: (f64, f64), (height, width): (usize, usize), crop: (usize, usize)) -> Crop {
        let first = |place: f64, size: usize, part: usize| {
            (place * (size - part) as f64).round_ties_even() as usize
        };
        Crop {
            top: first(place.0, height, crop.0),
            left: first(place.1, width, crop.1),
            height: crop.0,
            width: crop.1,
        }
    }
}
