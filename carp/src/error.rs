//! Errors that users or bad data cause: each prints as one line.

use std::path::PathBuf;

use autograd::RecordedOp;

/// An error of this crate and of those that use it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An invalid setting or file.
    #[error(transparent)]
    File(#[from] files::Error),
    /// Shapes or settings that an op refuses.
    #[error("{0}")]
    Tensor(#[from] tensor::Error),
    /// An infinite or NaN number in a step.
    #[error(
        "{what} not finite in step {step}: the first value that is not finite is {origin}; lower \
         optimizer.base_lr or add optimizer.warmup_epochs"
    )]
    NonFinite {
        /// Where it showed, such as `the loss is`.
        what: &'static str,
        /// The step, from 1.
        step: usize,
        /// Kind and name of the first value that is not finite.
        origin: String,
        /// The op that made it of finite numbers, if one did in this step.
        op: Option<Box<RecordedOp>>,
    },
    /// Infinite or NaN weights after a finite loss.
    #[error(
        "element {at} of {name} is {value} after step {step}: nothing was saved; lower \
         optimizer.base_lr or add optimizer.warmup_epochs"
    )]
    NonFiniteWeight {
        /// Name of the tensor.
        name: String,
        /// Place in it.
        at: usize,
        /// The number.
        value: f32,
        /// Steps done.
        step: usize,
    },
    /// Another rank has an error, and tells it.
    #[error("rank {0} has failed")]
    OtherRank(usize),
}

impl Error {
    /// A [`files::Error::Usage`].
    pub fn usage(detail: impl Into<String>) -> Error {
        Error::File(files::Error::Usage(detail.into()))
    }

    /// A [`files::Error::Data`].
    pub fn data(path: impl Into<PathBuf>, detail: impl Into<String>) -> Error {
        Error::File(files::Error::data(path, detail))
    }

    /// A [`files::Error::Io`].
    pub fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Error {
        Error::File(files::Error::io(path, source))
    }

    /// The exit code of a program that ends with this error: 2 for what the user asked for
    /// (including settings that only an op can refuse), 1 for the rest.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::File(error) => error.exit_code(),
            Error::Tensor(tensor::Error::Device(_))
            | Error::NonFinite { .. }
            | Error::NonFiniteWeight { .. }
            | Error::OtherRank(_) => 1,
            Error::Tensor(_) => 2,
        }
    }
}

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;
