//! What runs did, to look at: a page that is one file, and TensorBoard's event files.
//!
//! In reading order: [`columns`] are the numbers of a run, [`run`] is all that the page tells of it,
//! with the ops and the memory of its step (`step_view`) and, where its weights are at hand, what
//! its network makes of pictures (`network_view` with [`feature_map`], `thumbnails` and
//! `prototypes_view`; `first_views`); [`page`] puts them into a file. Two are apart from them:
//! [`event_file`] is written while a run goes on, and [`projector`] is the map of features for
//! TensorBoard.

pub mod columns;
mod data_uri;
pub mod event_file;
pub mod feature_map;
mod first_views;
mod network_view;
pub mod page;
pub mod projector;
mod prototypes_view;
pub mod run;
mod step_view;
mod thumbnails;
