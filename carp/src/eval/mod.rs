//! Evaluations of features (spec, section 2).

pub mod accuracy;
pub mod clustering;
pub mod clustering_scores;
pub mod feature_set;
pub mod heads;
pub mod kmeans;
mod kmeans_start;
pub mod knn;
pub mod linear;
pub mod subset;
