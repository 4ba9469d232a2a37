//! Evaluations of features (spec, section 2).

pub mod knn;
