//! Evaluation of trained backbones (docs/method.md, section 2): the protocols that self-supervised
//! methods report.
//!
//! The method is in the crate `carp`, which does not depend on this one: here a backbone is frozen,
//! or trained on labels. In reading order: [`network_file`] opens a checkpoint, in which
//! [`backbone`] finds a ResNet, whatever its method names it, and [`network_role`] tells teacher from
//! student; [`export`] writes one; [`features`] come from it; [`accuracy`], [`average_precision`],
//! [`clustering_scores`] and [`confusion`] are the scores; [`knn`], [`linear`], [`semi`],
//! [`few_shot`], [`clustering`], [`retrieval`] and [`copy_detection`] the protocols, the last two on
//! the images of [`retrieval_set`] and [`copy_set`]; [`picture_sheet`] shows what they found;
//! [`all`] runs them together; [`online_knn`] runs k-NN during training.

pub mod accuracy;
pub mod all;
pub mod average_precision;
pub mod backbone;
pub mod clustering;
pub mod clustering_scores;
pub mod confusion;
mod confusion_file;
pub mod copy_detection;
pub mod copy_set;
pub mod export;
pub mod features;
pub mod few_shot;
mod few_shot_options;
mod few_shot_scores;
pub mod heads;
mod heatmap;
pub mod knn;
mod knn_result;
pub mod label_subset;
pub mod linear;
pub mod linear_svm;
pub mod neighbours;
pub mod network_file;
pub mod network_role;
pub mod online_knn;
pub mod picture_sheet;
pub mod ranking;
pub mod retrieval;
pub mod retrieval_set;
pub mod semi;
pub mod trained;
pub mod whitening;
