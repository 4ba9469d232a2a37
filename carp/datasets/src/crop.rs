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
    /// The whole image.
    pub fn whole(height: usize, width: usize) -> Crop {
        Crop { top: 0, left: 0, height, width }
    }

    /// The centre crop of this size; half pixels round to even, as in torchvision.
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
