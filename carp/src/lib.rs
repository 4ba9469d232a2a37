//! CARP: learning image features by consistent assignment of views over random partitions
//! (Silva and Ramírez Rivera, NeurIPS 2023).
//!
//! In reading order, from pixel to loss to gradient: [`data`] gives pictures, [`views`] cuts and
//! colours their views, [`pipeline`] makes batches of them ahead of time; [`nn`] holds the network,
//! [`loss`] the loss with its variants; [`step`] is one training step as a graph; [`learner`] puts it on a device; [`train`] is the
//! loop. [`schedule`] and [`config`] say with which settings. [`evaluation`] and [`eval`] tell what
//! was learned, [`weights`] reads what others learned, [`audit`] whether the numbers are right.

pub mod audit;
pub mod checkpoint;
pub mod collapse;
pub mod config;
pub mod data;
pub mod error;
pub mod eval;
pub mod evaluation;
pub mod features;
pub mod layout;
pub mod learner;
pub mod loss;
pub mod nn;
pub mod pickle;
pub mod pipeline;
pub mod report;
pub mod run_folder;
pub mod schedule;
pub mod step;
pub mod train;
pub mod views;
pub mod weights;
