//! Evaluations of features (spec, section 2).

pub mod accuracy;
pub mod feature_set;
pub mod heads;
pub mod knn;
pub mod linear;
pub mod semi;
pub mod subset;
pub mod trained;
