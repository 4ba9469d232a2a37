//! Atomic file writes.

use std::io::Write;
use std::path::Path;

use crate::error::{Error, Result};

/// Writes `bytes` atomically: the file is either the old one or the complete new one.
///
/// # Errors
/// I/O errors.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial = path.with_file_name(name);
    let write = || {
        let mut file = std::fs::File::create(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&partial, path)
    };
    write().map_err(|source| {
        // The partial file is useless; failing to remove it as well adds nothing.
        let _ = std::fs::remove_file(&partial);
        Error::io(path, source)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let names = || -> Vec<_> {
            let entries = std::fs::read_dir(folder.path()).unwrap();
            entries.map(|entry| entry.unwrap().file_name()).collect()
        };
        let path = folder.path().join("file");
        write_atomically(&path, b"old").unwrap();
        assert_eq!(names(), ["file"]);
        write_atomically(&path, b"new").unwrap();
        assert_eq!((std::fs::read(&path).unwrap(), names().len()), (b"new".to_vec(), 1));
        // A file cannot replace a folder.
        let taken = folder.path().join("taken");
        std::fs::create_dir(&taken).unwrap();
        std::fs::write(taken.join("inside"), "kept").unwrap();
        assert!(write_atomically(&taken, b"new").unwrap_err().to_string().contains("taken"));
        assert_eq!((names().len(), taken.join("inside").exists()), (2, true));
    }
}
