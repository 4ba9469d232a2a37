//! safetensors files read as a stream: only the header is held in memory.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use files::{Error, Result};
use safetensors::tensor::{Metadata, TensorInfo};

/// An open file.
pub struct SafeTensorsReader {
    path: PathBuf,
    file: File,
    header: Metadata,
    /// Where the tensors begin.
    start: u64,
}

impl SafeTensorsReader {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// A missing file, not safetensors, or not as long as its header says.
    pub fn open(path: &Path) -> Result<SafeTensorsReader> {
        let io = |source| Error::io(path, source);
        let broken =
            |why: String| Error::data(path, format!("not a whole safetensors file: {why}"));
        let mut file = File::open(path).map_err(io)?;
        let size = file.metadata().map_err(io)?.len();
        let mut length = [0; 8];
        if size < 8 {
            return Err(broken(format!("{size} bytes hold no header")));
        }
        file.read_exact(&mut length).map_err(io)?;
        let length = u64::from_le_bytes(length);
        if length > size - 8 {
            return Err(broken(format!("a header of {length} bytes in a file of {size}")));
        }
        let mut header = vec![0; length as usize];
        file.read_exact(&mut header).map_err(io)?;
        let header: Metadata =
            serde_json::from_slice(&header).map_err(|error| broken(error.to_string()))?;
        let (start, tensors) = (8 + length, header.data_len() as u64);
        if start + tensors != size {
            let why = format!("its header expects {tensors} bytes, {} are left", size - start);
            return Err(broken(why));
        }
        Ok(SafeTensorsReader { path: path.to_owned(), file, header, start })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names, types and shapes of its tensors, and its metadata.
    pub fn header(&self) -> &Metadata {
        &self.header
    }

    /// Passes the bytes of a tensor to `take`, in parts of `part` bytes and a shorter last one.
    ///
    /// # Errors
    /// I/O errors, and those of `take`.
    pub fn read(
        &self,
        info: &TensorInfo,
        part: usize,
        mut take: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut file = &self.file;
        let (first, end) = info.data_offsets;
        file.seek(SeekFrom::Start(self.start + first as u64))?;
        let mut bytes = vec![0; part.min(end - first)];
        for first in (first..end).step_by(part) {
            let bytes = &mut bytes[..part.min(end - first)];
            file.read_exact(bytes)?;
            take(bytes)?;
        }
        Ok(())
    }
}
