//! Files of named tensors: safetensors, and what `torch.save` writes, by whatever program.
//!
//! Opening reads names, shapes and types; numbers are read when they are asked for, so that an
//! optimizer's state in the same file costs nothing.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use safetensors::tensor::Metadata;

use super::dtype::DType;
use super::{torch_legacy, torch_zip};
use crate::error::{Error, Result};

/// How a file is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// safetensors.
    SafeTensors,
    /// `torch.save` since PyTorch 1.6: a zip archive.
    TorchZip,
    /// `torch.save` before that: pickles, then numbers.
    TorchLegacy,
}

impl Format {
    /// As it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Format::SafeTensors => "safetensors",
            Format::TorchZip => "PyTorch, zip archive",
            Format::TorchLegacy => "PyTorch before 1.6",
        }
    }
}

/// Where numbers lie one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// Type of all numbers.
    pub dtype: DType,
    /// How many there are.
    pub len: usize,
    /// Where they are.
    pub place: Place,
}

/// Where in a file the bytes of a storage are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// From this byte on.
    Offset(u64),
    /// The entry of this name in a zip archive.
    Entry(String),
}

/// A named view of a storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTensor {
    /// The path to it through nested dictionaries, joined by dots.
    pub name: String,
    /// Lengths of the dimensions, in PyTorch's layout.
    pub shape: Vec<usize>,
    /// Elements from one index to the next, per dimension.
    pub strides: Vec<usize>,
    /// First element in the storage.
    pub offset: usize,
    /// Number of its storage.
    pub storage: usize,
}

/// What a file holds before its numbers are read.
#[derive(Default)]
pub struct Contents {
    /// In the order of the file.
    pub tensors: Vec<StoredTensor>,
    /// What their numbers lie in.
    pub storages: Vec<Storage>,
    /// safetensors' metadata.
    pub metadata: HashMap<String, String>,
}

/// An open file of weights.
pub struct WeightsFile {
    path: PathBuf,
    format: Format,
    file: BufReader<File>,
    contents: Contents,
    /// The storage that was read last: parameters can share one.
    last: Option<(usize, Vec<u8>)>,
}

impl WeightsFile {
    /// Opens a file of any of the formats, told apart by its first bytes.
    ///
    /// # Errors
    /// No such file, one of another format or cut short, a pickle that wants more than weights
    /// need, tensors that reach outside of their storage.
    pub fn open(path: &Path) -> Result<WeightsFile> {
        let io = |source| Error::io(path, source);
        let mut file = BufReader::new(File::open(path).map_err(io)?);
        let mut start = Vec::new();
        (&mut file).take(265).read_to_end(&mut start).map_err(io)?;
        file.rewind().map_err(io)?;
        let data = |detail: String| Error::data(path, detail);
        let (format, contents) = if start.starts_with(b"PK\x03\x04") {
            (Format::TorchZip, torch_zip::contents(path, &mut file)?)
        } else if start.first() == Some(&0x80) {
            (Format::TorchLegacy, torch_legacy::contents(path, &std::fs::read(path).map_err(io)?)?)
        } else if start.get(257..262) == Some(b"ustar") {
            return Err(data(
                "a tar archive of PyTorch before 0.4: load it there, then torch.save it with a \
                 newer one"
                    .to_owned(),
            ));
        } else {
            (Format::SafeTensors, safetensors_contents(&mut file).map_err(data)?)
        };
        for tensor in &contents.tensors {
            check(tensor, contents.storages[tensor.storage].len).map_err(data)?;
        }
        Ok(WeightsFile { path: path.to_owned(), format, file, contents, last: None })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How it is made.
    pub fn format(&self) -> Format {
        self.format
    }

    /// All tensors, in the order of the file.
    pub fn tensors(&self) -> &[StoredTensor] {
        &self.contents.tensors
    }

    /// A tensor by its name.
    pub fn find(&self, name: &str) -> Option<&StoredTensor> {
        self.tensors().iter().find(|tensor| tensor.name == name)
    }

    /// The number type of a tensor.
    pub fn dtype(&self, tensor: &StoredTensor) -> DType {
        self.contents.storages[tensor.storage].dtype
    }

    /// safetensors' metadata of this key.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.contents.metadata.get(key).map(String::as_str)
    }

    /// The numbers of a tensor in the order of its shape, whatever its strides.
    ///
    /// # Errors
    /// No such tensor, or a file that is cut short or damaged there.
    pub fn read(&mut self, name: &str) -> Result<Vec<f32>> {
        let tensor = self.find(name).cloned();
        let tensor =
            tensor.ok_or_else(|| Error::data(&self.path, format!("has no tensor {name}")))?;
        let storage = self.contents.storages[tensor.storage].clone();
        if self.last.as_ref().is_none_or(|(number, _)| *number != tensor.storage) {
            let bytes = self.bytes(&storage).map_err(|detail| {
                Error::data(&self.path, format!("the numbers of {name}: {detail}"))
            })?;
            self.last = Some((tensor.storage, bytes));
        }
        let (_, bytes) = self.last.as_ref().expect("just read");
        Ok(gather(&tensor, storage.dtype, bytes))
    }

    fn bytes(&mut self, storage: &Storage) -> std::result::Result<Vec<u8>, String> {
        let want = storage.len * storage.dtype.size();
        match &storage.place {
            Place::Offset(offset) => {
                self.file.seek(SeekFrom::Start(*offset)).map_err(|error| error.to_string())?;
                let mut bytes = Vec::new();
                let read = (&mut self.file).take(want as u64).read_to_end(&mut bytes);
                read.map_err(|error| error.to_string())?;
                if bytes.len() < want {
                    let found = bytes.len();
                    return Err(format!("cut short: {found} bytes at {offset}, expected {want}"));
                }
                Ok(bytes)
            }
            Place::Entry(entry) => torch_zip::entry(&mut self.file, entry, want),
        }
    }
}

/// Errors unless every element lies in the storage and none is there more often than stored.
fn check(tensor: &StoredTensor, stored: usize) -> std::result::Result<(), String> {
    let elements = tensor.shape.iter().try_fold(1usize, |n, &length| n.checked_mul(length));
    let last = tensor
        .shape
        .iter()
        .zip(&tensor.strides)
        .try_fold(tensor.offset, |last, (&length, &stride)| {
            last.checked_add(length.saturating_sub(1).checked_mul(stride)?)
        });
    match (elements, last) {
        (Some(0), _) => Ok(()),
        (Some(elements), Some(last)) if last < stored && elements <= stored => Ok(()),
        _ => Err(format!(
            "{}: shape {:?}, strides {:?} from element {} reach outside of its {stored} numbers",
            tensor.name, tensor.shape, tensor.strides, tensor.offset
        )),
    }
}

/// Elements in row-major order of the shape, out of the bytes of the storage.
fn gather(tensor: &StoredTensor, dtype: DType, storage: &[u8]) -> Vec<f32> {
    let elements = tensor.shape.iter().product();
    if elements == 0 {
        return vec![];
    }
    let steps = tensor.shape.iter().zip(&tensor.strides);
    let span = 1 + steps.map(|(length, stride)| (length - 1) * stride).sum::<usize>();
    let numbers = dtype.to_f32(&storage[tensor.offset * dtype.size()..][..span * dtype.size()]);
    if tensor.strides == contiguous(&tensor.shape) {
        return numbers;
    }
    let mut gathered = Vec::with_capacity(elements);
    let mut index = vec![0; tensor.shape.len()];
    let mut at = 0;
    for _ in 0..elements {
        gathered.push(numbers[at]);
        for dim in (0..index.len()).rev() {
            index[dim] += 1;
            at += tensor.strides[dim];
            if index[dim] < tensor.shape[dim] {
                break;
            }
            at -= index[dim] * tensor.strides[dim];
            index[dim] = 0;
        }
    }
    gathered
}

/// Strides of a row-major tensor.
pub fn contiguous(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; shape.len()];
    for dim in (1..shape.len()).rev() {
        strides[dim - 1] = strides[dim].saturating_mul(shape[dim]);
    }
    strides
}

fn safetensors_contents(file: &mut BufReader<File>) -> std::result::Result<Contents, String> {
    let neither = "neither safetensors nor a file of torch.save";
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(|_| neither)?;
    let total = file.get_ref().metadata().map_err(|error| error.to_string())?.len();
    let length = u64::from_le_bytes(length);
    if length > total.saturating_sub(8) {
        return Err(format!("{neither}, or cut short"));
    }
    let mut header = Vec::new();
    file.take(length).read_to_end(&mut header).map_err(|error| error.to_string())?;
    let header: Metadata =
        serde_json::from_slice(&header).map_err(|error| format!("{neither}: {error}"))?;
    let (start, bytes) = (8 + length, header.data_len() as u64);
    if start + bytes != total {
        return Err(format!("cut short: {total} bytes, its header tells of {}", start + bytes));
    }
    let metadata = header.metadata().clone().unwrap_or_default().into_iter().collect();
    let mut contents = Contents { metadata, ..Contents::default() };
    for name in header.offset_keys() {
        let info = header.info(&name).expect("one of its keys");
        let Some(dtype) = DType::of_safetensors(info.dtype) else { continue };
        let (first, end) = info.data_offsets;
        contents.tensors.push(StoredTensor {
            name,
            strides: contiguous(&info.shape),
            shape: info.shape.clone(),
            offset: 0,
            storage: contents.storages.len(),
        });
        contents.storages.push(Storage {
            dtype,
            len: (end - first) / dtype.size(),
            place: Place::Offset(start + first as u64),
        });
    }
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(shape: &[usize], strides: &[usize], offset: usize) -> StoredTensor {
        StoredTensor {
            name: "t".to_owned(),
            shape: shape.to_vec(),
            strides: strides.to_vec(),
            offset,
            storage: 0,
        }
    }

    #[test]
    fn views_follow_their_strides() {
        let bytes: Vec<u8> = (0..12).collect();
        let numbers: Vec<f32> = (0..12u8).map(f32::from).collect();
        let gather = |tensor: &StoredTensor, bytes: &[u8]| gather(tensor, DType::U8, bytes);
        assert_eq!(contiguous(&[2, 3, 4]), [12, 4, 1]);
        assert_eq!(gather(&tensor(&[3, 4], &[4, 1], 0), &bytes), numbers);
        // Transposed, and every second column from the second row on.
        let transposed = gather(&tensor(&[4, 3], &[1, 4], 0), &bytes);
        assert_eq!(transposed[..6], [0.0, 4.0, 8.0, 1.0, 5.0, 9.0]);
        assert_eq!(gather(&tensor(&[2, 2], &[4, 2], 4), &bytes), [4.0, 6.0, 8.0, 10.0]);
        assert_eq!(gather(&tensor(&[], &[], 7), &bytes), [7.0]);
        assert_eq!(gather(&tensor(&[0, 5], &[5, 1], 0), &bytes), [0.0; 0]);
    }

    #[test]
    fn views_outside_of_their_storage_are_refused() {
        for (good, tensor) in [
            (true, tensor(&[3, 4], &[4, 1], 0)),
            (false, tensor(&[3, 4], &[4, 1], 1)),
            (false, tensor(&[3, 4], &[4, 2], 0)),
            (false, tensor(&[usize::MAX, 2], &[1, 1], 0)),
            (false, tensor(&[2], &[usize::MAX], 0)),
            (false, tensor(&[2], &[1], usize::MAX)),
            // The same numbers again and again: a few bytes that claim to be gigabytes.
            (false, tensor(&[1000, 1000], &[0, 0], 0)),
            (true, tensor(&[0], &[1], 12)),
        ] {
            assert_eq!(check(&tensor, 12).is_ok(), good, "{tensor:?}");
        }
    }
}
