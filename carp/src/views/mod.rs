//! Views of an image: the random transformations that a network should see through (spec 1.9).
//!
//! All work on 8-bit pixels as Pillow does, step by step and rounding by rounding, so that a run
//! sees what the authors' code would show it; `tools/golden_views.py` makes the proof.

mod blur;
mod colour;
mod crop;
mod policy;
mod resample;

pub use blur::gaussian_blur;
pub use colour::{
    adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation, greyscale, solarise,
};
pub use crop::{Crop, random_resized_crop};
pub use policy::{EvalTransform, Scratch, ViewKind, ViewPolicy, Views};
pub use resample::{Filter, ResizeScratch, resize};
