//! Arrays in files: `.npy`, and tensors of `.safetensors`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use carp::error::{Error, Result};
use files::atomic::write_atomically;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

/// An array: type, shape, and its elements in order, little-endian.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
}

/// NumPy's names of types (little-endian); it has none for bf16.
const NAMES: [(&str, Dtype); 12] = [
    ("<f4", Dtype::F32),
    ("<f8", Dtype::F64),
    ("<f2", Dtype::F16),
    ("<i4", Dtype::I32),
    ("<u4", Dtype::U32),
    ("<i8", Dtype::I64),
    ("<u8", Dtype::U64),
    ("<i2", Dtype::I16),
    ("<u2", Dtype::U16),
    ("|i1", Dtype::I8),
    ("|u1", Dtype::U8),
    ("|b1", Dtype::BOOL),
];
const MAGIC: &[u8] = b"\x93NUMPY";

/// The file in `FILE.npy`, or that and the tensor in `FILE.safetensors:TENSOR`; `None` if the text is
/// neither.
pub fn file_and_tensor(text: &str) -> Option<(PathBuf, Option<&str>)> {
    if text.ends_with(".npy") {
        return Some((text.into(), None));
    }
    let (file, tensor) = text.split_once(".safetensors:")?;
    Some((format!("{file}.safetensors").into(), Some(tensor)))
}

/// Reads `FILE.npy` or `FILE.safetensors:TENSOR`; `None` if the text names neither.
pub fn read(text: &str) -> Option<Result<Array>> {
    let (file, tensor) = file_and_tensor(text)?;
    Some(tensor.map_or_else(|| read_npy(&file), |tensor| read_tensor(&file, tensor)))
}

fn read_npy(path: &Path) -> Result<Array> {
    let bytes = std::fs::read(path).map_err(|source| Error::io(path, source))?;
    parse_npy(&bytes).map_err(|detail| Error::data(path, detail))
}

/// Format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.
fn parse_npy(bytes: &[u8]) -> std::result::Result<Array, String> {
    let short = || "ends inside the header".to_owned();
    let rest = bytes.strip_prefix(MAGIC).ok_or("is no .npy file")?;
    let (&[major, _], rest) = rest.split_first_chunk::<2>().ok_or_else(short)?;
    let (length, rest) = match major {
        1 => rest.split_first_chunk().map(|(n, rest)| (u16::from_le_bytes(*n) as usize, rest)),
        2 | 3 => rest.split_first_chunk().map(|(n, rest)| (u32::from_le_bytes(*n) as usize, rest)),
        _ => return Err(format!("version {major} of .npy is not known")),
    }
    .ok_or_else(short)?;
    let (header, data) = rest.split_at_checked(length).ok_or_else(short)?;
    let header = std::str::from_utf8(header).map_err(|_| "has a header that is no text")?;
    let value = |key: &str| {
        let (_, rest) = header.split_once(&format!("'{key}':"))?;
        Some(rest.trim_start())
    };
    let wrong = || format!("has a header that cannot be read: {}", header.trim());
    let name = value("descr").and_then(|text| text.split('\'').nth(1)).ok_or_else(wrong)?;
    let (_, dtype) = NAMES
        .iter()
        .find(|(known, _)| *known == name)
        .ok_or_else(|| format!("has elements of type {name}, which is not supported"))?;
    if !value("fortran_order").ok_or_else(wrong)?.starts_with("False") {
        return Err("is in Fortran's order; save a copy in C's".to_owned());
    }
    let shape = value("shape").and_then(|text| text.strip_prefix('(')?.split(')').next());
    let sides = shape.ok_or_else(wrong)?.split(',').map(str::trim).filter(|side| !side.is_empty());
    let shape: Vec<usize> =
        sides.map(str::parse).collect::<std::result::Result<_, _>>().map_err(|_| wrong())?;
    let size = shape.iter().try_fold(dtype.bitsize() / 8, |all, &side| all.checked_mul(side));
    if size != Some(data.len()) {
        return Err(format!("has {} bytes of data, which is not what {shape:?} takes", data.len()));
    }
    Ok(Array { dtype: *dtype, shape, bytes: data.to_vec() })
}

fn read_tensor(path: &Path, name: &str) -> Result<Array> {
    let bytes = std::fs::read(path).map_err(|source| Error::io(path, source))?;
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|error| Error::data(path, format!("is no safetensors file: {error}")))?;
    let tensor = file.tensor(name).map_err(|_| {
        let names = file.names().join(", ");
        Error::data(path, format!("has no tensor {name}; it has {names}"))
    })?;
    Ok(Array {
        dtype: tensor.dtype(),
        shape: tensor.shape().to_vec(),
        bytes: tensor.data().to_vec(),
    })
}

/// Writes an array to `FILE.npy`, or several, by their names, to `FILE.safetensors`.
pub fn write(path: &Path, arrays: &BTreeMap<String, Array>) -> Result<()> {
    let bytes = match path.extension().and_then(|end| end.to_str()) {
        Some("npy") => match arrays.values().collect::<Vec<_>>()[..] {
            [array] => npy(array)
                .map_err(|detail| Error::usage(format!("{}: {detail}", path.display())))?,
            _ => return Err(Error::usage(format!("{}: .npy holds one array", path.display()))),
        },
        _ => {
            let views = arrays.iter().map(|(name, array)| {
                let Array { dtype, shape, bytes } = array;
                // An array has as many bytes as its shape takes.
                TensorView::new(*dtype, shape.clone(), bytes).map(|view| (name, view))
            });
            let views: std::result::Result<Vec<_>, _> = views.collect();
            let file = views.and_then(|views| safetensors::serialize(views, None));
            file.map_err(|error| Error::data(path, error.to_string()))?
        }
    };
    Ok(write_atomically(path, &bytes)?)
}

fn npy(array: &Array) -> std::result::Result<Vec<u8>, String> {
    let (name, _) = NAMES
        .iter()
        .find(|(_, dtype)| *dtype == array.dtype)
        .ok_or_else(|| format!("NumPy has no {:?}; write .safetensors", array.dtype))?;
    let shape: String = array.shape.iter().map(|side| format!("{side}, ")).collect();
    let dict =
        format!("{{'descr': '{name}', 'fortran_order': False, 'shape': ({}), }}", shape.trim_end());
    // Data begin at a multiple of 64 bytes, behind a line break.
    let length = (MAGIC.len() + 4 + dict.len() + 1).next_multiple_of(64) - MAGIC.len() - 4;
    let mut bytes = [MAGIC, &[1, 0], &(length as u16).to_le_bytes()].concat();
    bytes.extend(format!("{dict:<0$}\n", length - 1).into_bytes());
    bytes.extend(&array.bytes);
    Ok(bytes)
}
