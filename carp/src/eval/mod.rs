//! Evaluations of features (spec, section 2).

pub mod feature_set;
pub mod knn;
