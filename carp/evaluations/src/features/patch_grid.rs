//! Patches of an image, whose features are averaged: EMP-SSL's bag of features (Tong et al., 2023),
//! with a regular grid in the place of random crops.
//!
//! ```text
//! f(image) = 1 / G^2 sum_ij F(patch ij),  not scaled to length 1 before or after
//! ```
//!
//! F ends in a mean over the places of a feature map, which goes on over patches; EMP-SSL's code does
//! the same. A protocol that compares directions scales the mean itself.

use std::fmt;

use carp::error::{Error, Result};
use carp::views::EvalTransform;

/// Most patches along a side.
const MOST: usize = 100;
/// Least side of a patch, as a share of the image's short side.
const LEAST: f64 = 0.01;

/// Squares of an image, on a regular grid from edge to edge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PatchGrid {
    /// G, of G x G patches; a single one is the middle.
    per_side: usize,
    /// Side of a patch, as a share of the image's short side.
    share: f64,
}

impl PatchGrid {
    /// `per_side` x `per_side` patches with a side of `share` of the image's short side.
    ///
    /// # Errors
    /// A number out of range.
    pub fn new(per_side: usize, share: f64) -> Result<PatchGrid> {
        if !(1..=MOST).contains(&per_side) {
            let detail = format!("patches {per_side}: choose 1 to {MOST}, for as many in each row");
            return Err(Error::usage(detail));
        }
        if !(LEAST..=1.0).contains(&share) {
            let detail =
                format!("patch share {share}: choose {LEAST} to 1, of the image's short side");
            return Err(Error::usage(detail));
        }
        Ok(PatchGrid { per_side, share })
    }

    /// Preprocessing that gives a patch the size of whole images: these are resized, to the nearest
    /// pixel, so that a crop of that size is a patch.
    pub fn transform(&self, whole: &EvalTransform) -> EvalTransform {
        let resize = (whole.size as f64 / self.share).round() as usize;
        EvalTransform { resize, ..whole.clone() }
    }

    /// The patches' places ([`datasets::Crop::at`]), row by row.
    pub fn places(&self) -> Vec<(f64, f64)> {
        let along: Vec<f64> = match self.per_side {
            1 => vec![0.5],
            count => (0..count).map(|place| place as f64 / (count - 1) as f64).collect(),
        };
        along.iter().flat_map(|&down| along.iter().map(move |&across| (down, across))).collect()
    }
}

/// In words, for reports.
impl fmt::Display for PatchGrid {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let PatchGrid { per_side, share } = self;
        write!(f, "{per_side} x {per_side}, with {share} of the short side each; mean of features")
    }
}
