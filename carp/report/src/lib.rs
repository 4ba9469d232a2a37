//! What runs did, to look at: a page that is one file, and TensorBoard's event files.
//!
//! In reading order: [`columns`] are the numbers of a run, [`run`] is all that the page tells of it,
//! with the ops and the memory of its step (`step_view`) and, where its weights are at hand, what
//! its network makes of pictures (`network_view`, `first_views`); [`page`] puts them into a file.
//! [`event_file`] is apart from them: it is written while a run goes on.

pub mod columns;
mod data_uri;
pub mod event_file;
mod first_views;
mod network_view;
pub mod page;
pub mod run;
mod step_view;
