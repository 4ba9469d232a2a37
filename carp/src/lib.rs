//! CARP: learning image features by consistent assignment of views over random partitions
//! (Silva and Ramírez Rivera, NeurIPS 2023).

pub mod audit;
pub mod error;
pub mod layout;
pub mod learner;
pub mod nn;
pub mod schedule;
pub mod step;
