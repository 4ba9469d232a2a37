//! Evaluations of features (spec, section 2).

pub mod accuracy;
pub mod average_precision;
pub mod clustering;
pub mod clustering_scores;
pub mod copy_detection;
pub mod feature_set;
pub mod few_shot;
pub mod heads;
pub mod kmeans;
mod kmeans_start;
pub mod knn;
pub mod linear;
pub mod linear_svm;
pub mod retrieval;
pub mod semi;
pub mod subset;
pub mod trained;
pub mod whitening;
