//! Shared by all file readers and writers: user-facing errors, outputs written whole, and locks.
//!
//! No formats and nothing of the method: crates that read files depend on this one and add the
//! meaning. In reading order: [`error`], [`atomic`], [`lock`].

pub mod atomic;
pub mod error;
pub mod lock;

pub use atomic::{
    check_output, check_output_folder, rename, replaced_file, stream_atomically, write_atomically,
};
pub use error::{Error, Result};
pub use lock::FolderLock;
