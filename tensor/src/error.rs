//! Errors of tensor operations.

/// An error caused by a user's settings or shapes, or by a device. Each prints as one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Shapes that do not fit together.
    #[error("{op}: {detail}")]
    Shape {
        /// The op, as `trace` prints it.
        op: &'static str,
        /// The shapes, and what would fit.
        detail: String,
    },
    /// A setting outside its range (a stride of 0, a partition larger than K).
    #[error("{origin}: {detail}")]
    Setting {
        /// The op whose setting it is, or the key of the user's setting.
        origin: &'static str,
        /// Its value and its range.
        detail: String,
    },
    /// A device that is missing or failed.
    #[error("{0}")]
    Device(String),
}

impl Error {
    /// A shape error of `op`.
    pub fn shape(op: &'static str, detail: impl Into<String>) -> Error {
        Error::Shape { op, detail: detail.into() }
    }

    /// An error of an op's setting, or of the user's setting with this key.
    pub fn setting(origin: &'static str, detail: impl Into<String>) -> Error {
        Error::Setting { origin, detail: detail.into() }
    }

    /// An error of a device.
    pub fn device(detail: impl Into<String>) -> Error {
        Error::Device(detail.into())
    }
}

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;
