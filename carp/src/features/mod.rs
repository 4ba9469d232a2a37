//! Features of images (spec, section 2): [`Source`] finds a frozen network in whatever file holds
//! one, [`Encoder`] turns the images of a data set into features, [`AnySize`] those of images of
//! any size at several scales, as retrieval wants it.

mod any_size;
mod encoder;
mod extractor;
mod source;

pub use self::any_size::{AnySize, SCALES};
pub use self::encoder::{Encoder, labels, network_features, pixels};
pub use self::extractor::{FeatureExtractor, POOLED};
pub use self::source::{NetworkName, Source};
