//! The argument that whitens features.

use std::iter::once;

use carp::error::Result;
use clap::Args;
use evaluations::whitening::{Moments, Whitening};

use super::image_source::Sets;
use crate::machine_memory::check_fits;

/// Power of the eigenvalues: variances become 1.
const POWER: f64 = 0.5;

/// Whether to whiten.
#[derive(Args)]
pub struct WhitenArgs {
    /// Turn and scale all features so that those to train on have variance 1 in every direction (PCA
    /// whitening, learned from them without labels).
    #[arg(long)]
    pub whiten: bool,
}

impl WhitenArgs {
    /// The sets, whitened by the one to train on if that was asked for.
    ///
    /// # Errors
    /// Features of different lengths, or so long that this machine has not the memory for their moments.
    pub fn over(&self, mut sets: Sets) -> Result<Sets> {
        if self.whiten {
            let Sets { train, test, source, .. } = &mut sets;
            test.iter().try_for_each(|test| train.same_dim(test))?;
            let (dim, bytes) = (train.dim, Whitening::learning_bytes(train.dim));
            check_fits(bytes, || format!("to whiten features of {dim} numbers; take fewer cells"))?;
            let whitening = Whitening::learn(train, Moments::Central, POWER);
            once(train).chain(test).for_each(|set| whitening.apply(set));
            source.push(("whitened by", "the training features".to_owned()));
        }
        Ok(sets)
    }
}
