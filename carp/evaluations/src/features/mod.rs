//! Features of images (docs/method.md, section 2): [`Encoder`] computes features of a data set,
//! [`AnySize`] of images of any size at several scales, for retrieval; a [`FeatureSet`] holds them
//! with their labels.

mod any_size;
mod class_ids;
mod encoder;
mod extractor;
mod feature_set;
mod finite;
mod image_features;
mod labelled;
mod patch_grid;

pub use self::any_size::{AnySize, SCALES};
pub use self::class_ids::ClassIds;
pub use self::encoder::{Encoder, network_features, pixels};
pub use self::extractor::{FeatureExtractor, Layer, POOLED};
pub use self::feature_set::FeatureSet;
pub use self::finite::check_finite;
pub use self::image_features::ImageFeatures;
pub use self::labelled::Labelled;
pub use self::patch_grid::PatchGrid;
