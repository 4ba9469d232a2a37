//! Views of an image: the random transformations that features should be invariant to
//! (docs/method.md, 1.9).
//!
//! All work on 8-bit pixels as Pillow does, step by step and rounding by rounding, so that a run
//! sees what it would see in the authors' code; `tools/golden_views.py` records Pillow's results to
//! compare with.

mod affine;
mod blur;
mod colour;
mod crop;
mod eval_transform;
mod normalise;
mod patches;
mod policy;
mod rand_augment;
mod random_views;
mod scratch;
mod sharpness;
mod tone;
mod turn;
mod view_kind;

pub use affine::{Interpolation, affine, rotation};
pub use blur::gaussian_blur;
pub use colour::{adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation, solarise};
pub use crop::random_resized_crop;
pub use eval_transform::EvalTransform;
pub use patches::Patches;
pub use policy::ViewPolicy;
pub use random_views::Views;
pub use scratch::Scratch;
pub use sharpness::adjust_sharpness;
pub use tone::{autocontrast, equalize, invert, posterize, solarise_add, solarise_from};
pub use view_kind::ViewKind;
