//! Errors in a user's settings and files: each prints as one line.

use std::path::PathBuf;

/// Invalid settings or files.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An invalid setting or argument.
    #[error("{0}")]
    Usage(String),
    /// A file with invalid content.
    #[error("{}: {detail}", path.display())]
    Data {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong, where in the file, and what is expected.
        detail: String,
    },
    /// A file that cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
}

impl Error {
    /// An [`Error::Data`]; lines of `detail`, which may be another library's, become one.
    pub fn data(path: impl Into<PathBuf>, detail: impl Into<String>) -> Error {
        let detail = detail.into();
        let lines = detail.lines().map(str::trim).filter(|line| !line.is_empty());
        Error::Data { path: path.into(), detail: lines.collect::<Vec<_>>().join(" ") }
    }

    /// An [`Error::Io`].
    pub fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Error {
        Error::Io { path: path.into(), source }
    }

    /// The exit code of a program that ends with this error: 2 for usage, 1 for file contents and
    /// I/O.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Usage(_) => 2,
            Error::Data { .. } | Error::Io { .. } => 1,
        }
    }
}

/// The result of reading or writing files.
pub type Result<T> = std::result::Result<T, Error>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_of_several_lines_become_one() {
        let error = Error::data("file", "cannot be decoded: too short,\n  expected 2\n\n");
        assert_eq!(error.to_string(), "file: cannot be decoded: too short, expected 2");
    }
}
