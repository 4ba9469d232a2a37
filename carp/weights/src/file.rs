//! Files of named tensors: safetensors and `torch.save` files, from any program.
//!
//! Opening reads names, shapes and types; numbers are read on demand, so that optimizer state in
//! the same file costs nothing.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use files::{Error, Result};

use crate::stored_tensor::{Contents, Place, Storage, StoredTensor, check, gather};
use crate::{safetensors_file, torch_legacy, torch_zip};

/// File format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// safetensors.
    SafeTensors,
    /// `torch.save` since PyTorch 1.6: a zip archive.
    TorchZip,
    /// Earlier `torch.save`: pickles, then numbers.
    TorchLegacy,
}

impl Format {
    /// Name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Format::SafeTensors => "safetensors",
            Format::TorchZip => "PyTorch, zip archive",
            Format::TorchLegacy => "PyTorch before 1.6",
        }
    }
}

/// An open file of weights.
pub struct WeightsFile {
    path: PathBuf,
    format: Format,
    file: BufReader<File>,
    contents: Contents,
    /// The storage read last: parameters can share one.
    last: Option<(usize, Vec<u8>)>,
}

impl WeightsFile {
    /// Opens a file in any of the formats, recognised by its first bytes.
    ///
    /// # Errors
    /// A missing file, another format, a truncated file. What is wrong with a single tensor is an
    /// error only when that is read.
    pub fn open(path: &Path) -> Result<WeightsFile> {
        let io = |source| Error::io(path, source);
        let mut file = BufReader::new(File::open(path).map_err(io)?);
        let mut start = Vec::new();
        (&mut file).take(265).read_to_end(&mut start).map_err(io)?;
        file.rewind().map_err(io)?;
        let data = |detail: String| Error::data(path, detail);
        let (format, mut contents) = if start.starts_with(b"PK\x03\x04") {
            (Format::TorchZip, torch_zip::contents(path, &mut file)?)
        // The length of a safetensors header may begin with the byte of a pickle; the header is JSON.
        } else if start.first() == Some(&0x80) && start.get(8) != Some(&b'{') {
            (Format::TorchLegacy, torch_legacy::contents(path, &std::fs::read(path).map_err(io)?)?)
        } else if start.get(257..262) == Some(b"ustar") {
            return Err(data(
                "a tar archive from before PyTorch 0.4: load it there, then torch.save it with a \
                 newer version"
                    .to_owned(),
            ));
        } else {
            (Format::SafeTensors, safetensors_file::contents(&mut file).map_err(data)?)
        };
        for tensor in &mut contents.tensors {
            let inside = |view: &_, storage: &Storage| check(&tensor.shape, view, storage.bytes);
            if let Ok(view) = &tensor.view
                && let Err(reason) = inside(view, &contents.storages[view.storage])
            {
                tensor.view = Err(reason);
            }
        }
        Ok(WeightsFile { path: path.to_owned(), format, file, contents, last: None })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// All tensors, in file order.
    pub fn tensors(&self) -> &[StoredTensor] {
        &self.contents.tensors
    }

    /// A tensor by name.
    pub fn find(&self, name: &str) -> Option<&StoredTensor> {
        self.tensors().iter().find(|tensor| tensor.name == name)
    }

    /// The classes of the objects beside the tensors, sorted: nothing was made of them.
    pub fn classes(&self) -> &[String] {
        &self.contents.classes
    }

    /// The safetensors metadata for this key.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.contents.metadata.get(key).map(String::as_str)
    }

    /// The numbers of a tensor in row-major order, whatever its strides.
    ///
    /// # Errors
    /// A missing tensor, one that is not of numbers that f32 can stand for or not inside its storage,
    /// or a file truncated or damaged there.
    pub fn read(&mut self, name: &str) -> Result<Vec<f32>> {
        let refuse = |path: &Path, detail: String| Err(Error::data(path, detail));
        let Some(tensor) = self.find(name) else {
            return refuse(&self.path, format!("has no tensor {name}"));
        };
        let (shape, view) = match &tensor.view {
            Ok(view) => (tensor.shape.clone(), view.clone()),
            Err(reason) => return refuse(&self.path, format!("{name}: {reason}")),
        };
        if self.last.as_ref().is_none_or(|(number, _)| *number != view.storage) {
            let storage = self.contents.storages[view.storage].clone();
            match self.bytes(&storage) {
                Ok(bytes) => self.last = Some((view.storage, bytes)),
                Err(detail) => {
                    return refuse(&self.path, format!("the numbers of {name}: {detail}"));
                }
            }
        }
        let (_, bytes) = self.last.as_ref().expect("just read");
        Ok(gather(&shape, &view, bytes))
    }

    fn bytes(&mut self, storage: &Storage) -> std::result::Result<Vec<u8>, String> {
        let want = storage.bytes;
        match &storage.place {
            Place::Offset(offset) => {
                self.file.seek(SeekFrom::Start(*offset)).map_err(|error| error.to_string())?;
                let mut bytes = Vec::new();
                let read = (&mut self.file).take(want as u64).read_to_end(&mut bytes);
                read.map_err(|error| error.to_string())?;
                if bytes.len() < want {
                    let found = bytes.len();
                    return Err(format!("truncated: {found} bytes at {offset}, expected {want}"));
                }
                Ok(bytes)
            }
            Place::Entry(entry) => torch_zip::entry(&mut self.file, entry, want),
        }
    }
}
