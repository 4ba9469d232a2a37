//! CARP: learning image features by consistent assignment of views over random partitions
//! (Silva and Ramírez Rivera, NeurIPS 2023).
//!
//! Only the method (docs/method.md): images come from the crate `datasets`; `evaluations` measures
//! the features, and `audit` checks the numbers. In reading order, from pixel to loss to gradient:
//! [`views`] crops and augments the views of an image, [`pipeline`] prepares batches of them ahead
//! of time; [`nn`] holds the network, [`loss`] the loss and its variants; [`step`] is one training
//! step as a graph, whose forward pass a [`method`] puts together, [`conv`] how it convolves;
//! [`learner`] puts it on a device; a [`trainer`] takes one step after another, and [`train`] is
//! the loop. [`schedule`] and [`config`] hold the settings; [`checkpoint`], with a [`fingerprint`]
//! of the data, and [`run_folder`], with the [`run_result`] and the [`kept_checkpoints`], store the
//! results. [`verify`] repeats a run and compares it with its [`run_record`]; [`ranks`] is what
//! processes that share a run agree on.

pub mod anomaly;
pub mod checkpoint;
pub mod collapse;
pub mod config;
pub mod conv;
pub mod diversity;
pub mod error;
pub mod fingerprint;
pub mod kept_checkpoints;
pub mod kmeans;
pub mod layout;
pub mod learner;
pub mod loss;
pub mod memory_budget;
pub mod method;
pub mod metrics;
pub mod networks;
pub mod nn;
pub mod optimizer;
pub mod pipeline;
pub mod ranks;
pub mod run_folder;
pub mod run_record;
pub mod run_result;
pub mod run_settings;
pub mod schedule;
pub mod step;
pub mod step_builder;
pub mod step_digest;
pub mod tensor_source;
pub mod train;
pub mod trainer;
pub mod verify;
pub mod views;

pub use error::{Error, Result};
