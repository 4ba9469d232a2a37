//! safetensors files written as a stream: header first, then the numbers from where they are.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use files::{Error, Result, stream_atomically};
use safetensors::tensor::{Dtype, Metadata, TensorInfo};

/// Numbers converted to bytes together.
const PART: usize = 1 << 14;

/// A tensor to write.
#[derive(Clone, Debug)]
pub struct TensorHeader {
    /// Its name.
    pub name: String,
    /// Its element type.
    pub dtype: Dtype,
    /// Its shape.
    pub shape: Vec<usize>,
}

/// Writes a file atomically; `write(i, out)` sends the bytes of `tensors[i]`, little-endian, and is
/// called in the order of the file: largest type first, then by name.
///
/// # Errors
/// I/O errors, those of `write` among them.
pub fn write_safetensors(
    path: &Path,
    metadata: BTreeMap<String, String>,
    tensors: &[TensorHeader],
    mut write: impl FnMut(usize, &mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    let mut order: Vec<usize> = (0..tensors.len()).collect();
    order.sort_by(|&a, &b| {
        let (a, b) = (&tensors[a], &tensors[b]);
        b.dtype.cmp(&a.dtype).then_with(|| a.name.cmp(&b.name))
    });
    let mut end = 0;
    let info = |&index: &usize| {
        let TensorHeader { name, dtype, shape } = &tensors[index];
        let start = end;
        end += shape.iter().product::<usize>() * dtype.bitsize() / 8;
        let info = TensorInfo { dtype: *dtype, shape: shape.clone(), data_offsets: (start, end) };
        (name.clone(), info)
    };
    let infos = order.iter().map(info).collect();
    let metadata = (!metadata.is_empty()).then(|| metadata.into_iter().collect());
    let header = Metadata::new(metadata, infos)
        .map_err(|error| Error::data(path, format!("cannot be written: {error}")))?;
    let mut header = serde_json::to_vec(&header).expect("plain numbers and texts");
    // Numbers begin at a multiple of 8 bytes.
    header.resize(header.len().next_multiple_of(8), b' ');
    stream_atomically(path, |out| {
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(&header)?;
        order.iter().try_for_each(|&index| write(index, out))
    })
}

/// Passes the numbers on as little-endian bytes, part by part.
///
/// # Errors
/// Those of `take`.
pub fn little_endian(
    numbers: &[f32],
    mut take: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut bytes = [0; 4 * PART];
    for numbers in numbers.chunks(PART) {
        let bytes = &mut bytes[..4 * numbers.len()];
        for (bytes, number) in bytes.as_chunks_mut().0.iter_mut().zip(numbers) {
            *bytes = number.to_le_bytes();
        }
        take(bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use safetensors::SafeTensors;

    use super::*;

    #[test]
    fn the_crate_safetensors_reads_what_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        let header = |name: &str, dtype, shape: &[usize]| TensorHeader {
            name: name.to_owned(),
            dtype,
            shape: shape.to_vec(),
        };
        let tensors = [
            header("b", Dtype::F32, &[2, PART]),
            header("c", Dtype::I64, &[1]),
            header("a", Dtype::F32, &[0]),
        ];
        let numbers: Vec<f32> = (0..2 * PART).map(|i| i as f32 + 0.1).collect();
        let metadata: BTreeMap<_, _> = [("key".to_owned(), "\"value\"".to_owned())].into();
        write_safetensors(&path, metadata.clone(), &tensors, |index, out| match index {
            0 => little_endian(&numbers, |bytes| out.write_all(bytes)),
            1 => out.write_all(&7i64.to_le_bytes()),
            _ => Ok(()),
        })
        .unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let (_, read) = SafeTensors::read_metadata(&bytes).unwrap();
        assert_eq!(read.metadata(), &Some(metadata.into_iter().collect()));
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let want: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(file.tensor("b").unwrap().data(), want);
        assert_eq!(file.tensor("b").unwrap().shape(), [2, PART]);
        assert_eq!(file.tensor("c").unwrap().data(), 7i64.to_le_bytes());
        assert!(file.tensor("a").unwrap().data().is_empty());
    }
}
