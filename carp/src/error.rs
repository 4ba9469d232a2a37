//! Everything that a user or bad data can get wrong: each prints as one line.

use std::path::PathBuf;

/// An error of this crate.
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
    /// Shapes or settings that an op refuses.
    #[error("{0}")]
    Tensor(#[from] tensor::Error),
    /// A loss that is infinite or NaN.
    #[error(
        "the loss is {loss} at step {step}: the first value that is not finite is {origin}; \
         lower optimizer.base_lr or add optimizer.warmup_epochs"
    )]
    NonFinite {
        /// The loss.
        loss: f32,
        /// The step, from 0.
        step: usize,
        /// Kind and name of the first value that is not finite.
        origin: String,
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

    /// The exit code of a program that ends with this error: 2 for what the user asked for (a
    /// setting, also one that only an op can refuse), 1 for the rest.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Tensor(tensor::Error::Device(_)) => 1,
            Error::Usage(_) | Error::Tensor(_) => 2,
            Error::Data { .. } | Error::Io { .. } | Error::NonFinite { .. } => 1,
        }
    }
}

/// The result of everything here that can fail.
pub type Result<T> = std::result::Result<T, Error>;
