//! What a user's settings and files can get wrong: each prints as one line.

use std::path::PathBuf;

/// A mistake in settings, or a file that is not right.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting or an argument that is not right.
    #[error("{0}")]
    Usage(String),
    /// A file whose content is not right.
    #[error("{}: {detail}", path.display())]
    Data {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong, where in the file, and what would be right.
        detail: String,
    },
    /// A file that cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

impl Error {
    /// An [`Error::Data`].
    pub fn data(path: impl Into<PathBuf>, detail: impl Into<String>) -> Error {
        Error::Data { path: path.into(), detail: detail.into() }
    }

    /// An [`Error::Io`].
    pub fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Error {
        Error::Io { path: path.into(), source }
    }

    /// The exit code of a program that ends with this error: 2 for what the user asked for, 1 for
    /// what a file holds.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Usage(_) => 2,
            Error::Data { .. } | Error::Io { .. } => 1,
        }
    }
}

/// The result of reading and writing files.
pub type Result<T> = std::result::Result<T, Error>;
