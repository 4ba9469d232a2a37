//! Shared by all file readers and writers: user-facing errors, outputs written whole, locks, how
//! much compressed files may hold, and digests as text.
//!
//! No formats and nothing of the method: crates that read files depend on this one and add the
//! meaning. In reading order: [`error`], [`atomic`], [`lock`], [`unpacked`], [`mod@hex`].

pub mod atomic;
pub mod error;
pub mod hex;
pub mod lock;
pub mod unpacked;

pub use atomic::{
    check_output, check_output_folder, rename, replaced_file, stream_atomically, write_atomically,
};
pub use error::{Error, Result, shown};
pub use hex::hex;
pub use lock::FolderLock;
pub use unpacked::{most_unpacked, read_at_most};
