//! The transformations of one kind of view, with their strengths and probabilities (docs/method.md,
//! 1.9).

use serde::{Deserialize, Serialize};

/// One kind of view. Probabilities are 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViewKind {
    /// Side in pixels.
    pub size: usize,
    /// Length to which the short side is resized before the middle is cut out, as in evaluations; 0 takes a
    /// random crop of `scale` instead.
    pub resize: usize,
    /// Smallest and largest area of the crop, as fractions of the image.
    pub scale: (f32, f32),
    /// Probability of a horizontal flip.
    pub flip: f32,
    /// Probability of a turn by 90, 180 or 270 degrees: not the authors', for images without an
    /// upright orientation.
    pub quarter_turn: f32,
    /// Probability of colour jitter.
    pub jitter: f32,
    /// Brightness factor in 1 -+ this.
    pub brightness: f32,
    /// Contrast factor in 1 -+ this.
    pub contrast: f32,
    /// Saturation factor in 1 -+ this.
    pub saturation: f32,
    /// Hue shift in -+ this, in full circles.
    pub hue: f32,
    /// Transformations that RandAugment draws of fifteen, each done with probability 1/2; 0 is none.
    pub rand_augment: usize,
    /// Probability of greyscale.
    pub greyscale: f32,
    /// Probability of blur.
    pub blur: f32,
    /// Smallest and largest standard deviation of the blur, in pixels.
    pub blur_sigma: (f32, f32),
    /// Probability of solarisation.
    pub solarise: f32,
}

impl ViewKind {
    pub(super) fn authors(size: usize, scale: (f32, f32), blur: f32, solarise: f32) -> ViewKind {
        ViewKind {
            size,
            resize: 0,
            scale,
            flip: 0.5,
            quarter_turn: 0.0,
            jitter: 0.8,
            brightness: 0.4,
            contrast: 0.4,
            saturation: 0.2,
            hue: 0.1,
            rand_augment: 0,
            greyscale: 0.2,
            blur,
            blur_sigma: (0.1, 2.0),
            solarise,
        }
    }
}
