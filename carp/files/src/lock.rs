//! One process per folder.

use std::fs::{File, TryLockError};
use std::path::Path;

use crate::atomic::remove_partials;
use crate::error::{Error, Result};

/// Keeps other processes out of a folder until it is dropped or the process ends, in whatever way.
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Locks an existing folder, with the file `lock` in it, and removes what killed processes left
    /// half-written there. A file system without locks keeps nobody out.
    ///
    /// # Errors
    /// A folder that is locked already, or where the file cannot be created.
    pub fn take(folder: &Path) -> Result<FolderLock> {
        let path = folder.join("lock");
        let file = File::options().write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|source| Error::io(path, source))?;
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            let folder = folder.display();
            return Err(Error::Usage(format!("{folder} is in use by another process")));
        }
        remove_partials(folder);
        Ok(FolderLock { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_locked_once_until_it_is_released() {
        let folder = tempfile::tempdir().unwrap();
        let lock = FolderLock::take(folder.path()).unwrap();
        let error = FolderLock::take(folder.path()).err().unwrap();
        assert_eq!(error.exit_code(), 2);
        let name = folder.path().display().to_string();
        assert_eq!(error.to_string(), format!("{name} is in use by another process"));
        drop(lock);
        assert!(FolderLock::take(folder.path()).is_ok());
        assert!(FolderLock::take(&folder.path().join("none")).is_err());
    }
}
