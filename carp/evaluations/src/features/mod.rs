//! Features of images (spec, section 2): [`Encoder`] turns the images of a data set into features,
//! [`AnySize`] those of images of any size at several scales, as retrieval wants it; a [`FeatureSet`]
//! holds them with their labels.

mod any_size;
mod class_ids;
mod encoder;
mod extractor;
mod feature_set;
mod image_features;
mod labelled;

pub use self::any_size::{AnySize, SCALES};
pub use self::class_ids::ClassIds;
pub use self::encoder::{Encoder, network_features, pixels};
pub use self::extractor::{FeatureExtractor, POOLED};
pub use self::feature_set::FeatureSet;
pub use self::image_features::ImageFeatures;
pub use self::labelled::Labelled;
