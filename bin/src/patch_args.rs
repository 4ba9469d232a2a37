//! Arguments that take the features of an image's patches.

use carp::error::Result;
use clap::Args;
use evaluations::features::{Encoder, PatchGrid};

/// Patches of an image.
#[derive(Args, Clone)]
pub struct PatchArgs {
    /// Average the features of G x G overlapping squares of each image, as EMP-SSL does [default: the
    /// features of the whole image].
    #[arg(long, value_name = "G")]
    pub patches: Option<usize>,
    /// Side of a square, as a share of the image's short side.
    #[arg(long, value_name = "X", default_value_t = 0.5, requires = "patches")]
    #[arg(allow_hyphen_values = true)]
    patch_share: f64,
}

impl PatchArgs {
    /// The encoder of images, or of their patches if there are any.
    ///
    /// # Errors
    /// A number out of range, or patches of raw pixels.
    pub fn over(&self, encoder: Encoder) -> Result<Encoder> {
        match self.grid()? {
            Some(grid) => encoder.over_patches(&grid),
            None => Ok(encoder),
        }
    }

    /// The patches, if there are any.
    ///
    /// # Errors
    /// A number out of range.
    pub fn grid(&self) -> Result<Option<PatchGrid>> {
        self.patches.map(|per_side| PatchGrid::new(per_side, self.patch_share)).transpose()
    }
}
