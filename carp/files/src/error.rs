//! Errors in a user's settings and files: each prints as one line.

use std::path::{Path, PathBuf};

/// Invalid settings or files.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An invalid setting or argument.
    #[error("{0}")]
    Usage(String),
    /// A file with invalid content.
    #[error("{}: {detail}", shown(path))]
    Data {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong, where in the file, and what is expected.
        detail: String,
    },
    /// A file that cannot be read or written.
    #[error("{}: {source}", shown(path))]
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

/// A path in one line of text: line breaks and other control characters as escapes.
pub fn shown(path: &Path) -> String {
    let text = path.display().to_string();
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.into() };
    text.chars().map(escaped).collect()
}

/// The result of reading or writing files.
pub type Result<T> = std::result::Result<T, Error>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_line() {
        let error = Error::data("a\nb \u{e4}'\\.png", "is no image");
        assert_eq!(error.to_string(), "a\\nb \u{e4}'\\.png: is no image");
        assert_eq!(shown(Path::new("\u{1b}[0m")), "\\u{1b}[0m");
    }

    #[test]
    fn details_of_several_lines_become_one() {
        let error = Error::data("file", "cannot be decoded: too short,\n  expected 2\n\n");
        assert_eq!(error.to_string(), "file: cannot be decoded: too short, expected 2");
    }
}
