//! CARP: learning image features by consistent assignment of views over random partitions
//! (Silva and Ramírez Rivera, NeurIPS 2023).
//!
//! The method and nothing else: pictures come from the crate `datasets`, what the features are worth
//! is measured by `evaluations`, whether the numbers are right by `audit`. In reading order, from
//! pixel to loss to gradient: [`views`] cuts and colours the views of a picture, [`pipeline`] makes
//! batches of them ahead of time; [`nn`] holds the network, [`loss`] the loss with its variants;
//! [`step`] is one training step as a graph; [`learner`] puts it on a device; [`train`] is the loop.
//! [`schedule`] and [`config`] say with which settings; [`checkpoint`] and [`run_folder`] keep what
//! came of it.

pub mod checkpoint;
pub mod collapse;
pub mod config;
pub mod error;
pub mod layout;
pub mod learner;
pub mod loss;
pub mod nn;
pub mod pipeline;
pub mod run_folder;
pub mod schedule;
pub mod step;
pub mod train;
pub mod views;

pub use error::{Error, Result};
