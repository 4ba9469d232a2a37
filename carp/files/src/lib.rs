//! What every reader and writer of files shares: errors that a user sees, and whole files or none.
//!
//! Here is no format and nothing of the method: a crate that reads files depends on this one and
//! adds what its files mean. In reading order: [`error`], [`atomic`].

pub mod atomic;
pub mod error;

pub use atomic::write_atomically;
pub use error::{Error, Result};
