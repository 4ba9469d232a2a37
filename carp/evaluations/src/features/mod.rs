//! Features of images (docs/method.md, section 2): [`Encoder`] computes features of a data set,
//! [`AnySize`] of images of any size at several scales, for retrieval; a [`FeatureSet`] holds them
//! with their labels.

mod any_size;
mod encoder;
mod extractor;
mod feature_set;
mod labelled;

pub use self::any_size::{AnySize, SCALES};
pub use self::encoder::{Encoder, labels, network_features, pixels};
pub use self::extractor::{FeatureExtractor, POOLED};
pub use self::feature_set::FeatureSet;
pub use self::labelled::Labelled;
